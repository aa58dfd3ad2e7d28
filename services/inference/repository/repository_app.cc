#include "tidewheel/inference/repository/repository_app.h"

#include <utility>

namespace tidewheel::inference {

RepositoryConfig::RepositoryConfig() {
  // The ports that the field's clients expect.
  endpoints.server.listen = {"127.0.0.1:8001"};
  endpoints.metrics_listen = "127.0.0.1:8002";
  oip.http_listen = "127.0.0.1:8000";
}

void RepositoryConfig::Read(config::Reader& reader) {
  endpoints.server.Read(reader);
  reader.Read("metrics_listen", &endpoints.metrics_listen);
  oip.Read(reader);
  reader.Require("repository.folder", oip.folder);
}

Result<void> RepositoryApp::Start() {
  serving::EngineOptions engine_options;
  engine_options.fixed_rows = serving::kServedRows;
  engine_options.plugin_at_once = false;  // A server without models is small and quick to start.
  auto engine = serving::Engine::Create(engine_options);
  if (!engine) return engine.error();
  engine_ = *std::move(engine);
  models_.emplace(config_.oip, *engine_, metrics_);
  if (auto started = models_->Start(); !started) return started;
  doors_.emplace(config_.oip, models_->models(), metrics_);
  doors_->AddTo(config_.endpoints.server);
  if (auto opened = doors_->OpenHttp(nullptr); !opened) return opened;
  return endpoints_.Open(config_.endpoints, {&doors_->handler()},
                         {{"models", [this] { return models_->Ready(); }}});
}

rpc::Addresses RepositoryApp::addresses() const {
  rpc::Addresses all = endpoints_.addresses();
  if (const std::string http = doors_->http_address(); !http.empty()) all["http"] = http;
  return all;
}

}  // namespace tidewheel::inference
