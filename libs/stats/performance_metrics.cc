#include "tidewheel/stats/performance_metrics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/ranking.h"

namespace tidewheel::stats {
namespace {

constexpr int kResamples = 200;
constexpr std::size_t kResampledRows = 20'000;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Error Undefined(PerformanceMetric metric, const std::string& why) {
  return {ErrorCode::kFailedPrecondition,
          std::string(Name(metric)) + " is not applicable, because " + why};
}

Result<void> CheckClasses(std::span<const std::int32_t> values, std::size_t rows,
                          const std::string& what) {
  if (values.size() != rows) {
    return Bad(std::to_string(values.size()) + " " + what + " for " + std::to_string(rows) +
               " rows");
  }
  for (std::size_t row = 0; row < rows; ++row) {
    if (values[row] != 0 && values[row] != 1) {
      return Bad("row " + std::to_string(row) + ": " + std::to_string(values[row]) + " among the " +
                 what + " is neither 0 nor 1");
    }
  }
  return {};
}

Result<void> CheckScores(const BinaryRows& rows) {
  if (rows.scores.empty()) return Bad("there are no rows");
  for (std::size_t row = 0; row < rows.scores.size(); ++row) {
    if (!std::isfinite(rows.scores[row])) {
      return Bad("row " + std::to_string(row) + ": the score is not a finite number");
    }
  }
  return CheckClasses(rows.predicted, rows.scores.size(), "predictions");
}

Result<void> CheckProbabilities(std::span<const double> probabilities, std::size_t rows) {
  if (probabilities.size() != rows) {
    return Bad(std::to_string(probabilities.size()) + " probabilities for " + std::to_string(rows) +
               " rows");
  }
  for (std::size_t row = 0; row < rows; ++row) {
    if (!(probabilities[row] >= 0 && probabilities[row] <= 1)) {
      return Bad("row " + std::to_string(row) + ": a probability is not in 0 to 1");
    }
  }
  return {};
}

ExpectedConfusion Confusion(std::span<const std::int32_t> predicted,
                            std::span<const double> probabilities) {
  ExpectedConfusion counts;
  for (std::size_t row = 0; row < predicted.size(); ++row) {
    const double p = probabilities[row];
    if (predicted[row] == 1) {
      counts.true_positives += p;
      counts.false_positives += 1 - p;
    } else {
      counts.false_negatives += p;
      counts.true_negatives += 1 - p;
    }
  }
  return counts;
}

/// Hits among what counts: the rates and, nearly, F1.
struct Share {
  double hits = 0;
  double of = 0;
  std::string nothing;  // Why there is no such rate when `of` is 0.
};

Share ShareOf(PerformanceMetric metric, const ExpectedConfusion& c) {
  switch (metric) {
    case PerformanceMetric::kPrecision:
      return {c.true_positives, c.true_positives + c.false_positives, "no row is predicted 1"};
    case PerformanceMetric::kRecall:
      return {c.true_positives, c.true_positives + c.false_negatives, "no row is of class 1"};
    case PerformanceMetric::kSpecificity:
      return {c.true_negatives, c.true_negatives + c.false_positives, "no row is of class 0"};
    case PerformanceMetric::kF1:
      return {c.true_positives, c.true_positives + c.false_positives + c.false_negatives,
              "no row is of class 1 or predicted so"};
    case PerformanceMetric::kAccuracy:
    case PerformanceMetric::kRocAuc:
    case PerformanceMetric::kAveragePrecision:
      break;
  }
  return {c.true_positives + c.true_negatives,
          c.true_positives + c.true_negatives + c.false_positives + c.false_negatives,
          "there are no rows"};
}

Result<double> FromConfusion(PerformanceMetric metric, const ExpectedConfusion& counts) {
  const Share share = ShareOf(metric, counts);
  if (!(share.of > 0)) return Undefined(metric, share.nothing);
  if (metric == PerformanceMetric::kF1) return 2 * share.hits / (share.hits + share.of);
  return share.hits / share.of;
}

bool RanksRows(PerformanceMetric metric) {
  return metric == PerformanceMetric::kRocAuc || metric == PerformanceMetric::kAveragePrecision;
}

struct RankedRow {
  double score = 0;
  double probability = 0;  // Of class 1.
};

/// Area under the curve that rows draw in the order of their scores, the largest first.
Result<double> ExpectedArea(PerformanceMetric metric, std::span<const RankedRow> descending) {
  double positives = 0;
  double negatives = 0;
  for (const RankedRow& row : descending) {
    positives += row.probability;
    negatives += 1 - row.probability;
  }
  if (!(positives > 0)) return Undefined(metric, "no row is of class 1");
  const bool roc = metric == PerformanceMetric::kRocAuc;
  if (roc && !(negatives > 0)) return Undefined(metric, "no row is of class 0");
  double area = 0;
  double caught = 0;
  double caught_falsely = 0;
  for (std::size_t first = 0; first < descending.size();) {
    std::size_t next = first;
    double gained = 0;
    double gained_falsely = 0;
    for (; next < descending.size() && descending[next].score == descending[first].score; ++next) {
      const RankedRow& row = descending[next];
      gained += row.probability;
      gained_falsely += 1 - row.probability;
    }
    if (roc) {
      area += gained_falsely / negatives * (caught + gained / 2) / positives;
    } else if (gained > 0) {
      const double all = caught + gained + caught_falsely + gained_falsely;
      area += gained / positives * (caught + gained) / all;
    }
    caught += gained;
    caught_falsely += gained_falsely;
    first = next;
  }
  return std::clamp(area, 0.0, 1.0);
}

std::vector<RankedRow> Descending(std::span<const double> scores,
                                  std::span<const double> probabilities) {
  std::vector<RankedRow> rows(scores.size());
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = {scores[i], probabilities[i]};
  std::sort(rows.begin(), rows.end(), [](const RankedRow& a, const RankedRow& b) {
    return a.score != b.score ? a.score > b.score : a.probability > b.probability;
  });
  return rows;
}

/// Deviation of where rows of the rarer class stand among the other class.
Result<double> PlacementDeviation(const BinaryRows& rows) {
  std::vector<double> ones;
  std::vector<double> zeros;
  for (std::size_t row = 0; row < rows.labels.size(); ++row) {
    (rows.labels[row] == 1 ? ones : zeros).push_back(rows.scores[row]);
  }
  for (const auto* side : {&ones, &zeros}) {
    if (side->empty()) {
      return Undefined(PerformanceMetric::kRocAuc,
                       side == &ones ? "no row is of class 1" : "no row is of class 0");
    }
  }
  // Which side of the other class they stand on is the same to a deviation.
  std::vector<double>& rarer = ones.size() > zeros.size() ? zeros : ones;
  std::vector<double>& other = ones.size() > zeros.size() ? ones : zeros;
  std::sort(rarer.begin(), rarer.end());
  std::sort(other.begin(), other.end());
  double sum = 0;
  double squares = 0;
  for (const double score : rarer) {
    const auto [low, high] = std::equal_range(other.begin(), other.end(), score);
    const double placement =
        (static_cast<double>(low - other.begin()) + static_cast<double>(high - other.begin())) / 2 /
        static_cast<double>(other.size());
    sum += placement;
    squares += placement * placement;
  }
  const auto count = static_cast<double>(rarer.size());
  const double mean = sum / count;
  const double variance = std::max(0.0, squares / count - mean * mean);
  return std::sqrt(variance * static_cast<double>(rows.labels.size()) / count);
}

Result<double> ResampledDeviation(PerformanceMetric metric, const BinaryRows& rows,
                                  std::uint64_t seed) {
  const std::vector<double> labels(rows.labels.begin(), rows.labels.end());
  const std::vector<RankedRow> all = Descending(rows.scores, labels);
  if (const auto whole = ExpectedArea(metric, all); !whole) return whole.error();
  Random random(seed);
  std::vector<std::size_t> drawn(std::min(all.size(), kResampledRows));
  std::vector<RankedRow> resample(drawn.size());
  double sum = 0;
  double squares = 0;
  double taken = 0;
  for (int round = 0; round < kResamples; ++round) {
    for (std::size_t& index : drawn) index = random.Below(all.size());
    std::sort(drawn.begin(), drawn.end());
    for (std::size_t i = 0; i < drawn.size(); ++i) resample[i] = all[drawn[i]];
    const auto value = ExpectedArea(metric, resample);
    if (!value) continue;  // A resample without class 1 has no such figure.
    sum += *value;
    squares += *value * *value;
    taken += 1;
  }
  if (taken < 2) return Undefined(metric, "almost no resample holds a row of class 1");
  const double mean = sum / taken;
  return std::sqrt(std::max(0.0, squares / taken - mean * mean) *
                   static_cast<double>(drawn.size()));
}

}  // namespace

