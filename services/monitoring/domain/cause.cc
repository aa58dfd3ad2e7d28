#include "tidewheel/monitoring/domain/cause.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>
#include <optional>
#include <set>

#include "tidewheel/base/ids.h"
#include "tidewheel/stats/label_shift.h"

namespace tidewheel::monitoring {
namespace {

constexpr double kFlawedExplains = 0.1;  // Share of flawed rows that explains the drift of others.
constexpr std::size_t kMostTelling = 10;
constexpr std::size_t kMostSliceFindings = 3;
constexpr std::size_t kMostHistograms = 8;
constexpr std::size_t kLeastOutcomes = 10;
constexpr std::size_t kLeastSliceRows = 10;
constexpr double kOutsideQuantile = 0.99;
constexpr double kSmallDamage = 0.005;
constexpr std::size_t kShareSplits = 60;
constexpr std::size_t kShareWindows = 8;
constexpr double kShareConfidence = 0.99;

std::string Number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3g", value);
  return text.data();
}

std::string TellingName(const ObservedRow& row) {
  return row.request_id + "#" + std::to_string(row.index);
}

/// Rows in event order with what the reference says of them.
struct Affected {
  std::vector<const ObservedRow*> rows;
  PlacedRows placed;
  std::size_t change = 0;  // First changed one.
  std::vector<double> scores;
};

/// Each row's place on the way from the reference's middle to that of the rows since `from`.
std::vector<double> AlongTheShift(const std::vector<double>& numbers,
                                  const std::vector<double>& middle, std::size_t from) {
  const std::size_t e = middle.size();
  const std::size_t n = numbers.size() / e;
  std::vector<double> direction(e);
  for (std::size_t i = from; i < n; ++i) {
    for (std::size_t k = 0; k < e; ++k) direction[k] += numbers[i * e + k] - middle[k];
  }
  double length = 0;
  for (const double value : direction) length += value * value;
  length = std::sqrt(std::max(length, 1e-12));
  std::vector<double> x(n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < e; ++k) {
      x[i] += (numbers[i * e + k] - middle[k]) * direction[k] / length;
    }
  }
  return x;
}

/// How much each row speaks for the change that the strongest statistic shows.
std::vector<double> ScoresOf(const Statistic& statistic, std::size_t column,
                             const JudgeReference& reference, const PlacedRows& placed,
                             std::size_t classes, std::size_t current_from) {
  const std::size_t n = placed.rows;
  // The newest half of the newest window is what a change looks like when it is there.
  const std::size_t sure_from = current_from + (n - current_from) / 2;
  std::vector<double> x(n, 0);
  double before = 0;
  double spread = 1;
  const auto mean_from = [&](std::size_t from) {
    double sum = 0;
    for (std::size_t i = from; i < n; ++i) sum += x[i];
    return sum / static_cast<double>(n - from);
  };
  switch (statistic.kind) {
    case Statistic::Kind::kFeature:
    case Statistic::Kind::kDistance:
    case Statistic::Kind::kConfidence: {
      const auto& places = placed.columns[column];
      for (std::size_t i = 0; i < n; ++i) {
        const auto rank = places.rank[i];
        // The middle of the reference's shares below and up to the value: uniform without drift.
        x[i] = rank == PlacedRows::kMissing ? 0.5 : (places.below[rank] + places.up_to[rank]) / 2;
      }
      before = 0.5;
      spread = 1 / std::sqrt(12.0);
      const double moved = std::abs(mean_from(sure_from) - before) / spread;
      auto folded = x;
      for (auto& value : folded) value = std::abs(value - 0.5);
      std::swap(x, folded);
      if (std::abs(mean_from(sure_from) - 0.25) / (0.5 / std::sqrt(12.0)) > moved) {
        before = 0.25;
        spread = 0.5 / std::sqrt(12.0);
      } else {
        std::swap(x, folded);
      }
      break;
    }
    case Statistic::Kind::kMeanShift: {
      if (placed.whitened.empty()) break;
      x = AlongTheShift(placed.whitened, std::vector<double>(placed.whitened.size() / n, 0),
                        sure_from);
      break;
    }
    case Statistic::Kind::kDiscrepancy: {
      // The witness function of the two samples.
      if (placed.waves.empty()) break;
      x = AlongTheShift(placed.waves, reference.mean_wave(), sure_from);
      spread = 0.5;
      break;
    }
    case Statistic::Kind::kPredictedShares: {
      // For the class that gained most.
      std::vector<double> was(classes);
      double all = 0;
      const auto& confusion = reference.confusion();
      for (std::size_t k = 0; k < confusion.size(); ++k) {
        was[k % classes] += static_cast<double>(confusion[k]);
        all += static_cast<double>(confusion[k]);
      }
      std::vector<double> gain(classes);
      for (std::size_t k = 0; k < classes; ++k) gain[k] = -was[k] / all;
      for (std::size_t i = sure_from; i < n; ++i) {
        if (placed.predicted[i] < classes) {
          gain[placed.predicted[i]] += 1 / static_cast<double>(n - sure_from);
        }
      }
      const std::size_t gained =
          static_cast<std::size_t>(std::max_element(gain.begin(), gain.end()) - gain.begin());
      for (std::size_t i = 0; i < n; ++i) x[i] = placed.predicted[i] == gained ? 1 : 0;
      before = was[gained] / all;
      spread = std::sqrt(std::max(before * (1 - before), 1e-3));
      break;
    }
    case Statistic::Kind::kExpectedLoss: {
      for (std::size_t i = 0; i < n; ++i) x[i] = placed.expected[i];
      before = reference.accuracy();
      spread = 0.1;
      break;
    }
  }
  const double after = mean_from(sure_from);
  const double step = (after - before) / (spread * spread);
  for (auto& value : x) value = (value - (before + after) / 2) * step;
  return x;
}

