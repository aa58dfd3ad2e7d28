#include "tidewheel/console/clients/backends.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <future>
#include <mutex>
#include <utility>

#include "tidewheel/rpc/status.h"

namespace tidewheel::console {
namespace {

constexpr char kNobodyAnswers[] = "failed to connect to all addresses";

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string FromBuffer(const grpc::ByteBuffer& buffer) {
  std::string bytes;
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const auto& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

grpc::Status CallUnary(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                       const std::string& request, std::chrono::milliseconds deadline,
                       std::string* response) {
  grpc::GenericStub stub(channel);
  rpc::ClientContextWithDeadline context(deadline);
  const grpc::ByteBuffer sent = ToBuffer(request);
  grpc::ByteBuffer received;
  std::promise<grpc::Status> answered;
  stub.UnaryCall(&context, method, grpc::StubOptions(), &sent, &received,
                 [&](grpc::Status status) { answered.set_value(std::move(status)); });
  grpc::Status status = answered.get_future().get();
  if (status.ok()) *response = FromBuffer(received);
  return status;
}

// gRPC tells all it tried; who reads a page wants to know where nobody is.
grpc::Status Readable(const grpc::Status& status, const std::string& address) {
  if (status.error_code() != grpc::StatusCode::UNAVAILABLE ||
      !status.error_message().starts_with(kNobodyAnswers)) {
    return status;
  }
  return {status.error_code(), "nobody answers at " + address};
}

Error NoAddress(const std::string& service) {
  return {ErrorCode::kUnavailable, "the console has no address of " + service};
}

}  // namespace

Backends::Backends(const std::map<std::string, std::string>& addresses) {
  for (const auto& [service, address] : addresses) {
    if (address.empty()) {
      backends_[service] = {};
    } else {
      SetAddress(service, address);
    }
  }
}

void Backends::SetAddress(const std::string& service, const std::string& address) {
  Backend backend{address, rpc::OpenChannel(address)};
  const std::unique_lock lock(mutex_);
  backends_[service] = std::move(backend);
}

std::vector<std::pair<std::string, std::string>> Backends::addresses() const {
  const std::shared_lock lock(mutex_);
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& [service, backend] : backends_) all.emplace_back(service, backend.address);
  return all;
}

Backends::Backend Backends::Find(const std::string& service) const {
  const std::shared_lock lock(mutex_);
  const auto found = backends_.find(service);
  return found == backends_.end() ? Backend{} : found->second;
}

Result<std::string> Backends::Call(const std::string& service, const std::string& method,
                                   const std::string& request,
                                   std::chrono::milliseconds deadline) const {
  const auto [address, channel] = Find(service);
  if (channel == nullptr) return NoAddress(service);
  std::string response;
  const auto answered = rpc::FromGrpcStatus(
      Readable(CallUnary(channel, method, request, deadline, &response), address), service);
  if (!answered) return answered.error();
  return response;
}

Result<void> Backends::Stream(const std::string& service, const std::string& method,
                              const std::string& request,
                              const std::function<bool(const std::string*)>& on_message) const {
  const auto [address, channel] = Find(service);
  if (channel == nullptr) return NoAddress(service);
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto stream = stub.PrepareCall(&context, method, &queue);
  // One operation is under way at any time, so one tag will do.
  void* const tag = &queue;
  bool cancelled = false;
  const auto wait = [&] {
    void* got = nullptr;
    bool ok = false;
    while (queue.AsyncNext(&got, &ok, std::chrono::system_clock::now() + std::chrono::seconds(1)) ==
           grpc::CompletionQueue::TIMEOUT) {
      if (cancelled || on_message(nullptr)) continue;
      cancelled = true;
      context.TryCancel();
    }
    return ok;
  };

  stream->StartCall(tag);
  bool going = wait();
  if (going) {
    stream->WriteLast(ToBuffer(request), grpc::WriteOptions(), tag);
    going = wait();
  }
  while (going && !cancelled) {
    grpc::ByteBuffer received;
    stream->Read(&received, tag);
    going = wait();
    if (!going) break;
    const std::string message = FromBuffer(received);
    if (!on_message(&message)) {
      cancelled = true;
      context.TryCancel();
    }
  }
  grpc::Status status;
  stream->Finish(&status, tag);
  cancelled = true;  // No more questions while the end comes.
  wait();
  queue.Shutdown();
  void* got = nullptr;
  bool ok = false;
  while (queue.Next(&got, &ok)) {
  }
  return rpc::FromGrpcStatus(Readable(status, address), service);
}

rpc::HealthAnswer Backends::CheckHealth(const std::string& service,
                                        std::chrono::milliseconds deadline) const {
  const auto [address, channel] = Find(service);
  if (channel == nullptr) return {.problem = NoAddress(service).message};
  auto health = rpc::CheckHealth(channel, deadline);
  if (health.problem.starts_with(kNobodyAnswers)) health.problem = "nobody answers at " + address;
  return health;
}

}  // namespace tidewheel::console
