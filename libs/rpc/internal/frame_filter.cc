#include "tidewheel/rpc/internal/frame_filter.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tidewheel::rpc {
namespace {

constexpr unsigned char kHeaders = 1;
constexpr unsigned char kRstStream = 3;

}  // namespace

std::size_t FrameFilter::PassThrough(std::size_t size) {
  const std::size_t through = std::min(size, through_);
  through_ -= through;
  return through;
}

bool FrameFilter::Hold(std::string_view& bytes) {
  const std::size_t take = std::min(bytes.size(), wanted_ - held_size_);
  std::memcpy(held_.data() + held_size_, bytes.data(), take);
  held_size_ += take;
  bytes.remove_prefix(take);
  return held_size_ == wanted_;
}

std::string_view FrameFilter::Decide() {
  const auto byte = [this](std::size_t at) { return static_cast<unsigned char>(held_[at]); };
  const std::size_t length = std::size_t{byte(0)} << 16 | std::size_t{byte(1)} << 8 | byte(2);
  const std::uint32_t stream = (std::uint32_t{byte(5)} & 0x7F) << 24 |
                               std::uint32_t{byte(6)} << 16 | std::uint32_t{byte(7)} << 8 | byte(8);
  if (wanted_ == kHeader && byte(3) == kRstStream && length == kReset && stream > opened_) {
    wanted_ = kHeader + kReset;
    return {};
  }
  held_size_ = 0;
  if (std::exchange(wanted_, kHeader) != kHeader) return {};
  if (byte(3) == kHeaders) opened_ = std::max(opened_, stream);
  through_ = length;
  return {held_.data(), kHeader};
}

}  // namespace tidewheel::rpc
