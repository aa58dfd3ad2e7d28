#pragma once

#include <string>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/model_registry/domain/task_spec.h"

namespace tidewheel::model_registry {

/// The longest YAML of a task, in bytes.
inline constexpr std::size_t kMaxTaskYamlBytes = 256 * 1024;

/// Reads one task; keys that are absent get their defaults. kInvalidArgument lists every problem
/// with its line.
Result<TaskSpec> ParseTaskYaml(std::string_view yaml);

/// The keys of the spec in a fixed order: two specs print alike only if they are equal, and
/// ParseTaskYaml reads it back. What the closed loop added to tasks is printed only where it is not
/// the default, so that tasks from before keep their digest.
std::string PrintTaskYaml(const TaskSpec& spec);

}  // namespace tidewheel::model_registry
