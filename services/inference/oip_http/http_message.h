#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::inference::http {

/// A growing piece of memory with room behind its end that may be read. `lead` moves its first byte
/// so that a byte in its midst falls on a boundary of 64.
class Body {
 public:
  /// Bytes after the end that may be read, and are zero or old.
  static constexpr std::size_t kPadding = 64;
  static constexpr std::size_t kAlignment = 64;

  Body() = default;
  Body(Body&& other) noexcept { *this = std::move(other); }
  Body& operator=(Body&& other) noexcept {
    bytes_ = std::move(other.bytes_);
    lead_ = std::exchange(other.lead_, 0);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  /// While it is empty: byte `place` shall lie on a boundary.
  void AlignAt(std::size_t place);
  /// Room for so many bytes altogether.
  void Reserve(std::size_t bytes);
  void Append(std::string_view bytes);
  /// At least `least` bytes of room behind the end, to be written and then Grown by what was
  /// written.
  char* Room(std::size_t least);
  void Grow(std::size_t written) { size_ += written; }
  std::size_t room() const { return capacity_ - size_; }

  char* data() { return bytes_ ? bytes_.get() + lead_ : nullptr; }
  const char* data() const { return bytes_ ? bytes_.get() + lead_ : nullptr; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data(), size_}; }

 private:
  struct Free {
    void operator()(char* bytes) const { ::operator delete (bytes, std::align_val_t{kAlignment}); }
  };
  std::unique_ptr<char, Free> bytes_;
  std::size_t lead_ = 0;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

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
  std::optional<Refusal> Read(std::string_view received, std::size_t most_bytes, Body* body,
                              std::size_t* used);
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
