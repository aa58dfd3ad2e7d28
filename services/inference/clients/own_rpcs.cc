#include "tidewheel/inference/clients/own_rpcs.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <utility>

#include "tidewheel/inference/v1/inference_service.pb.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::inference {
namespace {

using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

std::unique_ptr<Message> NewMessage(const google::protobuf::Descriptor& type) {
  return std::unique_ptr<Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type)->New());
}

const MethodDescriptor* FindRpc(const std::string& name) {
  const auto* service =
      v1::PredictRequest::descriptor()->file()->FindServiceByName("InferenceService");
  const MethodDescriptor* method = service->FindMethodByName(name);
  if (method == nullptr || method->client_streaming() || method->server_streaming()) return nullptr;
  return method;
}

/// A call under way; owns itself until it is answered.
struct Pending {
  const MethodDescriptor* method = nullptr;
  grpc::GenericStub stub;
  grpc::ClientContext context;
  grpc::ByteBuffer request;
  grpc::ByteBuffer response;
  PlatformRpcs::Answered answered;

  explicit Pending(std::shared_ptr<grpc::Channel> channel) : stub(std::move(channel)) {}
};

Result<std::string> AnswerOf(const Pending& pending, const grpc::Status& status) {
  if (const auto answered = rpc::FromGrpcStatus(status); !answered) return answered.error();
  const auto message = NewMessage(*pending.method->output_type());
  grpc::ByteBuffer bytes = pending.response;
  grpc::ProtoBufferReader reader(&bytes);
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  if (!message->ParseFromZeroCopyStream(&reader) ||
      !google::protobuf::util::MessageToJsonString(*message, &json, options).ok()) {
    return Error{ErrorCode::kInternal, "an own answer cannot be read"};
  }
  return json + "\n";
}

}  // namespace

void OwnRpcs::SetAddress(const std::string& address) {
  auto channel = rpc::OpenChannel(address);
  const std::lock_guard lock(mutex_);
  channel_ = std::move(channel);
}

void OwnRpcs::Handle(Call call, Answered answered) {
  const MethodDescriptor* method = FindRpc(call.rpc);
  if (method == nullptr) {
    return answered(Error{ErrorCode::kNotFound, "no rpc " + call.rpc.substr(0, 80) + " here"});
  }
  const auto request = NewMessage(*method->input_type());
  if (call.json.find_first_not_of(" \t\r\n") != std::string::npos) {
    const auto parsed = google::protobuf::util::JsonStringToMessage(call.json, request.get());
    if (!parsed.ok()) {
      return answered(Error{ErrorCode::kInvalidArgument, std::string(parsed.message())});
    }
  }
  std::shared_ptr<grpc::Channel> channel;
  {
    const std::lock_guard lock(mutex_);
    channel = channel_;
  }
  if (!channel) return answered(Error{ErrorCode::kUnavailable, "the service is starting"});

  auto pending = std::make_unique<Pending>(std::move(channel));
  pending->method = method;
  pending->answered = std::move(answered);
  pending->context.set_deadline(std::chrono::system_clock::now() + deadline_);
  if (!call.trace_parent.empty()) pending->context.AddMetadata("traceparent", call.trace_parent);
  const grpc::Slice bytes(request->SerializeAsString());
  pending->request = grpc::ByteBuffer(&bytes, 1);
  const std::string path = "/" + method->service()->full_name() + "/" + method->name();
  Pending& under_way = *pending.release();
  under_way.stub.UnaryCall(&under_way.context, path, grpc::StubOptions(), &under_way.request,
                           &under_way.response, [&under_way](const grpc::Status& status) {
                             const std::unique_ptr<Pending> done(&under_way);
                             done->answered(AnswerOf(*done, status));
                           });
}

}  // namespace tidewheel::inference
