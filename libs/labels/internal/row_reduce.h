#pragma once

#include <cstddef>
#include <cstdint>

/// The one loop over all probabilities. Apart from the rest, so that it alone is compiled several
/// times.
namespace tidewheel::labels::internal {

/// Values a row's vectors hold; `cuts` of a row has as many more than classes, of all ones.
inline constexpr std::size_t kVectorBytes = 64;

/// For each of `rows` rows of `classes` values: the sum, the largest bits, and the largest bits
/// among those that reach their cut (0: none). Reads nothing at or past `end`, which is at least
/// the rows' own end.
void ReduceRows(const float* values, std::size_t rows, std::size_t classes, const float* end,
                const std::uint32_t* cuts, float* sum, std::uint32_t* top,
                std::uint32_t* confident);
void ReduceRows(const double* values, std::size_t rows, std::size_t classes, const double* end,
                const std::uint64_t* cuts, double* sum, std::uint64_t* top,
                std::uint64_t* confident);

/// The first of `classes` values that has these bits; `classes` if none. Reads nothing past them.
std::size_t FindBits(const float* row, std::size_t classes, std::uint32_t bits);
std::size_t FindBits(const double* row, std::size_t classes, std::uint64_t bits);

}  // namespace tidewheel::labels::internal
