#include "tidewheel/inference/oip_grpc/message_bytes.h"

#include <grpcpp/support/slice.h>

#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace tidewheel::inference {
namespace {

constexpr std::size_t kAlignment = 64;

std::string_view View(const grpc::Slice& slice) {
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

}  // namespace

Result<std::string_view> MessageBytes::Gather(const grpc::ByteBuffer& message) {
  grpc::Slice single;
  std::vector<grpc::Slice> several;
  std::span<const grpc::Slice> slices(&single, 1);
  if (!message.TrySingleSlice(&single).ok()) {
    if (!message.Valid() || !message.Dump(&several).ok()) {
      return Error{ErrorCode::kInvalidArgument, "the request's message cannot be decompressed"};
    }
    slices = several;
  }
  std::size_t size = 0;
  for (const grpc::Slice& slice : slices) size += slice.size();
  if (size == 0) return std::string_view();
  const std::size_t first = FirstRawInput(View(slices.front()));
  const std::size_t shift = (kAlignment - first % kAlignment) % kAlignment;
  const std::size_t room = (shift + size + kAlignment - 1) / kAlignment * kAlignment;
  bytes_.reset(static_cast<char*>(std::aligned_alloc(kAlignment, room)));
  if (bytes_ == nullptr) {
    return Error{ErrorCode::kResourceExhausted,
                 "no memory for a request of " + std::to_string(size) + " bytes"};
  }
  char* to = bytes_.get() + shift;
  for (const grpc::Slice& slice : slices) {
    std::memcpy(to, slice.begin(), slice.size());
    to += slice.size();
  }
  return std::string_view(bytes_.get() + shift, size);
}

grpc::ByteBuffer ToByteBuffer(const EncodedAnswer& answer) {
  if (answer.parts.size() == 1 && answer.parts[0].data.empty()) {
    const grpc::Slice all(answer.text.data() + answer.parts[0].at, answer.parts[0].size);
    return {&all, 1};
  }
  std::vector<grpc::Slice> slices;
  slices.reserve(answer.parts.size());
  for (const EncodedAnswer::Part& part : answer.parts) {
    if (part.data.empty()) {
      slices.emplace_back(answer.text.data() + part.at, part.size);
      continue;
    }
    auto* const owner = new std::shared_ptr<const void>(part.owner);
    // gRPC's slice takes what it only reads as if it could be written.
    slices.emplace_back(
        const_cast<char*>(part.data.data()), part.data.size(),
        [](void* kept) { delete static_cast<std::shared_ptr<const void>*>(kept); }, owner);
  }
  return {slices.data(), slices.size()};
}

grpc::ByteBuffer ToByteBuffer(std::string_view message) {
  const grpc::Slice all(message.data(), message.size());
  return {&all, 1};
}

}  // namespace tidewheel::inference
