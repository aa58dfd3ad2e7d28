#include "tidewheel/inference/repository/oip_service.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include "tidewheel/base/build_identity.h"
#include "tidewheel/inference/repository/model_metrics.h"
#include "tidewheel/log/log.h"

namespace tidewheel::inference {

namespace fs = std::filesystem;

namespace {

// With less no model of any use is loaded.
constexpr std::size_t kLeastTorchMemory = std::size_t{16} << 20;

bool IsDevice(std::string_view device) {
  if (device == "cpu") return true;
  if (!device.starts_with("cuda:")) return false;
  const std::string_view number = device.substr(5);
  return !number.empty() && number.size() <= 2 &&
         std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// What a torch-runner is and may take; of a model's configuration these are the upper bounds.
void ReadTorch(config::Reader& reader, TorchOptions& torch) {
  using std::chrono::hours;
  using std::chrono::milliseconds;
  std::string runner = torch.program.string();
  reader.Read("torch.runner", &runner);
  torch.program = runner;
  reader.Read("torch.device", &torch.device);
  if (!IsDevice(torch.device)) {
    reader.Fail("torch.device", "is cpu or cuda:N, such as cuda:0, not \"" + torch.device + "\"");
  }
  reader.Read("torch.threads", &torch.threads, std::uint32_t{1}, std::uint32_t{256});
  reader.Read("torch.freeze", &torch.freeze);
  reader.ReadBytes("torch.memory_limit", &torch.memory_bytes);
  if (torch.memory_bytes != 0 && torch.memory_bytes < kLeastTorchMemory) {
    reader.Fail("torch.memory_limit", "is 0 (any) or at least 16MiB");
  }
  reader.ReadBytes("torch.file_limit", &torch.file_bytes, std::size_t{1} << 10);
  reader.ReadBytes("torch.call_bytes", &torch.call_bytes, std::size_t{64} << 10,
                   std::size_t{16} << 30);
  reader.Read("torch.call_limit", &torch.call_limit, milliseconds{1}, hours{24});
  reader.Read("torch.load_limit", &torch.load_limit, milliseconds{100}, hours{24});
  reader.Read("torch.first_pause", &torch.first_pause, milliseconds{1}, hours{1});
  reader.Read("torch.most_pause", &torch.most_pause, milliseconds{1}, hours{24});
  if (torch.most_pause < torch.first_pause) {
    reader.Fail("torch.most_pause", "must not be less than torch.first_pause");
  }
  reader.Read("torch.lasting", &torch.lasting, milliseconds{1}, hours{24});
  reader.Read("torch.patience", &torch.patience, milliseconds{0}, hours{1});
  std::string scratch = torch.scratch.string();
  reader.Read("torch.scratch", &scratch);
  torch.scratch = scratch;
}

}  // namespace

void OipSettings::Read(config::Reader& reader) {
  reader.Read("repository.folder", &folder);
  reader.ReadEnum("repository.mode", &mode,
                  {{"none", RepositoryServer::Mode::kNone},
                   {"poll", RepositoryServer::Mode::kPoll},
                   {"explicit", RepositoryServer::Mode::kExplicit}});
  reader.Read("repository.poll_every", &poll_every, std::chrono::milliseconds{10},
              std::chrono::hours{24});
  reader.Read("repository.load", &load);
  reader.Read("repository.accept_files", &accept_files);
  reader.Read("http_listen", &http_listen);
  reader.Read("shared_memory", &shared_memory);
  reader.Read("queue_budget", &queue_budget, std::chrono::milliseconds{1},
              std::chrono::minutes{10});
  reader.Read("queue_calls", &queue_calls, std::size_t{0}, std::size_t{10'000});
  reader.Read("instances", &instances, std::uint32_t{1}, std::uint32_t{64});
  reader.Read("response_cache", &response_cache);
  reader.Read("histograms", &histograms);
  ReadTorch(reader, torch);
  if (!load.empty() && mode != RepositoryServer::Mode::kExplicit) {
    reader.Fail("repository.load", "needs repository.mode explicit; the other modes load all");
  }
}

Result<std::unique_ptr<Executor>> LoaderChain::Load(const ModelSource& source) {
  for (ExecutorLoader* const loader : loaders_) {
    auto loaded = loader->Load(source);
    if (loaded || loaded.error().code != ErrorCode::kNotFound) return loaded;
  }
  return Error{ErrorCode::kNotFound,
               "no file of a model that this server knows is in " + source.folder.string()};
}

Result<std::unique_ptr<ScratchRoot>> ScratchRoot::Make() {
  std::error_code error;
  std::string name = (fs::temp_directory_path(error) / "tidewheel-models-XXXXXX").string();
  if (error || mkdtemp(name.data()) == nullptr) {
    return Error{ErrorCode::kUnavailable,
                 "folder " + name +
                     " for models that clients bring cannot be made: " + std::strerror(errno)};
  }
  return std::unique_ptr<ScratchRoot>(new ScratchRoot(name));
}

ScratchRoot::~ScratchRoot() {
  std::error_code ignored;  // What cannot be removed takes place on the disk, and harms nobody.
  fs::remove_all(path_, ignored);
}

OipModels::OipModels(const OipSettings& settings, const serving::Engine& engine,
                     metrics::Registry& metrics)
    : settings_(settings), metrics_(metrics), onnx_(engine), torch_(settings.torch) {}

Result<void> OipModels::Start() {
  RepositoryServer::Options options;
  options.repository = settings_.folder;
  options.mode = settings_.mode;
  options.load_at_start = settings_.load;
  options.poll_every = settings_.poll_every;
  options.cache_bytes = static_cast<std::size_t>(settings_.response_cache.bytes);
  options.scheduling.queue_budget = settings_.queue_budget;
  options.scheduling.queue_calls = settings_.queue_calls;
  options.scheduling.instances = settings_.instances;
  options.scheduling.histograms = settings_.histograms;
  if (settings_.mode == RepositoryServer::Mode::kExplicit && settings_.accept_files) {
    auto scratch = ScratchRoot::Make();
    if (!scratch) return scratch.error();
    scratch_ = *std::move(scratch);
    options.scratch = scratch_->path();
  }
  models_ = std::make_unique<RepositoryServer>(std::move(options), loaders_);
  if (auto started = models_->Start(); !started) return started;
  for (const IndexEntry& entry : models_->Index(false)) {
    if (entry.state == ModelState::kReady) {
      log::Info("model serves", {{"model", entry.name}, {"version", entry.version}});
    } else if (!entry.reason.empty()) {
      log::Warning("model does not serve",
                   {{"model", entry.name}, {"version", entry.version}, {"problem", entry.reason}});
    }
  }
  for (const std::string& warning : models_->Warnings()) {
    log::Warning("configuration of a model", {{"warning", warning}});
  }
  registration_ = metrics_.Source([this] { return ModelFamilies(*models_); });
  return {};
}

Result<void> OipModels::Ready() const {
  if (models_->ready()) return {};
  std::string names;
  for (const IndexEntry& entry : models_->Index(false)) {
    if (entry.state != ModelState::kReady && !entry.reason.empty() && names.size() < 200) {
      names += (names.empty() ? "" : ", ") + entry.name;
    }
  }
  return Error{ErrorCode::kUnavailable, "models that should serve do not: " + names};
}

OipDoors::OipDoors(const OipSettings& settings, ModelServer& models, metrics::Registry& metrics)
    : settings_(settings),
      models_(models),
      metrics_(metrics),
      handler_(models_, regions_,
               OipHandler::Options{
                   .server_version = std::string(CurrentBuild().version),
                   .shared_memory = settings_.shared_memory,
                   .models_changed = [changed = changed_] { changed->Wake(); },
                   .answers = metrics_.Counter("tidewheel_inference_grpc_answers_total",
                                               "Answers to ModelInfer over gRPC."),
                   .refusals = metrics_.Counter("tidewheel_inference_grpc_refusals_total",
                                                "Errors to ModelInfer over gRPC.")}) {}

Result<void> OipDoors::OpenHttp(PlatformRpcs* platform) {
  if (settings_.http_listen.empty()) return {};
  OipHttpServer::Options options{
      .listen = settings_.http_listen,
      .shared_memory = settings_.shared_memory,
      .models_changed = [changed = changed_] { changed->Wake(); },
      .requests = metrics_.Counter("tidewheel_inference_http_requests_total",
                                   "Requests over HTTP that were answered."),
      .failures = metrics_.Counter("tidewheel_inference_http_failures_total",
                                   "Of these, with a status of 500 or above."),
      .cut_off = metrics_.Counter("tidewheel_inference_http_cut_off_total",
                                  "Connections that were too slow or too many."),
      .seconds = metrics_.Histogram("tidewheel_inference_http_seconds",
                                    "From the end of a request to its answer."),
      .connections = metrics_.Gauge("tidewheel_inference_http_open_connections",
                                    "Connections over HTTP that are open.")};
  auto http = OipHttpServer::Start(options, models_, regions_, platform);
  if (!http) return http.error();
  http_ = *std::move(http);
  return {};
}

void OipDoors::AddTo(rpc::ServerOptions& options) {
  for (const char* const method :
       {"ModelStreamInfer", "ServerLive", "ServerReady", "ModelReady", "ServerMetadata",
        "ModelMetadata", "ModelConfig", "ModelStatistics"}) {
    options.hot_methods.emplace_back(method);
  }
  options.hot_methods.emplace_back("ModelInfer");
  options.direct_methods.push_back(handler_.DirectInfer());
  options.other_health_changed = changed_;
  options.other_health = [models = &models_](const std::string& name) -> std::optional<bool> {
    const auto ready = models->ModelReady(name, "");
    if (!ready) return std::nullopt;
    return *ready;
  };
}

}  // namespace tidewheel::inference
