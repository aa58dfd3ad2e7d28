#pragma once

#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"

namespace tidewheel::stats {

struct SymmetricEigen {
  std::vector<double> values;   // N, from the largest down.
  std::vector<double> vectors;  // N x N; row k is the unit vector of value k, its largest component
                                // (the first of equally large ones) positive.
};

/// Eigenvalues and eigenvectors of a symmetric N x N matrix by cyclic Jacobi rotations (Rutishauser
/// 1966), to full relative accuracy of the largest. O(N^3) time for each of about 8 sweeps, O(N^2)
/// memory. Pure, deterministic. kInvalidArgument: an empty or not square matrix, more than 512
/// rows, a number that is not finite, or no symmetry (to 1e-9 of the largest entry).
Result<SymmetricEigen> EigenOfSymmetric(MatrixView<double> matrix);

}  // namespace tidewheel::stats