double LossOf(const std::vector<const ObservedRow*>& rows, const PlacedRows& placed,
              std::span<const std::size_t> chosen, const JudgeReference& reference,
              std::size_t classes, bool doubts_outside = true) {
  if (chosen.empty()) return 0;
  const double accuracy = reference.accuracy();
  std::size_t known = 0;
  std::size_t right = 0;
  double expected = 0;
  std::size_t outside = 0;
  const double edge = reference.distance_quantile(kOutsideQuantile);
  for (const auto i : chosen) {
    if (rows[i]->outcome) {
      ++known;
      if (*rows[i]->outcome == rows[i]->class_index) ++right;
    }
    if (doubts_outside && !placed.distance.empty() && placed.distance[i] > edge) ++outside;
    expected += placed.expected[i];
  }
  const double n = static_cast<double>(chosen.size());
  expected /= n;
  if (known >= kLeastOutcomes) {
    return std::max(0.0, accuracy - static_cast<double>(right) / static_cast<double>(known));
  }
  const double usual = 1 - kOutsideQuantile;
  const double share = std::max(0.0, (static_cast<double>(outside) / n - usual) / (1 - usual));
  const double guessing = 1 / static_cast<double>(classes);
  const double believed = std::max(0.0, accuracy - expected);
  const double unknown = std::max(believed, (accuracy - guessing) / 2);
  return std::max(0.0, (1 - share) * believed + share * unknown);
}

std::vector<HistogramEvidence> HistogramsOf(const std::vector<Finding>& ranked,
                                            const Affected& affected, const Profile& profile) {
  std::vector<HistogramEvidence> histograms;
  const auto shares = [](const std::vector<std::uint64_t>& counts) {
    const double all =
        static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
    std::vector<double> result;
    for (const auto count : counts) {
      result.push_back(all > 0 ? static_cast<double>(count) / all : 0);
    }
    return result;
  };
  for (const auto& finding : ranked) {
    if (histograms.size() + 2 >= kMostHistograms) break;
    if (finding.kind != FindingKind::kFeatureDrift) continue;
    for (std::size_t f = 0; f < profile.features.size(); ++f) {
      const FeatureReference& feature = profile.features[f];
      if (feature.name != finding.subject || feature.counts.size() != feature.cuts.size() + 1) {
        continue;
      }
      HistogramEvidence histogram;
      histogram.subject = feature.name;
      std::vector<std::uint64_t> current(feature.counts.size());
      double low = feature.min;
      double high = feature.max;
      for (std::size_t i = affected.change; i < affected.rows.size(); ++i) {
        const double value = affected.rows[i]->features[f];
        if (!std::isfinite(value)) continue;
        low = std::min(low, value);
        high = std::max(high, value);
        ++current[static_cast<std::size_t>(
            std::upper_bound(feature.cuts.begin(), feature.cuts.end(), value) -
            feature.cuts.begin())];
      }
      histogram.bounds.push_back(low);
      histogram.bounds.insert(histogram.bounds.end(), feature.cuts.begin(), feature.cuts.end());
      histogram.bounds.push_back(high);
      histogram.reference_shares = shares(feature.counts);
      histogram.current_shares = shares(current);
      histograms.push_back(std::move(histogram));
    }
  }
  HistogramEvidence classes;
  classes.subject = "predicted class";
  classes.names = profile.classes;
  std::vector<std::uint64_t> predicted(profile.classes.size());
  for (std::size_t i = affected.change; i < affected.rows.size(); ++i) {
    if (affected.rows[i]->class_index < predicted.size()) {
      ++predicted[affected.rows[i]->class_index];
    }
  }
  classes.reference_shares = shares(profile.predictions.predicted);
  classes.current_shares = shares(predicted);
  histograms.push_back(std::move(classes));

  const auto& cells = profile.predictions.confidence_counts;
  if (!cells.empty()) {
    HistogramEvidence confidence;
    confidence.subject = "confidence";
    std::vector<std::uint64_t> current(cells.size());
    for (std::size_t c = 0; c <= cells.size(); ++c) {
      confidence.bounds.push_back(static_cast<double>(c) / static_cast<double>(cells.size()));
    }
    for (std::size_t i = affected.change; i < affected.rows.size(); ++i) {
      const auto& row = *affected.rows[i];
      const double top = row.class_index < row.probabilities.size()
                             ? static_cast<double>(row.probabilities[row.class_index])
                             : 0;
      const double cell = std::clamp(top, 0.0, 1.0) * static_cast<double>(cells.size());
      ++current[std::min(static_cast<std::size_t>(cell), cells.size() - 1)];
    }
    confidence.reference_shares = shares(cells);
    confidence.current_shares = shares(current);
    histograms.push_back(std::move(confidence));
  }
  return histograms;
}

