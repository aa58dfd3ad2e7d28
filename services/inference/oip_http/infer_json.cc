#include "tidewheel/inference/oip_http/infer_json.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "tidewheel/inference/core/request_check.h"
#include "tidewheel/inference/oip_http/json_text.h"

namespace tidewheel::inference {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::size_t kMostRank = 32;
constexpr std::size_t kMostParameters = 256;
constexpr std::size_t kMostTensors = 1'024;

Error Invalid(std::string what) { return {ErrorCode::kInvalidArgument, std::move(what)}; }
Error NotJson(simdjson::error_code problem) {
  return Invalid(std::string("the request is not JSON of the protocol: ") +
                 simdjson::error_message(problem));
}
std::string Quoted(std::string_view name) { return "\"" + std::string(name.substr(0, 80)) + "\""; }

/// A parser with its buffers, kept by the thread unless the text is large.
class Parser {
 public:
  explicit Parser(std::size_t bytes) {
    constexpr std::size_t kMostKept = std::size_t{1} << 20;
    if (bytes > kMostKept || kept_.busy) {
      own_ = std::make_unique<ondemand::parser>();
    } else {
      kept_.busy = true;
    }
  }
  ~Parser() {
    if (!own_) kept_.busy = false;
  }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  simdjson::error_code Begin(std::string_view json, ondemand::document* document) {
    const simdjson::padded_string_view padded(json.data(), json.size(),
                                              json.size() + net::AlignedBytes::kPadding);
    return (own_ ? *own_ : kept_.parser).iterate(padded).get(*document);
  }

