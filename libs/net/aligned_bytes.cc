#include "tidewheel/net/aligned_bytes.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace tidewheel::net {

void AlignedBytes::AlignAt(std::size_t place) {
  if (!bytes_) lead_ = (kAlignment - place % kAlignment) % kAlignment;
}

bool AlignedBytes::TryReserve(std::size_t bytes) {
  if (bytes <= capacity_) return true;
  constexpr std::size_t kMost = std::numeric_limits<std::ptrdiff_t>::max();
  if (bytes > kMost - lead_ - kPadding) return false;
  std::unique_ptr<char, Free> larger(static_cast<char*>(
      ::operator new (lead_ + bytes + kPadding, std::align_val_t{kAlignment}, std::nothrow)));
  if (!larger) return false;
  if (size_ > 0) std::memcpy(larger.get() + lead_, data(), size_);
  std::memset(larger.get() + lead_ + bytes, 0, kPadding);
  bytes_ = std::move(larger);
  capacity_ = bytes;
  return true;
}

void AlignedBytes::Reserve(std::size_t bytes) {
  if (!TryReserve(bytes)) throw std::bad_alloc();
}

char* AlignedBytes::Room(std::size_t least) {
  if (capacity_ - size_ < least || !bytes_) Reserve(std::max(size_ + least, 2 * capacity_));
  return data() + size_;
}

void AlignedBytes::Append(std::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(Room(bytes.size()), bytes.data(), bytes.size());
  size_ += bytes.size();
}

}  // namespace tidewheel::net