/// Slices by what they are expected to cost, the dearest first; only those that lose more than the
/// whole does.
std::vector<Finding> SliceFindings(const Affected& affected, const JudgeReference& reference,
                                   std::size_t classes, double loss, const WindowRows& window) {
  std::map<std::string, std::vector<std::size_t>> slices;
  for (std::size_t i = affected.change; i < affected.rows.size(); ++i) {
    for (const auto& slice : affected.rows[i]->slices) slices[slice].push_back(i);
  }
  const double all = static_cast<double>(affected.rows.size() - affected.change);
  std::vector<Finding> findings;
  for (const auto& [name, members] : slices) {
    if (members.size() < kLeastSliceRows || static_cast<double>(members.size()) >= all) continue;
    const double here = LossOf(affected.rows, affected.placed, members, reference, classes);
    if (here <= 1.2 * loss) continue;
    Finding finding;
    finding.id = NewUuid();
    finding.model = window.model;
    finding.slice = name;
    finding.kind = FindingKind::kSlicePerformance;
    finding.subject = name;
    finding.method = "expected_loss";
    finding.statistic = here * static_cast<double>(members.size()) / all;
    finding.effect = here;
    finding.effect_low = 0;
    finding.effect_high = 1;
    finding.predictions = members.size();
    finding.first_at = window.first_at;
    finding.last_at = window.last_at;
    finding.window_id = window.key().Id();
    findings.push_back(std::move(finding));
  }
  std::sort(findings.begin(), findings.end(),
            [](const Finding& a, const Finding& b) { return a.statistic > b.statistic; });
  if (findings.size() > 5) findings.resize(5);
  return findings;
}

std::string Listed(const std::vector<Finding>& findings) {
  std::string text;
  std::size_t named = 0;
  for (const auto& finding : findings) {
    if (named == 3) {
      text += " and " + std::to_string(findings.size() - named) + " more";
      break;
    }
    if (!text.empty()) text += ", ";
    std::string what = finding.subject;
    if (finding.kind == FindingKind::kEmbeddingDrift) what = "embedding " + finding.subject;
    if (finding.kind == FindingKind::kSlicePerformance) what = "slice " + finding.subject;
    text += what;
    ++named;
  }
  return text;
}

std::string Told(const Diagnosis& diagnosis) {
  return " Since about " + FormatUtc(diagnosis.since) + ", told after " +
         std::to_string(diagnosis.delay_predictions) +
         " predictions. Expected loss of accuracy over all traffic: " +
         Number(100 * diagnosis.damage) + " points.";
}

