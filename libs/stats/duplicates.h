#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/digest.h"
#include "tidewheel/base/result.h"
#include "tidewheel/stats/splits.h"

namespace tidewheel::stats {

/// A perceptual hash: 128 bits that differ in few places for pictures that look nearly the same.
using Bits128 = std::array<std::uint64_t, 2>;

struct RowPair {
  std::uint32_t first = 0;  // The smaller row.
  std::uint32_t second = 0;
  int distance = 0;  // Bits that differ; 0 for equal digests.

  friend auto operator<=>(const RowPair&, const RowPair&) = default;
};

/// What rows have in common that should differ. Pairs are counted, not listed: a thousand copies
/// are 499,500 pairs.
struct DuplicateReport {
  std::uint64_t pairs = 0;            // Unordered, within and across splits.
  std::uint64_t pairs_across = 0;     // Of different splits.
  std::uint64_t repeated_rows = 0;    // Rows with an equal digest (hash) above them.
  std::vector<std::uint32_t> leaked;  // Rows outside training with a twin in training, rising.
  std::vector<RowPair> examples;      // Across splits: one for each pair of contents, by row.
};

struct DuplicateOptions {
  std::size_t examples = 100;                  // At most.
  std::uint64_t comparisons = 10'000'000'000;  // At most, for near duplicates.
};

/// Rows of equal digest. O(rows log rows) time, O(rows) memory. kInvalidArgument: no rows,
/// different lengths, a split that is none (its row).
Result<DuplicateReport> FindExactDuplicates(std::span<const Digest> digests,
                                            std::span<const Split> splits,
                                            const DuplicateOptions& options = {});

/// Rows whose hashes differ in at most `distance` bits, equal ones included: exact, by multi-index
/// hashing (Norouzi, Punjani, Fleet, CVPR 2012). The bits are dealt out to distance + 1 keys, and
/// two hashes within the distance agree in one of them, so that only rows with an equal key are
/// compared; equal hashes count as one. Sub-quadratic for hashes that spread; O(rows) memory.
///
/// kInvalidArgument as FindExactDuplicates, or a distance outside 0..16. kResourceExhausted: the
/// hashes crowd so that more comparisons than the options allow would be needed.
Result<DuplicateReport> FindNearDuplicates(std::span<const Bits128> hashes,
                                           std::span<const Split> splits, int distance,
                                           const DuplicateOptions& options = {});

}  // namespace tidewheel::stats
