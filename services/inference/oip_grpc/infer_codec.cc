#include "tidewheel/inference/oip_grpc/infer_codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>
#include <variant>

#include "tidewheel/inference/oip_grpc/wire.h"

namespace tidewheel::inference {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors travel little-endian");

// Numbers of fields, as in inference/grpc_service.proto.
namespace request_field {
enum : std::uint32_t {
  kModelName = 1,
  kModelVersion = 2,
  kId = 3,
  kParameters = 4,
  kInputs = 5,
  kOutputs = 6,
  kRaw = 7
};
}  // namespace request_field
namespace response_field {
enum : std::uint32_t {
  kModelName = 1,
  kModelVersion = 2,
  kId = 3,
  kParameters = 4,
  kOutputs = 5,
  kRaw = 6
};
}  // namespace response_field
namespace tensor_field {
enum : std::uint32_t { kName = 1, kDatatype = 2, kShape = 3, kParameters = 4, kContents = 5 };
}  // namespace tensor_field
namespace output_field {
enum : std::uint32_t { kName = 1, kParameters = 2 };
}  // namespace output_field
namespace stream_field {
enum : std::uint32_t { kError = 1, kResponse = 2 };
}  // namespace stream_field
namespace parameter_field {
enum : std::uint32_t { kBool = 1, kInt64 = 2, kText = 3, kDouble = 4, kUint64 = 5 };
}  // namespace parameter_field
namespace contents_field {
enum : std::uint32_t {
  kNone = 0,
  kBool = 1,
  kInt = 2,
  kInt64 = 3,
  kUint = 4,
  kUint64 = 5,
  kFp32 = 6,
  kFp64 = 7,
  kBytes = 8
};
}  // namespace contents_field

constexpr std::array<const char*, 9> kContentsNames = {"",
                                                       "bool_contents",
                                                       "int_contents",
                                                       "int64_contents",
                                                       "uint_contents",
                                                       "uint64_contents",
                                                       "fp32_contents",
                                                       "fp64_contents",
                                                       "bytes_contents"};

constexpr std::size_t kMostDimensions = 64;
constexpr std::size_t kMostTensors = 4'096;
constexpr std::size_t kMostParameters = 1'024;
constexpr std::size_t kMostIdBytes = 65'536;

/// The field of InferTensorContents that belongs to a datatype; kNone: it travels raw only.
std::uint32_t ContentsOf(DataType type) {
  switch (type) {
    case DataType::kBool:
      return contents_field::kBool;
    case DataType::kInt8:
    case DataType::kInt16:
    case DataType::kInt32:
      return contents_field::kInt;
    case DataType::kInt64:
      return contents_field::kInt64;
    case DataType::kUint8:
    case DataType::kUint16:
    case DataType::kUint32:
      return contents_field::kUint;
    case DataType::kUint64:
      return contents_field::kUint64;
    case DataType::kFp32:
      return contents_field::kFp32;
    case DataType::kFp64:
      return contents_field::kFp64;
    case DataType::kBytes:
      return contents_field::kBytes;
    case DataType::kFp16:
    case DataType::kBf16:
      return contents_field::kNone;
  }
  return contents_field::kNone;
}

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }
Error BadInput(std::string_view name, const std::string& what) {
  return Bad("input \"" + std::string(name.substr(0, 80)) + "\" " + what);
}
Error NoMessage(const std::string& what) {
  return Bad("the request is no ModelInferRequest: " + what + " is damaged");
}

Result<void> ReadParameter(std::string_view entry, Parameters& parameters) {
  WireReader reader(entry);
  std::string_view key;
  std::string_view value;
  while (reader.Next()) {
    if (reader.field() == 1) key = reader.Bytes();
    if (reader.field() == 2) value = reader.Bytes();
  }
  Parameter parameter = false;
  bool given = false;
  WireReader choice(value);
  while (reader.ok() && choice.Next()) {
    given = true;
    switch (choice.field()) {
      case parameter_field::kBool:
        parameter = choice.Varint() != 0;
        break;
      case parameter_field::kInt64:
        parameter = static_cast<std::int64_t>(choice.Varint());
        break;
      case parameter_field::kText:
        parameter = std::string(choice.Bytes());
        break;
      case parameter_field::kDouble:
        parameter = std::bit_cast<double>(choice.Fixed64());
        break;
      case parameter_field::kUint64:
        parameter = choice.Varint();
        break;
      default:
        break;
    }
  }
  if (!reader.ok() || !choice.ok()) return NoMessage("a parameter");
  if (parameters.size() >= kMostParameters) {
    return Bad("more than " + std::to_string(kMostParameters) + " parameters");
  }
  if (given) parameters.insert_or_assign(std::string(key), std::move(parameter));
  return {};
}

