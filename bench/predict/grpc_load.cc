#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "load.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::bench {
namespace {

using std::chrono::steady_clock;

constexpr int kMostConnections = 4;
constexpr std::chrono::seconds kDeadline{20};

class GrpcClient final : public Load {
 public:
  GrpcClient(const std::string& address, std::string method, const std::string& request)
      : method_(std::move(method)) {
    const grpc::Slice bytes(request.data(), request.size());
    request_ = grpc::ByteBuffer(&bytes, 1);
    for (int i = 0; i < kMostConnections; ++i) {
      // Otherwise channels to one address would share a connection.
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      arguments.SetMaxReceiveMessageSize(-1);
      stubs_.push_back(std::make_unique<grpc::GenericStub>(
          grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
    }
  }

  Result<std::string> Ask() override {
    std::string answer;
    const auto ran = Keep(1, std::chrono::milliseconds(0), &answer);
    if (!ran) return ran.error();
    return answer;
  }

  Result<Burst> Run(int outstanding, std::chrono::milliseconds length) override {
    return Keep(outstanding, length, nullptr);
  }

 private:
  struct Call {
    grpc::ClientContext context{};
    grpc::ByteBuffer response{};
    grpc::Status status{};
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader{};
    steady_clock::time_point began{};
    std::size_t stub = 0;
  };

  Result<Burst> Keep(int outstanding, std::chrono::milliseconds length, std::string* answer) {
    Burst burst;
    burst.seconds.reserve(std::size_t{1} << 16);
    grpc::CompletionQueue queue;
    std::vector<std::unique_ptr<Call>> calls(static_cast<std::size_t>(outstanding));
    const auto began = steady_clock::now();
    for (std::size_t i = 0; i < calls.size(); ++i) {
      Send(calls[i], i % std::min(calls.size(), stubs_.size()), queue);
    }
    auto under_way = calls.size();
    Result<void> failed;
    void* tag = nullptr;
    bool ok = false;
    while (under_way > 0 && queue.Next(&tag, &ok)) {
      auto& call = *static_cast<std::unique_ptr<Call>*>(tag);
      const auto now = steady_clock::now();
      if (!call->status.ok() && failed) {
        failed = rpc::FromGrpcStatus(call->status, method_);
      }
      burst.seconds.push_back(std::chrono::duration<double>(now - call->began).count());
      if (answer != nullptr && call->status.ok()) *answer = Joined(call->response);
      if (failed && now - began < length) {
        Send(call, call->stub, queue);
      } else {
        --under_way;
      }
    }
    burst.took = std::chrono::duration<double>(steady_clock::now() - began).count();
    if (!failed) return failed.error();
    return burst;
  }

  void Send(std::unique_ptr<Call>& call, std::size_t stub, grpc::CompletionQueue& queue) {
    call = std::make_unique<Call>();
    call->stub = stub;
    call->began = steady_clock::now();
    call->context.set_deadline(std::chrono::system_clock::now() + kDeadline);
    call->reader = stubs_[stub]->PrepareUnaryCall(&call->context, method_, request_, &queue);
    call->reader->StartCall();
    call->reader->Finish(&call->response, &call->status, &call);
  }

  static std::string Joined(const grpc::ByteBuffer& bytes) {
    std::vector<grpc::Slice> slices;
    std::string joined;
    if (!bytes.Dump(&slices).ok()) return joined;
    for (const grpc::Slice& slice : slices) {
      joined.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    return joined;
  }

  const std::string method_;
  grpc::ByteBuffer request_;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
};

}  // namespace

double Burst::Quantile(double share) const {
  std::vector<double> sorted = seconds;
  const auto at =
      sorted.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(sorted.size() - 1));
  std::nth_element(sorted.begin(), at, sorted.end());
  return *at;
}

std::unique_ptr<Load> GrpcLoad(const std::string& address, const std::string& method,
                               const std::string& request) {
  return std::make_unique<GrpcClient>(address, method, request);
}

}  // namespace tidewheel::bench
