#pragma once

#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/model_registry/domain/task_catalog.h"

namespace tidewheel::model_registry {

/// Reads a task's YAML and takes the digest of its canonical form. kInvalidArgument lists every
/// problem with its line.
Result<Declaration> Declare(const std::string& yaml);

}  // namespace tidewheel::model_registry