 private:
  struct Kept {
    ondemand::parser parser;
    bool busy = false;
  };
  static thread_local Kept kept_;
  std::unique_ptr<ondemand::parser> own_;
};
thread_local Parser::Kept Parser::kept_;
static_assert(net::AlignedBytes::kPadding >= simdjson::SIMDJSON_PADDING);

template <typename Visit>  // Result<void>(std::string_view key, ondemand::value value)
Result<void> EachField(ondemand::object object, Visit visit) {
  for (auto found : object) {
    ondemand::field field;
    if (const auto problem = std::move(found).get(field)) return NotJson(problem);
    std::string_view key;
    if (const auto problem = field.unescaped_key().get(key)) return NotJson(problem);
    if (auto visited = visit(key, field.value()); !visited) return visited;
  }
  return {};
}

template <typename Visit>
Result<void> EachField(ondemand::value value, const char* what, Visit visit) {
  ondemand::object object;
  if (value.get_object().get(object)) return Invalid(std::string(what) + " must be an object");
  return EachField(object, visit);
}

template <typename Visit>  // Result<void>(ondemand::value element)
Result<void> EachElement(ondemand::value value, const char* what, Visit visit) {
  ondemand::array array;
  if (value.get_array().get(array)) return Invalid(std::string(what) + " must be an array");
  for (auto found : array) {
    ondemand::value element;
    if (const auto problem = std::move(found).get(element)) return NotJson(problem);
    if (auto visited = visit(element); !visited) return visited;
  }
  return {};
}

Result<std::string> Text(ondemand::value value, const char* what) {
  std::string_view text;
  if (value.get_string().get(text)) return Invalid(std::string(what) + " must be a string");
  return std::string(text);
}

Result<Parameter> ReadParameter(std::string_view key, ondemand::value value) {
  const Error wrong =
      Invalid("parameter " + Quoted(key) + " must be a string, a number, true or false");
  ondemand::json_type type;
  if (value.type().get(type)) return wrong;
  switch (type) {
    case ondemand::json_type::string: {
      std::string_view text;
      if (value.get_string().get(text)) return wrong;
      return Parameter(std::string(text));
    }
    case ondemand::json_type::boolean: {
      bool truth = false;
      if (value.get_bool().get(truth)) return wrong;
      return Parameter(truth);
    }
    case ondemand::json_type::number: {
      ondemand::number number;
      if (value.get_number().get(number)) return wrong;
      if (number.is_int64()) return Parameter(number.get_int64());
      if (number.is_uint64()) return Parameter(number.get_uint64());
      return Parameter(number.get_double());
    }
    default:
      return wrong;
  }
}

Result<void> ReadParameters(ondemand::value value, Parameters* parameters) {
  return EachField(value, "parameters", [&](std::string_view key, ondemand::value its) {
    auto parameter = ReadParameter(key, its);
    if (!parameter) return Result<void>(parameter.error());
    if (parameters->size() == kMostParameters) {
      return Result<void>(Invalid("more than " + std::to_string(kMostParameters) + " parameters"));
    }
    if (!parameters->emplace(std::string(key), *std::move(parameter)).second) {
      return Result<void>(Invalid("parameter " + Quoted(key) + " is given twice"));
    }
    return Result<void>();
  });
}

/// Takes a parameter out. kInvalidArgument: it is not a whole number from 0.
Result<std::optional<std::uint64_t>> TakeCount(Parameters& parameters, const char* name) {
  const auto found = parameters.find(name);
  if (found == parameters.end()) return std::optional<std::uint64_t>();
  std::optional<std::uint64_t> count;
  if (const auto* number = std::get_if<std::int64_t>(&found->second); number && *number >= 0) {
    count = static_cast<std::uint64_t>(*number);
  } else if (const auto* large = std::get_if<std::uint64_t>(&found->second)) {
    count = *large;
  }
  if (!count) {
    return Invalid("parameter " + Quoted(name) + " must be a whole number, not negative");
  }
  parameters.erase(found);
  return count;
}

Result<std::optional<bool>> TakeTruth(Parameters& parameters, const char* name) {
  const auto found = parameters.find(name);
  if (found == parameters.end()) return std::optional<bool>();
  const auto* truth = std::get_if<bool>(&found->second);
  if (truth == nullptr) return Invalid("parameter " + Quoted(name) + " must be true or false");
  const bool value = *truth;
  parameters.erase(found);
  return std::optional<bool>(value);
}

// ---- Numbers -----------------------------------------------------------------------------------

// What is wrong with an element; null: nothing.
using Problem = const char*;

/// "NaN" and the infinities have no numbers in JSON.
bool NotFinite(ondemand::value& value, double* number) {
  std::string_view text;
  if (value.get_string().get(text)) return false;
  if (text == "NaN") {
    *number = std::numeric_limits<double>::quiet_NaN();
  } else if (text == "Infinity") {
    *number = std::numeric_limits<double>::infinity();
  } else if (text == "-Infinity") {
    *number = -std::numeric_limits<double>::infinity();
  } else {
    return false;
  }
  return true;
}

Problem ReadDouble(ondemand::value& value, ondemand::json_type type, double* number) {
  constexpr Problem kWrong = "must be a number, or \"NaN\", \"Infinity\" or \"-Infinity\"";
  if (type == ondemand::json_type::string) return NotFinite(value, number) ? nullptr : kWrong;
  if (type != ondemand::json_type::number || value.get_double().get(*number)) return kWrong;
  return nullptr;
}

// Rounding to a double first can go wrong only where that lies in the very middle of two floats, or
// below the normal ones.
bool MayRoundTwice(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  constexpr std::uint64_t kLow = (std::uint64_t{1} << 29) - 1;
  return (bits & kLow) == std::uint64_t{1} << 28 ||
         (value != 0 && std::fabs(value) < static_cast<double>(std::numeric_limits<float>::min()));
}

struct Fp32Reader {
  static constexpr std::size_t kBytes = 4;
  Problem operator()(ondemand::value& value, ondemand::json_type type, char* to) const {
    double number = 0;
    if (const Problem problem = ReadDouble(value, type, &number)) return problem;
    float single = static_cast<float>(number);
    if (MayRoundTwice(number)) {
      std::string_view token = value.raw_json_token();
      // Behind the number may be blanks.
      token = token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
      float exact = 0;
      const auto read = std::from_chars(token.data(), token.data() + token.size(), exact);
      if (read.ec == std::errc()) single = exact;
    }
    if (std::isinf(single) && !std::isinf(number)) return "is beyond FP32";
    std::memcpy(to, &single, sizeof single);
    return nullptr;
  }
};

struct Fp64Reader {
  static constexpr std::size_t kBytes = 8;
  Problem operator()(ondemand::value& value, ondemand::json_type type, char* to) const {
    double number = 0;
    if (const Problem problem = ReadDouble(value, type, &number)) return problem;
    std::memcpy(to, &number, sizeof number);
    return nullptr;
  }
};

template <DataType kType>
struct NarrowReader {
  static constexpr std::size_t kBytes = 2;
  Problem operator()(ondemand::value& value, ondemand::json_type type, char* to) const {
    double number = 0;
    if (const Problem problem = ReadDouble(value, type, &number)) return problem;
    const auto bits = NarrowNumber(number, kType);
    if (!bits) return "is beyond its datatype";
    std::memcpy(to, &*bits, sizeof *bits);
    return nullptr;
  }
};

template <typename T>
struct WholeReader {
  static constexpr std::size_t kBytes = sizeof(T);
  Problem operator()(ondemand::value& value, ondemand::json_type type, char* to) const {
    constexpr Problem kWrong = "must be a whole number within its datatype";
    if (type != ondemand::json_type::number) return kWrong;
    T whole = 0;
    if constexpr (std::is_signed_v<T>) {
      std::int64_t number = 0;
      if (value.get_int64().get(number)) return kWrong;
      if (number < std::numeric_limits<T>::min() || number > std::numeric_limits<T>::max()) {
        return kWrong;
      }
      whole = static_cast<T>(number);
    } else {
      std::uint64_t number = 0;
      if (value.get_uint64().get(number)) return kWrong;
      if (number > std::numeric_limits<T>::max()) return kWrong;
      whole = static_cast<T>(number);
    }
    std::memcpy(to, &whole, sizeof whole);
    return nullptr;
  }
};

struct BoolReader {
  static constexpr std::size_t kBytes = 1;
  Problem operator()(ondemand::value& value, ondemand::json_type type, char* to) const {
    constexpr Problem kWrong = "must be true or false";
    if (type == ondemand::json_type::boolean) {
      bool truth = false;
      if (value.get_bool().get(truth)) return kWrong;
      *to = truth ? 1 : 0;
      return nullptr;
    }
    // Some clients write 0 and 1.
    std::uint64_t number = 0;
    if (type != ondemand::json_type::number || value.get_uint64().get(number) || number > 1) {
      return kWrong;
    }
    *to = static_cast<char>(number);
    return nullptr;
  }
};

/// Reads `data` of one tensor into bytes.
class DataReader {
 public:
  DataReader(const std::string& name, DataType type, const std::vector<std::int64_t>& shape,
             std::size_t elements, std::size_t json_bytes)
      : name_(name), type_(type), shape_(shape), elements_(elements), json_bytes_(json_bytes) {}