Diagnosis FlawedInputs(const Judgement& judgement, const WindowRows& window) {
  Diagnosis diagnosis;
  diagnosis.cause = cause::kSensorFault;
  std::map<std::string, std::size_t> problems;
  std::size_t first = window.rows.size();
  for (std::size_t i = 0; i < window.rows.size(); ++i) {
    const auto& row = window.rows[i];
    for (const auto& problem : row.quality_problems) ++problems[problem];
    if (row.quality_problems.empty()) continue;
    first = std::min(first, i);
    if (diagnosis.telling_predictions.size() < kMostTelling) {
      diagnosis.telling_predictions.push_back(TellingName(row));
    }
  }
  const double share =
      static_cast<double>(judgement.flawed_rows) / static_cast<double>(window.rows.size());
  std::string most;
  for (const auto& [name, count] : problems) {
    if (most.empty() || count > problems[most]) most = name;
  }
  first = std::min(first, window.rows.size() - 1);
  diagnosis.since = window.rows[first].at;
  diagnosis.delay_predictions = window.rows.size() - first;
  diagnosis.damage = share * judgement.reference_accuracy / 2;
  diagnosis.title = Percent(share) + " of the inputs break a quality rule, most of all: " + most;
  diagnosis.description =
      "A sensor or what lies before it is likely at fault; training on such inputs would not help.";
  diagnosis.description += Told(diagnosis);
  HistogramEvidence histogram;
  histogram.subject = "quality problems";
  for (const auto& [name, count] : problems) {
    histogram.names.push_back(name);
    histogram.reference_shares.push_back(0);
    histogram.current_shares.push_back(static_cast<double>(count) /
                                       static_cast<double>(window.rows.size()));
  }
  diagnosis.histograms.push_back(std::move(histogram));
  for (const auto& finding : judgement.findings) {
    if (finding.kind == FindingKind::kInputQuality) diagnosis.findings.push_back(finding);
  }
  return diagnosis;
}

Diagnosis BrokenData(const Judgement& judgement, const WindowRows& window,
                     std::span<const std::size_t> fires) {
  Diagnosis diagnosis;
  diagnosis.cause = cause::kDataQuality;
  diagnosis.since = window.first_at;
  diagnosis.delay_predictions = window.rows.size();
  for (const auto i : fires) diagnosis.findings.push_back(judgement.findings[i]);
  std::sort(diagnosis.findings.begin(), diagnosis.findings.end(),
            [](const Finding& a, const Finding& b) { return a.effect > b.effect; });
  double worst = 0;
  for (const auto& finding : diagnosis.findings) worst = std::max(worst, finding.effect);
  diagnosis.damage = 0.1 * worst * judgement.reference_accuracy;
  diagnosis.title = "the data arrive otherwise than before: " + Listed(diagnosis.findings);
  diagnosis.description =
      "Values are missing, were never seen, or lie out of range; look at what "
      "measures or sends them." +
      Told(diagnosis);
  return diagnosis;
}

bool IsInput(FindingKind kind) {
  return kind == FindingKind::kFeatureDrift || kind == FindingKind::kEmbeddingDrift;
}

}  // namespace

std::string Percent(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.0f %%", 100 * share);
  return text.data();
}

bool MayBeDrift(const RareCount& count) {
  return count.subject.starts_with("range ") || count.subject.starts_with("new ");
}

std::size_t ChangePoint(std::span<const double> scores) {
  double sum = 0;
  double largest = -std::numeric_limits<double>::infinity();
  std::size_t place = 0;
  for (std::size_t i = scores.size(); i-- > 0;) {
    sum += scores[i];
    if (sum >= largest) {
      largest = sum;
      place = i;
    }
  }
  return place;
}

std::map<std::string, double> EstimatedShares(const PreparedReference& prepared,
                                              std::span<const std::uint64_t> predicted,
                                              std::span<const std::string> classes) {
  std::map<std::string, double> shares;
  const auto shift = stats::EstimateLabelShift(prepared.reference().confusion(), predicted);
  if (!shift) return shares;
  for (std::size_t k = 0; k < classes.size() && k < shift->shares.size(); ++k) {
    shares[classes[k]] = shift->shares[k];
  }
  return shares;
}

