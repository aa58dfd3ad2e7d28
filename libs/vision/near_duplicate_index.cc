#include "tidewheel/vision/near_duplicate_index.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace tidewheel::vision {
namespace {

constexpr std::size_t kFirstSlots = 1U << 10;

// Neighbouring bits tell much the same, so the bits are dealt out in turn: each key sees the whole
// picture.
std::vector<Hash128> DealBits(std::size_t keys) {
  std::vector<Hash128> masks(keys);
  for (std::size_t bit = 0; bit < 128; ++bit) {
    Hash128& mask = masks[bit % keys];
    (bit < 64 ? mask.high : mask.low) |= std::uint64_t{1} << (bit % 64);
  }
  return masks;
}

}  // namespace

NearDuplicateIndex::NearDuplicateIndex() : NearDuplicateIndex(Options{}) {}

NearDuplicateIndex::NearDuplicateIndex(const Options& options) : options_(options) {
  options_.radius = std::clamp(options_.radius, 0, kMaxRadius);
  masks_ = DealBits(static_cast<std::size_t>(options_.radius) + 1);
  masks_.push_back({~std::uint64_t{0}, ~std::uint64_t{0}});
  tables_ = masks_.size();
  slots_ = kFirstSlots;
  heads_.assign(tables_ * slots_, kNone);
}

std::size_t NearDuplicateIndex::Slot(std::size_t table, const Hash128& hash) const {
  const Hash128 key{hash.high & masks_[table].high, hash.low & masks_[table].low};
  return table * slots_ + (std::hash<Hash128>{}(key) & (slots_ - 1));
}

std::uint32_t NearDuplicateIndex::FindEqual(const Hash128& hash) const {
  const std::size_t table = tables_ - 1;
  std::uint32_t entry = heads_[Slot(table, hash)];
  while (entry != kNone && entries_[entry].hash != hash) entry = next_[entry * tables_ + table];
  return entry;
}

void NearDuplicateIndex::Link(std::uint32_t entry) {
  for (std::size_t table = 0; table < tables_; ++table) {
    std::uint32_t& head = heads_[Slot(table, entries_[entry].hash)];
    next_[entry * tables_ + table] = std::exchange(head, entry);
  }
}

void NearDuplicateIndex::Grow() {
  slots_ *= 2;
  heads_.assign(tables_ * slots_, kNone);
  for (std::uint32_t entry = 0; entry < entries_.size(); ++entry) Link(entry);
}

void NearDuplicateIndex::AddLocked(const Hash128& hash, std::uint64_t id) {
  if (const std::uint32_t equal = FindEqual(hash); equal != kNone) {
    more_.push_back({id, entries_[equal].more});
    entries_[equal].more = static_cast<std::uint32_t>(more_.size() - 1);
    return;
  }
  const auto entry = static_cast<std::uint32_t>(entries_.size());
  entries_.push_back({hash, id, kNone});
  next_.resize(next_.size() + tables_, kNone);
  Link(entry);
  if (entries_.size() > slots_) Grow();
}

template <typename Visit>
void NearDuplicateIndex::ForEachNear(const Hash128& hash, int radius, Visit visit) const {
  for (std::size_t table = 0; table + 1 < tables_; ++table) {
    std::uint32_t entry = heads_[Slot(table, hash)];
    for (std::size_t seen = 0; entry != kNone && seen < options_.max_candidates; ++seen) {
      const int distance = HammingDistance(hash, entries_[entry].hash);
      if (distance <= radius) visit(entry, distance);
      entry = next_[entry * tables_ + table];
    }
  }
}

std::optional<NearDuplicateIndex::Match> NearDuplicateIndex::NearestLocked(const Hash128& hash,
                                                                           int radius) const {
  if (radius < 0) return std::nullopt;
  if (const std::uint32_t equal = FindEqual(hash); equal != kNone)
    return Match{entries_[equal].id, 0};
  std::pair<int, std::uint32_t> best{std::min(radius, options_.radius) + 1, kNone};
  ForEachNear(hash, best.first - 1, [&](std::uint32_t entry, int distance) {
    best = std::min(best, {distance, entry});
  });
  if (best.second == kNone) return std::nullopt;
  return Match{entries_[best.second].id, best.first};
}

void NearDuplicateIndex::Add(const Hash128& hash, std::uint64_t id) {
  const std::unique_lock lock(mutex_);
  AddLocked(hash, id);
}

std::optional<NearDuplicateIndex::Match> NearDuplicateIndex::Nearest(const Hash128& hash,
                                                                     int radius) const {
  const std::shared_lock lock(mutex_);
  return NearestLocked(hash, radius);
}

std::optional<NearDuplicateIndex::Match> NearDuplicateIndex::NearestOrAdd(const Hash128& hash,
                                                                          std::uint64_t id,
                                                                          int radius) {
  const std::unique_lock lock(mutex_);
  auto match = NearestLocked(hash, radius);
  if (!match) AddLocked(hash, id);
  return match;
}

std::vector<NearDuplicateIndex::Match> NearDuplicateIndex::Within(const Hash128& hash, int radius,
                                                                  std::size_t limit) const {
  const std::shared_lock lock(mutex_);
  std::vector<std::pair<int, std::uint32_t>> found;
  if (radius >= 0) {
    if (const std::uint32_t equal = FindEqual(hash); equal != kNone) found.emplace_back(0, equal);
    ForEachNear(hash, std::min(radius, options_.radius),
                [&](std::uint32_t entry, int distance) { found.emplace_back(distance, entry); });
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());

  std::vector<Match> matches;
  for (const auto& [distance, entry] : found) {
    if (matches.size() >= limit) break;
    matches.push_back({entries_[entry].id, distance});
    for (std::uint32_t more = entries_[entry].more; more != kNone && matches.size() < limit;
         more = more_[more].next) {
      matches.push_back({more_[more].id, distance});
    }
  }
  return matches;
}

std::size_t NearDuplicateIndex::size() const {
  const std::shared_lock lock(mutex_);
  return entries_.size() + more_.size();
}

}  // namespace tidewheel::vision
