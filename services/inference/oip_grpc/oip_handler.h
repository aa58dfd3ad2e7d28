#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "inference/grpc_service.grpc.pb.h"
#include "tidewheel/base/bounded_queue.h"
#include "tidewheel/base/counters.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/inference/core/model_server.h"
#include "tidewheel/inference/core/shared_memory.h"
#include "tidewheel/rpc/direct_call.h"

namespace tidewheel::inference {

namespace internal {
// The generated service with a callback for each rpc but ModelInfer, whose calls are direct; that
// of the stream without messages of protobuf.
using Oip = ::inference::GRPCInferenceService;
using OipServerRpcs = Oip::WithCallbackMethod_ServerLive<Oip::WithCallbackMethod_ServerReady<
    Oip::WithCallbackMethod_ModelReady<Oip::WithCallbackMethod_ServerMetadata<Oip::Service>>>>;
using OipModelRpcs = Oip::WithCallbackMethod_ModelMetadata<
    Oip::WithCallbackMethod_ModelConfig<Oip::WithCallbackMethod_ModelStatistics<OipServerRpcs>>>;
using OipRepositoryRpcs =
    Oip::WithCallbackMethod_RepositoryIndex<Oip::WithCallbackMethod_RepositoryModelLoad<
        Oip::WithCallbackMethod_RepositoryModelUnload<OipModelRpcs>>>;
using OipSystemMemoryRpcs = Oip::WithCallbackMethod_SystemSharedMemoryStatus<
    Oip::WithCallbackMethod_SystemSharedMemoryRegister<
        Oip::WithCallbackMethod_SystemSharedMemoryUnregister<OipRepositoryRpcs>>>;
using OipCudaMemoryRpcs =
    Oip::WithCallbackMethod_CudaSharedMemoryStatus<Oip::WithCallbackMethod_CudaSharedMemoryRegister<
        Oip::WithCallbackMethod_CudaSharedMemoryUnregister<OipSystemMemoryRpcs>>>;
using OipRpcs = Oip::WithRawCallbackMethod_ModelStreamInfer<OipCudaMemoryRpcs>;
}  // namespace internal

/// The Open Inference Protocol over gRPC in front of a ModelServer: callbacks that never block.
/// ModelInfer and ModelStreamInfer read and write the wire format themselves, so that tensors are
/// copied once at most; what may take long (load, unload, the index of a folder) runs on threads
/// kept for it.
class OipHandler final : public internal::OipRpcs {
 public:
  struct Options {
    std::string server_version{};  // Of ServerMetadata.
    std::size_t control_threads = 2;
    std::size_t control_queue = 64;   // Calls that may wait for such a thread.
    std::size_t stream_window = 128;  // Requests of one stream that are worked on at once.
    bool shared_memory = true;        // Whether clients may register regions.
    /// Called when a client has loaded or unloaded a model, from any thread.
    std::function<void()> models_changed{};
    Counter& answers = Counter::None();   // To ModelInfer.
    Counter& refusals = Counter::None();  // Errors to it.
  };

  OipHandler(ModelServer& models, SharedMemoryTable& regions, Options options);
  ~OipHandler() override;

  /// ModelInfer, to be handed to the server beside this service (rpc::ServerOptions).
  rpc::DirectMethod DirectInfer();

  grpc::ServerUnaryReactor* ServerLive(grpc::CallbackServerContext* context,
                                       const ::inference::ServerLiveRequest* request,
                                       ::inference::ServerLiveResponse* response) override;
  grpc::ServerUnaryReactor* ServerReady(grpc::CallbackServerContext* context,
                                        const ::inference::ServerReadyRequest* request,
                                        ::inference::ServerReadyResponse* response) override;
  grpc::ServerUnaryReactor* ModelReady(grpc::CallbackServerContext* context,
                                       const ::inference::ModelReadyRequest* request,
                                       ::inference::ModelReadyResponse* response) override;
  grpc::ServerUnaryReactor* ServerMetadata(grpc::CallbackServerContext* context,
                                           const ::inference::ServerMetadataRequest* request,
                                           ::inference::ServerMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelMetadata(grpc::CallbackServerContext* context,
                                          const ::inference::ModelMetadataRequest* request,
                                          ::inference::ModelMetadataResponse* response) override;
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* ModelStreamInfer(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ModelConfig(grpc::CallbackServerContext* context,
                                        const ::inference::ModelConfigRequest* request,
                                        ::inference::ModelConfigResponse* response) override;
  grpc::ServerUnaryReactor* ModelStatistics(
      grpc::CallbackServerContext* context, const ::inference::ModelStatisticsRequest* request,
      ::inference::ModelStatisticsResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryIndex(
      grpc::CallbackServerContext* context, const ::inference::RepositoryIndexRequest* request,
      ::inference::RepositoryIndexResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryModelLoad(
      grpc::CallbackServerContext* context, const ::inference::RepositoryModelLoadRequest* request,
      ::inference::RepositoryModelLoadResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryModelUnload(
      grpc::CallbackServerContext* context,
      const ::inference::RepositoryModelUnloadRequest* request,
      ::inference::RepositoryModelUnloadResponse* response) override;
  grpc::ServerUnaryReactor* SystemSharedMemoryStatus(
      grpc::CallbackServerContext* context,
      const ::inference::SystemSharedMemoryStatusRequest* request,
      ::inference::SystemSharedMemoryStatusResponse* response) override;
  grpc::ServerUnaryReactor* SystemSharedMemoryRegister(
      grpc::CallbackServerContext* context,
      const ::inference::SystemSharedMemoryRegisterRequest* request,
      ::inference::SystemSharedMemoryRegisterResponse* response) override;
  grpc::ServerUnaryReactor* SystemSharedMemoryUnregister(
      grpc::CallbackServerContext* context,
      const ::inference::SystemSharedMemoryUnregisterRequest* request,
      ::inference::SystemSharedMemoryUnregisterResponse* response) override;
  grpc::ServerUnaryReactor* CudaSharedMemoryStatus(
      grpc::CallbackServerContext* context,
      const ::inference::CudaSharedMemoryStatusRequest* request,
      ::inference::CudaSharedMemoryStatusResponse* response) override;
  grpc::ServerUnaryReactor* CudaSharedMemoryRegister(
      grpc::CallbackServerContext* context,
      const ::inference::CudaSharedMemoryRegisterRequest* request,
      ::inference::CudaSharedMemoryRegisterResponse* response) override;
  grpc::ServerUnaryReactor* CudaSharedMemoryUnregister(
      grpc::CallbackServerContext* context,
      const ::inference::CudaSharedMemoryUnregisterRequest* request,
      ::inference::CudaSharedMemoryUnregisterResponse* response) override;

 private:
  using Work = std::function<grpc::Status()>;
  /// Finishes the call with what `work` says, on a thread that may block.
  grpc::ServerUnaryReactor* Later(grpc::CallbackServerContext* context, Work work);
  Result<void> Unload(const std::string& name, bool dependents);
  void Infer(std::shared_ptr<rpc::DirectCall> call);

  ModelServer& models_;
  SharedMemoryTable& regions_;
  const Options options_;
  BoundedQueue<std::function<void()>> control_;
  std::vector<std::unique_ptr<Worker>> workers_;  // Last: they use the rest.
};

}  // namespace tidewheel::inference
