#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

namespace tidewheel::net {

/// Bytes that grow as they are received. A byte in their midst can be had on a boundary of 64, for
/// tensors behind a head; behind their end there is room that may be read, for parsers that look
/// ahead. Not thread-safe.
class AlignedBytes {
 public:
  static constexpr std::size_t kAlignment = 64;
  /// Bytes behind the end that may be read, and are zero or old.
  static constexpr std::size_t kPadding = 64;

  AlignedBytes() = default;
  AlignedBytes(AlignedBytes&& other) noexcept { *this = std::move(other); }
  AlignedBytes& operator=(AlignedBytes&& other) noexcept {
    bytes_ = std::move(other.bytes_);
    lead_ = std::exchange(other.lead_, 0);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  /// Before there is memory: byte `place` shall lie on a boundary.
  void AlignAt(std::size_t place);
  /// Memory for so many bytes altogether. False, and all is as it was: there is none.
  [[nodiscard]] bool TryReserve(std::size_t bytes);
  /// The same; throws std::bad_alloc.
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
  std::size_t capacity() const { return capacity_; }
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

}  // namespace tidewheel::net
