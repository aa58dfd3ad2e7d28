#pragma once

#include <filesystem>
#include <string>

#include "tidewheel/base/result.h"

namespace tidewheel::ml::testing {

/// Writes a TorchScript module whose methods have this source ("def forward(self, x): ..."). An
/// attribute `state`, a tensor of one zero, is there for it. kInvalidArgument: what the compiler
/// says.
Result<void> WriteScript(const std::filesystem::path& path, const std::string& source);

}  // namespace tidewheel::ml::testing
