#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "tidewheel/vision/difference_hash.h"

namespace tidewheel::vision {

/// Finds hashes within a few bits of another by multi-index hashing (Norouzi, Punjani, Fleet, CVPR
/// 2012): the 128 bits are dealt out to radius + 1 keys, and two hashes that differ in at most
/// radius bits agree in one key.
///
/// The cost of one call is bounded: of the pictures that share a key, the max_candidates latest are
/// looked at (pictures of equal hash count as one and are always found), so no set of hashes makes
/// it quadratic. Below that bound the answer is exact. Thread-safe: readers together, writers
/// alone. Memory: 40 + 8 x (radius + 2) bytes for each different hash (104 for radius 6), up to
/// twice that while it grows; 16 bytes for each further picture of the same hash.
class NearDuplicateIndex {
 public:
  static constexpr int kMaxRadius = 8;

  struct Options {
    int radius = 6;  ///< The largest distance asked for, 0..kMaxRadius; outside, the nearest of
                     ///< these. Smaller is faster.
    std::size_t max_candidates = 256;  ///< Per key, so radius + 1 times this per call.
  };

  struct Match {
    std::uint64_t id = 0;
    int distance = 0;

    friend bool operator==(const Match&, const Match&) = default;
  };

  NearDuplicateIndex();
  explicit NearDuplicateIndex(const Options& options);

  /// `id` is the caller's own; nothing checks that it is new.
  void Add(const Hash128& hash, std::uint64_t id);

  /// The nearest within `radius` (cut to the index's own), the earliest added of those; nothing
  /// when there is none.
  std::optional<Match> Nearest(const Hash128& hash, int radius) const;

  /// Nearest, or when there is none Add, in one step: of two near-equal pictures that arrive
  /// together only one finds nothing.
  std::optional<Match> NearestOrAdd(const Hash128& hash, std::uint64_t id, int radius);

  /// Up to `limit` within `radius`, nearest first, then in the order of their first hash's arrival.
  std::vector<Match> Within(const Hash128& hash, int radius, std::size_t limit) const;

  /// Pictures added.
  std::size_t size() const;

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  struct Entry {
    Hash128 hash;
    std::uint64_t id = 0;
    std::uint32_t more = kNone;  // In more_: further pictures of this hash.
  };
  struct More {
    std::uint64_t id = 0;
    std::uint32_t next = kNone;
  };

  std::size_t Slot(std::size_t table, const Hash128& hash) const;
  std::uint32_t FindEqual(const Hash128& hash) const;
  void Link(std::uint32_t entry);
  void Grow();
  void AddLocked(const Hash128& hash, std::uint64_t id);
  std::optional<Match> NearestLocked(const Hash128& hash, int radius) const;
  template <typename Visit>
  void ForEachNear(const Hash128& hash, int radius, Visit visit) const;

  Options options_;
  std::size_t tables_ = 0;      // radius + 1 keys, then the whole hash.
  std::vector<Hash128> masks_;  // The bits of each key.

  mutable std::shared_mutex mutex_;  // Guards all below.
  std::vector<Entry> entries_;       // One per different hash.
  std::vector<More> more_;
  std::size_t slots_ = 0;             // Per table; a power of two.
  std::vector<std::uint32_t> heads_;  // tables_ x slots_: the latest entry with this key.
  std::vector<std::uint32_t> next_;   // entries_ x tables_: the one before it.
};

}  // namespace tidewheel::vision