/// Appends a number as an element of `Element`, when it fits.
template <typename Element>
bool AppendElement(std::uint64_t wire, std::string& bytes) {
  Element element;
  if constexpr (std::is_same_v<Element, bool>) {
    element = wire != 0;
  } else if constexpr (std::is_signed_v<Element>) {
    const auto value = static_cast<std::int64_t>(wire);
    if (value < std::numeric_limits<Element>::min() ||
        value > std::numeric_limits<Element>::max()) {
      return false;
    }
    element = static_cast<Element>(value);
  } else {
    if (wire > std::numeric_limits<Element>::max()) return false;
    element = static_cast<Element>(wire);
  }
  char raw[sizeof element];
  std::memcpy(raw, &element, sizeof element);
  bytes.append(raw, sizeof element);
  return true;
}

using Append = bool (*)(std::uint64_t, std::string&);
Append AppendOf(DataType type) {
  switch (type) {
    case DataType::kBool:
      return AppendElement<bool>;
    case DataType::kInt8:
      return AppendElement<std::int8_t>;
    case DataType::kInt16:
      return AppendElement<std::int16_t>;
    case DataType::kInt32:
      return AppendElement<std::int32_t>;
    case DataType::kInt64:
      return AppendElement<std::int64_t>;
    case DataType::kUint8:
      return AppendElement<std::uint8_t>;
    case DataType::kUint16:
      return AppendElement<std::uint16_t>;
    case DataType::kUint32:
      return AppendElement<std::uint32_t>;
    case DataType::kUint64:
      return AppendElement<std::uint64_t>;
    default:
      return nullptr;
  }
}

/// The elements of typed contents as raw bytes. Empty optional: there are none in them.
Result<std::optional<std::string>> ReadContents(std::string_view contents, std::string_view name,
                                                DataType type) {
  const std::uint32_t wanted = ContentsOf(type);
  const Append append = AppendOf(type);
  std::string bytes;
  bool any = false;
  bool fits = true;
  WireReader reader(contents);
  while (reader.Next()) {
    const std::uint32_t field = reader.field();
    if (field == contents_field::kNone || field > contents_field::kBytes) continue;
    if (wanted == contents_field::kNone) {
      return BadInput(name, "of type " + std::string(Name(type)) + " can only travel raw");
    }
    if (field != wanted) {
      return BadInput(name, "of type " + std::string(Name(type)) + " has its elements in " +
                                kContentsNames[wanted] + ", not in " + kContentsNames[field]);
    }
    any = true;
    if (field == contents_field::kFp32) {
      bytes.append(reader.Fixed(WireReader::kFixed32, sizeof(float)));
    } else if (field == contents_field::kFp64) {
      bytes.append(reader.Fixed(WireReader::kFixed64, sizeof(double)));
    } else if (field == contents_field::kBytes) {
      const std::string_view element = reader.Bytes();
      const auto length = static_cast<std::uint32_t>(element.size());
      char prefix[sizeof length];
      std::memcpy(prefix, &length, sizeof length);
      bytes.append(prefix, sizeof length);
      bytes.append(element);
    } else {
      reader.Varints([&](std::uint64_t value) {
        // What is narrower on the wire than 64 bits is cut there, as every reader of it does.
        if (field == contents_field::kInt) {
          value = static_cast<std::uint64_t>(
              std::int64_t{static_cast<std::int32_t>(static_cast<std::uint32_t>(value))});
        } else if (field == contents_field::kUint) {
          value = static_cast<std::uint32_t>(value);
        }
        fits = append(value, bytes) && fits;
      });
    }
  }
  if (!reader.ok())
    return NoMessage("the contents of input \"" + std::string(name.substr(0, 80)) + "\"");
  if (!fits) {
    return BadInput(name, "has an element that is no " + std::string(Name(type)));
  }
  if (!any) return std::optional<std::string>{};
  return std::optional<std::string>{std::move(bytes)};
}

