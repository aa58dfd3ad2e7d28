#include "tidewheel/console/gateway/json_mapping.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include <charconv>
#include <set>

#include "tidewheel/log/log.h"

namespace tidewheel::console {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::size_t kMaxParameters = 100;

Error Invalid(const std::string& message) { return {ErrorCode::kInvalidArgument, message}; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> Decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      decoded += ' ';
    } else if (text[i] == '%') {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return Invalid("query: a % without two hexadecimal digits");
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

template <typename T>
bool ParseNumber(const std::string& text, T* value) {
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, *value);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

// One value as protobuf JSON, so that the JSON parser is the only judge of what a field accepts.
Result<std::string> ScalarAsJson(const FieldDescriptor& field, const std::string& value) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      if (value == "true" || value == "1") return std::string("true");
      if (value == "false" || value == "0") return std::string("false");
      return Invalid("must be true or false");
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64: {
      std::int64_t number = 0;
      if (!ParseNumber(value, &number)) return Invalid("must be a whole number");
      return "\"" + std::to_string(number) + "\"";
    }
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64: {
      std::uint64_t number = 0;
      if (!ParseNumber(value, &number)) return Invalid("must be a whole number, not negative");
      return "\"" + std::to_string(number) + "\"";
    }
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double number = 0;
      if (!ParseNumber(value, &number)) return Invalid("must be a number");
      return "\"" + value + "\"";
    }
    case FieldDescriptor::CPPTYPE_ENUM:
      if (field.enum_type()->FindValueByName(value) == nullptr) {
        return Invalid("must be a name of " + field.enum_type()->full_name());
      }
      return log::JsonQuoted(value);
    case FieldDescriptor::CPPTYPE_STRING: {
      constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
      std::string quoted = log::JsonQuoted(value);
      // Quoting puts this in the place of what is no UTF-8: a search for something else is no
      // answer.
      if (quoted.find(kReplacement) != std::string::npos &&
          value.find(kReplacement) == std::string::npos) {
        return Invalid("is not UTF-8");
      }
      return quoted;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (field.message_type()->full_name() == "google.protobuf.Timestamp" ||
          field.message_type()->full_name() == "google.protobuf.Duration") {
        return log::JsonQuoted(value);
      }
      return Invalid("is a message: name a field of it with a dot");
  }
  return Invalid("cannot be given here");
}

Result<void> SetParameter(const std::string& name, const std::string& value, Message* message,
                          std::set<std::string>* seen) {
  const auto problem = [&](const std::string& what) {
    return Invalid("parameter \"" + name + "\": " + what);
  };
  std::string_view rest = name;
  Message* target = message;
  while (true) {
    const auto dot = rest.find('.');
    const std::string part(rest.substr(0, dot));
    const auto* type = target->GetDescriptor();
    const FieldDescriptor* field = type->FindFieldByName(part);
    if (field == nullptr) field = type->FindFieldByCamelcaseName(part);
    if (field == nullptr) return problem("no such field in " + type->full_name());
    if (dot != std::string_view::npos) {
      if (field->is_repeated() || field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
        return problem("\"" + part + "\" has no fields");
      }
      target = target->GetReflection()->MutableMessage(target, field);
      rest.remove_prefix(dot + 1);
      continue;
    }
    if (field->is_map()) return problem("maps are given in the body of a POST");
    if (!field->is_repeated() && !seen->insert(name).second) return problem("is given twice");
    if (const auto* one_of = field->real_containing_oneof(); one_of != nullptr) {
      const auto* other = target->GetReflection()->GetOneofFieldDescriptor(*target, one_of);
      if (other != nullptr && other != field)
        return problem("cannot stand beside " + other->name());
    }
    const auto scalar = ScalarAsJson(*field, value);
    if (!scalar) return problem(scalar.error().message);
    const std::string json = "{" + log::JsonQuoted(field->name()) + ":" +
                             (field->is_repeated() ? "[" + *scalar + "]" : *scalar) + "}";
    const auto part_message = NewMessage(*type);
    if (auto parsed = JsonToMessage(json, part_message.get()); !parsed) {
      return problem(parsed.error().message);
    }
    // Merging appends to what is repeated. A value that equals the default still sets its field's
    // presence.
    target->MergeFrom(*part_message);
    return {};
  }
}

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> ParseQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (pair.empty()) continue;
    if (parameters.size() == kMaxParameters) {
      return Invalid("query: more than " + std::to_string(kMaxParameters) + " parameters");
    }
    const auto equals = pair.find('=');
    auto name = Decoded(pair.substr(0, equals));
    if (!name) return name.error();
    auto value = Decoded(equals == std::string_view::npos ? "" : pair.substr(equals + 1));
    if (!value) return value.error();
    parameters.emplace_back(*std::move(name), *std::move(value));
  }
  return parameters;
}

Result<void> QueryToMessage(std::string_view query, Message* message) {
  const auto parameters = ParseQuery(query);
  if (!parameters) return parameters.error();
  std::set<std::string> seen;
  for (const auto& [name, value] : *parameters) {
    if (auto set = SetParameter(name, value, message, &seen); !set) return set;
  }
  return {};
}

Result<void> JsonToMessage(std::string_view json, Message* message) {
  if (json.find_first_not_of(" \t\r\n") == std::string_view::npos) return {};
  const auto parsed = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(json.data(), json.size()), message);
  if (!parsed.ok()) return Invalid(std::string(parsed.message()));
  return {};
}

std::string MessageToJson(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Only a broken Any cannot be written, and the platform's protos have none.
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) json = "{}";
  return json;
}

std::unique_ptr<Message> NewMessage(const google::protobuf::Descriptor& type) {
  const auto* prototype =
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type);
  return std::unique_ptr<Message>(prototype->New());
}

int HttpStatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCancelled:
      return 499;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kFailedPrecondition:
    case ErrorCode::kOutOfRange:
      return 400;
    case ErrorCode::kUnauthenticated:
      return 401;
    case ErrorCode::kPermissionDenied:
      return 403;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kAborted:
      return 409;
    case ErrorCode::kResourceExhausted:
      return 429;
    case ErrorCode::kInternal:
    case ErrorCode::kDataLoss:
      return 500;
    case ErrorCode::kUnimplemented:
      return 501;
    case ErrorCode::kUnavailable:
      return 503;
    case ErrorCode::kDeadlineExceeded:
      return 504;
  }
  return 500;
}

std::string ErrorToJson(const Error& error) {
  return "{\"error\":{\"code\":" + log::JsonQuoted(Name(error.code)) +
         ",\"message\":" + log::JsonQuoted(error.message) + "}}\n";
}

}  // namespace tidewheel::console