  Result<std::string> Read(ondemand::array array) {
    Result<void> read;
    switch (type_) {
      case DataType::kBool:
        read = Numbers(array, BoolReader());
        break;
      case DataType::kUint8:
        read = Numbers(array, WholeReader<std::uint8_t>());
        break;
      case DataType::kUint16:
        read = Numbers(array, WholeReader<std::uint16_t>());
        break;
      case DataType::kUint32:
        read = Numbers(array, WholeReader<std::uint32_t>());
        break;
      case DataType::kUint64:
        read = Numbers(array, WholeReader<std::uint64_t>());
        break;
      case DataType::kInt8:
        read = Numbers(array, WholeReader<std::int8_t>());
        break;
      case DataType::kInt16:
        read = Numbers(array, WholeReader<std::int16_t>());
        break;
      case DataType::kInt32:
        read = Numbers(array, WholeReader<std::int32_t>());
        break;
      case DataType::kInt64:
        read = Numbers(array, WholeReader<std::int64_t>());
        break;
      case DataType::kFp16:
        read = Numbers(array, NarrowReader<DataType::kFp16>());
        break;
      case DataType::kBf16:
        read = Numbers(array, NarrowReader<DataType::kBf16>());
        break;
      case DataType::kFp32:
        read = Numbers(array, Fp32Reader());
        break;
      case DataType::kFp64:
        read = Numbers(array, Fp64Reader());
        break;
      case DataType::kBytes:
        read = Walk(array, 0, [this](ondemand::value& value, ondemand::json_type) -> Problem {
          std::string_view text;
          if (value.get_string().get(text)) return "must be a string";
          const auto length = static_cast<std::uint32_t>(text.size());
          bytes_.append(reinterpret_cast<const char*>(&length), sizeof length);
          bytes_.append(text);
          return nullptr;
        });
        break;
    }
    if (!read) return read.error();
    if (count_ != elements_) {
      return Refusal("has " + std::to_string(count_) + " elements in \"data\", " +
                     TypeAndShape(type_, shape_) + " asks for " + std::to_string(elements_));
    }
    return std::move(bytes_);
  }

 private:
  Error Refusal(const std::string& what) const {
    return Invalid("input " + Quoted(name_) + " " + what);
  }

  template <typename Reader>
  Result<void> Numbers(ondemand::array array, const Reader& reader) {
    // Each element takes two characters at least: no more room than the text can fill.
    bytes_.resize(std::min(elements_, json_bytes_ / 2 + 1) * Reader::kBytes);
    auto read = Walk(array, 0, [&](ondemand::value& value, ondemand::json_type type) -> Problem {
      const std::size_t at = count_ * Reader::kBytes;
      if (at + Reader::kBytes > bytes_.size()) return "is one too many";
      return reader(value, type, bytes_.data() + at);
    });
    if (read) bytes_.resize(count_ * Reader::kBytes);
    return read;
  }

