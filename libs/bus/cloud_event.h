#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/bus/message.h"

namespace tidewheel::bus {

/// The headers of a message in CloudEvents 1.0's binary mode, see Message. An empty event id or
/// time is filled in.
std::vector<std::pair<std::string, std::string>> CloudEventHeaders(const Message& message,
                                                                   const std::string& source);

/// Puts one header where it belongs in `message`; what is not ours lands in its `headers`.
void ReadCloudEventHeader(std::string_view name, std::string_view value, Message& message);

}  // namespace tidewheel::bus
