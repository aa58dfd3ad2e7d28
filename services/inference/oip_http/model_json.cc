#include "tidewheel/inference/oip_http/model_json.h"

#include <simdjson.h>

#include <array>
#include <utility>

#include "tidewheel/base/build_identity.h"
#include "tidewheel/inference/core/request_parameters.h"
#include "tidewheel/inference/oip_http/json_text.h"

namespace tidewheel::inference {
namespace {

namespace dom = simdjson::dom;

// The value of each character; -1: of none.
constexpr std::array<signed char, 256> kBase64Values = [] {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<signed char, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<signed char>(i);
  }
  return values;
}();

void PutSpecs(std::string_view name, const std::vector<TensorSpec>& specs, std::string* json) {
  *json += ",\"";
  *json += name;
  *json += "\":[";
  for (std::size_t i = 0; i < specs.size(); ++i) {
    *json += i == 0 ? "{\"name\":" : ",{\"name\":";
    AppendQuoted(specs[i].name, json);
    *json += ",\"datatype\":\"";
    *json += Name(specs[i].type);
    *json += "\",\"shape\":[";
    for (std::size_t k = 0; k < specs[i].shape.size(); ++k) {
      if (k > 0) *json += ',';
      AppendNumber(specs[i].shape[k], json);
    }
    *json += "]}";
  }
  *json += ']';
}

void PutDuration(std::string_view before, const DurationSum& sum, std::string* json) {
  *json += before;
  *json += ":{\"count\":";
  AppendNumber(sum.count, json);
  *json += ",\"ns\":";
  AppendNumber(sum.nanoseconds, json);
  *json += '}';
}

std::string_view StateName(ModelState state) {
  switch (state) {
    case ModelState::kUnavailable:
      return "UNAVAILABLE";
    case ModelState::kLoading:
      return "LOADING";
    case ModelState::kReady:
      return "READY";
    case ModelState::kUnloading:
      return "UNLOADING";
  }
  return "UNKNOWN";
}

Error Invalid(std::string what) { return {ErrorCode::kInvalidArgument, std::move(what)}; }

bool Blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

/// The body as an object; an empty one without members.
Result<dom::object> ReadObject(std::string_view body, dom::parser* parser) {
  dom::element root;
  // The text is followed by readable bytes: no copy is needed.
  const auto problem = Blank(body) ? parser->parse(std::string("{}")).get(root)
                                   : parser->parse(body.data(), body.size(), false).get(root);
  if (problem) {
    return Invalid(std::string("the body is not JSON: ") + simdjson::error_message(problem));
  }
  dom::object object;
  if (root.get_object().get(object)) return Invalid("the body must be a JSON object");
  return object;
}

/// The members of "parameters"; nothing when there are none.
Result<std::optional<dom::object>> ReadParametersOf(dom::object object) {
  dom::element parameters;
  if (object.at_key("parameters").get(parameters)) return std::optional<dom::object>();
  dom::object members;
  if (parameters.get_object().get(members)) return Invalid("\"parameters\" must be an object");
  return std::optional<dom::object>(members);
}

Result<bool> ReadTruth(dom::element value, std::string_view name) {
  bool truth = false;
  if (value.get_bool().get(truth)) {
    return Invalid("\"" + std::string(name) + "\" must be true or false");
  }
  return truth;
}

}  // namespace

std::string ServerMetadataJson() {
  std::string json = "{\"name\":";
  AppendQuoted(kServerName, &json);
  json += ",\"version\":";
  AppendQuoted(CurrentBuild().version, &json);
  json += ",\"extensions\":[";
  for (std::size_t i = 0; i < ServerExtensions().size(); ++i) {
    if (i > 0) json += ',';
    AppendQuoted(ServerExtensions()[i], &json);
  }
  return json + "]}";
}

std::string MetadataJson(const ModelServer::Description& description) {
  std::string json = "{\"name\":";
  AppendQuoted(description.spec.name, &json);
  json += ",\"versions\":[";
  for (std::size_t i = 0; i < description.versions.size(); ++i) {
    if (i > 0) json += ',';
    AppendQuoted(description.versions[i], &json);
  }
  json += "],\"platform\":";
  AppendQuoted(description.spec.platform, &json);
  PutSpecs("inputs", description.spec.inputs, &json);
  PutSpecs("outputs", description.spec.outputs, &json);
  if (!description.spec.properties.empty()) {
    json += ",\"properties\":";
    char before = '{';
    for (const auto& [name, value] : description.spec.properties) {
      json += std::exchange(before, ',');
      AppendQuoted(name, &json);
      json += ':';
      AppendQuoted(value, &json);
    }
    json += '}';
  }
  return json + "}";
}

