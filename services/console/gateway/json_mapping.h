#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"

/// The one mapping between HTTP and the protos: protobuf JSON with the protos' field names, query
/// parameters for what only reads, gRPC codes as HTTP statuses.
namespace tidewheel::console {

/// `a=1&b.c=x%20y` taken apart and decoded, in order. kInvalidArgument: a broken escape, or more
/// than 100 parameters.
Result<std::vector<std::pair<std::string, std::string>>> ParseQuery(std::string_view query);

/// Sets fields by name: `page_size=10`, nested ones with dots (`name.task=x`), repeated ones by
/// repeating, enums by name, bytes in base64, times in RFC 3339. kInvalidArgument names the
/// parameter.
Result<void> QueryToMessage(std::string_view query, google::protobuf::Message* message);

/// Protobuf JSON; an empty body is an empty message. kInvalidArgument: not JSON, or not of this
/// message.
Result<void> JsonToMessage(std::string_view json, google::protobuf::Message* message);

/// With every field, on one line.
std::string MessageToJson(const google::protobuf::Message& message);

/// An empty message of a linked-in type.
std::unique_ptr<google::protobuf::Message> NewMessage(const google::protobuf::Descriptor& type);

/// The published mapping of google.rpc.Code; FAILED_PRECONDITION is 400 there.
int HttpStatusOf(ErrorCode code);

/// {"error":{"code":"NOT_FOUND","message":"..."}}
std::string ErrorToJson(const Error& error);

}  // namespace tidewheel::console
