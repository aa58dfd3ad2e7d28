#include "tidewheel/stats/sequential_test.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string>

namespace tidewheel::stats {
namespace {

constexpr std::size_t kShares = 20;
constexpr int kHalvings = 60;
constexpr std::uint32_t kLargestSplit = 1'000;
constexpr std::size_t kMostWaiting = 100'000'000;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// Shares of the capital that are bet: from nearly all, each smaller by the root of 2, down to what
/// suits a difference of a tenth of a point.
const std::array<double, kShares>& Shares() {
  static const auto shares = [] {
    std::array<double, kShares> made{};
    double share = 0.95;
    for (double& each : made) {
      each = share;
      share /= std::sqrt(2.0);
    }
    return made;
  }();
  return shares;
}

/// Logarithm of a bet's factor for x, with m as the mean that is bet against.
double Step(double x, double m, bool above, double share) {
  return std::log1p(share * (above ? (x - m) / (1 + m) : (m - x) / (1 - m)));
}

/// Logarithm of the mean of the bets' capitals.
double LogMean(const std::array<double, kShares>& logs) {
  const double largest = *std::max_element(logs.begin(), logs.end());
  if (!std::isfinite(largest)) return largest;
  double sum = 0;
  for (const double log : logs) sum += std::exp(log - largest);
  return largest + std::log(sum / static_cast<double>(kShares));
}

std::string Signed(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%+.4g", value);
  return text;
}

}  // namespace

Result<SequentialMeanTest> SequentialMeanTest::Make(std::vector<double> values,
                                                    const SequentialOptions& options) {
  if (values.empty()) return Bad("a test of a mean needs values");
  for (const double value : values) {
    if (!(value >= -1 && value <= 1)) return Bad("a value is not in -1 to 1");
  }
  if (!(options.alpha > 0 && options.alpha < 1)) return Bad("alpha is above 0 and below 1");
  if (!(options.margin > -1 && options.margin < 1))
    return Bad("the margin is above -1 and below 1");
  return SequentialMeanTest(std::move(values), options);
}

SequentialMeanTest::SequentialMeanTest(std::vector<double> values, const SequentialOptions& options)
    : options_(options), values_(std::move(values)), counts_(values_.size()) {
  for (const double value : values_) {
    for (const bool above : {true, false}) {
      for (const double share : Shares()) {
        steps_.push_back(Step(value, -options_.margin, above, share));
      }
    }
  }
}

void SequentialMeanTest::Add(std::size_t value_index) {
  ++counts_[value_index];
  ++total_;
  Decide();
}

void SequentialMeanTest::Add(std::span<const std::uint64_t> times) {
  for (std::size_t i = 0; i < times.size(); ++i) {
    counts_[i] += times[i];
    total_ += times[i];
  }
  Decide();
}

void SequentialMeanTest::Decide() {
  // From the counts, not step by step: the order of values then changes nothing, nor does rounding.
  std::array<double, kShares> above{};
  std::array<double, kShares> below{};
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (counts_[i] == 0) continue;
    const auto times = static_cast<double>(counts_[i]);
    const double* steps = &steps_[i * 2 * kShares];
    for (std::size_t j = 0; j < kShares; ++j) {
      above[j] += times * steps[j];
      below[j] += times * steps[kShares + j];
    }
  }
  // Evidence is at most its largest bet: mostly this says that nothing new can come of it.
  if (std::max(*std::max_element(above.begin(), above.end()),
               *std::max_element(below.begin(), below.end())) <= strongest_) {
    return;
  }
  const double for_pass = LogMean(above);
  const double for_fail = LogMean(below);
  strongest_ = std::max({strongest_, for_pass, for_fail});
  if (decided_ != Answer::kInconclusive) return;
  const double enough = std::log(2 / options_.alpha);
  if (for_pass >= enough) {
    decided_ = Answer::kPass;
  } else if (for_fail >= enough) {
    decided_ = Answer::kFail;
  } else {
    return;
  }
  decided_at_ = total_;
}

double SequentialMeanTest::LogEvidence(double m, bool above) const {
  std::array<double, kShares> logs{};
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (counts_[i] == 0) continue;
    const auto times = static_cast<double>(counts_[i]);
    for (std::size_t j = 0; j < kShares; ++j) {
      logs[j] += times * Step(values_[i], m, above, Shares()[j]);
    }
  }
  return LogMean(logs);
}

