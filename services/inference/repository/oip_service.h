#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/config/reader.h"
#include "tidewheel/inference/core/repository_server.h"
#include "tidewheel/inference/core/shared_memory.h"
#include "tidewheel/inference/engine/onnx_loader.h"
#include "tidewheel/inference/engine/torch/torch_loader.h"
#include "tidewheel/inference/oip_grpc/oip_handler.h"
#include "tidewheel/inference/oip_http/oip_http_server.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/server.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::inference {

/// How models are served over the Open Inference Protocol.
struct OipSettings {
  std::string folder{};  // Of models; empty: none, only what is put.
  RepositoryServer::Mode mode = RepositoryServer::Mode::kNone;
  std::chrono::milliseconds poll_every{15'000};
  std::vector<std::string> load{};  // At the start, in the mode explicit; "*": all.
  bool accept_files = true;         // With a client's request to load, in the mode explicit.
  std::string http_listen{};        // Empty: no HTTP.
  bool shared_memory = true;        // Whether clients may register it.
  /// Who would wait longer is refused; never less than `queue_calls` full batches take.
  std::chrono::milliseconds queue_budget{20};
  std::size_t queue_calls = 8;
  std::uint32_t instances = 1;  // Of models whose configuration does not say.
  config::ByteCount response_cache{};
  bool histograms = true;
  TorchOptions torch{};

  void Read(config::Reader& reader);
};

/// Asks loaders in turn: one that does not know the files of a version leaves it to the next.
class LoaderChain final : public ExecutorLoader {
 public:
  explicit LoaderChain(std::vector<ExecutorLoader*> loaders) : loaders_(std::move(loaders)) {}
  Result<std::unique_ptr<Executor>> Load(const ModelSource& source) override;

 private:
  const std::vector<ExecutorLoader*> loaders_;
};

/// A folder for what clients bring, gone with its owner.
class ScratchRoot {
 public:
  static Result<std::unique_ptr<ScratchRoot>> Make();
  ~ScratchRoot();
  ScratchRoot(const ScratchRoot&) = delete;
  ScratchRoot& operator=(const ScratchRoot&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit ScratchRoot(std::filesystem::path path) : path_(std::move(path)) {}
  const std::filesystem::path path_;
};

/// The models of a process: those of a folder, and those that are put beside them; their metrics.
class OipModels {
 public:
  /// All must outlive it.
  OipModels(const OipSettings& settings, const serving::Engine& engine, metrics::Registry& metrics);

  /// Loads what the settings say; what cannot be loaded is logged and listed. kNotFound: there is
  /// no such folder.
  Result<void> Start();

  RepositoryServer& models() { return *models_; }
  /// kUnavailable: a model that should serve does not.
  Result<void> Ready() const;

 private:
  const OipSettings settings_;
  metrics::Registry& metrics_;
  OnnxLoader onnx_;
  TorchLoader torch_;
  LoaderChain loaders_{{&onnx_, &torch_}};
  std::unique_ptr<ScratchRoot> scratch_;
  std::unique_ptr<RepositoryServer> models_;
  metrics::Registration registration_;
};

/// The doors to models: the gRPC handler (for a server that outlives no call of it), HTTP, health
/// of each model by its name.
class OipDoors {
 public:
  /// All must outlive it.
  OipDoors(const OipSettings& settings, ModelServer& models, metrics::Registry& metrics);

  OipHandler& handler() { return handler_; }
  /// What the gRPC server has to know: whom health asks, and when to ask again because a client has
  /// loaded or unloaded a model, whichever door it came by; which methods are frequent.
  void AddTo(rpc::ServerOptions& options);
  /// Where the settings name an address. kUnavailable: it cannot be bound.
  Result<void> OpenHttp(PlatformRpcs* platform);
  /// "127.0.0.1:8000"; empty without HTTP.
  std::string http_address() const { return http_ != nullptr ? http_->address() : ""; }

 private:
  const OipSettings settings_;
  ModelServer& models_;
  metrics::Registry& metrics_;
  const std::shared_ptr<Pause> changed_ = std::make_shared<Pause>();
  SharedMemoryTable regions_;
  OipHandler handler_;
  std::unique_ptr<OipHttpServer> http_;
};

}  // namespace tidewheel::inference
