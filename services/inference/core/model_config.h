#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/config_tree.h"
#include "tidewheel/inference/core/model_server.h"

namespace tidewheel::inference {

/// A configuration and what in it has no effect here: fields that nobody knows, or that ask for
/// what this server does not do.
struct ReadConfig {
  ModelConfig config{};
  std::vector<std::string> warnings{};
};

/// What a tree of the field's model configuration means. kInvalidArgument names the line, the field
/// and what it may be.
Result<ReadConfig> ReadModelConfig(const ConfigTree& tree);
/// config.pbtxt: the text format of protocol buffers.
Result<ReadConfig> ReadModelConfigText(std::string_view text);
/// The same as JSON, with names in snake_case or camelCase and 64-bit numbers as numbers or text.
Result<ReadConfig> ReadModelConfigJson(std::string_view text);

/// As JSON in snake_case, which ReadModelConfigJson reads back.
std::string ModelConfigJson(const ModelConfig& config);

/// "TYPE_FP32", "TYPE_STRING" and so on, as configurations name datatypes.
std::string ConfigTypeName(DataType type);
Result<DataType> ParseConfigType(std::string_view name);

/// Which of the versions that are there a policy serves, rising. `available` rises.
std::vector<std::uint64_t> ChooseVersions(const VersionPolicy& policy,
                                          const std::vector<std::uint64_t>& available);

}  // namespace tidewheel::inference