Reweighting ExplainByShares(const PreparedReference& prepared, const RowTable& rows,
                            std::span<const std::string> classes) {
  Reweighting result;
  const RowTable& known = prepared.class_rows();
  const std::size_t k = known.classes;
  if (rows.rows < PreparedReference::kLeastRows || k < 2) return result;
  std::vector<std::uint64_t> predicted(k);
  for (const auto c : rows.predicted) {
    if (c < k) ++predicted[c];
  }
  stats::LabelShiftOptions sure;
  sure.confidence = kShareConfidence;
  const auto shift = stats::EstimateLabelShift(prepared.reference().confusion(), predicted, sure);
  if (!shift) return result;
  std::vector<double> was(k);
  const RowTable& held_out = prepared.held_out();
  for (const auto given : held_out.given) was[given] += 1 / static_cast<double>(held_out.rows);
  for (std::size_t c = 0; c < k; ++c) {
    result.shares[classes[c]] = shift->shares[c];
    if (was[c] < shift->share_intervals[c].low || was[c] > shift->share_intervals[c].high) {
      result.possible = true;
    }
  }
  if (!result.possible) return result;

  // What chance does to windows whose classes have these shares.
  const std::size_t n = rows.rows;
  Random random(prepared.seed() ^ 0x5ba5e5ULL);
  std::vector<std::vector<double>> values;
  std::vector<std::uint32_t> chosen(n);
  std::vector<std::uint32_t> all(n);
  std::iota(all.begin(), all.end(), 0U);
  std::size_t count = 0;
  for (std::size_t s = 0; s < kShareSplits; ++s) {
    const auto [reference_half, traffic_half] = StratifiedHalves(known, random);
    std::vector<std::vector<std::uint32_t>> by_class(k);
    for (const auto row : traffic_half) by_class[known.given[row]].push_back(row);
    const JudgeReference reference(known, reference_half);
    count = reference.statistics().size();
    for (std::size_t w = 0; w < kShareWindows; ++w) {
      std::vector<std::uint64_t> seen(k);
      for (auto& row : chosen) {
        double u = random.Uniform();
        std::size_t c = 0;
        while (c + 1 < k && u >= shift->shares[c]) u -= shift->shares[c++];
        if (by_class[c].empty()) {
          row = traffic_half[random.Below(traffic_half.size())];
        } else {
          row = by_class[c][random.Below(by_class[c].size())];
        }
        ++seen[known.predicted[row]];
      }
      const auto again = stats::EstimateLabelShift(reference.confusion(), seen);
      if (!again) continue;
      const JudgeReference reweighted = reference.Reweighted(again->weights);
      std::vector<double> each(count);
      reweighted.Evaluate(reweighted.Place(Subset(known, chosen)), all, each);
      values.push_back(std::move(each));
    }
  }
  while (!values.empty() && values.size() % kShareWindows != 0) values.pop_back();
  if (values.size() < 10 * kShareWindows) {
    result.possible = false;
    return result;
  }

  std::vector<double> class_weights(k);
  for (const auto given : known.given) class_weights[given] += 1;
  for (std::size_t c = 0; c < k; ++c) {
    class_weights[c] = class_weights[c] > 0 ? shift->shares[c] / class_weights[c] : 0;
  }
  const JudgeReference reweighted = prepared.class_reference().Reweighted(class_weights);
  std::vector<double> observed(count);
  reweighted.Evaluate(reweighted.Place(rows), all, observed);

  std::vector<double> largest(values.size(), 0);
  double strongest = 0;
  for (std::size_t j = 0; j < count; ++j) {
    // These two are what was fitted.
    const auto kind = prepared.reference().statistics()[j].kind;
    if (kind == Statistic::Kind::kPredictedShares || kind == Statistic::Kind::kExpectedLoss) {
      continue;
    }
    double mean = 0;
    double squares = 0;
    for (const auto& each : values) mean += each[j] / static_cast<double>(values.size());
    for (const auto& each : values) squares += (each[j] - mean) * (each[j] - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(values.size()));
    if (!(deviation > 1e-9)) continue;
    strongest = std::max(strongest, (observed[j] - mean) / deviation);
    for (std::size_t i = 0; i < values.size(); ++i) {
      largest[i] = std::max(largest[i], (values[i][j] - mean) / deviation);
    }
  }
  result.p_value = GroupedTail(std::move(largest), kShareWindows).Exceeded(strongest, 1);
  return result;
}

