#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::ml {

struct OnnxLimits {
  std::size_t bytes = std::size_t{1} << 30;  // With the tensors of other files.
  std::size_t nodes = 200'000;               // With those of functions, as often as they are used.
};

/// What a file says of itself, as far as an engine does not tell.
struct CheckedOnnx {
  /// The model with the tensors of other files inside it; absent: all were inside.
  std::optional<std::string> joined{};
  std::vector<std::string> operators{};  // "Conv", "com.microsoft::Gelu": each once, sorted.
  /// The first size of every input and output has one name, which is not one of a sequence's
  /// length: it counts independent rows.
  bool names_a_batch = false;
};

/// Looks a file through before an engine reads it, because engines trust what a file says of its
/// own sizes: every tensor holds what its shape and type ask for, every node takes what an earlier
/// one gives, no function calls itself, sizes and counts are bounded, loops that never end
/// themselves turn a million times at most, and what would be divided by is not zero. Tensors in
/// other files are read from inside `folder` alone, wherever a link leads; an empty `folder` allows
/// none. kInvalidArgument names what is wrong; kResourceExhausted names the limit; kNotFound:
/// another file is not there.
Result<CheckedOnnx> CheckOnnx(std::string_view onnx, const std::filesystem::path& folder,
                              const OnnxLimits& limits = {});

}  // namespace tidewheel::ml
