#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/model_server.h"
#include "tidewheel/inference/core/shared_memory.h"

namespace tidewheel::inference {

// What the calls beside inference answer, as JSON.
std::string ServerMetadataJson();
std::string MetadataJson(const ModelServer::Description& description);
std::string StatisticsJson(const std::vector<ModelStatistics>& statistics);
std::string IndexJson(const std::vector<IndexEntry>& entries);
std::string RegionsJson(const std::vector<SharedMemoryRegion>& regions);

// What they are asked with. `body` is followed by net::AlignedBytes::kPadding readable bytes; an
// empty one is an empty object. kInvalidArgument names the member.

/// {"ready": true}
Result<bool> ReadReadyOnly(std::string_view body);
struct LoadCall {
  std::optional<std::string> config{};
  std::map<std::string, std::string> files{};
};
/// {"parameters": {"config": "{...}", "file:1/model.onnx": "<base64>"}}
Result<LoadCall> ReadLoadCall(std::string_view body);
/// {"parameters": {"unload_dependents": false}}
Result<bool> ReadUnloadDependents(std::string_view body);
/// {"key": "/frames", "offset": 0, "byte_size": 64}
Result<SharedMemoryRegion> ReadRegion(std::string_view body);

/// The alphabet with + and /. Nothing: another character, or a wrong length.
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace tidewheel::inference
