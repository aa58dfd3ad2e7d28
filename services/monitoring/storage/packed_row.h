#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::monitoring {

/// The wide part of a stored prediction. Features lie at their places in the model's dictionary,
/// NaN where there is none.
struct PackedRow {
  std::vector<float> probabilities;
  std::vector<double> features;
  std::vector<float> embedding;
  std::vector<std::string> quality_problems;
  std::string payload_sha256;
};

/// One bytea: a version byte, then each part with its length before it, little-endian. A digest of
/// 64 lower-case hexadecimal digits takes 32 bytes. At most 65,535 numbers or problems a part; of
/// longer ones the beginning is kept.
std::string Pack(std::span<const float> probabilities, std::span<const double> features,
                 std::span<const float> embedding, std::span<const std::string> quality_problems,
                 std::string_view payload_sha256);

/// kDataLoss: bytes that Pack did not write.
Result<PackedRow> Unpack(std::string_view bytes);

}  // namespace tidewheel::monitoring
