// Any bytes as a task's declaration: an error with words, or a task that is the same after it was
// printed and read again; and any YAML that is none of a task is JSON.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "must.h"
#include "tidewheel/config/yaml.h"
#include "tidewheel/model_registry/declaration/task_yaml.h"

namespace {

using tidewheel::fuzz::Must;
namespace registry = tidewheel::model_registry;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto yaml = tidewheel::config::Yaml::Parse(text, "fuzz.yaml");
  if (!yaml) {
    Must(!yaml.error().message.empty());
  } else {
    Must(!yaml->Root().Json().empty());
  }

  const auto spec = registry::ParseTaskYaml(text);
  if (!spec) {
    Must(!spec.error().message.empty());
    return 0;
  }
  Must(yaml.ok());
  const std::string printed = registry::PrintTaskYaml(*spec);
  const auto again = registry::ParseTaskYaml(printed);
  Must(again.ok() && *again == *spec);
  Must(registry::PrintTaskYaml(*again) == printed);
  return 0;
}
