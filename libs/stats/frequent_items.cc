#include "tidewheel/stats/frequent_items.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tidewheel/stats/internal/samples.h"
#include "tidewheel/stats/internal/sketch_bytes.h"

namespace tidewheel::stats {
namespace {

constexpr std::uint64_t kMostTotal = std::uint64_t{1} << 62;
constexpr std::string_view kKind = "TWFI";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMostBytes =
    2 * FrequentItems::kMostCapacity * (FrequentItems::kLongestItem + 16) + 64;

bool LargerFirst(const FrequentItems::Item& a, const FrequentItems::Item& b) {
  return a.at_least != b.at_least ? a.at_least > b.at_least : a.name < b.name;
}

Error TooMany() { return {ErrorCode::kOutOfRange, "frequent items count at most 2^62 in all"}; }

}  // namespace

Result<FrequentItems> FrequentItems::WithCapacity(std::size_t capacity) {
  if (capacity < 1 || capacity > kMostCapacity) {
    return internal::Invalid("the capacity of frequent items is 1 to " +
                             std::to_string(kMostCapacity) + ", not " + std::to_string(capacity));
  }
  return FrequentItems(capacity);
}

Result<void> FrequentItems::Add(std::string_view item, std::uint64_t times) {
  if (item.size() > kLongestItem) {
    return internal::Invalid("an item of " + std::to_string(item.size()) +
                             " bytes is longer than the limit of " + std::to_string(kLongestItem));
  }
  if (times > kMostTotal - total_) return TooMany();
  if (times == 0) return {};
  total_ += times;
  if (const auto found = counts_.find(item); found != counts_.end()) {
    found->second += times;
    return {};
  }
  counts_.emplace(item, times);
  if (counts_.size() > 2 * capacity_) TakeOff();
  return {};
}

Result<void> FrequentItems::Merge(const FrequentItems& other) {
  if (capacity_ != other.capacity_) {
    return internal::Invalid("frequent items of capacity " + std::to_string(capacity_) + " and " +
                             std::to_string(other.capacity_) + " cannot be merged");
  }
  if (other.total_ > kMostTotal - total_) return TooMany();
  total_ += other.total_;
  shortfall_ += other.shortfall_;
  if (this == &other) {
    for (auto& [name, count] : counts_) count += count;
  } else {
    for (const auto& [name, count] : other.counts_) counts_[name] += count;
  }
  if (counts_.size() > 2 * capacity_) TakeOff();
  return {};
}

/// Every unit of the shortfall has taken a unit off at least capacity + 1 counters.
void FrequentItems::TakeOff() {
  std::vector<std::uint64_t> largest;
  largest.reserve(counts_.size());
  for (const auto& [name, count] : counts_) largest.push_back(count);
  const auto cut = largest.begin() + static_cast<std::ptrdiff_t>(capacity_);
  std::nth_element(largest.begin(), cut, largest.end(), std::greater<>());
  const std::uint64_t off = *cut;
  shortfall_ += off;
  std::erase_if(counts_, [off](const auto& entry) { return entry.second <= off; });
  for (auto& [name, count] : counts_) count -= off;
}

std::vector<FrequentItems::Item> FrequentItems::Sorted() const {
  std::vector<Item> items;
  items.reserve(counts_.size());
  for (const auto& [name, count] : counts_) items.push_back({name, count, count + shortfall_});
  std::sort(items.begin(), items.end(), LargerFirst);
  return items;
}

std::vector<FrequentItems::Item> FrequentItems::Top(std::size_t most) const {
  auto items = Sorted();
  items.resize(std::min(most, items.size()));
  return items;
}

Result<std::vector<FrequentItems::Item>> FrequentItems::AtLeast(double share) const {
  if (!(share > 0 && share <= 1)) return internal::Invalid("a share is above 0 and at most 1");
  const double wanted = share * static_cast<double>(total_);
  if (shortfall_ > 0 && wanted <= static_cast<double>(shortfall_)) {
    return internal::NotApplicable("counts may be short by " + std::to_string(shortfall_) + " of " +
                                   std::to_string(total_) + ", which is not below the share");
  }
  auto items = Sorted();
  std::erase_if(items,
                [&](const Item& item) { return static_cast<double>(item.at_most) < wanted; });
  return items;
}

FrequentItems::Item FrequentItems::Find(std::string_view item) const {
  const auto found = counts_.find(item);
  if (found == counts_.end()) return {std::string(item), 0, shortfall_};
  return {found->first, found->second, found->second + shortfall_};
}

std::string FrequentItems::ToBytes() const {
  internal::SketchWriter writer(kKind, kVersion);
  writer.U32(static_cast<std::uint32_t>(capacity_));
  writer.U64(total_);
  writer.U64(shortfall_);
  // In an order of their own, so that equal summaries have equal bytes.
  const auto items = Sorted();
  writer.U32(static_cast<std::uint32_t>(items.size()));
  for (const Item& item : items) {
    writer.Text(item.name);
    writer.Varint(item.at_least);
  }
  return std::move(writer).Seal();
}

Result<FrequentItems> FrequentItems::FromBytes(std::string_view bytes) {
  internal::SketchReader reader("frequent items", bytes, kKind, kVersion, kMostBytes);
  const std::uint32_t capacity = reader.U32();
  reader.Require(capacity >= 1 && capacity <= kMostCapacity, "the capacity is not 1 to 65536");
  if (!reader.ok()) return reader.Finish().error();
  FrequentItems items(capacity);
  items.total_ = reader.U64();
  items.shortfall_ = reader.U64();
  reader.Require(items.total_ <= kMostTotal, "more than 2^62 in all");
  const std::size_t entries = reader.Entries("items", 2 * items.capacity_, 5);
  std::uint64_t counted = 0;
  for (std::size_t i = 0; i < entries && reader.ok(); ++i) {
    const std::string name(reader.Text(kLongestItem));
    const std::uint64_t count = reader.Varint();
    reader.Require(count > 0 && count <= items.total_ - counted, "the counts exceed the total");
    if (!reader.ok()) break;
    counted += count;
    reader.Require(items.counts_.emplace(name, count).second, "an item comes twice");
  }
  reader.Require(items.shortfall_ <= (items.total_ - counted) / (items.capacity_ + 1),
                 "the shortfall is larger than it can be");
  if (const auto good = reader.Finish(); !good) return good.error();
  return items;
}

}  // namespace tidewheel::stats
