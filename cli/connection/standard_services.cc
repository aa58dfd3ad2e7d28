#include "tidewheel/cli/connection/standard_services.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "tidewheel/rpc/status.h"

namespace tidewheel::cli {
namespace {

using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

grpc::ByteBuffer ToBuffer(const UnknownFieldSet& fields) {
  std::string bytes;
  fields.SerializeToString(&bytes);
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string FromBuffer(const grpc::ByteBuffer& buffer) {
  std::string bytes;
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const auto& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// The texts, bytes or messages in field `number` of a serialized message.
std::vector<std::string> Texts(const std::string& message, int number) {
  std::vector<std::string> texts;
  UnknownFieldSet fields;
  if (!fields.ParseFromString(message)) return texts;
  for (int i = 0; i < fields.field_count(); ++i) {
    const UnknownField& field = fields.field(i);
    if (field.number() == number && field.type() == UnknownField::TYPE_LENGTH_DELIMITED) {
      texts.push_back(field.length_delimited());
    }
  }
  return texts;
}

// One ServerReflectionInfo stream: questions and answers in turn.
class ReflectionStream {
 public:
  ReflectionStream(const std::shared_ptr<grpc::Channel>& channel,
                   std::chrono::milliseconds deadline)
      : context_(deadline), stub_(channel) {
    stream_ = stub_.PrepareCall(
        &context_, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue_);
    stream_->StartCall(Tag());
    started_ = Wait();
  }
  ~ReflectionStream() {
    if (!ended_) {
      context_.TryCancel();
      (void)End();  // Says CANCELLED: our own doing.
    }
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  ReflectionStream(const ReflectionStream&) = delete;
  ReflectionStream& operator=(const ReflectionStream&) = delete;

  // Sets field `number` of the request to `text`.
  Result<std::string> Ask(int number, const std::string& text) {
    UnknownFieldSet request;
    request.AddLengthDelimited(number, text);
    grpc::ByteBuffer answer;
    bool ok = started_;
    if (ok) {
      stream_->Write(ToBuffer(request), Tag());
      ok = Wait();
    }
    if (ok) {
      stream_->Read(&answer, Tag());
      ok = Wait();
    }
    if (!ok) return Error{ErrorCode::kUnavailable, "the stream ended"};
    std::string response = FromBuffer(answer);
    for (const auto& failure : Texts(response, 7)) {
      const auto messages = Texts(failure, 2);
      return Error{ErrorCode::kNotFound, messages.empty() ? "reflection: unknown" : messages[0]};
    }
    return response;
  }

  // How the stream ended, once an Ask failed.
  Result<void> End() {
    grpc::Status status;
    stream_->Finish(&status, Tag());
    Wait();
    ended_ = true;
    return rpc::FromGrpcStatus(status);
  }

 private:
  static void* Tag() { return reinterpret_cast<void*>(1); }
  bool Wait() {
    if (ended_) return false;
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  rpc::ClientContextWithDeadline context_;
  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  bool started_ = false;
  bool ended_ = false;
};

}  // namespace

rpc::HealthAnswer CheckHealth(const std::string& address, std::chrono::milliseconds deadline) {
  rpc::ChannelOptions options;
  options.attempts = 1;
  return rpc::CheckHealth(rpc::OpenChannel(address, options), deadline);
}

Result<std::vector<ListedService>> ListByReflection(const std::string& address,
                                                    std::chrono::milliseconds deadline) {
  rpc::ChannelOptions options;
  options.attempts = 1;
  ReflectionStream stream(rpc::OpenChannel(address, options), deadline);
  const auto fail = [&](const Error& error) -> Error {
    if (error.code != ErrorCode::kUnavailable) return error;
    const auto end = stream.End();
    return Prefixed(address + ": ", end ? error : end.error());
  };

  constexpr int kFileContainingSymbol = 4;
  constexpr int kListServices = 7;
  const auto listed = stream.Ask(kListServices, "");
  if (!listed) return fail(listed.error());
  std::set<std::string> names;
  for (const auto& list : Texts(*listed, 6)) {
    for (const auto& service : Texts(list, 1)) {
      for (const auto& name : Texts(service, 1)) names.insert(name);
    }
  }

  std::vector<ListedService> services;
  for (const std::string& name : names) {
    ListedService service{name, {}};
    const auto files = stream.Ask(kFileContainingSymbol, name);
    // gRPC's health service is served without a descriptor: it is listed by its name alone.
    if (!files && files.error().code == ErrorCode::kNotFound) {
      services.push_back(std::move(service));
      continue;
    }
    if (!files) return fail(files.error());
    for (const auto& response : Texts(*files, 4)) {
      for (const auto& bytes : Texts(response, 1)) {
        google::protobuf::FileDescriptorProto file;
        if (!file.ParseFromString(bytes)) continue;
        for (const auto& declared : file.service()) {
          if (file.package() + "." + declared.name() != name) continue;
          for (const auto& method : declared.method()) {
            const auto type = [](const std::string& full) {
              return full.starts_with('.') ? full.substr(1) : full;
            };
            service.rpcs.push_back({method.name(), type(method.input_type()),
                                    type(method.output_type()), method.client_streaming(),
                                    method.server_streaming()});
          }
        }
      }
    }
    services.push_back(std::move(service));
  }
  return services;
}

}  // namespace tidewheel::cli
