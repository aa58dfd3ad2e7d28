#pragma once

#include <string>
#include <utility>

#include "tidewheel/base/result.h"

namespace tidewheel::net {

/// Owns an open file; moved, never copied.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int file) : file_(file) {}
  Socket(Socket&& other) noexcept : file_(other.Release()) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket() { Close(); }

  int file() const { return file_; }
  bool open() const { return file_ >= 0; }
  void Close();
  int Release() { return std::exchange(file_, -1); }

 private:
  int file_ = -1;
};

struct Listener {
  Socket socket{};      // Does not block.
  std::string address;  // With its port filled in.
};

/// Listens on "HOST:PORT", "[HOST]:PORT" or "unix:PATH"; port 0 takes a free one, the socket of a
/// server that was killed gives way. kInvalidArgument: it is none of these. kUnavailable: it cannot
/// be bound.
Result<Listener> Listen(const std::string& address);

}  // namespace tidewheel::net