  template <typename Put>
  Result<void> Walk(ondemand::array array, std::size_t depth, const Put& put) {
    std::size_t here = 0;
    bool nested = false;
    for (auto found : array) {
      ondemand::value value;
      if (const auto problem = std::move(found).get(value)) return NotJson(problem);
      ondemand::json_type type;
      if (const auto problem = value.type().get(type)) return NotJson(problem);
      const bool is_array = type == ondemand::json_type::array;
      if (here == 0) nested = is_array;
      if (nested != is_array) return Refusal("mixes numbers and arrays in \"data\"");
      ++here;
      if (nested) {
        if (depth + 1 >= shape_.size() || here > static_cast<std::size_t>(shape_[depth])) {
          return Misnested();
        }
        ondemand::array inner;
        if (const auto problem = value.get_array().get(inner)) return NotJson(problem);
        if (auto walked = Walk(inner, depth + 1, put); !walked) return walked;
      } else {
        if (count_ == elements_) {
          return Refusal("has more than the " + std::to_string(elements_) +
                         " elements in \"data\" that " + TypeAndShape(type_, shape_) + " asks for");
        }
        if (const Problem problem = put(value, type)) {
          return Refusal("of type " + std::string(Name(type_)) + ": element " +
                         std::to_string(count_) + " " + problem);
        }
        ++count_;
      }
    }
    // A flat list is counted as a whole.
    if (depth == 0 && !nested) return {};
    const bool deep_enough = nested || depth + 1 == shape_.size() || here == 0;
    if (!deep_enough || here != static_cast<std::size_t>(shape_[depth])) return Misnested();
    return {};
  }

  Error Misnested() const {
    return Refusal("has arrays in \"data\" that are not nested as " + TypeAndShape(type_, shape_) +
                   "; they may also be flat");
  }

  const std::string& name_;
  const DataType type_;
  const std::vector<std::int64_t>& shape_;
  const std::size_t elements_;
  const std::size_t json_bytes_;
  std::string bytes_;
  std::size_t count_ = 0;
};

// ---- Requests ----------------------------------------------------------------------------------

/// Reads one request; the members are what the text has said so far.
class CallReader {
 public:
  CallReader(std::string_view body, std::size_t json_length, const SharedMemoryTable& regions,
             std::shared_ptr<const void> owner)
      : json_(body.substr(0, json_length)),
        binary_(body.substr(json_length)),
        regions_(regions),
        owner_(std::move(owner)) {}

  Result<InferCall> Read() {
    Parser parser(json_.size());
    ondemand::document document;
    if (const auto problem = parser.Begin(json_, &document)) return NotJson(problem);
    ondemand::object object;
    if (document.get_object().get(object)) return Invalid("the request must be a JSON object");
    bool has_inputs = false;
    auto read = EachField(object, [&](std::string_view key, ondemand::value value) {
      if (key == "inputs") {
        if (std::exchange(has_inputs, true)) {
          return Result<void>(Invalid("\"inputs\" is given twice"));
        }
        return EachElement(value, "inputs", [&](ondemand::value its) { return Input(its); });
      }
      if (key == "outputs") {
        return EachElement(value, "outputs", [&](ondemand::value its) { return Output(its); });
      }
      if (key == "parameters") return ReadParameters(value, &call_.request.parameters);
      if (key == "id") {
        auto id = Text(value, "id");
        if (!id) return Result<void>(id.error());
        call_.request.id = *std::move(id);
      }
      return Result<void>();
    });
    if (!read) return read.error();
    if (!document.current_location().error())
      return Invalid("the request has something after its JSON object");
    if (!has_inputs) return Invalid("the request has no \"inputs\"");
    if (binary_used_ != binary_.size()) {
      return Invalid("the request has " + std::to_string(binary_.size()) +
                     " bytes behind its JSON, its inputs take " + std::to_string(binary_used_));
    }
    if (auto taken = TakeRequestParameters(); !taken) return taken.error();
    call_.request.owner = owner_;
    return std::move(call_);
  }

