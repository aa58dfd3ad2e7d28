#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/net/aligned_bytes.h"

namespace tidewheel::inference::http {

/// Request line and headers. Views into `bytes`.
struct Head {
  struct Header {
    std::string_view name;  // Lower case.
    std::string_view value;
  };
  std::unique_ptr<char[]> bytes{};
  std::string_view method{};
  std::string_view path{};   // As it came, without the query.
  std::string_view query{};  // Without the question mark.
  int minor_version = 1;     // HTTP/1.x
  std::vector<Header> headers{};

  /// Empty when there is none; of a repeated one the first.
  std::string_view Find(std::string_view lower_case_name) const;
  /// Whether one of the comma-separated words of the header is this one, in any case.
  bool HasWord(std::string_view lower_case_name, std::string_view word) const;

  // What the headers say of the connection and the body.
  bool keep_alive = true;
  bool chunked = false;
  bool expects_continue = false;
  std::optional<std::uint64_t> content_length{};
};

/// What is answered when a request cannot be read: the status, and the words.
struct Refusal {
  int status = 400;
  std::string words{};
};

struct HeadLimits {
  std::size_t bytes = 16 * 1'024;
  std::size_t headers = 100;
};

/// Reads the head at the beginning of `received`. `used` tells its bytes; 0 with no refusal: more
/// is needed. What leaves in doubt where a request ends (two lengths, a length beside chunks, a
/// line without CR) is refused.
std::optional<Refusal> ReadHead(std::string_view received, const HeadLimits& limits, Head* head,
                                std::size_t* used);

/// Takes a chunked body apart, in pieces as they come.
class ChunkReader {
 public:
  /// Appends to `body` what it finds, and says how many bytes of `received` it used.
  std::optional<Refusal> Read(std::string_view received, std::size_t most_bytes,
                              net::AlignedBytes* body, std::size_t* used);
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State { kSize, kExtension, kSizeEnd, kBytes, kBytesCr, kBytesLf, kTrailer, kDone };
  State state_ = State::kSize;
  std::uint64_t left_ = 0;
  int digits_ = 0;
  std::size_t overhead_ = 0;  // Of extensions and trailers.
  std::size_t line_ = 0;      // Characters of the trailer's line so far.
  bool carriage_return_ = false;
};

/// The path's parts between slashes, decoded. Nothing: a broken escape, or a zero byte.
std::optional<std::vector<std::string>> SplitPath(std::string_view path);

/// An answer: `body`, then the pieces.
struct Response {
  struct Piece {
    std::string_view bytes{};
    std::shared_ptr<const void> owner{};
  };
  int status = 200;
  std::string_view content_type = "application/json";  // A literal.
  std::string headers{};                               // Further ones, each with its CRLF.
  std::string body{};
  std::vector<Piece> pieces{};
  bool close = false;

  std::size_t size() const;
};

/// Status line and headers.
std::string WriteHead(const Response& response, bool keep_alive);
std::string_view Phrase(int status);

}  // namespace tidewheel::inference::http