Diagnosis ExplainSlice(Judgement* judgement, double level, const WindowRows& window,
                       const Profile& profile, const PreparedReference& prepared, double share) {
  const JudgeReference& reference = prepared.reference();
  Affected affected;
  for (const auto& row : window.rows) {
    if (row.quality_problems.empty()) affected.rows.push_back(&row);
  }
  affected.placed = reference.Place(TableOf(affected.rows, profile));
  std::vector<std::size_t> all(affected.rows.size());
  std::iota(all.begin(), all.end(), 0U);
  const double loss =
      LossOf(affected.rows, affected.placed, all, reference, profile.classes.size());

  std::vector<std::size_t> firing;
  for (std::size_t i = judgement->rare.size(); i < judgement->findings.size(); ++i) {
    if (judgement->standardized[i] <= level) continue;
    judgement->findings[i].fires = true;
    firing.push_back(i);
  }
  std::sort(firing.begin(), firing.end(), [&](std::size_t a, std::size_t b) {
    return judgement->standardized[a] > judgement->standardized[b];
  });
  if (firing.size() > kMostSliceFindings) firing.resize(kMostSliceFindings);

  Diagnosis diagnosis;
  diagnosis.cause = cause::kSlice;
  diagnosis.since = window.first_at;
  diagnosis.delay_predictions = window.rows.size();
  double size = 0;  // Of the drift: the largest share of rows that must have moved.
  for (const auto i : firing) {
    diagnosis.findings.push_back(judgement->findings[i]);
    if (judgement->findings[i].method == "ks") size = std::max(size, judgement->findings[i].effect);
  }
  diagnosis.damage = share * std::max(loss, kSmallDamage * std::min(size, 1.0));
  diagnosis.title =
      "the inputs have drifted in the slice " + window.slice + ": " + Listed(diagnosis.findings);
  diagnosis.description = "The slice is " + Percent(share) +
                          " of the traffic, the rest of which looks as it did." + Told(diagnosis);
  diagnosis.histograms = HistogramsOf(diagnosis.findings, affected, profile);

  Finding finding;
  finding.id = NewUuid();
  finding.model = window.model;
  finding.slice = window.slice;
  finding.kind = FindingKind::kSlicePerformance;
  finding.subject = window.slice;
  finding.method = "expected_loss";
  finding.statistic = diagnosis.damage;
  finding.effect = loss;
  finding.effect_low = std::max(0.0, reference.accuracy() - judgement->expected_high);
  finding.effect_high = std::max(loss, reference.accuracy() - judgement->expected_low);
  finding.effect_low = std::min(finding.effect_low, loss);
  finding.fires = true;
  finding.predictions = affected.rows.size();
  finding.first_at = window.first_at;
  finding.last_at = window.last_at;
  finding.window_id = window.key().Id();
  diagnosis.findings.insert(diagnosis.findings.begin(), std::move(finding));

  std::sort(all.begin(), all.end(), [&](std::size_t a, std::size_t b) {
    const auto& expected = affected.placed.expected;
    return expected[a] != expected[b] ? expected[a] < expected[b] : a < b;
  });
  for (std::size_t i = 0; i < all.size() && i < kMostTelling; ++i) {
    diagnosis.telling_predictions.push_back(TellingName(*affected.rows[all[i]]));
  }
  return diagnosis;
}