 private:
  Result<void> Input(ondemand::value value) {
    if (call_.request.inputs.size() == kMostTensors) {
      return Invalid("more than " + std::to_string(kMostTensors) + " inputs");
    }
    Tensor tensor;
    Parameters parameters;
    bool has_name = false;
    bool has_type = false;
    bool has_shape = false;
    bool has_data = false;
    std::string_view later;  // Data that came before its type and shape.
    std::optional<std::string> bytes;
    auto read = EachField(
        value, "an input", [&](std::string_view key, ondemand::value its) -> Result<void> {
          if (key == "name") {
            auto name = Text(its, "an input's name");
            if (!name) return name.error();
            tensor.name = *std::move(name);
            has_name = true;
          } else if (key == "datatype") {
            const auto name = Text(its, "an input's datatype");
            if (!name) return name.error();
            const auto type = ParseDataType(*name);
            if (!type) return Prefixed("input " + Quoted(tensor.name) + ": ", type.error());
            tensor.type = *type;
            has_type = true;
          } else if (key == "shape") {
            tensor.shape.clear();
            has_shape = true;
            return EachElement(its, "an input's shape", [&](ondemand::value size) -> Result<void> {
              std::int64_t number = 0;
              if (size.get_int64().get(number) || number < 0 || tensor.shape.size() == kMostRank) {
                return Invalid("input " + Quoted(tensor.name) + ": a shape is at most " +
                               std::to_string(kMostRank) + " whole numbers, none negative");
              }
              tensor.shape.push_back(number);
              return {};
            });
          } else if (key == "parameters") {
            return ReadParameters(its, &parameters);
          } else if (key == "data") {
            if (std::exchange(has_data, true)) {
              return Invalid("input " + Quoted(tensor.name) + ": \"data\" is given twice");
            }
            ondemand::array array;
            if (its.get_array().get(array)) {
              return Invalid("input " + Quoted(tensor.name) + ": \"data\" must be an array");
            }
            if (has_type && has_shape) return Data(array, tensor, &bytes);
            if (const auto problem = array.raw_json().get(later)) return NotJson(problem);
          }
          return {};
        });
    if (!read) return read;
    if (!has_name || !has_type || !has_shape) {
      return Invalid("input " + Quoted(tensor.name) + " must have name, shape and datatype");
    }
    if (has_data && !bytes) {
      Parser parser(later.size());
      ondemand::document document;
      if (const auto problem = parser.Begin(later, &document)) return NotJson(problem);
      ondemand::array array;
      if (const auto problem = document.get_array().get(array)) return NotJson(problem);
      if (auto given = Data(array, tensor, &bytes); !given) return given;
    }
    if (auto found = Bytes(std::move(parameters), std::move(bytes), &tensor); !found) return found;
    call_.request.inputs.push_back(std::move(tensor));
    return {};
  }

  Result<void> Data(ondemand::array array, const Tensor& tensor,
                    std::optional<std::string>* bytes) const {
    const auto elements = ElementCount(tensor.shape);
    if (!elements) return Prefixed("input " + Quoted(tensor.name) + ": ", elements.error());
    auto read =
        DataReader(tensor.name, tensor.type, tensor.shape, *elements, json_.size()).Read(array);
    if (!read) return read.error();
    *bytes = *std::move(read);
    return {};
  }

  // From wherever they come: the JSON, behind it, or shared memory.
  Result<void> Bytes(Parameters parameters, std::optional<std::string> bytes, Tensor* tensor) {
    const std::string words = "input " + Quoted(tensor->name) + ": ";
    const auto binary_size = TakeCount(parameters, "binary_data_size");
    if (!binary_size) return Prefixed(words, binary_size.error());
    const auto place = SharedPlaceOf(parameters);
    if (!place) return Prefixed(words, place.error());
    const int ways = (bytes ? 1 : 0) + (*binary_size ? 1 : 0) + (*place ? 1 : 0);
    if (ways != 1) {
      return Invalid(words + "needs one of \"data\", \"binary_data_size\" and shared memory" +
                     (ways == 0 ? "" : ", not several"));
    }
    if (*place) {
      auto read = regions_.Read((*place)->region, (*place)->offset, (*place)->byte_size);
      if (!read) return Prefixed(words, read.error());
      bytes = *std::move(read);
    }
    if (*binary_size) {
      const std::uint64_t size = **binary_size;
      if (size > binary_.size() - binary_used_) {
        return Invalid(
            words + "says " + std::to_string(size) + " bytes of binary data, " +
            std::to_string(binary_.size() - binary_used_) + " are left behind the JSON" +
            (binary_.empty() ? ", whose end Inference-Header-Content-Length tells" : ""));
      }
      const std::string_view view = binary_.substr(binary_used_, size);
      binary_used_ += size;
      // Executors may read whole elements.
      const std::size_t element = std::max<std::size_t>(ElementSize(tensor->type), 1);
      if (reinterpret_cast<std::uintptr_t>(view.data()) % element == 0) {
        tensor->data = view;
        return {};
      }
      bytes = std::string(view);
    }
    auto owned = std::make_shared<const std::string>(*std::move(bytes));
    tensor->data = *owned;
    tensor->owner = std::move(owned);
    return {};
  }

