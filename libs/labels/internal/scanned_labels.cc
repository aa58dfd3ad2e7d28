#include "tidewheel/labels/internal/scanned_labels.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <utility>

#include "tidewheel/stats/sort_numbers.h"

namespace tidewheel::labels::internal {
namespace {

bool ComesFirst(const Keyed& a, const Keyed& b) {
  return std::pair(a.key, a.row) < std::pair(b.key, b.row);
}

/// By key and row. From some thousand on by digits of the key's upper half (Knuth, vol. 3, 5.2.5),
/// after which nearly all is in order.
void SortByKey(std::vector<Keyed>& items) {
  constexpr std::size_t kFew = 1024;
  constexpr int kDigitBits = 11;
  constexpr std::uint64_t kMask = (std::uint64_t{1} << kDigitBits) - 1;
  if (items.size() < kFew) {
    std::sort(items.begin(), items.end(), ComesFirst);
    return;
  }
  constexpr int kDigits = 3;
  const auto digit = [](const Keyed& item, int d) {
    return (stats::ToOrderedKey(item.key) >> (64 - (kDigits - d) * kDigitBits)) & kMask;
  };
  std::vector<std::array<std::uint32_t, kMask + 1>> places(kDigits);
  for (const Keyed& item : items) {
    for (int d = 0; d < kDigits; ++d) ++places[static_cast<std::size_t>(d)][digit(item, d)];
  }
  std::vector<Keyed> other(items.size());
  for (int d = 0; d < kDigits; ++d) {
    auto& place = places[static_cast<std::size_t>(d)];
    std::exclusive_scan(place.begin(), place.end(), place.begin(), 0U);
    for (const Keyed& item : items) other[place[digit(item, d)]++] = item;
    items.swap(other);
  }
  for (auto begin = items.begin(); begin != items.end();) {
    const auto upper = [&](const Keyed& item) {
      return stats::ToOrderedKey(item.key) >> (64 - kDigits * kDigitBits);
    };
    const auto end = std::find_if(
        begin, items.end(),
        [&, first = upper(*begin)](const Keyed& item) { return upper(item) != first; });
    if (end - begin > 1) std::sort(begin, end, ComesFirst);
    begin = end;
  }
}

/// Rows that are equal so far: what they are ordered by next.
template <typename T>
void KeyByRunnerUp(const ScannedLabels<T>& scanned, std::span<Keyed> equal) {
  for (Keyed& item : equal) item.key = scanned.RunnerUp(item.row);
}

}  // namespace

template <typename T>
void KeepLowest(const ScannedLabels<T>& scanned, std::vector<Keyed>& items, std::size_t count) {
  if (count >= items.size()) return;
  if (count == 0) {
    items.clear();
    return;
  }
  const auto last = items.begin() + static_cast<std::ptrdiff_t>(count) - 1;
  std::nth_element(items.begin(), last, items.end(),
                   [](const Keyed& a, const Keyed& b) { return a.key < b.key; });
  const double cut = last->key;
  const auto equal =
      std::partition(items.begin(), items.end(), [&](const Keyed& item) { return item.key < cut; });
  const auto after =
      std::partition(equal, items.end(), [&](const Keyed& item) { return item.key == cut; });
  const auto end = items.begin() + static_cast<std::ptrdiff_t>(count);
  if (after != end) {
    KeyByRunnerUp(scanned, std::span<Keyed>(equal, after));
    std::nth_element(equal, end, after, ComesFirst);
  }
  items.erase(end, items.end());
  for (auto item = items.begin() + (equal - items.begin()); item != items.end(); ++item) {
    item->key = cut;
  }
}

template <typename T>
void SortLowest(const ScannedLabels<T>& scanned, std::vector<Keyed>& items) {
  SortByKey(items);
  for (auto begin = items.begin(); begin != items.end();) {
    const double key = begin->key;
    const auto end =
        std::find_if(begin, items.end(), [&](const Keyed& item) { return item.key != key; });
    if (end - begin > 1) {
      KeyByRunnerUp(scanned, std::span<Keyed>(begin, end));
      std::sort(begin, end, ComesFirst);
      for (auto item = begin; item != end; ++item) item->key = key;
    }
    begin = end;
  }
}

template void KeepLowest(const ScannedLabels<float>&, std::vector<Keyed>&, std::size_t);
template void KeepLowest(const ScannedLabels<double>&, std::vector<Keyed>&, std::size_t);
template void SortLowest(const ScannedLabels<float>&, std::vector<Keyed>&);
template void SortLowest(const ScannedLabels<double>&, std::vector<Keyed>&);

}  // namespace tidewheel::labels::internal