/// An input before it has its elements.
struct ReadInput {
  std::string_view contents{};
  bool has_contents = false;
};

Result<void> ReadTensor(std::string_view message, Tensor& tensor, ReadInput& read,
                        Parameters& parameters) {
  WireReader reader(message);
  std::string_view datatype;
  std::string_view name;
  while (reader.Next()) {
    switch (reader.field()) {
      case tensor_field::kName:
        name = reader.Bytes();
        break;
      case tensor_field::kDatatype:
        datatype = reader.Bytes();
        break;
      case tensor_field::kShape:
        reader.Varints([&](std::uint64_t size) {
          if (tensor.shape.size() <= kMostDimensions) {
            tensor.shape.push_back(static_cast<std::int64_t>(size));
          }
        });
        break;
      case tensor_field::kParameters:
        if (auto done = ReadParameter(reader.Bytes(), parameters); !done) return done;
        break;
      case tensor_field::kContents:
        // A message that comes twice is one; elements of the first would get lost.
        if (read.has_contents) return BadInput(name, "has contents twice");
        read.contents = reader.Bytes();
        read.has_contents = true;
        break;
      default:
        break;
    }
  }
  if (!reader.ok()) return NoMessage("an input");
  if (tensor.shape.size() > kMostDimensions) {
    return BadInput(name, "has more than " + std::to_string(kMostDimensions) + " dimensions");
  }
  tensor.name = name;
  const auto type = ParseDataType(datatype);
  if (!type) return BadInput(name, "has " + type.error().message);
  tensor.type = *type;
  return {};
}

void GiveBytes(Tensor& tensor, std::string bytes) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  tensor.data = *owner;
  tensor.owner = std::move(owner);
}

Result<void> ReadOutput(std::string_view message, ReadInferRequest& out) {
  WireReader reader(message);
  std::string_view name;
  Parameters parameters;
  while (reader.Next()) {
    if (reader.field() == output_field::kName) name = reader.Bytes();
    if (reader.field() == output_field::kParameters) {
      if (auto done = ReadParameter(reader.Bytes(), parameters); !done) return done;
    }
  }
  if (!reader.ok()) return NoMessage("a requested output");
  if (out.request.outputs.size() >= kMostTensors) {
    return Bad("more than " + std::to_string(kMostTensors) + " requested outputs");
  }
  out.request.outputs.emplace_back(name);
  if (parameters.empty()) return {};
  if (const auto count = parameters.find("classification"); count != parameters.end()) {
    const auto* classes = std::get_if<std::int64_t>(&count->second);
    if (classes == nullptr || *classes != 0) {
      return Error{ErrorCode::kUnimplemented, "output \"" + std::string(name.substr(0, 80)) +
                                                  "\": this server does not rank classes; ask "
                                                  "without the parameter \"classification\""};
    }
  }
  auto place = SharedPlaceOf(parameters);
  if (!place) {
    return Prefixed("output \"" + std::string(name.substr(0, 80)) + "\": ", place.error());
  }
  if (*place) out.form.places.emplace_back(std::string(name), **std::move(place));
  return {};
}

}  // namespace

std::size_t FirstRawInput(std::string_view beginning) {
  WireReader reader(beginning);
  while (reader.Next()) {
    if (reader.field() != request_field::kRaw) continue;
    // Its end may lie beyond what is seen, so that it cannot be read as bytes here.
    const std::string_view rest = reader.Rest();
    std::size_t length = 0;
    while (length < rest.size() && (static_cast<std::uint8_t>(rest[length]) & 0x80U) != 0) ++length;
    return static_cast<std::size_t>(rest.data() - beginning.data()) + length + 1;
  }
  return 0;
}

