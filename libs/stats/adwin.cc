#include "tidewheel/stats/adwin.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tidewheel/stats/detector_state.h"

namespace tidewheel::stats {
namespace {

// A row more doubles what a window can hold; no stream fills the last.
constexpr std::size_t kMostRows = 56;

double Size(std::size_t row) { return std::ldexp(1.0, static_cast<int>(row)); }

}  // namespace

Adwin::Adwin(const AdwinOptions& options)
    : options_(options), mask_(std::bit_ceil(std::size_t{options.max_buckets} + 1) - 1) {
  if (!options.reset_after_drift) KeepAfterDrift();
  Adwin::Clear();
}

Result<void> Adwin::Check(const AdwinOptions& options) {
  if (!(options.delta > 0 && options.delta < 1)) {
    return Error{ErrorCode::kInvalidArgument, "adwin: delta must be in (0, 1)"};
  }
  if (options.check_every == 0) {
    return Error{ErrorCode::kInvalidArgument, "adwin: check_every must be at least 1"};
  }
  if (options.max_buckets < 1 || options.max_buckets > 64) {
    return Error{ErrorCode::kInvalidArgument, "adwin: max_buckets must be 1 to 64"};
  }
  if (options.min_side == 0) {
    return Error{ErrorCode::kInvalidArgument, "adwin: min_side must be at least 1"};
  }
  return {};
}

Result<Adwin> Adwin::Make(const AdwinOptions& options) {
  return DetectorAccess::Make<Adwin>(options);
}
Result<Adwin> Adwin::Restore(std::string_view bytes) {
  return DetectorAccess::Restore<Adwin>(bytes);
}
std::string Adwin::SaveState() const { return DetectorAccess::Save(*this); }
std::unique_ptr<StreamDetector> Adwin::Clone() const { return std::make_unique<Adwin>(*this); }

template <typename Archive, typename OptionsRef, typename Self>
void Adwin::Fields(Archive& archive, OptionsRef& options, Self& self) {
  archive(options.delta);
  archive(options.check_every);
  archive(options.max_buckets);
  archive(options.min_side);
  archive(options.grace);
  archive(options.reset_after_drift);
  archive(self.width_);
  archive(self.until_check_);
  archive(self.total_);
  archive(self.squares_);
  // Row by row, the oldest bucket first, wherever in its ring it is.
  std::vector<double> counts, totals, squares;
  if constexpr (std::is_const_v<Self>) {
    for (std::size_t row = 0; row < self.rows_.size(); ++row) {
      counts.push_back(self.rows_[row].count);
      for (std::uint32_t k = 0; k < self.rows_[row].count; ++k) {
        totals.push_back(self.At(row, k).total);
        squares.push_back(self.At(row, k).squares);
      }
    }
  }
  archive(counts);
  archive(totals);
  archive(squares);
  if constexpr (!std::is_const_v<Self>) self.SetBuckets(counts, totals, squares);
}

void Adwin::SetBuckets(const std::vector<double>& counts, const std::vector<double>& totals,
                       const std::vector<double>& squares) {
  rows_.clear();
  buckets_.clear();
  std::size_t next = 0;
  for (const double count : counts) {
    // What does not fit leaves fewer buckets than the window has values, which Consistent()
    // refuses.
    if (!(count >= 0 && count <= options_.max_buckets) || rows_.size() == kMostRows) return;
    AddRow();
    for (std::uint32_t k = 0; k < static_cast<std::uint32_t>(count); ++k, ++next) {
      if (next >= totals.size() || next >= squares.size()) return;
      At(rows_.size() - 1, rows_.back().count++) = {totals[next], squares[next]};
    }
  }
}

bool Adwin::Consistent() const {
  if (rows_.empty() || until_check_ == 0 || until_check_ > options_.check_every) return false;
  if (rows_.size() > 1 && rows_.back().count == 0) return false;
  const auto credible = [&](double total) {
    return std::abs(total) <= 1e90 * static_cast<double>(width_ + 1);
  };
  std::uint64_t width = 0;
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    width += static_cast<std::uint64_t>(rows_[row].count) << row;
    for (std::uint32_t k = 0; k < rows_[row].count; ++k) {
      if (!credible(At(row, k).total) || At(row, k).squares < 0) return false;
    }
  }
  return width == width_ && credible(total_) && squares_ >= 0;
}

