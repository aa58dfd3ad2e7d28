#include "tidewheel/stats/adwin.h"

#include <algorithm>
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

Adwin::Adwin(const AdwinOptions& options) : options_(options) {
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
  std::vector<double> counts(self.counts_.begin(), self.counts_.end());
  archive(counts);
  if constexpr (!std::is_const_v<Self>) {
    self.counts_.clear();
    for (const double count : counts) {
      // Consistent() refuses what this clamps.
      self.counts_.push_back(static_cast<std::uint32_t>(std::clamp(count, 0.0, 1e6)));
    }
  }
  archive(self.bucket_totals_);
  archive(self.bucket_squares_);
}

bool Adwin::Consistent() const {
  const std::size_t rows = counts_.size();
  if (rows == 0 || rows > kMostRows || until_check_ == 0 || until_check_ > options_.check_every) {
    return false;
  }
  if (bucket_totals_.size() != rows * Places() || bucket_squares_.size() != rows * Places()) {
    return false;
  }
  std::uint64_t width = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    if (counts_[r] > options_.max_buckets) return false;
    width += static_cast<std::uint64_t>(counts_[r]) << r;
  }
  if (rows > 1 && counts_.back() == 0) return false;
  const auto credible = [&](double total) {
    return std::abs(total) <= 1e90 * static_cast<double>(width + 1);
  };
  if (width != width_ || !credible(total_) || squares_ < 0) return false;
  return std::all_of(bucket_totals_.begin(), bucket_totals_.end(), credible) &&
         std::all_of(bucket_squares_.begin(), bucket_squares_.end(),
                     [](double squares) { return squares >= 0; });
}

void Adwin::Clear() {
  counts_.clear();
  bucket_totals_.clear();
  bucket_squares_.clear();
  AddRow();
  width_ = 0;
  until_check_ = options_.check_every;
  total_ = 0;
  squares_ = 0;
}

void Adwin::AddRow() {
  counts_.push_back(0);
  bucket_totals_.resize(counts_.size() * Places());
  bucket_squares_.resize(counts_.size() * Places());
}

StreamState Adwin::Step(double value) {
  const auto before = static_cast<double>(width_);
  if (width_ > 0) {
    const double distance = value * before - total_;
    squares_ += distance * distance / (before * (before + 1));
  }
  ++width_;
  total_ += value;
  bucket_totals_[counts_[0]] = value;
  bucket_squares_[counts_[0]] = 0;
  if (++counts_[0] > options_.max_buckets) MergeFullRows();

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
  for (std::size_t row = 0; counts_[row] > options_.max_buckets; ++row) {
    if (row + 1 == counts_.size()) AddRow();
    double* totals = bucket_totals_.data() + row * Places();
    double* squares = bucket_squares_.data() + row * Places();
    const std::size_t place = (row + 1) * Places() + counts_[row + 1]++;
    const double apart = totals[0] - totals[1];
    bucket_totals_[place] = totals[0] + totals[1];
    bucket_squares_[place] = squares[0] + squares[1] + apart * apart / (2 * Size(row));
    counts_[row] -= 2;
    std::copy(totals + 2, totals + 2 + counts_[row], totals);
    std::copy(squares + 2, squares + 2 + counts_[row], squares);
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
  for (std::size_t row = counts_.size(); row-- > 0;) {
    const double* totals = bucket_totals_.data() + row * Places();
    const double size = Size(row);
    for (std::uint32_t k = 0; k < counts_[row]; ++k) {
      n0 += size;
      total0 += totals[k];
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
  const std::size_t row = counts_.size() - 1;
  double* totals = bucket_totals_.data() + row * Places();
  double* squares = bucket_squares_.data() + row * Places();
  const double size = Size(row);
  width_ -= std::uint64_t{1} << row;
  total_ -= totals[0];
  const auto left = static_cast<double>(width_);
  const double apart = totals[0] / size - total_ / left;
  squares_ = std::max(0.0, squares_ - squares[0] - size * left / (size + left) * apart * apart);
  --counts_[row];
  std::copy(totals + 1, totals + 1 + counts_[row], totals);
  std::copy(squares + 1, squares + 1 + counts_[row], squares);
  while (counts_.size() > 1 && counts_.back() == 0) {
    counts_.pop_back();
    bucket_totals_.resize(counts_.size() * Places());
    bucket_squares_.resize(counts_.size() * Places());
  }
}

}  // namespace tidewheel::stats