Result<void> ParseInferRequest(std::string_view message, const SharedMemoryTable& regions,
                               ReadInferRequest& out) {
  InferRequest& request = out.request;
  thread_local std::vector<ReadInput> read;
  thread_local std::vector<std::string_view> raw;
  thread_local std::vector<std::optional<SharedPlace>> places;
  read.clear();
  raw.clear();
  places.clear();

  WireReader reader(message);
  while (reader.Next()) {
    switch (reader.field()) {
      case request_field::kModelName:
        request.model_name = reader.Bytes();
        break;
      case request_field::kModelVersion:
        request.model_version = reader.Bytes();
        break;
      case request_field::kId: {
        const std::string_view id = reader.Bytes();
        if (id.size() > kMostIdBytes) {
          return Bad("the request's id has " + std::to_string(id.size()) + " bytes, the limit is " +
                     std::to_string(kMostIdBytes));
        }
        // It goes back as it came.
        if (!IsUtf8(id)) return Bad("the request's id is not UTF-8");
        request.id = id;
        break;
      }
      case request_field::kParameters:
        if (auto done = ReadParameter(reader.Bytes(), request.parameters); !done) return done;
        break;
      case request_field::kInputs: {
        if (request.inputs.size() >= kMostTensors) {
          return Bad("more than " + std::to_string(kMostTensors) + " inputs");
        }
        Parameters parameters;
        Tensor& tensor = request.inputs.emplace_back();
        ReadInput& input = read.emplace_back();
        auto& place = places.emplace_back();
        if (auto done = ReadTensor(reader.Bytes(), tensor, input, parameters); !done) return done;
        if (!parameters.empty()) {
          auto found = SharedPlaceOf(parameters);
          if (!found)
            return Prefixed("input \"" + tensor.name.substr(0, 80) + "\": ", found.error());
          place = *std::move(found);
        }
        break;
      }
      case request_field::kOutputs:
        if (auto done = ReadOutput(reader.Bytes(), out); !done) return done;
        break;
      case request_field::kRaw:
        if (raw.size() >= kMostTensors) {
          return Bad("more than " + std::to_string(kMostTensors) + " raw inputs");
        }
        raw.push_back(reader.Bytes());
        break;
      default:
        break;
    }
  }
  if (!reader.ok()) return NoMessage("its end or one of its fields");
  if (auto applied = ApplyParameters(request); !applied) return applied;

  std::size_t next = 0;
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    Tensor& tensor = request.inputs[i];
    if (places[i]) {
      if (read[i].has_contents) {
        return BadInput(tensor.name, "has contents and lies in shared memory");
      }
      auto bytes = regions.Read(places[i]->region, places[i]->offset, places[i]->byte_size);
      if (!bytes) return Prefixed("input \"" + tensor.name.substr(0, 80) + "\": ", bytes.error());
      GiveBytes(tensor, *std::move(bytes));
      continue;
    }
    if (!raw.empty()) {
      if (read[i].has_contents) {
        return BadInput(tensor.name,
                        "has contents beside raw_input_contents: a request has one or the other");
      }
      if (next == raw.size()) {
        return Bad("raw_input_contents has " + std::to_string(raw.size()) +
                   " entries: none is left for input \"" + tensor.name.substr(0, 80) + "\"");
      }
      tensor.data = raw[next++];
      continue;
    }
    auto bytes = ReadContents(read[i].contents, tensor.name, tensor.type);
    if (!bytes) return bytes.error();
    if (*bytes) GiveBytes(tensor, **std::move(bytes));
    out.form.typed = true;
  }
  if (next < raw.size()) {
    return Bad("raw_input_contents has " + std::to_string(raw.size()) + " entries for " +
               std::to_string(next) + " inputs");
  }
  return {};
}