std::vector<Diagnosis> Explain(Judgement* judgement, DriftEvidence drift,
                               std::span<const std::size_t> rare_fires, const WindowRows& window,
                               const WindowRows* before, const Profile* profile,
                               PreparedReference* prepared, const CauseOptions& options) {
  std::vector<Diagnosis> diagnoses;
  bool flawed = false;
  std::vector<std::size_t> missing;
  std::vector<std::size_t> out_of_range;
  std::set<std::string> broken_features;
  for (const auto i : rare_fires) {
    judgement->findings[i].fires = true;
    const RareCount& count = judgement->rare[i];
    if (count.kind == FindingKind::kInputQuality) {
      flawed = true;
    } else if (MayBeDrift(count)) {
      out_of_range.push_back(i);
    } else {
      missing.push_back(i);
      const auto space = count.subject.find(' ');
      broken_features.insert(count.subject.substr(space + 1));
    }
  }
  if (flawed) diagnoses.push_back(FlawedInputs(*judgement, window));
  const double flawed_share =
      static_cast<double>(judgement->flawed_rows) / static_cast<double>(window.rows.size());
  const bool fault_explains = flawed && flawed_share >= kFlawedExplains;

  // The findings of the drift family that take part.
  std::vector<std::size_t> firing;
  bool input = false;
  bool expected = false;
  if (drift != DriftEvidence::kNone && profile != nullptr && prepared != nullptr) {
    const double level =
        drift == DriftEvidence::kPair ? judgement->pair_level : judgement->single_level;
    for (std::size_t i = judgement->rare.size(); i < judgement->findings.size(); ++i) {
      Finding& finding = judgement->findings[i];
      finding.fires = judgement->standardized[i] > level;
      if (!finding.fires && judgement->standardized[i] <= judgement->pair_level) continue;
      // A feature that is missing has another distribution because of that.
      if (finding.kind == FindingKind::kFeatureDrift && broken_features.contains(finding.subject)) {
        continue;
      }
      firing.push_back(i);
      input = input || IsInput(finding.kind);
      expected = expected || finding.kind == FindingKind::kEstimatedAccuracy;
    }
  }
  // Values out of range are the data's fault only where the others look as they did.
  const bool stray =
      !out_of_range.empty() && firing.empty() && !fault_explains && judgement->PairShare() <= 1;
  if (!missing.empty() || stray) {
    std::vector<std::size_t> all = missing;
    if (stray) all.insert(all.end(), out_of_range.begin(), out_of_range.end());
    diagnoses.push_back(BrokenData(*judgement, window, all));
  }
  if (firing.empty() || fault_explains) return diagnoses;

  // Both windows' sound rows, as the reference sees them.
  const JudgeReference& reference = prepared->reference();
  Affected affected;
  const auto take = [&](const WindowRows& source) {
    for (const auto& row : source.rows) {
      if (row.quality_problems.empty()) affected.rows.push_back(&row);
    }
  };
  if (before != nullptr) take(*before);
  const std::size_t current_from = affected.rows.size();
  take(window);
  affected.placed = reference.Place(TableOf(affected.rows, *profile));

  std::sort(firing.begin(), firing.end(), [&](std::size_t a, std::size_t b) {
    return judgement->standardized[a] > judgement->standardized[b];
  });
  // The finding's statistic, and its column among the Kolmogorov-Smirnov ones.
  const Finding& strongest = judgement->findings[firing.front()];
  std::size_t column = 0;
  for (const auto& statistic : reference.statistics()) {
    const bool is_column = statistic.kind == Statistic::Kind::kFeature ||
                           statistic.kind == Statistic::Kind::kDistance ||
                           statistic.kind == Statistic::Kind::kConfidence;
    bool same = false;
    switch (statistic.kind) {
      case Statistic::Kind::kFeature:
        same = strongest.kind == FindingKind::kFeatureDrift &&
               profile->features[statistic.feature].name == strongest.subject;
        break;
      case Statistic::Kind::kDistance:
        same = strongest.kind == FindingKind::kEmbeddingDrift && strongest.subject == "distance";
        break;
      case Statistic::Kind::kMeanShift:
        same = strongest.kind == FindingKind::kEmbeddingDrift && strongest.subject == "mean";
        break;
      case Statistic::Kind::kDiscrepancy:
        same = strongest.kind == FindingKind::kEmbeddingDrift && strongest.subject == "shape";
        break;
      case Statistic::Kind::kConfidence:
        same = strongest.kind == FindingKind::kPredictionDrift && strongest.subject == "confidence";
        break;
      case Statistic::Kind::kPredictedShares:
        same = strongest.kind == FindingKind::kPredictionDrift && strongest.subject == "classes";
        break;
      case Statistic::Kind::kExpectedLoss:
        same = strongest.kind == FindingKind::kEstimatedAccuracy;
        break;
    }
    if (same) {
      affected.scores = ScoresOf(statistic, column, reference, affected.placed,
                                 profile->classes.size(), current_from);
      break;
    }
    if (is_column) ++column;
  }
  affected.change = affected.scores.empty() ? current_from : ChangePoint(affected.scores);
  // Half of the newest window at least is what the diagnosis rests on.
  affected.change =
      std::min(affected.change, current_from + (affected.rows.size() - current_from) / 2);

  Diagnosis diagnosis;
  diagnosis.since = affected.rows[affected.change]->at;
  diagnosis.delay_predictions = affected.rows.size() - affected.change;
  std::vector<std::size_t> changed(affected.rows.size() - affected.change);
  std::iota(changed.begin(), changed.end(), affected.change);
  const double loss =
      LossOf(affected.rows, affected.placed, changed, reference, profile->classes.size());
  diagnosis.predicted.assign(profile->classes.size(), 0);
  std::vector<const ObservedRow*> changed_rows;
  for (const auto i : changed) {
    changed_rows.push_back(affected.rows[i]);
    if (affected.rows[i]->class_index < diagnosis.predicted.size()) {
      ++diagnosis.predicted[affected.rows[i]->class_index];
    }
  }
  double size = 0;  // Of the drift: the largest share of rows that must have moved.
  for (const auto i : firing) {
    diagnosis.findings.push_back(judgement->findings[i]);
    if (judgement->findings[i].method == "ks") size = std::max(size, judgement->findings[i].effect);
  }
  diagnosis.damage = std::max(loss, kSmallDamage * std::min(size, 1.0));
  diagnosis.histograms = HistogramsOf(diagnosis.findings, affected, *profile);

  const RowTable changed_table = TableOf(changed_rows, *profile);
  const Reweighting reweighting = ExplainByShares(*prepared, changed_table, profile->classes);
  const bool other_shares =
      reweighting.possible && reweighting.p_value >= options.least_p_of_label_shift;
  // Other shares of the classes bring nothing that the model has never seen.
  const bool has_embeddings = !affected.placed.whitened.empty();
  const bool known = !has_embeddings || prepared->UnknownShare(reference.Place(changed_table)) <
                                            Judgement::kMostUnknown;
  const bool whole_window = changed.size() >= window.rows.size();
  const bool rejected = reweighting.possible && !other_shares;
  diagnosis.certain =
      options.seen_before || whole_window || (input && (rejected || (has_embeddings && !known)));
  if (other_shares && known) {
    diagnosis.cause = cause::kLabelShift;
    // Rows of a rare class lie outside of most others, and are known all the same.
    diagnosis.damage = std::max(
        LossOf(affected.rows, affected.placed, changed, reference, profile->classes.size(), false),
        kSmallDamage * std::min(size, 1.0));
    diagnosis.class_shares = reweighting.shares;
    std::string now;
    for (const auto& [name, share] : reweighting.shares) {
      now += (now.empty() ? "" : ", ") + name + " " + Percent(share);
    }
    diagnosis.title = "the classes come in other shares: " + now;
    diagnosis.description =
        "With the reference's classes in these shares the drift within classes vanishes (p = " +
        Number(reweighting.p_value) + ")." + Told(diagnosis);
    Finding finding;
    finding.id = NewUuid();
    finding.model = window.model;
    finding.kind = FindingKind::kLabelShift;
    finding.method = "bbse";
    finding.statistic = reweighting.p_value;
    finding.threshold = options.least_p_of_label_shift;
    finding.fires = true;
    finding.predictions = changed.size();
    finding.first_at = diagnosis.since;
    finding.last_at = window.last_at;
    finding.window_id = window.key().Id();
    double moved = 0;
    std::vector<double> was(profile->classes.size());
    for (const auto given : prepared->held_out().given) {
      was[given] += 1 / static_cast<double>(prepared->held_out().rows);
    }
    for (std::size_t c = 0; c < was.size(); ++c) {
      const double difference = reweighting.shares.at(profile->classes[c]) - was[c];
      moved += std::abs(difference) / 2;
      if (std::abs(difference) > std::abs(finding.effect)) {
        finding.effect = difference;
        finding.subject = profile->classes[c];
      }
    }
    finding.effect_low = finding.effect - moved;
    finding.effect_high = finding.effect + moved;
    judgement->findings.push_back(finding);
    judgement->standardized.push_back(0);
    diagnosis.findings.insert(diagnosis.findings.begin(), std::move(finding));
  } else {
    diagnosis.cause = input      ? cause::kDataDrift
                      : expected ? cause::kAccuracy
                                 : cause::kPredictionDrift;
    auto slices = SliceFindings(affected, reference, profile->classes.size(), loss, window);
    diagnosis.findings.insert(diagnosis.findings.begin(), slices.begin(), slices.end());
    const std::string what = Listed(diagnosis.findings);
    if (input) {
      diagnosis.title = "the inputs have drifted: " + what;
      diagnosis.description = "They no longer look like those that the model was made from.";
    } else if (expected) {
      diagnosis.title =
          "accuracy is expected to have fallen by " + Number(100 * std::max(0.0, loss)) + " points";
      diagnosis.description =
          "The answers are less sure than the reference's, while the inputs "
          "look alike (CBPE).";
    } else {
      diagnosis.title = "the answers have drifted: " + what;
      diagnosis.description =
          "Confidence or predicted classes are others, while the inputs look "
          "alike.";
    }
    diagnosis.description += Told(diagnosis);
  }
  std::vector<std::size_t> telling = changed;
  std::sort(telling.begin(), telling.end(), [&](std::size_t a, std::size_t b) {
    if (affected.scores.empty()) return a < b;
    return affected.scores[a] != affected.scores[b] ? affected.scores[a] > affected.scores[b]
                                                    : a < b;
  });
  for (std::size_t i = 0; i < telling.size() && i < kMostTelling; ++i) {
    diagnosis.telling_predictions.push_back(TellingName(*affected.rows[telling[i]]));
  }
  diagnoses.push_back(std::move(diagnosis));
  return diagnoses;
}

}  // namespace tidewheel::monitoring
