#include "tidewheel/rpc/internal/message_reader.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "tidewheel/net/inflate.h"

namespace tidewheel::rpc {
namespace {

constexpr std::size_t kAtOnce = std::size_t{1} << 20;

Result<net::AlignedBytes> Unpack(std::string_view packed, std::string_view coding,
                                 std::size_t most_bytes) {
  const auto packing = coding == "gzip" ? net::Packing::kGzip : net::Packing::kDeflate;
  net::AlignedBytes bytes;
  const auto unpacked = net::Inflate(packing, packed, most_bytes, &bytes);
  if (unpacked) return bytes;
  switch (unpacked.error().code) {
    case ErrorCode::kOutOfRange:
      return Error{ErrorCode::kResourceExhausted, "Received message larger than max (more than " +
                                                      std::to_string(most_bytes) +
                                                      " bytes unpacked)"};
    case ErrorCode::kResourceExhausted:
      return Error{ErrorCode::kResourceExhausted, "no memory for the request's message"};
    default:
      return Error{ErrorCode::kInternal,
                   "the request's message cannot be unpacked: " + unpacked.error().message};
  }
}

}  // namespace

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
      !message_.TryReserve(
          std::min(expected_, std::max({kAtOnce, message_.size() + take, 2 * message_.size()})))) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "no memory for the request's message"};
  }
  message_.Append(data.substr(0, take));
  data.remove_prefix(take);
  complete_ = message_.size() == expected_;
  return grpc::Status::OK;
}

Result<net::AlignedBytes> MessageReader::Take(std::string_view coding) {
  net::AlignedBytes message = std::exchange(message_, net::AlignedBytes());
  complete_ = false;
  prefix_size_ = 0;
  if (!packed_) return message;
  if (coding.empty() || coding == "identity") {
    return Error{ErrorCode::kInternal, "a message came packed without a grpc-encoding"};
  }
  return Unpack(message.view(), coding, most_bytes_);
}

bool IsKnownCoding(std::string_view coding) {
  return coding.empty() || coding == "identity" || coding == "gzip" || coding == "deflate";
}

}  // namespace tidewheel::rpc
