#include "floors.h"

#include <grpcpp/grpcpp.h>

#include <cstring>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "inference/grpc_service.grpc.pb.h"
#include "models.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::bench {
namespace {

using ::inference::ModelInferRequest;
using ::inference::ModelInferResponse;
using Rpcs = ::inference::GRPCInferenceService::WithCallbackMethod_ModelInfer<
    ::inference::GRPCInferenceService::Service>;

void Answer(const ModelInferRequest& request, std::span<const std::int64_t> shape,
            const std::string& raw, ModelInferResponse& response) {
  response.set_model_name(request.model_name());
  response.set_model_version("1");
  auto& output = *response.add_outputs();
  output.set_name("probabilities");
  output.set_datatype("FP32");
  for (const std::int64_t size : shape) output.add_shape(size);
  response.add_raw_output_contents(raw);
}

class NullService final : public Rpcs {
 public:
  grpc::ServerUnaryReactor* ModelInfer(grpc::CallbackServerContext* context,
                                       const ModelInferRequest* request,
                                       ModelInferResponse* response) override {
    static const std::map<std::string, std::vector<std::int64_t>> shapes = {
        {"identity", {1, 1, 28, 28}}, {"mlp", {1, 4}}, {"cnn_28", {1, 10}}, {"cnn_32", {1, 10}}};
    auto* const reactor = context->DefaultReactor();
    const auto shape = shapes.find(request->model_name());
    if (shape == shapes.end()) {
      reactor->Finish({grpc::StatusCode::NOT_FOUND, "no model " + request->model_name()});
      return reactor;
    }
    std::size_t bytes = sizeof(float);
    for (const std::int64_t size : shape->second) bytes *= static_cast<std::size_t>(size);
    Answer(*request, shape->second, std::string(bytes, '\0'), *response);
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

class BareService final : public Rpcs {
 public:
  explicit BareService(const serving::Model& model) : model_(model) {}

  grpc::ServerUnaryReactor* ModelInfer(grpc::CallbackServerContext* context,
                                       const ModelInferRequest* request,
                                       ModelInferResponse* response) override {
    auto* const reactor = context->DefaultReactor();
    const std::size_t elements = model_.signature().input.elements();
    if (request->raw_input_contents_size() != 1 ||
        request->raw_input_contents(0).size() != elements * sizeof(float)) {
      reactor->Finish({grpc::StatusCode::INVALID_ARGUMENT, "one raw row is asked for"});
      return reactor;
    }
    std::vector<float> row(elements);
    std::memcpy(row.data(), request->raw_input_contents(0).data(), elements * sizeof(float));
    std::string raw(model_.signature().output.elements() * sizeof(float), '\0');
    std::vector<float> answers(model_.signature().output.elements());
    const auto ran = model_.Infer(row, 1, answers);
    if (!ran) {
      reactor->Finish({grpc::StatusCode::INTERNAL, ran.error().message});
      return reactor;
    }
    std::memcpy(raw.data(), answers.data(), raw.size());
    const std::int64_t shape[] = {1, static_cast<std::int64_t>(answers.size())};
    Answer(*request, shape, raw, *response);
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  const serving::Model& model_;
};

}  // namespace

int Serve(grpc::Service& service) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (server == nullptr || port == 0) return 1;
  std::cout << "127.0.0.1:" << port << std::endl;
  server->Wait();
  return 0;
}

int ServeNull() {
  NullService service;
  return Serve(service);
}

int ServeBare(const std::string& onnx_file) {
  const auto engine = serving::Engine::Create({});
  if (!engine) return 1;
  const auto model = (*engine)->Load(onnx_file);
  if (!model) {
    std::cerr << model.error().message << "\n";
    return 1;
  }
  BareService service(**model);
  return Serve(service);
}

}  // namespace tidewheel::bench
