#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"

namespace tidewheel::stats {

struct ThinSpotOptions {
  std::size_t neighbours = 20;  // Production rows that make a neighbourhood, the row itself aside.
  double false_discovery_rate = 0.05;
  std::size_t spots = 50;           // Told at most.
  std::size_t representatives = 5;  // Rows named per spot, at most.
  int threads = 1;                  // The answer does not depend on it.
};

/// A neighbourhood of production with few training rows.
struct ThinSpot {
  std::uint32_t centre = 0;  // A production row.
  double radius = 0;
  std::uint64_t production_rows = 0;  // Within the radius, the centre included.
  std::uint64_t training_rows = 0;    // Within the radius.
  double expected_training_rows = 0;  // If training were as dense here as production.
  double density_ratio = 0;           // (expected + 1) / (training rows + 1): 1 is alike.
  double adjusted_p = 1;
  std::uint64_t thin_rows = 0;  // Thin production rows among those within the radius.
  std::vector<std::uint32_t> representatives;  // Production rows: the centre, then the nearest.
};

struct ThinSpotReport {
  std::vector<double> density_ratio;  // Per production row.
  std::vector<double> adjusted_p;     // Per production row.
  std::uint64_t thin_rows = 0;        // Production rows with adjusted_p within the rate.
  std::vector<ThinSpot> spots;        // The thinnest first; centres are in no spot before theirs.
};

/// Production regions with few training samples, in a space of embeddings (one row a sample, both
/// on the same scale). The neighbourhood of a production row reaches to its k-th nearest other
/// production row; were production and training drawn alike, the training rows within it would
/// follow a negative hypergeometric law, so that the p-value of "so few" is exact whatever the
/// density and the dimension (no volume enters: the ratio of counts stands for the ratio of
/// densities, as in Loftsgaarden, Quesenberry 1965; Wang, Kulkarni, Verdu 2009). Corrected for the
/// number of rows (Benjamini, Hochberg 1995). Thin rows are then covered greedily by
/// neighbourhoods, from the highest ratio down; ties: the smaller radius, then the first row.
/// O(production x (production + training) x columns) time; memory for k entries a production row.
///
/// kInvalidArgument: a shape that does not fit, no training rows, different numbers of columns, a
/// value that is not finite (its row and column), options out of range. kFailedPrecondition: no
/// more production rows than neighbours.
template <typename T>
Result<ThinSpotReport> FindThinSpots(MatrixView<T> training, MatrixView<T> production,
                                     const ThinSpotOptions& options = {});

}  // namespace tidewheel::stats
