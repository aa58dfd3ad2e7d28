#pragma once

#include <string>

#include "tidewheel/config/yaml.h"
#include "tidewheel/model_registry/domain/task_spec.h"

namespace tidewheel::model_registry {

/// Reads what a task says of the closed loop: the comparison part of `gate`, the rest of
/// `monitoring`, `capture` and `cycle`.
void ReadPolicies(const config::YamlNode& root, TaskSpec* spec);

/// The same in the canonical form; a part that is all defaults prints nothing.
struct PolicyLines {
  std::string gate;        // Lines of the section "gate".
  std::string monitoring;  // Lines of the section "monitoring".
  std::string sections;    // Sections of their own.
};
PolicyLines PrintPolicies(const TaskSpec& spec);

}  // namespace tidewheel::model_registry
