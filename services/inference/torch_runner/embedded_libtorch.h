#pragma once

#include <filesystem>

#include "tidewheel/base/result.h"

namespace tidewheel::inference {

/// Loads a library called libtorch.so: the one that is installed, else an empty one, written into
/// `scratch`. Compiled packages ask for that name.
Result<void> ProvideLibTorch(const std::filesystem::path& scratch);

}  // namespace tidewheel::inference