namespace {

void WriteParameters(std::uint32_t field, const Parameters& parameters, WireWriter& writer) {
  for (const auto& [name, parameter] : parameters) {
    std::string value;
    WireWriter choice(value);
    std::visit(
        [&](const auto& held) {
          using T = std::decay_t<decltype(held)>;
          if constexpr (std::is_same_v<T, bool>) {
            choice.Varint(parameter_field::kBool, held ? 1 : 0);
          } else if constexpr (std::is_same_v<T, std::int64_t>) {
            choice.Varint(parameter_field::kInt64, static_cast<std::uint64_t>(held));
          } else if constexpr (std::is_same_v<T, std::uint64_t>) {
            choice.Varint(parameter_field::kUint64, held);
          } else if constexpr (std::is_same_v<T, double>) {
            choice.Fixed64(parameter_field::kDouble, std::bit_cast<std::uint64_t>(held));
          } else {
            choice.Bytes(parameter_field::kText, held);
          }
        },
        parameter);
    std::string entry;
    WireWriter map(entry);
    map.Bytes(1, name);
    map.Bytes(2, value);
    writer.Bytes(field, entry);
  }
}

template <typename Element, typename F>
void ForEach(std::string_view data, F take) {
  for (std::size_t at = 0; at + sizeof(Element) <= data.size(); at += sizeof(Element)) {
    Element element;
    std::memcpy(&element, data.data() + at, sizeof element);
    take(element);
  }
}

template <typename Element>
void WriteVarints(std::uint32_t field, std::string_view data, WireWriter& writer) {
  std::string packed;
  WireWriter numbers(packed);
  ForEach<Element>(data, [&](Element element) {
    if constexpr (std::is_signed_v<Element>) {
      numbers.RawVarint(static_cast<std::uint64_t>(std::int64_t{element}));
    } else {
      numbers.RawVarint(element);
    }
  });
  writer.BytesUnlessEmpty(field, packed);
}

std::string Contents(const Tensor& tensor) {
  std::string contents;
  WireWriter writer(contents);
  const std::uint32_t field = ContentsOf(tensor.type);
  switch (tensor.type) {
    case DataType::kBool: {
      std::string truths(tensor.data);
      for (char& truth : truths) truth = truth != 0 ? 1 : 0;
      writer.BytesUnlessEmpty(field, truths);
      break;
    }
    case DataType::kInt8:
      WriteVarints<std::int8_t>(field, tensor.data, writer);
      break;
    case DataType::kInt16:
      WriteVarints<std::int16_t>(field, tensor.data, writer);
      break;
    case DataType::kInt32:
      WriteVarints<std::int32_t>(field, tensor.data, writer);
      break;
    case DataType::kInt64:
      WriteVarints<std::int64_t>(field, tensor.data, writer);
      break;
    case DataType::kUint8:
      WriteVarints<std::uint8_t>(field, tensor.data, writer);
      break;
    case DataType::kUint16:
      WriteVarints<std::uint16_t>(field, tensor.data, writer);
      break;
    case DataType::kUint32:
      WriteVarints<std::uint32_t>(field, tensor.data, writer);
      break;
    case DataType::kUint64:
      WriteVarints<std::uint64_t>(field, tensor.data, writer);
      break;
    case DataType::kFp32:
    case DataType::kFp64:
      writer.BytesUnlessEmpty(field, tensor.data);
      break;
    case DataType::kBytes: {
      std::string_view rest = tensor.data;
      std::uint32_t length = 0;
      while (rest.size() >= sizeof length) {
        std::memcpy(&length, rest.data(), sizeof length);
        rest.remove_prefix(sizeof length);
        const std::string_view element = rest.substr(0, length);
        writer.Bytes(field, element);
        rest.remove_prefix(element.size());
      }
      break;
    }
    case DataType::kFp16:
    case DataType::kBf16:
      break;  // Answers with these are raw.
  }
  return contents;
}

const SharedPlace* PlaceOf(const AnswerForm& form, const std::string& output) {
  for (const auto& [name, place] : form.places) {
    if (name == output) return &place;
  }
  return nullptr;
}

// Smaller tensors are copied into the message: cheaper than to keep them alive.
constexpr std::size_t kCopiedBytes = 16 * 1'024;

}  // namespace

