#include "tidewheel/inference/torch_runner/wire/control.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tidewheel/inference/torch_runner/wire/bytes.h"

namespace tidewheel::inference::torch_runner {
namespace {

constexpr std::size_t kMostDescriptors = 4;

Error Damaged() { return {ErrorCode::kInternal, "a message of the runner's socket is damaged"}; }

Error Gone() {
  return {ErrorCode::kUnavailable, "nobody is at the other end of the runner's socket"};
}

}  // namespace

std::string LoadOrder::Print() const {
  ByteWriter out;
  out.Number(package ? 1 : 0);
  out.Text(device);
  for (const std::uint64_t number : {threads, lanes, lane_bytes, memory_bytes, spin_nanoseconds}) {
    out.Number(number);
  }
  out.Number(freeze ? 1 : 0);
  out.Number(gradients ? 1 : 0);
  out.Text(scratch);
  out.Specs(inputs);
  out.Specs(outputs);
  return out.bytes();
}

Result<LoadOrder> LoadOrder::Parse(std::string_view message) {
  ByteReader in(message);
  LoadOrder order;
  order.package = in.Number() != 0;
  order.device = in.Text();
  for (std::uint64_t* number : {&order.threads, &order.lanes, &order.lane_bytes,
                                &order.memory_bytes, &order.spin_nanoseconds}) {
    *number = in.Number();
  }
  order.freeze = in.Number() != 0;
  order.gradients = in.Number() != 0;
  order.scratch = in.Text();
  order.inputs = in.Specs();
  order.outputs = in.Specs();
  if (!in.done()) return Damaged();
  return order;
}

std::string LoadReport::Print() const {
  ByteWriter out;
  out.Number(error ? static_cast<std::uint64_t>(error->code) + 1 : 0);
  out.Text(error ? std::string_view(error->message).substr(0, kMostMessageBytes / 4) : "");
  out.Specs(inputs);
  out.Specs(outputs);
  out.Number(batches ? 1 : 0);
  out.Texts(unconfined);
  return out.bytes();
}

Result<LoadReport> LoadReport::Parse(std::string_view message) {
  ByteReader in(message);
  LoadReport report;
  const std::uint64_t code = in.Number();
  std::string why = in.Text();
  if (code > static_cast<std::uint64_t>(ErrorCode::kUnauthenticated) + 1) return Damaged();
  if (code != 0) report.error = Error{static_cast<ErrorCode>(code - 1), std::move(why)};
  report.inputs = in.Specs();
  report.outputs = in.Specs();
  report.batches = in.Number() != 0;
  report.unconfined = in.Texts();
  if (!in.done()) return Damaged();
  return report;
}

Result<void> SendMessage(int socket, std::string_view message,
                         const std::vector<int>& descriptors) {
  if (message.size() > kMostMessageBytes || descriptors.size() > kMostDescriptors) {
    return Error{ErrorCode::kResourceExhausted,
                 "a message of " + std::to_string(message.size()) +
                     " bytes; names and shapes of a model may take " +
                     std::to_string(kMostMessageBytes)};
  }
  iovec part{const_cast<char*>(message.data()), message.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostDescriptors * sizeof(int))> ancillary{};
  if (!descriptors.empty()) {
    header.msg_control = ancillary.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size() * sizeof(int));
  }
  ssize_t sent = -1;
  do {
    sent = sendmsg(socket, &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent != static_cast<ssize_t>(message.size())) return Gone();
  return {};
}

Result<ReceivedMessage> ReceiveMessage(int socket, std::size_t descriptors) {
  ReceivedMessage received;
  received.bytes.resize(kMostMessageBytes);
  iovec part{received.bytes.data(), received.bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostDescriptors * sizeof(int))> ancillary{};
  if (descriptors > 0) {
    header.msg_control = ancillary.data();
    header.msg_controllen = ancillary.size();
  }
  ssize_t got = -1;
  do {
    got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return Gone();
  received.bytes.resize(static_cast<std::size_t>(got));
  for (cmsghdr* rights = descriptors > 0 ? CMSG_FIRSTHDR(&header) : nullptr; rights != nullptr;
       rights = CMSG_NXTHDR(&header, rights)) {
    if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) continue;
    received.descriptors.resize((rights->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(received.descriptors.data(), CMSG_DATA(rights),
                received.descriptors.size() * sizeof(int));
  }
  if (received.descriptors.size() != descriptors || (header.msg_flags & MSG_TRUNC) != 0) {
    for (const int each : received.descriptors) close(each);
    return Damaged();
  }
  return received;
}

}  // namespace tidewheel::inference::torch_runner