Interval SequentialMeanTest::MeanInterval() const {
  const double enough = std::log(2 / options_.alpha);
  // The evidence for "above m" falls as m grows, and at the mean there is none for either side.
  double mean = 0;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    mean += values_[i] * static_cast<double>(counts_[i]) / static_cast<double>(total_);
  }
  const auto end = [&](double refuted, bool above) {
    double kept = mean;
    for (int i = 0; i < kHalvings; ++i) {
      const double m = refuted + (kept - refuted) / 2;
      if (m <= -1 || m >= 1) break;
      (LogEvidence(m, above) >= enough ? refuted : kept) = m;
    }
    return refuted;
  };
  return {std::max(-1.0, end(-1, true)), std::min(1.0, end(1, false))};
}

SequentialLook SequentialMeanTest::Look() const {
  SequentialLook look;
  look.pairs = total_;
  look.decided_at = decided_at_;
  if (total_ == 0) {
    look.interval = {-1, 1};
    look.verdict = {Answer::kNotEvaluated, "there are no samples yet"};
    return look;
  }
  for (std::size_t i = 0; i < values_.size(); ++i) {
    look.difference += values_[i] * static_cast<double>(counts_[i]) / static_cast<double>(total_);
  }
  look.interval = MeanInterval();
  look.p_value = std::min(1.0, 2 * std::exp(-strongest_));
  const std::string now = "the difference is " + Signed(look.difference) + ", at any look within " +
                          Signed(look.interval.low) + " to " + Signed(look.interval.high) +
                          ", after " + std::to_string(total_) + " pairs";
  const std::string bound = Signed(-options_.margin);
  switch (decided_) {
    case Answer::kPass:
      look.verdict = {decided_,
                      "above " + bound + " since pair " + std::to_string(decided_at_) + ": " + now};
      break;
    case Answer::kFail:
      look.verdict = {decided_,
                      "below " + bound + " since pair " + std::to_string(decided_at_) + ": " + now};
      break;
    case Answer::kInconclusive:
    case Answer::kNotEvaluated:
      look.verdict = {Answer::kInconclusive, "not yet above or below " + bound + ": " + now};
      break;
  }
  return look;
}

Result<PairedSequentialTest> PairedSequentialTest::Make(const SequentialOptions& options) {
  auto test = SequentialMeanTest::Make({-1, 0, 1}, options);
  if (!test) return test.error();
  return PairedSequentialTest(*std::move(test));
}

void PairedSequentialTest::Add(bool baseline_right, bool candidate_right) {
  test_.Add(static_cast<std::size_t>(1 + (candidate_right ? 1 : 0) - (baseline_right ? 1 : 0)));
}

void PairedSequentialTest::Add(const PairedCounts& counts) {
  const std::array<std::uint64_t, 3> times = {counts.only_baseline_right,
                                              counts.both_right + counts.neither_right,
                                              counts.only_candidate_right};
  test_.Add(times);
}

Result<CanaryTest> CanaryTest::Make(const CanaryOptions& options) {
  const std::uint32_t split = options.baseline_per_candidate;
  if (split < 1 || split > kLargestSplit) {
    return Bad("outcomes of the baseline per candidate's are 1 to " +
               std::to_string(kLargestSplit));
  }
  if (options.max_waiting < split || options.max_waiting > kMostWaiting) {
    return Bad("waiting outcomes are " + std::to_string(split) + " (one block) to " +
               std::to_string(kMostWaiting));
  }
  // The candidate wrong, then right, less the share of the baseline's block that is right.
  std::vector<double> values;
  for (const int candidate : {0, 1}) {
    for (std::uint32_t right = 0; right <= split; ++right) {
      values.push_back(candidate - static_cast<double>(right) / split);
    }
  }
  auto test = SequentialMeanTest::Make(std::move(values), options.test);
  if (!test) return test.error();
  return CanaryTest(options, *std::move(test));
}

std::uint64_t CanaryTest::waiting_baseline() const {
  return blocks_.size() * options_.baseline_per_candidate + block_size_;
}

void CanaryTest::AddBaseline(bool right) {
  if (waiting_baseline() >= options_.max_waiting) {
    ++dropped_;
    return;
  }
  ++block_size_;
  block_right_ += right ? 1 : 0;
  if (block_size_ < options_.baseline_per_candidate) return;
  blocks_.push_back(block_right_);
  block_size_ = block_right_ = 0;
  Pair();
}

void CanaryTest::AddCandidate(bool right) {
  if (candidates_.size() >= options_.max_waiting) {
    ++dropped_;
    return;
  }
  candidates_.push_back(right);
  Pair();
}

void CanaryTest::Pair() {
  while (!candidates_.empty() && !blocks_.empty()) {
    const std::size_t row = candidates_.front() ? options_.baseline_per_candidate + 1 : 0;
    test_.Add(row + blocks_.front());
    candidates_.pop_front();
    blocks_.pop_front();
  }
}

}  // namespace tidewheel::stats
