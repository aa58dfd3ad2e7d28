#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/bus/message.h"

namespace tidewheel::bus {

/// CRC-32C (Castagnoli 1993), as in iSCSI (RFC 3720): of "123456789" it is 0xE3069283.
std::uint32_t Crc32c(std::string_view bytes);

/// Appends one frame to `out`: length (4 bytes, little-endian), CRC-32C of the body (4 bytes),
/// body.
void AppendFrame(const Message& message, std::string& out);

/// What stands at the front of some bytes.
struct FrameView {
  enum class State {
    kWhole,    // `body` can be read by DecodeBody.
    kDamaged,  // Its length is plausible, its checksum is wrong: skip `size` bytes.
    kTorn,     // Not a whole frame: the end of what was written.
  };
  State state = State::kTorn;
  std::string_view body;
  std::size_t size = 0;  // Of the whole frame.
};
FrameView NextFrame(std::string_view bytes);

/// kDataLoss: not the body of a message.
Result<Message> DecodeBody(std::string_view body);

}  // namespace tidewheel::bus