  Result<void> Output(ondemand::value value) {
    if (call_.form.outputs.size() == kMostTensors) {
      return Invalid("more than " + std::to_string(kMostTensors) + " outputs");
    }
    OutputForm form;
    Parameters parameters;
    auto read = EachField(value, "an output",
                          [&](std::string_view key, ondemand::value its) -> Result<void> {
                            if (key == "parameters") return ReadParameters(its, &parameters);
                            if (key != "name") return {};
                            auto name = Text(its, "an output's name");
                            if (!name) return name.error();
                            form.name = *std::move(name);
                            return {};
                          });
    if (!read) return read;
    const std::string words = "output " + Quoted(form.name) + ": ";
    if (form.name.empty()) return Invalid("an output must have a name");
    const auto binary = TakeTruth(parameters, "binary_data");
    if (!binary) return Prefixed(words, binary.error());
    form.binary = *binary;
    auto place = SharedPlaceOf(parameters);
    if (!place) return Prefixed(words, place.error());
    form.place = *std::move(place);
    const auto classes = TakeCount(parameters, "classification");
    if (!classes) return Prefixed(words, classes.error());
    if (classes->value_or(0) > 0) {
      return Error{ErrorCode::kUnimplemented, words + "\"classification\" is not offered here"};
    }
    call_.request.outputs.push_back(form.name);
    call_.form.outputs.push_back(std::move(form));
    return {};
  }

  Result<void> TakeRequestParameters() {
    Parameters& parameters = call_.request.parameters;
    const auto binary = TakeTruth(parameters, "binary_data_output");
    if (!binary) return binary.error();
    call_.form.binary = binary->value_or(false);
    return ApplyParameters(call_.request);
  }

  const std::string_view json_;
  const std::string_view binary_;
  const SharedMemoryTable& regions_;
  const std::shared_ptr<const void> owner_;
  std::size_t binary_used_ = 0;
  InferCall call_;
};

// ---- Answers -----------------------------------------------------------------------------------

/// Appends numbers through a buffer, so that the text grows in large steps.
class NumberWriter {
 public:
  explicit NumberWriter(std::string* json) : json_(json) {}
  ~NumberWriter() { Flush(); }
  NumberWriter(const NumberWriter&) = delete;
  NumberWriter& operator=(const NumberWriter&) = delete;

  template <typename T>
  void Put(T value) {
    Separate();
    if constexpr (std::is_floating_point_v<T>) {
      if (!std::isfinite(value)) {
        Word(std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
      }
    }
    at_ = std::to_chars(at_, buffer_ + sizeof buffer_, value).ptr;
  }
  void Put(bool value) {
    Separate();
    Word(value ? "true" : "false");
  }

 private:
  void Separate() {
    if (at_ - buffer_ > static_cast<std::ptrdiff_t>(sizeof buffer_ - 64)) Flush();
    if (std::exchange(begun_, true)) *at_++ = ',';
  }
  void Word(std::string_view word) {
    std::memcpy(at_, word.data(), word.size());
    at_ += word.size();
  }
  void Flush() {
    json_->append(buffer_, at_);
    at_ = buffer_;
  }

  std::string* json_;
  bool begun_ = false;
  char buffer_[4'096];
  char* at_ = buffer_;
};

template <typename T>
void PutNumbers(std::string_view bytes, std::string* json) {
  NumberWriter writer(json);
  for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    if constexpr (std::is_same_v<T, std::uint8_t>) {
      writer.Put(static_cast<unsigned>(value));
    } else if constexpr (std::is_same_v<T, std::int8_t>) {
      writer.Put(static_cast<int>(value));
    } else {
      writer.Put(value);
    }
  }
}

void PutNarrow(std::string_view bytes, DataType type, std::string* json) {
  NumberWriter writer(json);
  for (std::size_t at = 0; at + 2 <= bytes.size(); at += 2) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, bytes.data() + at, sizeof bits);
    writer.Put(static_cast<float>(WidenNumber(bits, type)));
  }
}

Result<void> PutStrings(const Tensor& tensor, std::string* json) {
  std::string_view rest = tensor.data;
  bool begun = false;
  while (rest.size() >= sizeof(std::uint32_t)) {
    std::uint32_t length = 0;
    std::memcpy(&length, rest.data(), sizeof length);
    rest.remove_prefix(sizeof length);
    const std::string_view text = rest.substr(0, length);
    rest.remove_prefix(text.size());
    if (!simdjson::validate_utf8(text.data(), text.size())) {
      return Invalid("output " + Quoted(tensor.name) +
                     " has bytes that are no UTF-8: ask for it with \"binary_data\"");
    }
    if (std::exchange(begun, true)) *json += ',';
    AppendQuoted(text, json);
  }
  return {};
}