std::string_view Name(PerformanceMetric metric) {
  switch (metric) {
    case PerformanceMetric::kAccuracy:
      return "accuracy";
    case PerformanceMetric::kPrecision:
      return "precision";
    case PerformanceMetric::kRecall:
      return "recall";
    case PerformanceMetric::kSpecificity:
      return "specificity";
    case PerformanceMetric::kF1:
      return "f1";
    case PerformanceMetric::kRocAuc:
      return "roc_auc";
    case PerformanceMetric::kAveragePrecision:
      return "average_precision";
  }
  return "";
}

Result<double> RealizedMetric(PerformanceMetric metric, const BinaryRows& rows) {
  if (const auto good = CheckScores(rows); !good) return good.error();
  if (const auto good = CheckClasses(rows.labels, rows.scores.size(), "labels"); !good) {
    return good.error();
  }
  if (RanksRows(metric)) {
    auto area = metric == PerformanceMetric::kRocAuc ? RocAuc(rows.labels, rows.scores)
                                                     : AveragePrecision(rows.labels, rows.scores);
    if (!area) return Prefixed(std::string(Name(metric)) + ": ", area.error());
    return area;
  }
  const std::vector<double> certain(rows.labels.begin(), rows.labels.end());
  return FromConfusion(metric, Confusion(rows.predicted, certain));
}

