#include "tidewheel/labels/internal/dawid_skene_round.h"

#include <algorithm>

#include "tidewheel/labels/internal/vector_math.h"
#include "tidewheel/stats/internal/target_clones.h"

// Compiled with -O3 and -ffp-contract=off: every sum runs over classes or items in a fixed order,
// and what is done side by side does not mix lanes, so the widths of the processors do not show.
#define TIDEWHEEL_INLINE __attribute__((always_inline)) inline

namespace tidewheel::labels::internal {
namespace {

/// Items at a time: their rows stay in the nearest cache. The logarithm of the product of their
/// sums is that of a normal number.
constexpr std::size_t kBlockItems = 16;
constexpr std::size_t kAhead = 24;  // Votes whose rows are fetched early.

/// Several lanes in one register where the processor has such a wide one, in more where not. Plain
/// loops over lanes the compiler would unroll into single numbers.
template <std::size_t kWidth>
struct Lanes {
  typedef double Vector
      __attribute__((vector_size(kWidth * sizeof(double)), aligned(8), may_alias));

  static TIDEWHEEL_INLINE Vector& Part(double* numbers, std::size_t n) {
    return *reinterpret_cast<Vector*>(numbers + n * kWidth);
  }
  static TIDEWHEEL_INLINE const Vector& Part(const double* numbers, std::size_t n) {
    return *reinterpret_cast<const Vector*>(numbers + n * kWidth);
  }
};

/// How many lanes go together.
constexpr std::size_t WidthFor(std::size_t lanes) {
  if (lanes == 0 || lanes % 8 == 0) return 8;
  return lanes % 4 == 0 ? 4 : 2;
}

/// Combines the lanes of one vector in halves: the same tree on every processor.
template <std::size_t kWidth, typename Combine>
TIDEWHEEL_INLINE double Reduced(const typename Lanes<kWidth>::Vector& v, Combine combine) {
  if constexpr (kWidth == 8) {
    return combine(combine(combine(v[0], v[4]), combine(v[2], v[6])),
                   combine(combine(v[1], v[5]), combine(v[3], v[7])));
  } else if constexpr (kWidth == 4) {
    return combine(combine(v[0], v[2]), combine(v[1], v[3]));
  } else {
    return combine(v[0], v[1]);
  }
}

/// The parts of a row that stay in registers. kLanes 0: as many lanes as the round says, a multiple
/// of 8, a part at a time in memory.
template <std::size_t kLanes>
TIDEWHEEL_INLINE double RoundOf(const DawidSkeneRound& round, double* block) {
  constexpr std::size_t kWidth = WidthFor(kLanes);
  constexpr std::size_t kParts = kLanes / kWidth;
  using L = Lanes<kWidth>;
  using Vector = typename L::Vector;
  const auto larger = [](double a, double b) { return a > b ? a : b; };
  const auto plus = [](double a, double b) { return a + b; };

  const std::size_t lanes = kLanes > 0 ? kLanes : round.lanes;
  const std::size_t parts = kLanes > 0 ? kParts : round.lanes / kWidth;
  const std::size_t stride = 2 * lanes;
  const std::size_t classes = round.classes;
  const std::uint32_t* const begin = round.begin.data();
  const std::uint32_t* const rows = round.rows.data();
  const std::size_t items = round.begin.size() - 1;
  const std::size_t votes = round.rows.size();
  double* const table = round.table;
  double* const prior_sum = round.prior_sum;

  double log_likelihood = 0;
  for (std::size_t first = 0; first < items; first += kBlockItems) {
    const std::size_t here = std::min(kBlockItems, items - first);
    double largest_sum = 0;
    for (std::size_t i = 0; i < here; ++i) {
      double* const p = block + i * lanes;
      const std::uint32_t from = begin[first + i];
      const std::uint32_t to = begin[first + i + 1];
      Vector best;
      if constexpr (kLanes > 0) {
        Vector sums[kParts];
        for (std::size_t n = 0; n < kParts; ++n) sums[n] = L::Part(round.log_prior, n);
        for (std::uint32_t v = from; v < to; ++v) {
          const double* const row = table + rows[v] * stride;
          for (std::size_t n = 0; n < kParts; ++n) sums[n] += L::Part(row, n);
          const double* const next = table + rows[v + kAhead < votes ? v + kAhead : v] * stride;
          for (std::size_t line = 0; line < stride; line += 8) __builtin_prefetch(next + line, 1);
        }
        best = sums[0];
        for (std::size_t n = 1; n < kParts; ++n) best = sums[n] > best ? sums[n] : best;
        const double largest = Reduced<kWidth>(best, larger);
        for (std::size_t n = 0; n < kParts; ++n) L::Part(p, n) = sums[n] - largest;
        largest_sum += from < to ? largest : 0;
      } else {
        for (std::size_t n = 0; n < parts; ++n) L::Part(p, n) = L::Part(round.log_prior, n);
        for (std::uint32_t v = from; v < to; ++v) {
          const double* const row = table + rows[v] * stride;
          for (std::size_t n = 0; n < parts; ++n) L::Part(p, n) += L::Part(row, n);
        }
        best = L::Part(p, 0);
        for (std::size_t n = 1; n < parts; ++n) best = L::Part(p, n) > best ? L::Part(p, n) : best;
        const double largest = Reduced<kWidth>(best, larger);
        for (std::size_t n = 0; n < parts; ++n) L::Part(p, n) -= largest;
        largest_sum += from < to ? largest : 0;
      }
    }
    for (std::size_t n = 0; n < here * lanes; ++n) block[n] = ExpNotAbove0(block[n]);
    double product = 1;
    for (std::size_t i = 0; i < here; ++i) {
      const std::uint32_t from = begin[first + i];
      const std::uint32_t to = begin[first + i + 1];
      if (from == to) continue;
      double* const p = block + i * lanes;
      Vector sums = L::Part(p, 0);
      for (std::size_t n = 1; n < parts; ++n) sums += L::Part(p, n);
      const double sum = Reduced<kWidth>(sums, plus);
      product *= sum;
      if (kLanes == 0 && product > 1e200) {
        log_likelihood += LogOfPositive(product);
        product = 1;
      }
      const double inverse = 1 / sum;
      for (std::size_t n = 0; n < parts; ++n) L::Part(p, n) *= inverse;
      if (round.posterior != nullptr) {
        std::copy_n(p, classes, round.posterior + (first + i) * classes);
      }
      if (prior_sum == nullptr) continue;
      if constexpr (kLanes > 0) {
        Vector mine[kParts];
        for (std::size_t n = 0; n < kParts; ++n) mine[n] = L::Part(p, n);
        for (std::size_t n = 0; n < kParts; ++n) L::Part(prior_sum, n) += mine[n];
        for (std::uint32_t v = from; v < to; ++v) {
          double* const row = table + rows[v] * stride + lanes;
          for (std::size_t n = 0; n < kParts; ++n) L::Part(row, n) += mine[n];
        }
      } else {
        for (std::size_t n = 0; n < parts; ++n) L::Part(prior_sum, n) += L::Part(p, n);
        for (std::uint32_t v = from; v < to; ++v) {
          double* const row = table + rows[v] * stride + lanes;
          for (std::size_t n = 0; n < parts; ++n) L::Part(row, n) += L::Part(p, n);
        }
      }
    }
    log_likelihood += largest_sum + LogOfPositive(product);
  }
  return log_likelihood;
}

template <std::size_t kLanes>
TIDEWHEEL_INLINE void SharesOf(const DawidSkeneRound& round, double* shares) {
  constexpr std::size_t kWidth = WidthFor(kLanes);
  using L = Lanes<kWidth>;
  const std::size_t lanes = kLanes > 0 ? kLanes : round.lanes;
  const std::size_t parts = lanes / kWidth;
  const std::size_t stride = 2 * lanes;
  const auto classes = static_cast<std::uint32_t>(round.classes);
  const std::uint32_t* const rows = round.rows.data();
  const std::size_t votes = round.rows.size();
  for (std::size_t i = 0; i + 1 < round.begin.size(); ++i) {
    const std::uint32_t from = round.begin[i];
    const std::uint32_t to = round.begin[i + 1];
    if (from == to) continue;
    for (std::size_t n = 0; n < parts; ++n) L::Part(shares, n) = L::Part(shares, n) * 0.0;
    for (std::uint32_t v = from; v < to; ++v) shares[rows[v] % classes] += 1;
    // Whole counts first: thirds would not add up to equal sums for equal votes.
    const double cast = to - from;
    for (std::size_t n = 0; n < parts; ++n) {
      L::Part(shares, n) /= cast;
      L::Part(round.prior_sum, n) += L::Part(shares, n);
    }
    for (std::uint32_t v = from; v < to; ++v) {
      double* const sums = round.table + rows[v] * stride + lanes;
      for (std::size_t n = 0; n < parts; ++n) L::Part(sums, n) += L::Part(shares, n);
      __builtin_prefetch(round.table + rows[v + kAhead < votes ? v + kAhead : v] * stride + lanes,
                         1);
    }
  }
}

TIDEWHEEL_TARGET_CLONES void SharesOf12(const DawidSkeneRound& round, double* shares) {
  SharesOf<12>(round, shares);
}
TIDEWHEEL_TARGET_CLONES void SharesOf8s(const DawidSkeneRound& round, double* shares) {
  SharesOf<0>(round, shares);
}
TIDEWHEEL_TARGET_CLONES void SharesOf4(const DawidSkeneRound& round, double* shares) {
  SharesOf<4>(round, shares);
}
TIDEWHEEL_TARGET_CLONES void SharesOf2(const DawidSkeneRound& round, double* shares) {
  SharesOf<2>(round, shares);
}

TIDEWHEEL_TARGET_CLONES double RoundOf2(const DawidSkeneRound& round, double* block) {
  return RoundOf<2>(round, block);
}
TIDEWHEEL_TARGET_CLONES double RoundOf4(const DawidSkeneRound& round, double* block) {
  return RoundOf<4>(round, block);
}
TIDEWHEEL_TARGET_CLONES double RoundOf8(const DawidSkeneRound& round, double* block) {
  return RoundOf<8>(round, block);
}
TIDEWHEEL_TARGET_CLONES double RoundOf12(const DawidSkeneRound& round, double* block) {
  return RoundOf<12>(round, block);
}
TIDEWHEEL_TARGET_CLONES double RoundOf16(const DawidSkeneRound& round, double* block) {
  return RoundOf<16>(round, block);
}
TIDEWHEEL_TARGET_CLONES double RoundOfMany(const DawidSkeneRound& round, double* block) {
  return RoundOf<0>(round, block);
}

}  // namespace

std::size_t LanesFor(std::size_t classes) {
  for (const std::size_t lanes : {2, 4, 8, 12, 16}) {
    if (classes <= lanes) return lanes;
  }
  return (classes + 7) / 8 * 8;
}

AlignedNumbers::AlignedNumbers(std::size_t size)
    : numbers_(new (std::align_val_t{64}) double[size]), size_(size) {
  std::fill_n(numbers_.get(), size, 0.0);
}

double RunDawidSkeneRound(const DawidSkeneRound& round) {
  const AlignedNumbers block(kBlockItems * round.lanes);
  switch (round.lanes) {
    case 2:
      return RoundOf2(round, block.get());
    case 4:
      return RoundOf4(round, block.get());
    case 8:
      return RoundOf8(round, block.get());
    case 12:
      return RoundOf12(round, block.get());
    case 16:
      return RoundOf16(round, block.get());
    default:
      return RoundOfMany(round, block.get());
  }
}

void AddVoteShares(const DawidSkeneRound& round) {
  const AlignedNumbers shares(round.lanes);
  switch (round.lanes) {
    case 2:
      return SharesOf2(round, shares.get());
    case 4:
      return SharesOf4(round, shares.get());
    case 12:
      return SharesOf12(round, shares.get());
    default:
      return SharesOf8s(round, shares.get());
  }
}

TIDEWHEEL_TARGET_CLONES void LogSharesOfWorkers(double* table, std::size_t workers,
                                                std::size_t classes, std::size_t lanes,
                                                double smoothing, double* totals) {
  for (std::size_t w = 0; w < workers; ++w) {
    double* const first = table + w * classes * 2 * lanes;
    for (std::size_t k = 0; k < lanes; ++k) totals[k] = 0;
    for (std::size_t l = 0; l < classes; ++l) {
      const double* const sums = first + l * 2 * lanes + lanes;
      for (std::size_t k = 0; k < lanes; ++k) totals[k] += sums[k] + smoothing;
    }
    for (std::size_t k = 0; k < lanes; ++k) totals[k] = LogOfPositive(totals[k]);
    for (std::size_t l = 0; l < classes; ++l) {
      double* const logs = first + l * 2 * lanes;
      double* const sums = logs + lanes;
      for (std::size_t k = 0; k < lanes; ++k) {
        logs[k] = LogOfPositive(sums[k] + smoothing) - totals[k];
        sums[k] = 0;
      }
    }
  }
}

}  // namespace tidewheel::labels::internal
