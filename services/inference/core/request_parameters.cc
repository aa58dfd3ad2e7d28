#include "tidewheel/inference/core/request_parameters.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

namespace tidewheel::inference {
namespace {

Error Wrong(const std::string& name, const std::string& wanted) {
  return {ErrorCode::kInvalidArgument, "parameter \"" + name + "\" is " + wanted};
}

/// A whole number that is not negative, in whichever of the two types it came.
std::optional<std::uint64_t> Number(const Parameter& parameter) {
  if (const auto* number = std::get_if<std::uint64_t>(&parameter)) return *number;
  if (const auto* number = std::get_if<std::int64_t>(&parameter); number && *number >= 0) {
    return static_cast<std::uint64_t>(*number);
  }
  return std::nullopt;
}

/// A key in whichever type it came.
std::optional<std::string> Key(const Parameter& parameter) {
  if (const auto* text = std::get_if<std::string>(&parameter)) return *text;
  const auto number = Number(parameter);
  return number ? std::optional(std::to_string(*number)) : std::nullopt;
}

}  // namespace

const std::vector<std::string>& ServerExtensions() {
  static const std::vector<std::string> kExtensions = {
      "model_repository",     "model_repository(unload_dependents)",
      "schedule_policy",      "model_configuration",
      "system_shared_memory", "binary_tensor_data",
      "parameters",           "statistics"};
  return kExtensions;
}

Result<void> ApplyParameters(InferRequest& request) {
  Parameters& parameters = request.parameters;
  if (parameters.empty()) return {};
  if (const auto found = parameters.find("priority"); found != parameters.end()) {
    const auto number = Number(found->second);
    if (!number || *number > std::numeric_limits<std::uint32_t>::max()) {
      return Wrong("priority", "a whole number from 0 to 4294967295");
    }
    request.priority = *number;
    parameters.erase(found);
  }
  if (const auto found = parameters.find("timeout"); found != parameters.end()) {
    const auto number = Number(found->second);
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max() / 2'000;
    if (!number) return Wrong("timeout", "a whole number of microseconds, not below 0");
    if (*number > 0) {
      request.timeout = std::chrono::microseconds{
          static_cast<std::int64_t>(std::min<std::uint64_t>(*number, kMost))};
    }
    parameters.erase(found);
  }
  // Clients send the sequence 0, or none, for requests that belong to none.
  for (const char* const name : {"sequence_id", "routing_key"}) {
    const auto found = parameters.find(name);
    if (found == parameters.end()) continue;
    auto key = Key(found->second);
    if (!key) return Wrong(name, "a whole number, not below 0, or a text");
    if (name == std::string_view("routing_key") || *key != "0") {
      if (!key->empty()) request.routing_key = *std::move(key);
    }
    parameters.erase(found);
  }
  for (const char* const name : {"sequence_start", "sequence_end"}) {
    const auto found = parameters.find(name);
    if (found == parameters.end()) continue;
    if (!std::holds_alternative<bool>(found->second)) return Wrong(name, "true or false");
    parameters.erase(found);
  }
  return {};
}

Result<std::optional<SharedPlace>> SharedPlaceOf(const Parameters& parameters) {
  const auto region = parameters.find("shared_memory_region");
  if (region == parameters.end()) return std::optional<SharedPlace>{};
  SharedPlace place;
  const auto* name = std::get_if<std::string>(&region->second);
  if (name == nullptr || name->empty()) {
    return Wrong("shared_memory_region", "the name of a registered region");
  }
  place.region = *name;
  const auto size = parameters.find("shared_memory_byte_size");
  const auto bytes = size == parameters.end() ? std::nullopt : Number(size->second);
  if (!bytes) {
    return Wrong("shared_memory_byte_size", "needed with a region: a whole number, not below 0");
  }
  place.byte_size = *bytes;
  if (const auto offset = parameters.find("shared_memory_offset"); offset != parameters.end()) {
    const auto number = Number(offset->second);
    if (!number) return Wrong("shared_memory_offset", "a whole number, not below 0");
    place.offset = *number;
  }
  return std::optional<SharedPlace>{std::move(place)};
}

}  // namespace tidewheel::inference