Result<ExpectedConfusion> ExpectConfusion(std::span<const std::int32_t> predicted,
                                          std::span<const double> probabilities) {
  if (predicted.empty()) return Bad("there are no rows");
  if (const auto good = CheckClasses(predicted, predicted.size(), "predictions"); !good) {
    return good.error();
  }
  if (const auto good = CheckProbabilities(probabilities, predicted.size()); !good) {
    return good.error();
  }
  return Confusion(predicted, probabilities);
}

Result<double> ExpectedMetric(PerformanceMetric metric, const BinaryRows& rows,
                              std::span<const double> probabilities) {
  if (const auto good = CheckScores(rows); !good) return good.error();
  if (const auto good = CheckProbabilities(probabilities, rows.scores.size()); !good) {
    return good.error();
  }
  if (RanksRows(metric)) return ExpectedArea(metric, Descending(rows.scores, probabilities));
  return FromConfusion(metric, Confusion(rows.predicted, probabilities));
}

Result<double> SamplingDeviation(PerformanceMetric metric, const BinaryRows& rows,
                                 std::uint64_t seed) {
  if (const auto good = CheckScores(rows); !good) return good.error();
  if (const auto good = CheckClasses(rows.labels, rows.scores.size(), "labels"); !good) {
    return good.error();
  }
  if (metric == PerformanceMetric::kRocAuc) return PlacementDeviation(rows);
  if (metric == PerformanceMetric::kAveragePrecision) return ResampledDeviation(metric, rows, seed);

  const std::vector<double> certain(rows.labels.begin(), rows.labels.end());
  const Share share = ShareOf(metric, Confusion(rows.predicted, certain));
  if (!(share.of > 0)) return Undefined(metric, share.nothing);
  double rate = share.hits / share.of;
  if (share.hits == 0 || share.hits == share.of) rate = (share.hits + 0.5) / (share.of + 1);
  const double deviation =
      std::sqrt(rate * (1 - rate) / share.of * static_cast<double>(rows.labels.size()));
  // F1 = 2 r / (1 + r) of the share r of hits among all that count.
  return metric == PerformanceMetric::kF1 ? deviation * 2 / ((1 + rate) * (1 + rate)) : deviation;
}

}  // namespace tidewheel::stats
