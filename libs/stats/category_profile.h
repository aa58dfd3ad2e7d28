#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// Counts of a categorical column by code, 0 to categories - 1, as the reference numbered them. -1
/// is missing; codes from `categories` on are categories the reference has not seen, counted
/// together. A merge is associative and commutative, and merged equals whole exactly. Not
/// thread-safe for writers; any number of readers.
class CategoryProfile {
 public:
  static constexpr std::size_t kMostCategories = std::size_t{1} << 20;

  /// kInvalidArgument: 0 categories or more than kMostCategories.
  static Result<CategoryProfile> WithCategories(std::size_t categories);

  /// O(n). kInvalidArgument: a code below -1, named by its position; nothing is added then.
  Result<void> Add(std::span<const std::int32_t> codes);
  /// kInvalidArgument: another number of categories. kOutOfRange: more than 2^62 values in all.
  Result<void> Merge(const CategoryProfile& other);

  const std::vector<std::uint64_t>& counts() const { return counts_; }
  std::uint64_t unseen() const { return unseen_; }
  std::uint64_t missing() const { return missing_; }
  /// Values that are not missing, unseen ones among them.
  std::uint64_t count() const;

  std::string ToBytes() const;
  /// kInvalidArgument: bytes that ToBytes() of this version did not write.
  static Result<CategoryProfile> FromBytes(std::string_view bytes);

  friend bool operator==(const CategoryProfile&, const CategoryProfile&) = default;

 private:
  explicit CategoryProfile(std::size_t categories) : counts_(categories) {}

  std::vector<std::uint64_t> counts_;
  std::uint64_t unseen_ = 0;
  std::uint64_t missing_ = 0;
};

/// How far a categorical column is from its reference; everything but the missing shares is about
/// the values that are there. What the reference has not seen is one more category of the
/// distances.
struct CategoryDrift {
  double missing_share_reference = 0;
  double missing_share_current = 0;
  double unseen_share = 0;     // Of the current values.
  double psi = 0;              // Half a value is added to each category (PopulationStabilityIndex).
  double jensen_shannon = 0;   // Distance in bits, 0 to 1.
  double total_variation = 0;  // 0 to 1.
};

/// O(categories). kInvalidArgument: other numbers of categories. kFailedPrecondition: no value on
/// one side.
Result<CategoryDrift> CompareCategories(const CategoryProfile& reference,
                                        const CategoryProfile& current);

}  // namespace tidewheel::stats
