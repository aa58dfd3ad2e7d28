#include "tidewheel/inference/core/model_config.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <set>
#include <utility>

namespace tidewheel::inference {
namespace {

constexpr std::uint64_t kMostBatch = 65'536;
constexpr std::uint64_t kMostLevels = 64;
constexpr std::uint64_t kMostInstances = 64;
constexpr std::uint64_t kMostDimensions = 32;
constexpr std::uint64_t kMostWarmups = 1'000;
constexpr std::uint64_t kMostTimeout = std::numeric_limits<std::int64_t>::max() / 2'000;
constexpr std::size_t kMostWarnings = 100;

/// "maxBatchSize" as "max_batch_size"; what is in snake_case already stays.
std::string Snake(const std::string& name) {
  std::string snake;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') {
      snake += '_';
      snake += static_cast<char>(c - 'A' + 'a');
    } else {
      snake += c;
    }
  }
  return snake;
}

Error Wrong(const ConfigTree& field, const std::string& what) {
  return {ErrorCode::kInvalidArgument, "line " + std::to_string(field.line) + ", field \"" +
                                           field.name.substr(0, 80) + "\": " + what};
}

Result<std::int64_t> Integer(const ConfigTree& field, std::int64_t least, std::int64_t most) {
  const std::string limits =
      "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  if (field.kind == ConfigTree::Kind::kMessage) {
    return Wrong(field, limits + " is expected, not a message");
  }
  std::string_view text = field.text;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    base = 16;
    text.remove_prefix(2);
  } else if (text.size() > 1 && text.starts_with('0')) {
    base = 8;
    text.remove_prefix(1);
  }
  std::uint64_t size = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), size, base);
  const bool whole = read.ec == std::errc{} && read.ptr == text.data() + text.size();
  const bool fits =
      whole && size <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const std::int64_t value =
      fits ? (negative ? -static_cast<std::int64_t>(size) : static_cast<std::int64_t>(size)) : 0;
  if (!fits || value < least || value > most) {
    return Wrong(field, limits + " is expected, not " + field.text.substr(0, 40));
  }
  return value;
}

Result<std::uint64_t> Natural(const ConfigTree& field, std::uint64_t least, std::uint64_t most) {
  const auto value =
      Integer(field, static_cast<std::int64_t>(least), static_cast<std::int64_t>(most));
  if (!value) return value.error();
  return static_cast<std::uint64_t>(*value);
}

Result<bool> Truth(const ConfigTree& field) {
  if (field.kind == ConfigTree::Kind::kWord) {
    if (field.text == "true" || field.text == "True" || field.text == "t" || field.text == "1") {
      return true;
    }
    if (field.text == "false" || field.text == "False" || field.text == "f" || field.text == "0") {
      return false;
    }
  }
  return Wrong(field, "true or false is expected");
}

Result<std::string> Text(const ConfigTree& field) {
  if (field.kind != ConfigTree::Kind::kText) return Wrong(field, "a text in quotes is expected");
  return field.text;
}

