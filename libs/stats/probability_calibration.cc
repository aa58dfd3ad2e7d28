#include "tidewheel/stats/probability_calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> CheckRows(std::span<const std::int32_t> labels, std::span<const double> scores) {
  if (labels.empty()) return Bad("calibration needs rows");
  if (labels.size() != scores.size()) {
    return Bad(std::to_string(labels.size()) + " labels and " + std::to_string(scores.size()) +
               " scores are not rows");
  }
  for (std::size_t row = 0; row < labels.size(); ++row) {
    if (labels[row] != 0 && labels[row] != 1) {
      return Bad("row " + std::to_string(row) + ": label " + std::to_string(labels[row]) +
                 " is neither 0 nor 1");
    }
    if (!std::isfinite(scores[row])) {
      return Bad("row " + std::to_string(row) + ": the score is not a finite number");
    }
  }
  return {};
}

using Row = std::pair<double, std::int32_t>;  // Score or probability, then label.

double CalibrationErrorOf(std::vector<Row> rows, int bins) {
  std::sort(rows.begin(), rows.end());
  const std::size_t n = rows.size();
  // What a row of each tie is worth: the share of class 1 among its equals.
  std::vector<double> share(n);
  for (std::size_t first = 0; first < n;) {
    std::size_t next = first;
    double ones = 0;
    for (; next < n && rows[next].first == rows[first].first; ++next) ones += rows[next].second;
    std::fill(share.begin() + static_cast<std::ptrdiff_t>(first),
              share.begin() + static_cast<std::ptrdiff_t>(next),
              ones / static_cast<double>(next - first));
    first = next;
  }
  const auto of = static_cast<std::size_t>(bins);
  double error = 0;
  for (std::size_t bin = 0; bin < of; ++bin) {
    double gap = 0;
    for (std::size_t row = bin * n / of; row < (bin + 1) * n / of; ++row) {
      gap += rows[row].first - share[row];
    }
    error += std::abs(gap);
  }
  return error / static_cast<double>(n);
}

IsotonicFunction FitRows(std::span<const Row> rows) {
  std::vector<double> x;
  std::vector<double> y;
  x.reserve(rows.size());
  y.reserve(rows.size());
  for (const auto& [score, label] : rows) {
    x.push_back(score);
    y.push_back(label);
  }
  return *FitIsotonic(x, y);
}

/// The two errors over the pooled held-out rows of every split.
void Judge(std::span<const Row> rows, const ProbabilityCalibrationOptions& options,
           CalibrationDecision& decision) {
  // Sorted rows make the splits independent of the order they came in.
  std::array<std::vector<Row>, 2> of_class;
  for (const Row& row : rows) of_class[static_cast<std::size_t>(row.second)].push_back(row);
  Random random(options.seed);
  std::vector<Row> before;
  std::vector<Row> after;
  for (int round = 0; round < options.rounds; ++round) {
    std::vector<Row> kept;
    const std::size_t held_first = before.size();
    for (auto& members : of_class) {
      const auto held = std::clamp<std::size_t>(
          static_cast<std::size_t>(
              std::lround(options.held_out * static_cast<double>(members.size()))),
          1, members.size() - 1);
      for (std::size_t i = 0; i < held; ++i) {
        std::swap(members[i], members[i + random.Below(members.size() - i)]);
        before.push_back(members[i]);
      }
      kept.insert(kept.end(), members.begin() + static_cast<std::ptrdiff_t>(held), members.end());
    }
    const IsotonicFunction function = FitRows(kept);
    for (std::size_t i = held_first; i < before.size(); ++i) {
      after.emplace_back(function(before[i].first), before[i].second);
    }
  }
  decision.error_before = CalibrationErrorOf(std::move(before), options.bins);
  decision.error_after = CalibrationErrorOf(std::move(after), options.bins);
}

}  // namespace

Result<double> ExpectedCalibrationError(std::span<const std::int32_t> labels,
                                        std::span<const double> probabilities, int bins) {
  if (bins < 1) return Bad("a calibration error needs at least 1 bin");
  if (const auto good = CheckRows(labels, probabilities); !good) return good.error();
  std::vector<Row> rows(labels.size());
  for (std::size_t row = 0; row < labels.size(); ++row) {
    if (probabilities[row] < 0 || probabilities[row] > 1) {
      return Bad("row " + std::to_string(row) + ": probability " +
                 std::to_string(probabilities[row]) + " is not in 0 to 1");
    }
    rows[row] = {probabilities[row], labels[row]};
  }
  return CalibrationErrorOf(std::move(rows), bins);
}

Result<ProbabilityCalibrator> ProbabilityCalibrator::Fit(
    std::span<const std::int32_t> labels, std::span<const double> scores,
    const ProbabilityCalibrationOptions& options) {
  if (options.rounds < 1 || options.bins < 1) return Bad("rounds and bins are at least 1");
  if (!(options.held_out > 0 && options.held_out < 1)) {
    return Bad("the held-out share is above 0 and below 1");
  }
  if (const auto good = CheckRows(labels, scores); !good) return good.error();

  std::vector<Row> rows(labels.size());
  std::array<std::size_t, 2> count{};
  bool probabilities = true;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    rows[row] = {scores[row], labels[row]};
    ++count[static_cast<std::size_t>(labels[row])];
    probabilities = probabilities && scores[row] >= 0 && scores[row] <= 1;
  }
  std::sort(rows.begin(), rows.end());

  ProbabilityCalibrator calibrator;
  CalibrationDecision& decision = calibrator.decision_;
  const std::size_t fewest = std::min(count[0], count[1]);
  if (!probabilities && fewest == 0) {
    return Error{ErrorCode::kFailedPrecondition,
                 "not applicable, because scores outside 0 to 1 can be mapped to probabilities "
                 "only by rows of both classes"};
  }
  if (fewest < 2) {
    decision.calibrate = !probabilities;
    decision.reason = "a class has fewer than 2 rows, so that nothing could be held out";
  } else {
    Judge(rows, options, decision);
    decision.calibrate = !probabilities || decision.error_after < decision.error_before;
    decision.reason = decision.calibrate
                          ? "the fit lowers the calibration error of held-out rows"
                          : "the fit does not lower the calibration error of held-out rows";
  }
  if (!probabilities) decision.reason = "the scores are not probabilities";
  if (decision.calibrate) calibrator.function_ = FitRows(rows);
  return calibrator;
}

}  // namespace tidewheel::stats
