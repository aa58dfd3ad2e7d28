#include "tidewheel/monitoring/domain/threshold.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tidewheel::monitoring {
namespace {

constexpr double kUpperShare = 0.25;  // Of a group: its tail.
constexpr double kLargestShape = 0.3;

struct Resampled {
  std::vector<double> mean;
  std::vector<double> deviation;
  std::vector<double> usual;
  std::vector<double> largest;  // By split, then window.
};

Resampled Resample(const RowTable& held_out, std::size_t window_rows, std::uint64_t seed,
                   const ThresholdTable::Options& options) {
  Random random(seed);
  std::size_t count = 0;
  std::vector<std::vector<double>> values;  // By window, the statistics.
  std::vector<std::uint32_t> chosen(window_rows);
  for (std::size_t s = 0; s < options.splits; ++s) {
    const auto [reference_half, traffic_half] = RandomHalves(held_out, random);
    const JudgeReference reference(held_out, reference_half);
    count = reference.statistics().size();
    const PlacedRows placed = reference.Place(held_out);
    const double unseen = 1 - std::pow(random.Uniform(), 1 / static_cast<double>(held_out.rows));
    for (std::size_t w = 0; w < options.windows; ++w) {
      for (auto& row : chosen) row = traffic_half[random.Below(traffic_half.size())];
      std::vector<double> each(count);
      reference.Evaluate(placed, chosen, each);
      std::size_t doubtful = 0;
      for (std::size_t i = 0; i < window_rows; ++i) doubtful += random.Uniform() < unseen ? 1 : 0;
      const double share = static_cast<double>(doubtful) / static_cast<double>(window_rows);
      for (std::size_t j = 0; j < count; ++j) {
        if (reference.statistics()[j].kind != Statistic::Kind::kExpectedLoss) continue;
        const double guessing = 1 / static_cast<double>(held_out.classes);
        each[j] += share * std::max(0.0, reference.accuracy() - each[j] - guessing);
      }
      values.push_back(std::move(each));
    }
  }
  Resampled result;
  const double n = static_cast<double>(values.size());
  std::vector<double> column(values.size());
  for (std::size_t j = 0; j < count; ++j) {
    double mean = 0;
    for (const auto& each : values) mean += each[j] / n;
    double squares = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      column[i] = values[i][j];
      squares += (column[i] - mean) * (column[i] - mean) / n;
    }
    std::sort(column.begin(), column.end());
    const double deviation = std::sqrt(squares);
    result.mean.push_back(mean);
    result.deviation.push_back(deviation > 1e-9 ? deviation : 0);
    result.usual.push_back(column[static_cast<std::size_t>(0.95 * (n - 1))]);
  }
  for (const auto& each : values) {
    double largest = 0;
    for (std::size_t j = 0; j < count; ++j) {
      if (result.deviation[j] > 0) {
        largest = std::max(largest, (each[j] - result.mean[j]) / result.deviation[j]);
      }
    }
    result.largest.push_back(largest);
  }
  return result;
}

/// std::lgamma writes a global sign.
double LogGamma(double x) {
  int sign = 0;
  return ::lgamma_r(x, &sign);
}

}  // namespace

double AllowedPerWindow(const MonitoringPolicy& policy, std::size_t predictions) {
  const double period = policy.false_alarm_days * policy.predictions_per_day;
  if (!(period > 0) || !(policy.max_false_alarms > 0)) return 1e-9;
  return std::clamp(policy.max_false_alarms * static_cast<double>(predictions) / period, 1e-9, 0.1);
}

std::pair<std::vector<std::uint32_t>, std::vector<std::uint32_t>> RandomHalves(
    const RowTable& table, Random& random) {
  std::vector<std::uint32_t> rows(table.rows);
  std::iota(rows.begin(), rows.end(), 0U);
  for (std::size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[random.Below(i)]);
  const auto middle = rows.begin() + static_cast<std::ptrdiff_t>(rows.size() / 2);
  return {{rows.begin(), middle}, {middle, rows.end()}};
}

std::pair<std::vector<std::uint32_t>, std::vector<std::uint32_t>> StratifiedHalves(
    const RowTable& table, Random& random) {
  std::vector<std::vector<std::uint32_t>> by_class(table.classes);
  for (std::uint32_t i = 0; i < table.rows; ++i) by_class[table.given[i]].push_back(i);
  std::pair<std::vector<std::uint32_t>, std::vector<std::uint32_t>> halves;
  for (auto& members : by_class) {
    for (std::size_t i = members.size(); i > 1; --i) {
      std::swap(members[i - 1], members[random.Below(i)]);
    }
    // An odd one goes to either.
    std::size_t turn = random.Below(2);
    for (const auto row : members) {
      (turn++ % 2 == 0 ? halves.first : halves.second).push_back(row);
    }
  }
  return halves;
}