std::string StatisticsJson(const std::vector<ModelStatistics>& statistics) {
  std::string json = "{\"model_stats\":[";
  for (std::size_t i = 0; i < statistics.size(); ++i) {
    const ModelStatistics& model = statistics[i];
    json += i == 0 ? "{\"name\":" : ",{\"name\":";
    AppendQuoted(model.name, &json);
    json += ",\"version\":";
    AppendQuoted(model.version, &json);
    json += ",\"last_inference\":";
    AppendNumber(model.last_inference_ms, &json);
    json += ",\"inference_count\":";
    AppendNumber(model.inference_count, &json);
    json += ",\"execution_count\":";
    AppendNumber(model.execution_count, &json);
    json += ",\"inference_stats\":{";
    PutDuration("\"success\"", model.success, &json);
    PutDuration(",\"fail\"", model.fail, &json);
    PutDuration(",\"queue\"", model.queue, &json);
    PutDuration(",\"compute_input\"", model.input, &json);
    PutDuration(",\"compute_infer\"", model.infer, &json);
    PutDuration(",\"compute_output\"", model.output, &json);
    PutDuration(",\"cache_hit\"", model.cache_hit, &json);
    PutDuration(",\"cache_miss\"", model.cache_miss, &json);
    json += "},\"batch_stats\":[";
    for (std::size_t k = 0; k < model.batches.size(); ++k) {
      json += k == 0 ? "{\"batch_size\":" : ",{\"batch_size\":";
      AppendNumber(model.batches[k].batch_size, &json);
      PutDuration(",\"compute_input\"", model.batches[k].input, &json);
      PutDuration(",\"compute_infer\"", model.batches[k].infer, &json);
      PutDuration(",\"compute_output\"", model.batches[k].output, &json);
      json += '}';
    }
    json += "],\"memory_usage\":[";
    if (model.memory_bytes > 0) {
      json += "{\"type\":\"CPU\",\"id\":0,\"byte_size\":";
      AppendNumber(model.memory_bytes, &json);
      json += '}';
    }
    json += "]}";
  }
  return json + "]}";
}

std::string IndexJson(const std::vector<IndexEntry>& entries) {
  std::string json = "[";
  for (std::size_t i = 0; i < entries.size(); ++i) {
    json += i == 0 ? "{\"name\":" : ",{\"name\":";
    AppendQuoted(entries[i].name, &json);
    json += ",\"version\":";
    AppendQuoted(entries[i].version, &json);
    json += ",\"state\":\"";
    json += StateName(entries[i].state);
    json += "\",\"reason\":";
    AppendQuoted(entries[i].reason, &json);
    json += '}';
  }
  return json + "]";
}

std::string RegionsJson(const std::vector<SharedMemoryRegion>& regions) {
  std::string json = "[";
  for (std::size_t i = 0; i < regions.size(); ++i) {
    json += i == 0 ? "{\"name\":" : ",{\"name\":";
    AppendQuoted(regions[i].name, &json);
    json += ",\"key\":";
    AppendQuoted(regions[i].key, &json);
    json += ",\"offset\":";
    AppendNumber(regions[i].offset, &json);
    json += ",\"byte_size\":";
    AppendNumber(regions[i].byte_size, &json);
    json += '}';
  }
  return json + "]";
}

Result<bool> ReadReadyOnly(std::string_view body) {
  dom::parser parser;
  const auto object = ReadObject(body, &parser);
  if (!object) return object.error();
  dom::element ready;
  if (object->at_key("ready").get(ready)) return false;
  return ReadTruth(ready, "ready");
}

Result<LoadCall> ReadLoadCall(std::string_view body) {
  dom::parser parser;
  const auto object = ReadObject(body, &parser);
  if (!object) return object.error();
  const auto parameters = ReadParametersOf(*object);
  if (!parameters) return parameters.error();
  LoadCall call;
  if (!*parameters) return call;
  for (const auto member : **parameters) {
    constexpr std::string_view kFile = "file:";
    const std::string name(member.key);
    std::string_view text;
    if (member.value.get_string().get(text)) {
      return Invalid("parameter \"" + name.substr(0, 80) + "\" must be a string");
    }
    if (name == "config") {
      call.config = std::string(text);
    } else if (name.starts_with(kFile)) {
      auto bytes = DecodeBase64(text);
      if (!bytes) return Invalid("parameter \"" + name.substr(0, 80) + "\" must be base64");
      call.files.emplace(name.substr(kFile.size()), *std::move(bytes));
    } else {
      return Invalid("parameter \"" + name.substr(0, 80) +
                     "\" means nothing here: a load takes \"config\" and \"file:VERSION/NAME\"");
    }
  }
  return call;
}

Result<bool> ReadUnloadDependents(std::string_view body) {
  dom::parser parser;
  const auto object = ReadObject(body, &parser);
  if (!object) return object.error();
  const auto parameters = ReadParametersOf(*object);
  if (!parameters) return parameters.error();
  dom::element value;
  if (!*parameters || (**parameters).at_key("unload_dependents").get(value)) return false;
  return ReadTruth(value, "unload_dependents");
}

Result<SharedMemoryRegion> ReadRegion(std::string_view body) {
  dom::parser parser;
  const auto object = ReadObject(body, &parser);
  if (!object) return object.error();
  SharedMemoryRegion region;
  std::string_view key;
  if (object->at_key("key").get_string().get(key)) return Invalid("\"key\" must be a string");
  region.key = std::string(key);
  if (object->at_key("byte_size").get_uint64().get(region.byte_size)) {
    return Invalid("\"byte_size\" must be a whole number, not negative");
  }
  dom::element offset;
  if (!object->at_key("offset").get(offset) && offset.get_uint64().get(region.offset)) {
    return Invalid("\"offset\" must be a whole number, not negative");
  }
  return region;
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  unsigned held = 0;
  int bits = 0;
  for (const char c : text) {
    const int value = kBase64Values[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    held = ((held << 6) | static_cast<unsigned>(value)) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>((held >> bits) & 0xff);
    }
  }
  return bytes;
}

}  // namespace tidewheel::inference
