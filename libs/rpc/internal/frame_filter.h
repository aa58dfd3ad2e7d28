#pragma once

// Inside of this library: what clients send against the letter of HTTP/2 and nghttp2 would end the
// connection for.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tidewheel::rpc {

/// Leaves out RST_STREAM frames of streams that were never opened: gRPC's own clients send them for
/// calls that are taken back before their headers are out, and the other calls of the connection
/// shall not end for it (RFC 9113, 5.1, makes it an error of the connection).
class FrameFilter {
 public:
  /// Takes bytes as they came, and gives those to be used to `use(std::string_view)`, in order;
  /// stops when that says false, and says so itself. Up to 12 bytes wait for those that follow.
  template <typename Use>
  bool Pass(std::string_view bytes, const Use& use) {
    while (!bytes.empty()) {
      if (const std::size_t through = PassThrough(bytes.size())) {
        if (!use(bytes.substr(0, through))) return false;
        bytes.remove_prefix(through);
        continue;
      }
      if (!Hold(bytes)) continue;
      const std::string_view held = Decide();
      if (!held.empty() && !use(held)) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kHeader = 9;
  static constexpr std::size_t kReset = 4;  // The payload of RST_STREAM.

  /// How many of so many bytes belong to what goes through as it is.
  std::size_t PassThrough(std::size_t size);
  /// Takes bytes of a header away. True: it is whole.
  bool Hold(std::string_view& bytes);
  /// The whole frame header, or nothing: left out.
  std::string_view Decide();

  std::size_t through_ = 24;  // The client's beginning; then of the frame under way.
  std::array<char, kHeader + kReset> held_{};
  std::size_t held_size_ = 0;
  std::size_t wanted_ = kHeader;
  std::uint32_t opened_ = 0;  // The last stream with headers.
};

}  // namespace tidewheel::rpc
