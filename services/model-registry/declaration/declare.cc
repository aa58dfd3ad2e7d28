#include "tidewheel/model_registry/declaration/declare.h"

#include "tidewheel/blob/sha256.h"
#include "tidewheel/model_registry/declaration/task_yaml.h"

namespace tidewheel::model_registry {

Result<Declaration> Declare(const std::string& yaml) {
  auto spec = ParseTaskYaml(yaml);
  if (!spec) return spec.error();
  const std::string digest = blob::Sha256(PrintTaskYaml(*spec)).Hex();
  return Declaration{*std::move(spec), yaml, digest};
}

}  // namespace tidewheel::model_registry
