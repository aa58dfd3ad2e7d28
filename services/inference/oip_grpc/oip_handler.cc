#include "tidewheel/inference/oip_grpc/oip_handler.h"

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "tidewheel/inference/core/request_parameters.h"
#include "tidewheel/inference/oip_grpc/convert.h"
#include "tidewheel/inference/oip_grpc/infer_codec.h"
#include "tidewheel/inference/oip_grpc/infer_stream.h"
#include "tidewheel/inference/oip_grpc/message_bytes.h"
#include "tidewheel/log/log.h"
#include "tidewheel/rpc/call.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::inference {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

ServerUnaryReactor* Done(CallbackServerContext* context, const Result<void>& result) {
  auto* const reactor = context->DefaultReactor();
  reactor->Finish(rpc::ToGrpcStatus(result));
  return reactor;
}

Error NoCuda() {
  return {ErrorCode::kUnimplemented,
          "this server shares no memory of GPUs; register system shared memory instead"};
}
Error NoSharedMemory() {
  return {ErrorCode::kUnimplemented, "this server is set to share no memory (shared_memory)"};
}

Result<void> CheckRepository(const std::string& name) {
  if (name.empty()) return {};
  return Error{ErrorCode::kUnimplemented, "there is one repository: repository_name stays empty"};
}

/// A ModelInfer under way.
struct InferCall {
  std::shared_ptr<rpc::DirectCall> call{};
  const SharedMemoryTable* regions = nullptr;
  Counter* answers = nullptr;
  Counter* refusals = nullptr;
  AnswerForm form{};

  void Refuse(const Error& error) const {
    refusals->Add();
    call->Refuse(rpc::ToGrpcStatus(error));
  }
  void Answer(const Result<InferResponse>& answer) const {
    if (!answer) return Refuse(answer.error());
    EncodedAnswer encoded;
    if (const auto written = EncodeInferResponse(*answer, form, *regions, encoded); !written) {
      return Refuse(written.error());
    }
    answers->Add();
    call->Answer(std::move(encoded));
  }
};

/// What a client may say with RepositoryModelLoad.
struct LoadWish {
  std::optional<std::string> config{};
  std::map<std::string, std::string> files{};
};

Result<LoadWish> ReadLoadWish(const ::inference::RepositoryModelLoadRequest& request) {
  using ::inference::ModelRepositoryParameter;
  LoadWish wish;
  for (const auto& [name, parameter] : request.parameters()) {
    const auto kind = parameter.parameter_choice_case();
    const std::string shown = "parameter \"" + name.substr(0, 80) + "\"";
    if (name == "config") {
      if (kind != ModelRepositoryParameter::kStringParam) {
        return Error{ErrorCode::kInvalidArgument, shown + " is a text: the configuration as JSON"};
      }
      wish.config = parameter.string_param();
    } else if (name.starts_with("file:")) {
      if (kind != ModelRepositoryParameter::kBytesParam) {
        return Error{ErrorCode::kInvalidArgument, shown + " is the file's bytes"};
      }
      wish.files[name] = parameter.bytes_param();
    } else {
      return Error{ErrorCode::kInvalidArgument,
                   "there is no " + shown + "; there are \"config\" and \"file:<version>/<file>\""};
    }
  }
  return wish;
}

Result<bool> ReadUnloadDependents(const ::inference::RepositoryModelUnloadRequest& request) {
  using ::inference::ModelRepositoryParameter;
  bool dependents = false;
  for (const auto& [name, parameter] : request.parameters()) {
    if (name != "unload_dependents" ||
        parameter.parameter_choice_case() != ModelRepositoryParameter::kBoolParam) {
      return Error{ErrorCode::kInvalidArgument,
                   "the one parameter is \"unload_dependents\", true or false"};
    }
    dependents = parameter.bool_param();
  }
  return dependents;
}

}  // namespace

OipHandler::OipHandler(ModelServer& models, SharedMemoryTable& regions, Options options)
    : models_(models),
      regions_(regions),
      options_(std::move(options)),
      control_(options_.control_queue) {
  for (std::size_t i = 0; i < options_.control_threads; ++i) {
    workers_.push_back(std::make_unique<Worker>("oip-control-" + std::to_string(i),
                                                [this](const std::stop_token& stop) {
                                                  while (true) {
                                                    const auto jobs = control_.PopSome(stop, 1);
                                                    if (jobs.empty()) return;
                                                    for (const auto& job : jobs) job();
                                                  }
                                                }));
  }
}

OipHandler::~OipHandler() {
  // The server has drained its calls by now; what still waits is done before the threads go.
  control_.Close();
}

