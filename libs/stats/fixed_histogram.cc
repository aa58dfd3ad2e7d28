#include "tidewheel/stats/fixed_histogram.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "tidewheel/stats/internal/samples.h"
#include "tidewheel/stats/internal/sketch_bytes.h"

namespace tidewheel::stats {
namespace {

constexpr std::uint64_t kMostValues = std::uint64_t{1} << 62;
constexpr std::string_view kKind = "TWFH";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMostBytes = FixedHistogram::kMostBins * 18 + 256;

Result<void> CheckEdges(const std::vector<double>& edges) {
  if (edges.size() < 2) return internal::Invalid("a histogram needs at least two edges");
  if (edges.size() - 1 > FixedHistogram::kMostBins) {
    return internal::Invalid("a histogram has at most " +
                             std::to_string(FixedHistogram::kMostBins) + " bins, not " +
                             std::to_string(edges.size() - 1));
  }
  for (std::size_t i = 0; i < edges.size(); ++i) {
    if (!std::isfinite(edges[i])) {
      return internal::Invalid("edge " + std::to_string(i) + " is not a finite number");
    }
    if (i > 0 && !(edges[i] > edges[i - 1])) {
      return internal::Invalid("edge " + std::to_string(i) + " is not above the one before");
    }
  }
  return {};
}

/// 0 where the edges leave no room for it.
double BinsPerUnit(const std::vector<double>& edges) {
  const double scale = static_cast<double>(edges.size() - 1) / (edges.back() - edges.front());
  return std::isfinite(scale) ? scale : 0;
}

}  // namespace

FixedHistogram::FixedHistogram(std::vector<double> edges, bool uniform)
    : edges_(std::move(edges)),
      bins_per_unit_(uniform ? BinsPerUnit(edges_) : 0),
      counts_(edges_.size() - 1) {}

Result<FixedHistogram> FixedHistogram::WithEdges(std::vector<double> edges) {
  if (const auto good = CheckEdges(edges); !good) return good.error();
  return FixedHistogram(std::move(edges), false);
}

Result<FixedHistogram> FixedHistogram::Uniform(double low, double high, std::size_t bins) {
  if (bins == 0 || bins > kMostBins) {
    return internal::Invalid("a histogram has 1 to " + std::to_string(kMostBins) + " bins, not " +
                             std::to_string(bins));
  }
  if (!(std::isfinite(low) && std::isfinite(high) && low < high)) {
    return internal::Invalid("a uniform histogram needs a finite low below a finite high");
  }
  std::vector<double> edges(bins + 1);
  const double width = (high - low) / static_cast<double>(bins);
  for (std::size_t i = 0; i < bins; ++i) edges[i] = low + static_cast<double>(i) * width;
  edges[bins] = high;
  if (const auto good = CheckEdges(edges); !good) return good.error();
  return FixedHistogram(std::move(edges), true);
}

Result<void> FixedHistogram::Add(double value) {
  return AddAll(std::span<const double>(&value, 1));
}
Result<void> FixedHistogram::Add(std::span<const double> values) { return AddAll(values); }
Result<void> FixedHistogram::Add(std::span<const float> values) { return AddAll(values); }

template <typename T>
Result<void> FixedHistogram::AddAll(std::span<const T> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isinf(values[i])) {
      return internal::Invalid("value " + std::to_string(i) + " is infinite");
    }
  }
  for (const T raw : values) {
    const auto value = static_cast<double>(raw);
    if (std::isnan(value)) {
      ++missing_;
    } else if (value < edges_.front()) {
      ++below_;
    } else if (value > edges_.back()) {
      ++above_;
    } else {
      ++counts_[Bin(value)];
    }
  }
  return {};
}

std::size_t FixedHistogram::Bin(double value) const {
  const std::size_t last = counts_.size() - 1;
  if (bins_per_unit_ == 0) {
    const auto after = std::upper_bound(edges_.begin(), edges_.end(), value);
    return std::min(last, static_cast<std::size_t>(after - edges_.begin()) - 1);
  }
  auto bin = std::min(last, static_cast<std::size_t>((value - edges_.front()) * bins_per_unit_));
  // The product may round across an edge; the edges decide.
  while (value < edges_[bin]) --bin;
  while (bin < last && value >= edges_[bin + 1]) ++bin;
  return bin;
}

Result<void> FixedHistogram::Merge(const FixedHistogram& other) {
  if (edges_ != other.edges_) {
    return internal::Invalid("histograms with different edges cannot be merged");
  }
  if (count() + missing_ + other.count() + other.missing_ > kMostValues) {
    return Error{ErrorCode::kOutOfRange, "a histogram counts at most 2^62 values"};
  }
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  below_ += other.below_;
  above_ += other.above_;
  missing_ += other.missing_;
  return {};
}

std::uint64_t FixedHistogram::count() const {
  return std::accumulate(counts_.begin(), counts_.end(), below_ + above_);
}

std::string FixedHistogram::ToBytes() const {
  internal::SketchWriter writer(kKind, kVersion);
  writer.U8(bins_per_unit_ != 0 ? 1 : 0);
  writer.U32(static_cast<std::uint32_t>(counts_.size()));
  for (const double edge : edges_) writer.F64(edge);
  for (const std::uint64_t count : {missing_, below_, above_}) writer.Varint(count);
  for (const std::uint64_t count : counts_) writer.Varint(count);
  return std::move(writer).Seal();
}

Result<FixedHistogram> FixedHistogram::FromBytes(std::string_view bytes) {
  internal::SketchReader reader("histogram", bytes, kKind, kVersion, kMostBytes);
  const std::uint8_t uniform = reader.U8();
  reader.Require(uniform <= 1, "the kind of edges is not known");
  const std::size_t bins = reader.Entries("bins", kMostBins, 9);
  std::vector<double> edges(bins + 1);
  for (double& edge : edges) edge = reader.F64();
  if (reader.ok()) {
    if (const auto good = CheckEdges(edges); !good) reader.Fail(good.error().message);
  }
  if (!reader.ok()) return reader.Finish().error();
  if (uniform == 1) {
    const auto made = Uniform(edges.front(), edges.back(), bins);
    reader.Require(made.ok() && made->bins_per_unit_ != 0 && made->edges_ == edges,
                   "the edges are not uniform");
  }
  FixedHistogram histogram(std::move(edges), uniform == 1);
  std::uint64_t total = 0;
  const auto count = [&] { return reader.Count(kMostValues, total); };
  histogram.missing_ = count();
  histogram.below_ = count();
  histogram.above_ = count();
  for (std::uint64_t& bin : histogram.counts_) bin = count();
  if (const auto good = reader.Finish(); !good) return good.error();
  return histogram;
}

}  // namespace tidewheel::stats
