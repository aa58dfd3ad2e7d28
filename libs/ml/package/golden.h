#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::ml {

/// A few preprocessed inputs with the probabilities that the trained model gave for them, so that
/// whoever loads the package can check that it answers the same.
struct GoldenSamples {
  std::size_t rows = 0;
  std::size_t input_elements = 0;      // Of one row.
  std::size_t output_elements = 0;     // Of one row.
  std::vector<float> inputs{};         // rows x input_elements
  std::vector<float> probabilities{};  // rows x output_elements

  friend bool operator==(const GoldenSamples&, const GoldenSamples&) = default;
};

/// golden.bin: "TWGOLD1\n", three little-endian 64-bit counts, then the floats. At most 64 MiB.
Result<std::string> PrintGoldenSamples(const GoldenSamples& golden);

/// kInvalidArgument: not such a file, counts that do not fit its size, or a number that is not
/// finite.
Result<GoldenSamples> ParseGoldenSamples(std::string_view bytes);

/// Reads golden.bin of a package's folder. kNotFound: there is none.
Result<GoldenSamples> ReadGoldenSamples(const std::filesystem::path& folder);

}  // namespace tidewheel::ml