ServerUnaryReactor* OipHandler::Later(CallbackServerContext* context, Work work) {
  auto* const reactor = context->DefaultReactor();
  std::function<void()> job = [context, reactor, work = std::move(work)] {
    const log::Context trace(rpc::TraceOf(*context));
    reactor->Finish(work());
  };
  if (!control_.TryPush(std::move(job))) {
    reactor->Finish(rpc::ToGrpcStatus(Error{
        ErrorCode::kResourceExhausted,
        std::to_string(control_.capacity()) + " calls about models wait already; try later"}));
  }
  return reactor;
}

ServerUnaryReactor* OipHandler::ServerLive(CallbackServerContext* context,
                                           const ::inference::ServerLiveRequest* /*request*/,
                                           ::inference::ServerLiveResponse* response) {
  response->set_live(models_.live());
  return Done(context, {});
}

ServerUnaryReactor* OipHandler::ServerReady(CallbackServerContext* context,
                                            const ::inference::ServerReadyRequest* /*request*/,
                                            ::inference::ServerReadyResponse* response) {
  response->set_ready(models_.ready());
  return Done(context, {});
}

ServerUnaryReactor* OipHandler::ModelReady(CallbackServerContext* context,
                                           const ::inference::ModelReadyRequest* request,
                                           ::inference::ModelReadyResponse* response) {
  const auto ready = models_.ModelReady(request->name(), request->version());
  if (!ready) return Done(context, ready.error());
  response->set_ready(*ready);
  return Done(context, {});
}

ServerUnaryReactor* OipHandler::ServerMetadata(
    CallbackServerContext* context, const ::inference::ServerMetadataRequest* /*request*/,
    ::inference::ServerMetadataResponse* response) {
  response->set_name(kServerName);
  response->set_version(options_.server_version);
  for (const std::string& extension : ServerExtensions()) response->add_extensions(extension);
  return Done(context, {});
}

ServerUnaryReactor* OipHandler::ModelMetadata(CallbackServerContext* context,
                                              const ::inference::ModelMetadataRequest* request,
                                              ::inference::ModelMetadataResponse* response) {
  const auto description = models_.Describe(request->name(), request->version());
  if (!description) return Done(context, description.error());
  ToProto(*description, *response);
  return Done(context, {});
}

rpc::DirectMethod OipHandler::DirectInfer() {
  return {.path = "/inference.GRPCInferenceService/ModelInfer",
          .handle = [this](std::shared_ptr<rpc::DirectCall> call) { Infer(std::move(call)); },
          .align_at = &FirstRawInput};
}

