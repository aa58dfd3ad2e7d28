#pragma once

#include <cstddef>
#include <span>

namespace tidewheel::stats {

/// Cholesky's factorisation of a symmetric matrix of `size` rows, row by row: its lower triangle is
/// replaced by the root L with L L^T = matrix; what is above the diagonal is neither read nor
/// written. False: the matrix is not positive definite, and holds nothing of use. O(size^3).
bool FactorCholesky(std::span<double> matrix, std::size_t size);

/// Solves L x = values in place. O(size^2).
void SolveLower(std::span<const double> root, std::size_t size, std::span<double> values);

/// Solves L L^T x = values in place. O(size^2).
void SolveCholesky(std::span<const double> root, std::size_t size, std::span<double> values);

}  // namespace tidewheel::stats
