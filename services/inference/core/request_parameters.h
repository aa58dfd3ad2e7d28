#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/model_server.h"

namespace tidewheel::inference {

/// What a server says of itself, whatever the protocol.
inline constexpr char kServerName[] = "tidewheel";
/// "model_repository" and so on, as the field's clients know them.
const std::vector<std::string>& ServerExtensions();

/// The header of HTTP and the metadata of gRPC that say a request's routing key, where no parameter
/// does.
inline constexpr char kRoutingKeyHeader[] = "x-routing-key";

/// Takes what is known to everybody out of a request's parameters: "priority" (0 to 2^32 - 1),
/// "timeout" (microseconds; 0: none), "routing_key" (a text or a whole number), and "sequence_id",
/// "sequence_start", "sequence_end", which are checked and have no effect on models without a
/// state, but that the requests of a sequence are of one routing key where nothing says another.
/// kInvalidArgument names the parameter and what it may be.
Result<void> ApplyParameters(InferRequest& request);

/// A place in a registered region of shared memory.
struct SharedPlace {
  std::string region{};
  std::uint64_t offset = 0;
  std::uint64_t byte_size = 0;
};

/// The place that a tensor's parameters name: "shared_memory_region", "shared_memory_byte_size" and
/// perhaps "shared_memory_offset"; none without the first. kInvalidArgument names the parameter.
Result<std::optional<SharedPlace>> SharedPlaceOf(const Parameters& parameters);

}  // namespace tidewheel::inference