void OipHandler::Infer(std::shared_ptr<rpc::DirectCall> direct) {
  auto call = std::make_unique<InferCall>();
  call->call = std::move(direct);
  call->regions = &regions_;
  call->answers = &options_.answers;
  call->refusals = &options_.refusals;
  const rpc::DirectCall& asked = *call->call;
  ReadInferRequest read;
  const auto parsed = ParseInferRequest(asked.message(), regions_, read);
  if (!parsed) return call->Refuse(parsed.error());
  call->form = std::move(read.form);
  read.request.deadline = asked.deadline();
  read.request.cancelled = [&asked] { return asked.cancelled(); };
  read.request.came_with = asked.came_with();
  if (read.request.routing_key.empty()) {
    read.request.routing_key = asked.Header(kRoutingKeyHeader);
  }
  // A plain pointer fits into the function's own memory; the answer comes exactly once.
  models_.Infer(std::move(read.request),
                [under_way = call.release()](Result<InferResponse> answer) {
                  const std::unique_ptr<InferCall> owned(under_way);
                  owned->Answer(answer);
                });
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* OipHandler::ModelStreamInfer(
    CallbackServerContext* context) {
  TakeShortTurns();
  return new InferStream(*context, models_, regions_, options_.stream_window);
}

ServerUnaryReactor* OipHandler::ModelConfig(CallbackServerContext* context,
                                            const ::inference::ModelConfigRequest* request,
                                            ::inference::ModelConfigResponse* response) {
  const auto config = models_.Config(request->name(), request->version());
  if (!config) return Done(context, config.error());
  ToProto(*config, *response->mutable_config());
  return Done(context, {});
}

ServerUnaryReactor* OipHandler::ModelStatistics(CallbackServerContext* context,
                                                const ::inference::ModelStatisticsRequest* request,
                                                ::inference::ModelStatisticsResponse* response) {
  const auto statistics = models_.Statistics(request->name(), request->version());
  if (!statistics) return Done(context, statistics.error());
  for (const auto& each : *statistics) ToProto(each, *response->add_model_stats());
  return Done(context, {});
}

ServerUnaryReactor* OipHandler::RepositoryIndex(CallbackServerContext* context,
                                                const ::inference::RepositoryIndexRequest* request,
                                                ::inference::RepositoryIndexResponse* response) {
  const auto known = CheckRepository(request->repository_name());
  if (!known) return Done(context, known);
  return Later(context, [this, request, response] {
    for (const IndexEntry& entry : models_.Index(request->ready())) {
      ToProto(entry, *response->add_models());
    }
    return grpc::Status::OK;
  });
}

ServerUnaryReactor* OipHandler::RepositoryModelLoad(
    CallbackServerContext* context, const ::inference::RepositoryModelLoadRequest* request,
    ::inference::RepositoryModelLoadResponse* /*response*/) {
  const auto known = CheckRepository(request->repository_name());
  if (!known) return Done(context, known);
  return Later(context, [this, request] {
    const auto wish = ReadLoadWish(*request);
    if (!wish) return rpc::ToGrpcStatus(wish.error());
    const auto loaded = models_.Load(request->model_name(), wish->config, wish->files);
    if (loaded) {
      log::Info("model loaded", {{"model", request->model_name().substr(0, 200)}});
    } else {
      log::Warning("model not loaded",
                   {{"model", request->model_name().substr(0, 200)}, {"problem", loaded.error()}});
    }
    if (options_.models_changed) options_.models_changed();
    return rpc::ToGrpcStatus(loaded);
  });
}

ServerUnaryReactor* OipHandler::RepositoryModelUnload(
    CallbackServerContext* context, const ::inference::RepositoryModelUnloadRequest* request,
    ::inference::RepositoryModelUnloadResponse* /*response*/) {
  const auto known = CheckRepository(request->repository_name());
  if (!known) return Done(context, known);
  const auto dependents = ReadUnloadDependents(*request);
  if (!dependents) return Done(context, dependents.error());
  return Later(context, [this, request, all = *dependents] {
    const auto unloaded = Unload(request->model_name(), all);
    if (unloaded) log::Info("model unloaded", {{"model", request->model_name().substr(0, 200)}});
    if (options_.models_changed) options_.models_changed();
    return rpc::ToGrpcStatus(unloaded);
  });
}

Result<void> OipHandler::Unload(const std::string& name, bool dependents) {
  std::set<std::string> inner;
  if (dependents) {
    // Not loaded: its steps are not known any more, and it is as asked.
    if (const auto config = models_.Config(name, "")) {
      for (const EnsembleStep& step : config->ensemble) inner.insert(step.model);
    }
  }
  if (auto unloaded = models_.Unload(name); !unloaded) return unloaded;
  for (const std::string& model : inner) {
    if (auto unloaded = models_.Unload(model); !unloaded) return unloaded;
  }
  return {};
}

ServerUnaryReactor* OipHandler::SystemSharedMemoryStatus(
    CallbackServerContext* context, const ::inference::SystemSharedMemoryStatusRequest* request,
    ::inference::SystemSharedMemoryStatusResponse* response) {
  const auto regions = regions_.Status(request->name());
  if (!regions) return Done(context, regions.error());
  for (const SharedMemoryRegion& region : *regions) {
    auto& out = (*response->mutable_regions())[region.name];
    out.set_name(region.name);
    out.set_key(region.key);
    out.set_offset(region.offset);
    out.set_byte_size(region.byte_size);
  }
  return Done(context, {});
}

ServerUnaryReactor* OipHandler::SystemSharedMemoryRegister(
    CallbackServerContext* context, const ::inference::SystemSharedMemoryRegisterRequest* request,
    ::inference::SystemSharedMemoryRegisterResponse* /*response*/) {
  if (!options_.shared_memory) return Done(context, NoSharedMemory());
  return Done(context, regions_.Register({.name = request->name(),
                                          .key = request->key(),
                                          .offset = request->offset(),
                                          .byte_size = request->byte_size()}));
}

ServerUnaryReactor* OipHandler::SystemSharedMemoryUnregister(
    CallbackServerContext* context, const ::inference::SystemSharedMemoryUnregisterRequest* request,
    ::inference::SystemSharedMemoryUnregisterResponse* /*response*/) {
  regions_.Unregister(request->name());
  return Done(context, {});
}

ServerUnaryReactor* OipHandler::CudaSharedMemoryStatus(
    CallbackServerContext* context, const ::inference::CudaSharedMemoryStatusRequest* /*request*/,
    ::inference::CudaSharedMemoryStatusResponse* /*response*/) {
  return Done(context, NoCuda());
}

ServerUnaryReactor* OipHandler::CudaSharedMemoryRegister(
    CallbackServerContext* context, const ::inference::CudaSharedMemoryRegisterRequest* /*request*/,
    ::inference::CudaSharedMemoryRegisterResponse* /*response*/) {
  return Done(context, NoCuda());
}

ServerUnaryReactor* OipHandler::CudaSharedMemoryUnregister(
    CallbackServerContext* context,
    const ::inference::CudaSharedMemoryUnregisterRequest* /*request*/,
    ::inference::CudaSharedMemoryUnregisterResponse* /*response*/) {
  return Done(context, NoCuda());
}

}  // namespace tidewheel::inference
