#include "tidewheel/bus/cloud_event.h"

#include <charconv>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/ids.h"

namespace tidewheel::bus {
namespace {

constexpr char kContentType[] = "application/protobuf";

}  // namespace

std::vector<std::pair<std::string, std::string>> CloudEventHeaders(const Message& message,
                                                                   const std::string& source) {
  const Timestamp time = message.time == Timestamp{} ? SystemClock().Now() : message.time;
  std::vector<std::pair<std::string, std::string>> headers = {
      {"ce_specversion", "1.0"},
      {"ce_id", message.event_id.empty() ? NewUuid() : message.event_id},
      {"ce_source", message.source.empty() ? source : message.source},
      {"ce_type", message.type},
      {"ce_time", FormatUtc(time)},
      {"ce_dataschemaversion", std::to_string(message.schema_version)},
      {"content-type", kContentType},
  };
  if (!message.key.empty()) headers.emplace_back("ce_subject", message.key);
  if (!message.traceparent.empty()) headers.emplace_back("traceparent", message.traceparent);
  for (const auto& header : message.headers) headers.push_back(header);
  return headers;
}

void ReadCloudEventHeader(std::string_view name, std::string_view value, Message& message) {
  if (name == "ce_id") {
    message.event_id = value;
  } else if (name == "ce_source") {
    message.source = value;
  } else if (name == "ce_type") {
    message.type = value;
  } else if (name == "ce_time") {
    if (const auto time = ParseUtc(value)) message.time = *time;
  } else if (name == "ce_dataschemaversion") {
    std::from_chars(value.data(), value.data() + value.size(), message.schema_version);
  } else if (name == "traceparent") {
    message.traceparent = value;
  } else if (name == "ce_specversion" || name == "ce_subject" ||
             (name == "content-type" && value == kContentType)) {
    // Says nothing that the message does not say elsewhere.
  } else {
    message.headers[std::string(name)] = value;
  }
}

}  // namespace tidewheel::bus