Result<void> PutData(const Tensor& tensor, std::string* json) {
  switch (tensor.type) {
    case DataType::kBool: {
      NumberWriter writer(json);
      for (const char byte : tensor.data) writer.Put(byte != 0);
      return {};
    }
    case DataType::kUint8:
      PutNumbers<std::uint8_t>(tensor.data, json);
      return {};
    case DataType::kUint16:
      PutNumbers<std::uint16_t>(tensor.data, json);
      return {};
    case DataType::kUint32:
      PutNumbers<std::uint32_t>(tensor.data, json);
      return {};
    case DataType::kUint64:
      PutNumbers<std::uint64_t>(tensor.data, json);
      return {};
    case DataType::kInt8:
      PutNumbers<std::int8_t>(tensor.data, json);
      return {};
    case DataType::kInt16:
      PutNumbers<std::int16_t>(tensor.data, json);
      return {};
    case DataType::kInt32:
      PutNumbers<std::int32_t>(tensor.data, json);
      return {};
    case DataType::kInt64:
      PutNumbers<std::int64_t>(tensor.data, json);
      return {};
    case DataType::kFp16:
    case DataType::kBf16:
      PutNarrow(tensor.data, tensor.type, json);
      return {};
    case DataType::kFp32:
      PutNumbers<float>(tensor.data, json);
      return {};
    case DataType::kFp64:
      PutNumbers<double>(tensor.data, json);
      return {};
    case DataType::kBytes:
      return PutStrings(tensor, json);
  }
  return {};
}

void PutParameter(const Parameter& parameter, std::string* json) {
  if (const auto* truth = std::get_if<bool>(&parameter)) {
    *json += *truth ? "true" : "false";
  } else if (const auto* whole = std::get_if<std::int64_t>(&parameter)) {
    AppendNumber(*whole, json);
  } else if (const auto* large = std::get_if<std::uint64_t>(&parameter)) {
    AppendNumber(*large, json);
  } else if (const auto* number = std::get_if<double>(&parameter)) {
    NumberWriter(json).Put(*number);
  } else {
    AppendQuoted(std::get<std::string>(parameter), json);
  }
}

const OutputForm* FormOf(const AnswerForm& form, const std::string& name) {
  for (const OutputForm& output : form.outputs) {
    if (output.name == name) return &output;
  }
  return nullptr;
}

bool IsBinary(const AnswerForm& form, const OutputForm* output) {
  return output == nullptr ? form.binary : output->binary.value_or(form.binary);
}

}  // namespace

std::optional<std::uint16_t> NarrowNumber(double value, DataType type) {
  const bool half = type == DataType::kFp16;
  const int mantissa = half ? 10 : 7;
  const int lowest = half ? -14 : -126;  // Exponent of the smallest normal number.
  const int bias = 1 - lowest;
  const auto infinity = static_cast<std::uint16_t>(half ? 0x7c00 : 0x7f80);
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
  if (std::isnan(value)) return static_cast<std::uint16_t>(infinity | (1 << (mantissa - 1)));
  if (std::isinf(value)) return static_cast<std::uint16_t>(sign | infinity);
  const double magnitude = std::fabs(value);
  long bits = 0;
  if (magnitude < std::ldexp(1.0, lowest)) {
    bits = std::lrint(std::ldexp(magnitude, mantissa - lowest));
  } else {
    const int exponent = std::ilogb(magnitude);
    // A mantissa that is rounded up to the next power of two carries into the exponent.
    bits = std::lrint(std::ldexp(magnitude, mantissa - exponent)) - (1L << mantissa) +
           (static_cast<long>(exponent + bias) << mantissa);
  }
  if (bits >= infinity) return std::nullopt;
  return static_cast<std::uint16_t>(sign | bits);
}