/// A name that is part of a path: no folder, nothing hidden.
Result<std::string> FileName(const ConfigTree& field) {
  auto name = Text(field);
  if (!name) return name;
  const bool plain = !name->empty() && name->size() <= 255 && (*name)[0] != '.' &&
                     std::all_of(name->begin(), name->end(), [](char c) {
                       return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                              (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-';
                     });
  if (!plain) return Wrong(field, "a file's name of letters, digits, '.', '_' and '-' is expected");
  return name;
}

/// Reads trees into values; keeps the first error and all warnings.
class Reader {
 public:
  ReadConfig read{};

  Result<void> Model(const ConfigTree& root) {
    json_ = root.json;
    return EachField(root, "", [&](const std::string& key, const ConfigTree& field) {
      return ModelField(key, field);
    });
  }

 private:
  using Visit = std::function<Result<bool>(const std::string&, const ConfigTree&)>;

  /// False of `visit`: nobody knows the field.
  Result<void> EachField(const ConfigTree& message, const std::string& where, const Visit& visit) {
    if (message.kind != ConfigTree::Kind::kMessage) {
      return Wrong(message, "a message is expected");
    }
    for (const ConfigTree& field : message.fields) {
      const std::string key = Snake(field.name);
      const auto known = visit(key, field);
      if (!known) return known.error();
      if (!*known) Warn(field, where + key);
    }
    return {};
  }

  void Warn(const ConfigTree& field, const std::string& path) {
    if (read.warnings.size() >= kMostWarnings) return;
    read.warnings.push_back("line " + std::to_string(field.line) + ": " + path.substr(0, 200) +
                            " has no effect here");
  }

  /// A map is `key` and `value` in the text format, and an object in JSON.
  Result<void> Entry(
      const ConfigTree& field,
      const std::function<Result<void>(const std::string&, const ConfigTree&)>& take) {
    if (field.kind != ConfigTree::Kind::kMessage) return Wrong(field, "a message is expected");
    if (json_) {
      for (const ConfigTree& part : field.fields) {
        if (const auto taken = take(part.name, part); !taken) return taken;
      }
      return {};
    }
    static const ConfigTree kNothing{};
    const ConfigTree* key = &kNothing;
    const ConfigTree* value = &kNothing;
    for (const ConfigTree& part : field.fields) {
      if (part.name == "key") key = &part;
      if (part.name == "value") value = &part;
    }
    return take(key->text, *value);
  }

  template <typename T>
  static Result<bool> Into(T& place, Result<T> value) {
    if (!value) return value.error();
    place = std::move(*value);
    return true;
  }
  template <typename T>
  static Result<bool> IntoNatural(T& place, const ConfigTree& field, std::uint64_t least,
                                  std::uint64_t most) {
    const auto value = Natural(field, least, most);
    if (!value) return value.error();
    place = static_cast<T>(*value);
    return true;
  }
  static Result<bool> IntoTime(std::chrono::microseconds& place, const ConfigTree& field) {
    const auto value = Natural(field, 0, kMostTimeout);
    if (!value) return value.error();
    place = std::chrono::microseconds{static_cast<std::int64_t>(*value)};
    return true;
  }
  static Result<bool> Done(const Result<void>& result) {
    if (!result) return result.error();
    return true;
  }

  Result<bool> ModelField(const std::string& key, const ConfigTree& field) {
    ModelConfig& config = read.config;
    if (key == "name") return Into(config.name, Text(field));
    if (key == "platform") return Into(config.platform, Text(field));
    if (key == "backend") return Into(config.backend, Text(field));
    if (key == "default_model_filename") return Into(config.file, FileName(field));
    if (key == "max_batch_size") return IntoNatural(config.max_batch_size, field, 0, kMostBatch);
    if (key == "input") return Done(Tensor(field, config.inputs, "input."));
    if (key == "output") return Done(Tensor(field, config.outputs, "output."));
    if (key == "version_policy") return Done(Versions(field));
    if (key == "dynamic_batching") {
      if (!config.batching) config.batching.emplace();
      return Done(Batching(field, *config.batching));
    }
    if (key == "instance_group") return Done(Instances(field));
    if (key == "parameters") return Done(Parameters(field));
    if (key == "response_cache") {
      return Done(EachField(field, "response_cache.",
                            [&](const std::string& name, const ConfigTree& part) -> Result<bool> {
                              if (name != "enable") return false;
                              return Into(config.response_cache, Truth(part));
                            }));
    }
    if (key == "model_warmup") return Done(Warmup(field));
    if (key == "ensemble_scheduling") {
      return Done(EachField(field, "ensemble_scheduling.",
                            [&](const std::string& name, const ConfigTree& part) -> Result<bool> {
                              if (name != "step") return false;
                              return Done(Step(part));
                            }));
    }
    return false;
  }

  static Result<void> Dimension(const ConfigTree& field, std::vector<std::int64_t>& shape) {
    if (shape.size() >= kMostDimensions) {
      return Wrong(field, "more than " + std::to_string(kMostDimensions) + " dimensions");
    }
    const auto size = Integer(field, -1, std::int64_t{1} << 40);
    if (!size) return size.error();
    if (*size == 0) return Wrong(field, "a size of at least 1, or -1 for any, is expected, not 0");
    shape.push_back(*size);
    return {};
  }

  static Result<DataType> Type(const ConfigTree& field) {
    auto type = ParseConfigType(field.text);
    if (!type) return Wrong(field, type.error().message);
    return type;
  }

  Result<void> Tensor(const ConfigTree& field, std::vector<TensorSpec>& tensors,
                      const std::string& where) {
    TensorSpec tensor;
    bool typed = false;
    const auto each = EachField(
        field, where, [&](const std::string& key, const ConfigTree& part) -> Result<bool> {
          if (key == "name") return Into(tensor.name, Text(part));
          if (key == "data_type") {
            typed = true;
            return Into(tensor.type, Type(part));
          }
          if (key == "dims") return Done(Dimension(part, tensor.shape));
          return false;
        });
    if (!each) return each;
    if (tensor.name.empty()) return Wrong(field, "a tensor needs a name");
    if (!typed) return Wrong(field, "tensor \"" + tensor.name + "\" needs a data_type");
    for (const TensorSpec& other : tensors) {
      if (other.name == tensor.name) {
        return Wrong(field, "tensor \"" + tensor.name.substr(0, 80) + "\" is there twice");
      }
    }
    if (tensors.size() >= 1'000) return Wrong(field, "more than 1000 tensors");
    tensors.push_back(std::move(tensor));
    return {};
  }

  Result<void> Versions(const ConfigTree& field) {
    VersionPolicy& policy = read.config.versions;
    return EachField(
        field, "version_policy.",
        [&](const std::string& key, const ConfigTree& part) -> Result<bool> {
          if (key == "all") {
            policy.kind = VersionPolicy::Kind::kAll;
            return true;
          }
          if (key == "latest") {
            policy.kind = VersionPolicy::Kind::kLatest;
            return Done(
                EachField(part, "version_policy.latest.",
                          [&](const std::string& name, const ConfigTree& number) -> Result<bool> {
                            if (name != "num_versions") return false;
                            return IntoNatural(policy.latest, number, 1, 1'000'000);
                          }));
          }
          if (key != "specific") return false;
          policy.kind = VersionPolicy::Kind::kSpecific;
          return Done(
              EachField(part, "version_policy.specific.",
                        [&](const std::string& name, const ConfigTree& number) -> Result<bool> {
                          if (name != "versions") return false;
                          return IntoNatural(policy.specific.emplace_back(), number, 0,
                                             std::numeric_limits<std::int64_t>::max());
                        }));
        });
  }

  Result<void> Policy(const ConfigTree& field, const std::string& where, QueuePolicy& policy) {
    return EachField(field, where,
                     [&](const std::string& key, const ConfigTree& part) -> Result<bool> {
                       if (key == "timeout_action") {
                         if (part.text != "REJECT" && part.text != "DELAY" && part.text != "0" &&
                             part.text != "1") {
                           return Wrong(part, "REJECT or DELAY is expected");
                         }
                         policy.delays_on_timeout = part.text == "DELAY" || part.text == "1";
                         return true;
                       }
                       if (key == "default_timeout_microseconds") {
                         return IntoTime(policy.default_timeout, part);
                       }
                       if (key == "allow_timeout_override") {
                         return Into(policy.allow_timeout_override, Truth(part));
                       }
                       if (key == "max_queue_size") {
                         return IntoNatural(policy.max_queue_size, part, 0,
                                            std::numeric_limits<std::uint32_t>::max());
                       }
                       return false;
                     });
  }

  Result<void> Batching(const ConfigTree& field, BatchPolicy& batching) {
    const std::string where = "dynamic_batching.";
    return EachField(
        field, where, [&](const std::string& key, const ConfigTree& part) -> Result<bool> {
          if (key == "preferred_batch_size") {
            if (batching.preferred_batch_sizes.size() >= 1'000) {
              return Wrong(part, "more than 1000 sizes");
            }
            return IntoNatural(batching.preferred_batch_sizes.emplace_back(), part, 1, kMostBatch);
          }
          if (key == "max_queue_delay_microseconds") {
            return IntoTime(batching.max_queue_delay, part);
          }
          if (key == "preserve_ordering") return Into(batching.preserve_ordering, Truth(part));
          if (key == "priority_levels") {
            return IntoNatural(batching.priority_levels, part, 0, kMostLevels);
          }
          if (key == "default_priority_level") {
            return IntoNatural(batching.default_priority_level, part, 0, kMostLevels);
          }
          if (key == "default_queue_policy") {
            return Done(Policy(part, where + key + ".", batching.default_queue_policy));
          }
          if (key != "priority_queue_policy") return false;
          return Done(Entry(part, [&](const std::string& name, const ConfigTree& value) {
            const ConfigTree level{
                .name = key, .line = part.line, .kind = ConfigTree::Kind::kWord, .text = name};
            const auto number = Natural(level, 1, kMostLevels);
            if (!number) return Result<void>(number.error());
            return Policy(value, where + key + ".",
                          batching.priority_queue_policy[static_cast<std::uint32_t>(*number)]);
          }));
        });
  }

  Result<void> Instances(const ConfigTree& field) {
    std::uint64_t count = 1;
    std::string kind;
    const auto each =
        EachField(field, "instance_group.",
                  [&](const std::string& key, const ConfigTree& part) -> Result<bool> {
                    if (key == "count") return IntoNatural(count, part, 0, kMostInstances);
                    if (key == "kind") {
                      kind = part.text.substr(0, 40);
                      return true;
                    }
                    return key == "name";
                  });
    if (!each) return each;
    if (groups_++ == 0) {
      read.config.instances = 0;
      read.config.instance_kind = kind;
    }
    const std::uint64_t all = read.config.instances + std::max<std::uint64_t>(count, 1);
    if (all > kMostInstances) {
      return Wrong(field, "more than " + std::to_string(kMostInstances) + " instances");
    }
    read.config.instances = static_cast<std::uint32_t>(all);
    return {};
  }

  Result<void> Parameters(const ConfigTree& field) {
    return Entry(field, [&](const std::string& name, const ConfigTree& value) -> Result<void> {
      std::string text = value.text;
      if (value.kind == ConfigTree::Kind::kMessage) {
        const auto each =
            EachField(value, "parameters.",
                      [&](const std::string& key, const ConfigTree& part) -> Result<bool> {
                        if (key != "string_value") return false;
                        return Into(text, Text(part));
                      });
        if (!each) return each;
      }
      if (read.config.parameters.size() >= 1'000) return Wrong(field, "more than 1000 parameters");
      read.config.parameters[name] = text;
      return {};
    });
  }

  Result<void> WarmupInput(const std::string& name, const ConfigTree& value, WarmupSample& sample) {
    WarmupSample::Input input;
    input.spec.name = name;
    using Kind = WarmupSample::Input::Kind;
    const auto each =
        EachField(value, "model_warmup.inputs.",
                  [&](const std::string& key, const ConfigTree& part) -> Result<bool> {
                    if (key == "data_type") return Into(input.spec.type, Type(part));
                    if (key == "dims") return Done(Dimension(part, input.spec.shape));
                    if (key == "zero_data") {
                      input.kind = Kind::kZero;
                      return true;
                    }
                    if (key == "random_data") {
                      input.kind = Kind::kRandom;
                      return true;
                    }
                    if (key != "input_data_file") return false;
                    input.kind = Kind::kFile;
                    return Into(input.file, FileName(part));
                  });
    if (!each) return each;
    sample.inputs.push_back(std::move(input));
    return {};
  }

  Result<void> Warmup(const ConfigTree& field) {
    WarmupSample sample;
    const auto each =
        EachField(field, "model_warmup.",
                  [&](const std::string& key, const ConfigTree& part) -> Result<bool> {
                    if (key == "name") return Into(sample.name, Text(part));
                    if (key == "batch_size")
                      return IntoNatural(sample.batch_size, part, 0, kMostBatch);
                    if (key == "count") return IntoNatural(sample.count, part, 0, kMostWarmups);
                    if (key != "inputs") return false;
                    return Done(Entry(part, [&](const std::string& name, const ConfigTree& value) {
                      return WarmupInput(name, value, sample);
                    }));
                  });
    if (!each) return each;
    if (read.config.warmup.size() >= kMostWarmups) {
      return Wrong(field, "more than " + std::to_string(kMostWarmups) + " samples");
    }
    sample.count = std::max<std::size_t>(sample.count, 1);
    read.config.warmup.push_back(std::move(sample));
    return {};
  }

  Result<void> Step(const ConfigTree& field) {
    EnsembleStep step;
    const auto map = [&](std::map<std::string, std::string>& into, const ConfigTree& part) {
      return Entry(part, [&](const std::string& name, const ConfigTree& value) -> Result<void> {
        const auto text = Text(value);
        if (!text) return text.error();
        if (!into.emplace(name, *text).second) {
          return Wrong(part, "\"" + name.substr(0, 80) + "\" is mapped twice");
        }
        return {};
      });
    };
    const auto each = EachField(
        field, "ensemble_scheduling.step.",
        [&](const std::string& key, const ConfigTree& part) -> Result<bool> {
          if (key == "model_name") return Into(step.model, Text(part));
          if (key == "model_version") {
            const auto version = Integer(part, -1, std::numeric_limits<std::int64_t>::max());
            if (!version) return version.error();
            if (*version >= 0) step.version = std::to_string(*version);
            return true;
          }
          if (key == "input_map") return Done(map(step.inputs, part));
          if (key == "output_map") return Done(map(step.outputs, part));
          return false;
        });
    if (!each) return each;
    if (step.model.empty()) return Wrong(field, "a step needs a model_name");
    if (read.config.ensemble.size() >= 1'000) return Wrong(field, "more than 1000 steps");
    read.config.ensemble.push_back(std::move(step));
    return {};
  }

  bool json_ = false;
  std::size_t groups_ = 0;
};

/// What only the whole can tell.
Result<void> CheckTogether(const ModelConfig& config) {
  const auto wrong = [](const std::string& what) {
    return Error{ErrorCode::kInvalidArgument, what};
  };
  if (!config.batching) return {};
  const BatchPolicy& batching = *config.batching;
  if (config.max_batch_size == 0) {
    return wrong("dynamic_batching needs a max_batch_size above 0");
  }
  for (const std::uint32_t size : batching.preferred_batch_sizes) {
    if (size > config.max_batch_size) {
      return wrong("preferred_batch_size " + std::to_string(size) + " is above max_batch_size " +
                   std::to_string(config.max_batch_size));
    }
  }
  if (batching.priority_levels > 0 &&
      (batching.default_priority_level == 0 ||
       batching.default_priority_level > batching.priority_levels)) {
    return wrong("default_priority_level is " + std::to_string(batching.default_priority_level) +
                 ", it must be from 1 to priority_levels, " +
                 std::to_string(batching.priority_levels));
  }
  for (const auto& [level, policy] : batching.priority_queue_policy) {
    if (level > batching.priority_levels) {
      return wrong("priority_queue_policy has level " + std::to_string(level) + " of " +
                   std::to_string(batching.priority_levels));
    }
  }
  return {};
}

/// Writes members with the commas between them.
class JsonWriter {
 public:
  std::string text{};

  void Open(char bracket) {
    text += bracket;
    first_ = true;
  }
  void Close(char bracket) {
    text += bracket;
    first_ = false;
  }
  JsonWriter& Key(std::string_view name) {
    Next();
    text += JsonQuoted(name) + ":";
    first_ = true;
    return *this;
  }
  void Raw(const std::string& value) {
    Next();
    text += value;
  }
  void Next() {
    if (!first_) text += ',';
    first_ = false;
  }
  void Member(std::string_view name, const std::string& value) { Key(name).Raw(JsonQuoted(value)); }
  void Member(std::string_view name, std::uint64_t value) { Key(name).Raw(std::to_string(value)); }
  void Truth(std::string_view name, bool value) { Key(name).Raw(value ? "true" : "false"); }

 private:
  bool first_ = true;
};

std::uint64_t Count(std::chrono::microseconds time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
}

void WriteDims(JsonWriter& json, const std::vector<std::int64_t>& shape) {
  json.Key("dims").Open('[');
  for (const std::int64_t size : shape) json.Raw(std::to_string(size));
  json.Close(']');
}

void WriteTensors(JsonWriter& json, std::string_view name, const std::vector<TensorSpec>& tensors) {
  json.Key(name).Open('[');
  for (const TensorSpec& tensor : tensors) {
    json.Next();
    json.Open('{');
    json.Member("name", tensor.name);
    json.Member("data_type", ConfigTypeName(tensor.type));
    WriteDims(json, tensor.shape);
    json.Close('}');
  }
  json.Close(']');
}

void WriteVersions(JsonWriter& json, const VersionPolicy& policy) {
  json.Key("version_policy").Open('{');
  switch (policy.kind) {
    case VersionPolicy::Kind::kAll:
      json.Key("all").Raw("{}");
      break;
    case VersionPolicy::Kind::kLatest:
      json.Key("latest").Open('{');
      json.Member("num_versions", policy.latest);
      json.Close('}');
      break;
    case VersionPolicy::Kind::kSpecific:
      json.Key("specific").Open('{');
      json.Key("versions").Open('[');
      for (const std::uint64_t version : policy.specific) json.Raw(std::to_string(version));
      json.Close(']');
      json.Close('}');
      break;
  }
  json.Close('}');
}

void WritePolicy(JsonWriter& json, const QueuePolicy& policy) {
  json.Open('{');
  json.Member("timeout_action", policy.delays_on_timeout ? "DELAY" : "REJECT");
  json.Member("default_timeout_microseconds", Count(policy.default_timeout));
  json.Truth("allow_timeout_override", policy.allow_timeout_override);
  json.Member("max_queue_size", policy.max_queue_size);
  json.Close('}');
}

void WriteBatching(JsonWriter& json, const BatchPolicy& batching) {
  json.Key("dynamic_batching").Open('{');
  json.Key("preferred_batch_size").Open('[');
  for (const std::uint32_t size : batching.preferred_batch_sizes) json.Raw(std::to_string(size));
  json.Close(']');
  json.Member("max_queue_delay_microseconds", Count(batching.max_queue_delay));
  json.Truth("preserve_ordering", batching.preserve_ordering);
  json.Member("priority_levels", batching.priority_levels);
  json.Member("default_priority_level", batching.default_priority_level);
  json.Key("default_queue_policy");
  json.Next();
  WritePolicy(json, batching.default_queue_policy);
  json.Key("priority_queue_policy").Open('{');
  for (const auto& [level, policy] : batching.priority_queue_policy) {
    json.Key(std::to_string(level));
    json.Next();
    WritePolicy(json, policy);
  }
  json.Close('}');
  json.Close('}');
}

void WriteMap(JsonWriter& json, std::string_view name,
              const std::map<std::string, std::string>& values) {
  json.Key(name).Open('{');
  for (const auto& [key, value] : values) json.Member(key, value);
  json.Close('}');
}

void WriteWarmup(JsonWriter& json, const std::vector<WarmupSample>& samples) {
  json.Key("model_warmup").Open('[');
  for (const WarmupSample& sample : samples) {
    json.Next();
    json.Open('{');
    json.Member("name", sample.name);
    json.Member("batch_size", sample.batch_size);
    json.Member("count", sample.count);
    json.Key("inputs").Open('{');
    for (const WarmupSample::Input& input : sample.inputs) {
      json.Key(input.spec.name).Open('{');
      json.Member("data_type", ConfigTypeName(input.spec.type));
      WriteDims(json, input.spec.shape);
      switch (input.kind) {
        case WarmupSample::Input::Kind::kZero:
          json.Truth("zero_data", true);
          break;
        case WarmupSample::Input::Kind::kRandom:
          json.Truth("random_data", true);
          break;
        case WarmupSample::Input::Kind::kFile:
          json.Member("input_data_file", input.file);
          break;
      }
      json.Close('}');
    }
    json.Close('}');
    json.Close('}');
  }
  json.Close(']');
}

void WriteEnsemble(JsonWriter& json, const std::vector<EnsembleStep>& steps) {
  json.Key("ensemble_scheduling").Open('{');
  json.Key("step").Open('[');
  for (const EnsembleStep& step : steps) {
    json.Next();
    json.Open('{');
    json.Member("model_name", step.model);
    json.Key("model_version").Raw(step.version.empty() ? "-1" : step.version);
    WriteMap(json, "input_map", step.inputs);
    WriteMap(json, "output_map", step.outputs);
    json.Close('}');
  }
  json.Close(']');
  json.Close('}');
}

}  // namespace

Result<ReadConfig> ReadModelConfig(const ConfigTree& tree) {
  Reader reader;
  if (const auto model = reader.Model(tree); !model) return model.error();
  if (const auto fits = CheckTogether(reader.read.config); !fits) return fits.error();
  return std::move(reader.read);
}

Result<ReadConfig> ReadModelConfigText(std::string_view text) {
  const auto tree = ParseConfigText(text);
  if (!tree) return tree.error();
  return ReadModelConfig(*tree);
}

Result<ReadConfig> ReadModelConfigJson(std::string_view text) {
  const auto tree = ParseConfigJson(text);
  if (!tree) return tree.error();
  return ReadModelConfig(*tree);
}

std::string ModelConfigJson(const ModelConfig& config) {
  JsonWriter json;
  json.Open('{');
  json.Member("name", config.name);
  json.Member("platform", config.platform);
  json.Member("backend", config.backend);
  WriteVersions(json, config.versions);
  json.Member("max_batch_size", config.max_batch_size);
  WriteTensors(json, "input", config.inputs);
  WriteTensors(json, "output", config.outputs);
  if (config.batching && config.batching->enabled) WriteBatching(json, *config.batching);
  json.Key("instance_group").Open('[');
  json.Next();
  json.Open('{');
  json.Member("count", config.instances);
  json.Member("kind", config.instance_kind.empty() ? "KIND_CPU" : config.instance_kind);
  json.Close('}');
  json.Close(']');
  if (!config.file.empty()) json.Member("default_model_filename", config.file);
  json.Key("parameters").Open('{');
  for (const auto& [name, value] : config.parameters) {
    json.Key(name).Open('{');
    json.Member("string_value", value);
    json.Close('}');
  }
  json.Close('}');
  if (!config.warmup.empty()) WriteWarmup(json, config.warmup);
  json.Key("response_cache").Open('{');
  json.Truth("enable", config.response_cache);
  json.Close('}');
  if (!config.ensemble.empty()) WriteEnsemble(json, config.ensemble);
  json.Close('}');
  return std::move(json.text);
}

std::string ConfigTypeName(DataType type) {
  return type == DataType::kBytes ? "TYPE_STRING" : "TYPE_" + std::string(Name(type));
}

Result<DataType> ParseConfigType(std::string_view name) {
  if (name == "TYPE_STRING") return DataType::kBytes;
  if (name.starts_with("TYPE_") && name != "TYPE_BYTES") {
    if (auto type = ParseDataType(name.substr(5))) return type;
  }
  return Error{ErrorCode::kInvalidArgument,
               "there is no datatype \"" + std::string(name.substr(0, 40)) +
                   "\"; there are TYPE_STRING, TYPE_BOOL, TYPE_FP32 and so on"};
}

std::vector<std::uint64_t> ChooseVersions(const VersionPolicy& policy,
                                          const std::vector<std::uint64_t>& available) {
  switch (policy.kind) {
    case VersionPolicy::Kind::kAll:
      return available;
    case VersionPolicy::Kind::kLatest: {
      const std::size_t count = std::min<std::size_t>(policy.latest, available.size());
      return {available.end() - static_cast<std::ptrdiff_t>(count), available.end()};
    }
    case VersionPolicy::Kind::kSpecific: {
      const std::set<std::uint64_t> wanted(policy.specific.begin(), policy.specific.end());
      std::vector<std::uint64_t> chosen;
      for (const std::uint64_t version : available) {
        if (wanted.contains(version)) chosen.push_back(version);
      }
      return chosen;
    }
  }
  return {};
}

}  // namespace tidewheel::inference
