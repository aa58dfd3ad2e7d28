#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// The most frequent values of a column in fixed memory, with counts that are never too large and
/// short by at most Shortfall().
///
/// Misra and Gries (1982) with `capacity` counters, in the mergeable form of Agarwal, Cormode,
/// Huang, Phillips, Wei, Yi (2012): up to twice the counters are kept, then the (capacity + 1)-th
/// largest is taken off all. Shortfall() is exact bookkeeping and never above total / (capacity +
/// 1), merged or not, whatever the order: so every item with a larger share than 1 / (capacity + 1)
/// is there. Columns with at most `capacity` different values are counted exactly, and then a merge
/// is associative and merged equals whole; otherwise each order of merging keeps the bound, not the
/// same counters. Deterministic. Not thread-safe for writers; any number of readers.
class FrequentItems {
 public:
  static constexpr std::size_t kMostCapacity = 65'536;
  static constexpr std::size_t kLongestItem = 1'024;

  struct Item {
    std::string name;
    std::uint64_t at_least = 0;  // The true count is from at_least to at_most.
    std::uint64_t at_most = 0;

    friend bool operator==(const Item&, const Item&) = default;
  };

  /// kInvalidArgument: a capacity outside 1..65,536.
  static Result<FrequentItems> WithCapacity(std::size_t capacity = 256);

  /// O(1), amortised. kInvalidArgument: an item of more than 1,024 bytes. kOutOfRange: more than
  /// 2^62 in all.
  Result<void> Add(std::string_view item, std::uint64_t times = 1);
  /// kInvalidArgument: another capacity. kOutOfRange as above. O(capacity).
  Result<void> Merge(const FrequentItems& other);

  /// The `most` items with the largest counts, largest first, equal ones by name. O(capacity log
  /// capacity).
  std::vector<Item> Top(std::size_t most) const;
  /// All items whose share of the total may be `share` or more: none that has it is missing. Empty
  /// where the bound says nothing about so small a share (share * total <= Shortfall()) and items
  /// may be lost: kFailedPrecondition. kInvalidArgument: a share outside (0, 1].
  Result<std::vector<Item>> AtLeast(double share) const;
  /// What is known of one item; 0 to Shortfall() where it has no counter.
  Item Find(std::string_view item) const;

  std::size_t capacity() const { return capacity_; }
  /// All that was added.
  std::uint64_t total() const { return total_; }
  /// By how much any count may be too small; 0 while counting is exact.
  std::uint64_t Shortfall() const { return shortfall_; }

  std::string ToBytes() const;
  /// kInvalidArgument: bytes that ToBytes() of this version did not write.
  static Result<FrequentItems> FromBytes(std::string_view bytes);

  friend bool operator==(const FrequentItems&, const FrequentItems&) = default;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using Counts = std::unordered_map<std::string, std::uint64_t, Hash, std::equal_to<>>;

  explicit FrequentItems(std::size_t capacity) : capacity_(capacity) {}
  void TakeOff();
  std::vector<Item> Sorted() const;

  std::size_t capacity_;
  std::uint64_t total_ = 0;
  std::uint64_t shortfall_ = 0;
  Counts counts_;  // At most twice the capacity.
};

}  // namespace tidewheel::stats