double WidenNumber(std::uint16_t bits, DataType type) {
  const bool half = type == DataType::kFp16;
  const int mantissa = half ? 10 : 7;
  const int lowest = half ? -14 : -126;
  const int largest = half ? 31 : 255;
  const int fraction = bits & ((1 << mantissa) - 1);
  const int exponent = (bits & 0x7fff) >> mantissa;
  double magnitude = 0;
  if (exponent == largest) {
    magnitude = fraction == 0 ? std::numeric_limits<double>::infinity()
                              : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(fraction, lowest - mantissa);
  } else {
    magnitude = std::ldexp(fraction + (1 << mantissa), exponent - 1 + lowest - mantissa);
  }
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

Result<InferCall> ReadInferCall(std::string_view body, std::optional<std::size_t> json_length,
                                const SharedMemoryTable& regions,
                                std::shared_ptr<const void> owner) {
  if (json_length.value_or(0) > body.size()) {
    return Invalid("Inference-Header-Content-Length is " + std::to_string(*json_length) +
                   ", the body has " + std::to_string(body.size()) + " bytes");
  }
  if (body.empty()) return Invalid("the request is empty");
  return CallReader(body, json_length.value_or(body.size()), regions, std::move(owner)).Read();
}

Result<InferCall> ReadRawCall(std::string_view body, const ModelSpec& spec,
                              std::shared_ptr<const void> owner) {
  const std::string words = "model " + Quoted(spec.name) + ": ";
  if (spec.inputs.size() != 1) {
    return Invalid(words + "a body without JSON is for models of one input, this one has " +
                   std::to_string(spec.inputs.size()));
  }
  const TensorSpec& input = spec.inputs.front();
  InferCall call;
  call.form.binary = true;
  call.request.owner = owner;
  Tensor tensor;
  tensor.name = input.name;
  tensor.type = input.type;
  tensor.shape = input.shape;
  if (spec.max_batch_size > 0 && !tensor.shape.empty()) tensor.shape.front() = 1;
  const auto open = std::count(tensor.shape.begin(), tensor.shape.end(), -1);
  if (open > 1) {
    return Invalid(words + "a body without JSON leaves no more than one size of " +
                   TypeAndShape(input.type, input.shape) + " open");
  }
  const std::size_t element = ElementSize(input.type);
  if (open == 1) {
    std::size_t others = 1;
    for (const std::int64_t size : tensor.shape) {
      if (size > 0) others *= static_cast<std::size_t>(size);
    }
    const std::size_t size =
        element == 0 ? 1 : body.size() / std::max<std::size_t>(others * element, 1);
    std::replace(tensor.shape.begin(), tensor.shape.end(), std::int64_t{-1},
                 static_cast<std::int64_t>(size));
  }
  if (element == 0) {
    std::string bytes;
    const auto length = static_cast<std::uint32_t>(body.size());
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
    bytes.append(body);
    call.request.inputs.push_back(
        Tensor::Of(tensor.name, tensor.type, tensor.shape, std::move(bytes)));
    return call;
  }
  tensor.data = body;
  call.request.inputs.push_back(std::move(tensor));
  return call;
}

std::size_t JsonBytesOf(const InferResponse& answer, const AnswerForm& form) {
  std::size_t bytes = 0;
  for (const Tensor& tensor : answer.outputs) {
    const OutputForm* output = FormOf(form, tensor.name);
    if (IsBinary(form, output) || (output != nullptr && output->place)) continue;
    const std::size_t element = ElementSize(tensor.type);
    bytes += element == 0 ? tensor.data.size() : tensor.data.size() / element * 10;
  }
  return bytes;
}

Result<http::Response> WriteInferAnswer(const InferResponse& answer, const AnswerForm& form,
                                        const SharedMemoryTable& regions) {
  http::Response response;
  std::string& json = response.body;
  json.reserve(256 + 128 * answer.outputs.size() + JsonBytesOf(answer, form));
  json += "{\"model_name\":";
  AppendQuoted(answer.model_name, &json);
  json += ",\"model_version\":";
  AppendQuoted(answer.model_version, &json);
  if (!answer.id.empty()) {
    json += ",\"id\":";
    AppendQuoted(answer.id, &json);
  }
  if (!answer.parameters.empty()) {
    json += ",\"parameters\":";
    char before = '{';
    for (const auto& [name, parameter] : answer.parameters) {
      json += std::exchange(before, ',');
      AppendQuoted(name, &json);
      json += ':';
      PutParameter(parameter, &json);
    }
    json += '}';
  }
  json += ",\"outputs\":[";
  bool binary = false;
  for (std::size_t i = 0; i < answer.outputs.size(); ++i) {
    const Tensor& tensor = answer.outputs[i];
    json += i == 0 ? "{\"name\":" : ",{\"name\":";
    AppendQuoted(tensor.name, &json);
    json += ",\"datatype\":\"";
    json += Name(tensor.type);
    json += "\",\"shape\":[";
    for (std::size_t k = 0; k < tensor.shape.size(); ++k) {
      if (k > 0) json += ',';
      AppendNumber(tensor.shape[k], &json);
    }
    json += ']';
    const OutputForm* output = FormOf(form, tensor.name);
    if (output != nullptr && output->place) {
      const auto written = regions.Write(output->place->region, output->place->offset,
                                         output->place->byte_size, tensor.data);
      if (!written) return Prefixed("output " + Quoted(tensor.name) + ": ", written.error());
      json += ",\"parameters\":{\"shared_memory_region\":";
      AppendQuoted(output->place->region, &json);
      json += ",\"shared_memory_byte_size\":";
      AppendNumber(tensor.data.size(), &json);
      if (output->place->offset > 0) {
        json += ",\"shared_memory_offset\":";
        AppendNumber(output->place->offset, &json);
      }
      json += "}}";
    } else if (IsBinary(form, output)) {
      binary = true;
      json += ",\"parameters\":{\"binary_data_size\":";
      AppendNumber(tensor.data.size(), &json);
      json += "}}";
      response.pieces.push_back({tensor.data, tensor.owner});
    } else {
      json += ",\"data\":[";
      if (auto put = PutData(tensor, &json); !put) return put.error();
      json += "]}";
    }
  }
  json += "]}";
  if (binary) {
    response.content_type = "application/octet-stream";
    response.headers = "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n";
  }
  return response;
}

}  // namespace tidewheel::inference