Result<void> EncodeInferResponse(const InferResponse& response, const AnswerForm& form,
                                 const SharedMemoryTable& regions, EncodedAnswer& out) {
  out.text.clear();
  out.parts.clear();
  bool raw = !form.typed;
  for (const Tensor& tensor : response.outputs) {
    raw = raw || ContentsOf(tensor.type) == contents_field::kNone;
  }

  WireWriter writer(out.text);
  writer.BytesUnlessEmpty(response_field::kModelName, response.model_name);
  writer.BytesUnlessEmpty(response_field::kModelVersion, response.model_version);
  writer.BytesUnlessEmpty(response_field::kId, response.id);
  if (!response.parameters.empty()) {
    WriteParameters(response_field::kParameters, response.parameters, writer);
  }
  if (form.in_stream) {
    // One answer to one request: the first is the last.
    WriteParameters(response_field::kParameters, {{"triton_final_response", true}}, writer);
  }
  thread_local std::string tensor_text;
  thread_local std::string shape_text;
  for (const Tensor& tensor : response.outputs) {
    tensor_text.clear();
    WireWriter tensor_writer(tensor_text);
    tensor_writer.Bytes(tensor_field::kName, tensor.name);
    tensor_writer.Bytes(tensor_field::kDatatype, Name(tensor.type));
    shape_text.clear();
    WireWriter shape_writer(shape_text);
    for (const std::int64_t size : tensor.shape) {
      shape_writer.RawVarint(static_cast<std::uint64_t>(size));
    }
    tensor_writer.BytesUnlessEmpty(tensor_field::kShape, shape_text);
    if (const SharedPlace* const place = PlaceOf(form, tensor.name)) {
      auto written = regions.Write(place->region, place->offset, place->byte_size, tensor.data);
      if (!written) {
        return Prefixed("output \"" + tensor.name.substr(0, 80) + "\": ", written.error());
      }
      Parameters parameters{
          {"shared_memory_region", place->region},
          {"shared_memory_byte_size", static_cast<std::int64_t>(tensor.data.size())}};
      if (place->offset > 0) {
        parameters.emplace("shared_memory_offset", static_cast<std::int64_t>(place->offset));
      }
      WriteParameters(tensor_field::kParameters, parameters, tensor_writer);
    } else if (!raw) {
      tensor_writer.Bytes(tensor_field::kContents, Contents(tensor));
    }
    writer.Bytes(response_field::kOutputs, tensor_text);
  }

  // The raw tensors are parts of their own, each with its length in the text before it.
  std::size_t begun = 0;
  std::size_t total = 0;
  const auto end_text = [&] {
    if (out.text.size() > begun)
      out.parts.push_back({.at = begun, .size = out.text.size() - begun});
    begun = out.text.size();
  };
  if (raw) {
    for (const Tensor& tensor : response.outputs) {
      const bool shared = PlaceOf(form, tensor.name) != nullptr;
      const std::string_view data = shared ? std::string_view() : tensor.data;
      writer.Tag(response_field::kRaw, WireReader::kBytes);
      writer.RawVarint(data.size());
      if (data.size() <= kCopiedBytes || tensor.owner == nullptr) {
        out.text.append(data);
        continue;
      }
      end_text();
      out.parts.push_back({.size = data.size(), .data = data, .owner = tensor.owner});
      total += data.size();
    }
  }
  end_text();
  total += out.text.size();
  if (form.in_stream) {
    const std::size_t at = out.text.size();
    writer.Tag(stream_field::kResponse, WireReader::kBytes);
    writer.RawVarint(total);
    out.parts.insert(out.parts.begin(), {.at = at, .size = out.text.size() - at});
  }
  return {};
}

std::string EncodeStreamError(const std::string& id, const std::string& message) {
  std::string text;
  WireWriter writer(text);
  // It may repeat names that came as bytes.
  std::string shown = message;
  if (!IsUtf8(shown)) {
    std::replace_if(
        shown.begin(), shown.end(),
        [](char c) { return (static_cast<unsigned char>(c) & 0x80U) != 0; }, '?');
  }
  writer.Bytes(stream_field::kError, shown);
  std::string response;
  WireWriter(response).BytesUnlessEmpty(response_field::kId, id);
  writer.Bytes(stream_field::kResponse, response);
  return text;
}

}  // namespace tidewheel::inference
