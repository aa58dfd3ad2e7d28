#include "tidewheel/labels/internal/dawid_skene_round.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tidewheel/labels/internal/vector_math.h"
#include "tidewheel/stats/internal/target_clones.h"

// Compiled with -O3 and -ffp-contract=off: every sum runs over classes or items in a fixed order,
// and what is done side by side does not mix lanes, so the widths of the processors do not show.
#define TIDEWHEEL_INLINE __attribute__((always_inline)) inline

namespace tidewheel::labels::internal {
namespace {

/// Items between two logarithms of a product of sums: 16^64 is a normal number.
constexpr std::size_t kBlockItems = 64;
constexpr std::size_t kAhead = 24;  // Votes whose rows are fetched early.

/// Combines lanes in halves: the same tree at any width.
template <std::size_t kLanes, typename Combine>
TIDEWHEEL_INLINE double Reduced(const double* values, Combine combine) {
  if constexpr (kLanes == 1) {
    return values[0];
  } else if constexpr (kLanes % 2 == 1) {
    return combine(Reduced<kLanes - 1>(values, combine), values[kLanes - 1]);
  } else {
    double halves[kLanes / 2];
    for (std::size_t k = 0; k < kLanes / 2; ++k) {
      halves[k] = combine(values[k], values[k + kLanes / 2]);
    }
    return Reduced<kLanes / 2>(halves, combine);
  }
}

template <std::size_t kLanes>
TIDEWHEEL_INLINE double Largest(const double* values, std::size_t lanes) {
  const auto larger = [](double a, double b) { return a > b ? a : b; };
  if constexpr (kLanes > 0) {
    return Reduced<kLanes>(values, larger);
  } else {
    double best[8];
    for (std::size_t k = 0; k < 8; ++k) best[k] = values[k];
    for (std::size_t from = 8; from < lanes; from += 8) {
      for (std::size_t k = 0; k < 8; ++k) best[k] = larger(best[k], values[from + k]);
    }
    return Reduced<8>(best, larger);
  }
}

template <std::size_t kLanes>
TIDEWHEEL_INLINE double Sum(const double* values, std::size_t lanes) {
  const auto plus = [](double a, double b) { return a + b; };
  if constexpr (kLanes > 0) {
    return Reduced<kLanes>(values, plus);
  } else {
    double sums[8] = {};
    for (std::size_t from = 0; from < lanes; from += 8) {
      for (std::size_t k = 0; k < 8; ++k) sums[k] += values[from + k];
    }
    return Reduced<8>(sums, plus);
  }
}

/// kLanes 0: as many as the round says, a multiple of 8.
template <std::size_t kLanes>
TIDEWHEEL_INLINE double RoundOf(const DawidSkeneRound& round, double* block) {
  const std::size_t lanes = kLanes > 0 ? kLanes : round.lanes;
  const std::size_t classes = round.classes;
  const std::uint32_t* const begin = round.begin.data();
  const std::uint32_t* const rows = round.rows.data();
  const std::size_t items = round.begin.size() - 1;
  const std::size_t votes = round.rows.size();
  double* const table = round.table;
  const double* const log_prior = round.log_prior;
  double* const prior_sum = round.prior_sum;
  const bool learn = prior_sum != nullptr;

  double log_likelihood = 0;
  for (std::size_t first = 0; first < items; first += kBlockItems) {
    const std::size_t here = std::min(kBlockItems, items - first);
    double largest_sum = 0;
    for (std::size_t i = 0; i < here; ++i) {
      double* const p = block + i * lanes;
      for (std::size_t k = 0; k < lanes; ++k) p[k] = log_prior[k];
      for (std::uint32_t v = begin[first + i]; v < begin[first + i + 1]; ++v) {
        const double* const row = table + static_cast<std::size_t>(rows[v]) * 2 * lanes;
        for (std::size_t k = 0; k < lanes; ++k) p[k] += row[k];
        if (v + kAhead < votes) {
          const double* const next = table + static_cast<std::size_t>(rows[v + kAhead]) * 2 * lanes;
          __builtin_prefetch(next, 1);
          if constexpr (kLanes > 4) __builtin_prefetch(next + kLanes / 2 * 2, 1);
          if constexpr (kLanes > 8) __builtin_prefetch(next + kLanes * 2 - 1, 1);
        }
      }
      const double largest = Largest<kLanes>(p, lanes);
      for (std::size_t k = 0; k < lanes; ++k) p[k] -= largest;
      largest_sum += begin[first + i] < begin[first + i + 1] ? largest : 0;
    }
    for (std::size_t n = 0; n < here * lanes; ++n) block[n] = ExpNotAbove0(block[n]);
    double product = 1;
    for (std::size_t i = 0; i < here; ++i) {
      const std::uint32_t from = begin[first + i];
      const std::uint32_t to = begin[first + i + 1];
      if (from == to) continue;
      double* const p = block + i * lanes;
      const double sum = Sum<kLanes>(p, lanes);
      product *= sum;
      if (kLanes == 0 && product > 1e200) {
        log_likelihood += std::log(product);
        product = 1;
      }
      const double inverse = 1 / sum;
      for (std::size_t k = 0; k < lanes; ++k) p[k] *= inverse;
      if (round.posterior != nullptr) {
        double* const out = round.posterior + (first + i) * classes;
        for (std::size_t k = 0; k < classes; ++k) out[k] = p[k];
      }
      if (!learn) continue;
      for (std::size_t k = 0; k < lanes; ++k) prior_sum[k] += p[k];
      for (std::uint32_t v = from; v < to; ++v) {
        double* const sums = table + static_cast<std::size_t>(rows[v]) * 2 * lanes + lanes;
        for (std::size_t k = 0; k < lanes; ++k) sums[k] += p[k];
      }
    }
    log_likelihood += largest_sum + std::log(product);
  }
  return log_likelihood;
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

TIDEWHEEL_TARGET_CLONES double SoftmaxRows(double* values, std::size_t rows, std::size_t classes) {
  double log_sum = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    double* const p = values + i * classes;
    double largest = p[0];
    for (std::size_t k = 1; k < classes; ++k) largest = p[k] > largest ? p[k] : largest;
    for (std::size_t k = 0; k < classes; ++k) p[k] -= largest;
    log_sum += largest;
  }
  const std::size_t all = rows * classes;
  for (std::size_t n = 0; n < all; ++n) values[n] = ExpNotAbove0(values[n]);
  double product = 1;
  for (std::size_t i = 0; i < rows; ++i) {
    double* const p = values + i * classes;
    double sum = 0;
    for (std::size_t k = 0; k < classes; ++k) sum += p[k];
    product *= sum;
    if (product > 1e200) {
      log_sum += std::log(product);
      product = 1;
    }
    const double inverse = 1 / sum;
    for (std::size_t k = 0; k < classes; ++k) p[k] *= inverse;
  }
  return log_sum + std::log(product);
}

}  // namespace tidewheel::labels::internal