void Adwin::Clear() {
  rows_.clear();
  buckets_.clear();
  AddRow();
  width_ = 0;
  until_check_ = options_.check_every;
  total_ = 0;
  squares_ = 0;
}

void Adwin::AddRow() {
  rows_.emplace_back();
  buckets_.resize(rows_.size() * Places());
}

StreamState Adwin::Step(double value) {
  const auto before = static_cast<double>(width_);
  if (width_ > 0) {
    const double distance = value * before - total_;
    squares_ += distance * distance / (before * (before + 1));
  }
  ++width_;
  total_ += value;
  At(0, rows_[0].count) = {value, 0};
  if (++rows_[0].count > options_.max_buckets) MergeFullRows();

  if (--until_check_ > 0) return StreamState::kStable;
  until_check_ = options_.check_every;
  StreamState state = StreamState::kStable;
  while (width_ > options_.grace && FindCut()) {
    DropOldest();
    state = StreamState::kDrift;
  }
  return state;
}

void Adwin::MergeFullRows() {
  double half = 0.5;  // One over the values of the two oldest together.
  for (std::size_t row = 0; rows_[row].count > options_.max_buckets; ++row, half /= 2) {
    if (row + 1 == rows_.size()) AddRow();
    const Bucket& a = At(row, 0);
    const Bucket& b = At(row, 1);
    const double apart = a.total - b.total;
    At(row + 1, rows_[row + 1].count++) = {a.total + b.total,
                                           a.squares + b.squares + apart * apart * half};
    rows_[row].first = static_cast<std::uint32_t>((rows_[row].first + 2) & mask_);
    rows_[row].count -= 2;
  }
}

bool Adwin::FindCut() const {
  const auto n = static_cast<double>(width_);
  const double least = options_.min_side;
  if (n < 2 * least) return false;
  // The cut formula times (n0 n1 a b), a and b the reciprocals in m, so that no cut needs a
  // division or a root.
  const double log_term = std::log(2 * std::log(n) / options_.delta);
  const double linear = 2.0 / 3.0 * log_term * (n - 2 * least + 2);
  const double square = 2 * squares_ / n * log_term * (n - 2 * least + 2);
  double n0 = 0;
  double total0 = 0;
  for (std::size_t row = rows_.size(); row-- > 0;) {
    const double size = Size(row);
    for (std::uint32_t k = 0; k < rows_[row].count; ++k) {
      n0 += size;
      total0 += At(row, k).total;
      const double n1 = n - n0;
      if (n0 < least) continue;
      if (n1 < least) return false;
      const double sides = n0 * n1;
      const double product = (n0 - least + 1) * (n1 - least + 1);
      const double beyond = std::abs(total0 * n - total_ * n0) * product - linear * sides;
      if (beyond > 0 && beyond * beyond > square * product * sides * sides) return true;
    }
  }
  return false;
}

void Adwin::DropOldest() {
  const std::size_t row = rows_.size() - 1;
  const Bucket oldest = At(row, 0);
  const double size = Size(row);
  width_ -= std::uint64_t{1} << row;
  total_ -= oldest.total;
  const auto left = static_cast<double>(width_);
  const double apart = oldest.total / size - total_ / left;
  squares_ = std::max(0.0, squares_ - oldest.squares - size * left / (size + left) * apart * apart);
  rows_[row].first = static_cast<std::uint32_t>((rows_[row].first + 1) & mask_);
  --rows_[row].count;
  while (rows_.size() > 1 && rows_.back().count == 0) {
    rows_.pop_back();
    buckets_.resize(rows_.size() * Places());
  }
}

}  // namespace tidewheel::stats