GroupedTail::GroupedTail(std::vector<double> values, std::size_t size)
    : values_(std::move(values)),
      size_(size),
      above_(static_cast<std::size_t>(std::ceil((1 - kUpperShare) * static_cast<double>(size)))) {
  double sum = 0;
  double squares = 0;
  double count = 0;
  for (std::size_t g = 0; g * size_ < values_.size(); ++g) {
    const auto begin = values_.begin() + static_cast<std::ptrdiff_t>(g * size_);
    std::sort(begin, begin + static_cast<std::ptrdiff_t>(size_));
    const double from = values_[g * size_ + above_ - 1];
    for (std::size_t i = above_; i < size_; ++i) {
      const double excess = values_[g * size_ + i] - from;
      sum += excess;
      squares += excess * excess;
      count += 1;
    }
  }
  if (!(count > 0)) return;
  const double mean = std::max(sum / count, 1e-6);
  const double variance = squares / count - mean * mean;
  shape_ = variance > 0 ? std::clamp(0.5 * (1 - mean * mean / variance), 0.0, kLargestShape) : 0;
  scale_ = mean * (1 - shape_);
}

double GroupedTail::OfGroup(std::size_t group, double level) const {
  const double* const values = values_.data() + group * size_;
  const double from = values[above_ - 1];
  if (level <= from) {
    const auto at_or_below = std::upper_bound(values, values + size_, level) - values;
    return 1 - static_cast<double>(at_or_below) / static_cast<double>(size_);
  }
  const double share = static_cast<double>(size_ - above_) / static_cast<double>(size_);
  const double excess = (level - from) / scale_;
  return share * (shape_ > 1e-6 ? std::pow(1 + shape_ * excess, -1 / shape_) : std::exp(-excess));
}

double GroupedTail::Exceeded(double level, int power) const {
  double sum = 0;
  const std::size_t groups = values_.size() / size_;
  for (std::size_t g = 0; g < groups; ++g) {
    const double each = OfGroup(g, level);
    sum += power == 2 ? each * each : each;
  }
  return sum / static_cast<double>(groups);
}

double GroupedTail::Level(double probability, int power) const {
  double low = *std::min_element(values_.begin(), values_.end());
  double high = *std::max_element(values_.begin(), values_.end()) + scale_;
  while (Exceeded(high, power) > probability) high += high - low;
  for (int round = 0; round < 60; ++round) {
    const double middle = (low + high) / 2;
    (Exceeded(middle, power) > probability ? low : high) = middle;
  }
  return high;
}

ThresholdTable::ThresholdTable(const RowTable& held_out, std::size_t window_rows,
                               std::uint64_t seed, const Options& options)
    : window_rows_(window_rows), tail_({0}, 1) {
  Resampled resampled = Resample(held_out, window_rows, seed, options);
  mean_ = std::move(resampled.mean);
  deviation_ = std::move(resampled.deviation);
  usual_ = std::move(resampled.usual);
  tail_ = GroupedTail(std::move(resampled.largest), options.windows);
}

double ThresholdTable::Standardized(std::size_t statistic, double value) const {
  if (!(deviation_[statistic] > 0)) return 0;
  return (value - mean_[statistic]) / deviation_[statistic];
}

double ThresholdTable::Unstandardized(std::size_t statistic, double level) const {
  return mean_[statistic] + level * deviation_[statistic];
}

double PredictiveTail(std::uint64_t hits, std::uint64_t rows, std::uint64_t reference_hits,
                      std::uint64_t reference_rows) {
  if (hits == 0 || rows == 0) return 1;
  const double a = static_cast<double>(reference_hits) + 0.5;
  const double b = static_cast<double>(reference_rows - reference_hits) + 0.5;
  const double n = static_cast<double>(rows);
  const auto log_beta = [](double x, double y) {
    return LogGamma(x) + LogGamma(y) - LogGamma(x + y);
  };
  double sum = 0;
  for (std::uint64_t h = hits; h <= rows; ++h) {
    const double k = static_cast<double>(h);
    const double term = std::exp(LogGamma(n + 1) - LogGamma(k + 1) - LogGamma(n - k + 1) +
                                 log_beta(k + a, n - k + b) - log_beta(a, b));
    sum += term;
    if (term < sum * 1e-12 && k * (a + b) > n * a) break;
  }
  return std::min(sum, 1.0);
}

}  // namespace tidewheel::monitoring
