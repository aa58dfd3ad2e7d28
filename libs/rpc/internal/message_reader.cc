#include "tidewheel/rpc/internal/message_reader.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace tidewheel::rpc {
namespace {

constexpr std::size_t kAtOnce = std::size_t{1} << 20;

class Inflater {
 public:
  Inflater() { ready_ = ::inflateInit2(&stream_, 15 + 32) == Z_OK; }  // gzip or zlib.
  ~Inflater() { ::inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  bool ready() const { return ready_; }
  z_stream& stream() { return stream_; }

 private:
  z_stream stream_{};
  bool ready_ = false;
};

Result<AlignedBytes> Unpack(std::string_view packed, std::size_t most_bytes,
                            MessageReader::AlignHook align_at) {
  const Error broken{ErrorCode::kInternal, "the request's message cannot be decompressed"};
  Inflater inflater;
  if (!inflater.ready()) return broken;
  z_stream& stream = inflater.stream();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  AlignedBytes bytes;
  std::array<char, 16 * 1'024> part{};
  int state = Z_OK;
  while (state == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(part.data());
    stream.avail_out = static_cast<uInt>(part.size());
    state = ::inflate(&stream, Z_NO_FLUSH);
    const std::string_view got(part.data(), part.size() - stream.avail_out);
    if (state != Z_OK && state != Z_STREAM_END) return broken;
    if (bytes.size() + got.size() > most_bytes) {
      return Error{ErrorCode::kResourceExhausted, "Received message larger than max (more than " +
                                                      std::to_string(most_bytes) +
                                                      " bytes unpacked)"};
    }
    if (bytes.size() == 0 && align_at != nullptr) bytes.AlignAt(align_at(got));
    if (bytes.room() < got.size() &&
        !bytes.Reserve(std::max(bytes.size() + got.size(), 2 * bytes.size()))) {
      return Error{ErrorCode::kResourceExhausted, "no memory for the request's message"};
    }
    bytes.Append(got);
    if (state == Z_OK && got.empty() && stream.avail_in == 0) return broken;
  }
  return bytes;
}

}  // namespace

bool AlignedBytes::Reserve(std::size_t size) {
  if (size <= room_) return true;
  const std::size_t whole = (shift_ + size + kAlignment - 1) / kAlignment * kAlignment;
  std::unique_ptr<char, Free> larger(static_cast<char*>(std::aligned_alloc(kAlignment, whole)));
  if (larger == nullptr) return false;
  if (size_ > 0) std::memcpy(larger.get() + shift_, bytes_.get() + shift_, size_);
  bytes_ = std::move(larger);
  room_ = size;
  return true;
}

void AlignedBytes::Append(std::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(bytes_.get() + shift_ + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
}

grpc::Status MessageReader::ReadPrefix(std::string_view& data) {
  const std::size_t take = std::min(data.size(), sizeof prefix_ - prefix_size_);
  std::memcpy(prefix_ + prefix_size_, data.data(), take);
  data.remove_prefix(take);
  prefix_size_ += take;
  if (prefix_size_ < sizeof prefix_) return grpc::Status::OK;
  if (prefix_[0] > 1) {
    return {grpc::StatusCode::INTERNAL, "a message begins with the flags " +
                                            std::to_string(prefix_[0]) + ", known are 0 and 1"};
  }
  packed_ = prefix_[0] == 1;
  expected_ = 0;
  for (int i = 1; i < 5; ++i) expected_ = expected_ << 8 | prefix_[i];
  if (expected_ > most_bytes_) {
    // In the words of gRPC's own servers.
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "Received message larger than max (" +
                                                      std::to_string(expected_) + " vs. " +
                                                      std::to_string(most_bytes_) + ")"};
  }
  complete_ = expected_ == 0;
  return grpc::Status::OK;
}

grpc::Status MessageReader::Read(std::string_view& data) {
  if (!complete_ && prefix_size_ < sizeof prefix_) {
    auto read = ReadPrefix(data);
    if (!read.ok()) return read;
  }
  if (complete_ || prefix_size_ < sizeof prefix_ || data.empty()) return grpc::Status::OK;
  const std::size_t take = std::min(data.size(), expected_ - message_.size());
  if (message_.size() == 0 && align_at_ != nullptr && !packed_) {
    message_.AlignAt(align_at_(data.substr(0, take)));
  }
  if (message_.room() < take &&
      !message_.Reserve(
          std::min(expected_, std::max({kAtOnce, message_.size() + take, 2 * message_.size()})))) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "no memory for the request's message"};
  }
  message_.Append(data.substr(0, take));
  data.remove_prefix(take);
  complete_ = message_.size() == expected_;
  return grpc::Status::OK;
}

Result<AlignedBytes> MessageReader::Take(std::string_view coding) {
  AlignedBytes message = std::exchange(message_, AlignedBytes());
  complete_ = false;
  prefix_size_ = 0;
  if (!packed_) return message;
  if (coding.empty() || coding == "identity") {
    return Error{ErrorCode::kInternal, "a message came packed without a grpc-encoding"};
  }
  return Unpack(message.view(), most_bytes_, align_at_);
}

bool IsKnownCoding(std::string_view coding) {
  return coding.empty() || coding == "identity" || coding == "gzip" || coding == "deflate";
}

}  // namespace tidewheel::rpc
