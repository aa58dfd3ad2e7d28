#include "tidewheel/service/endpoints.h"

#include <utility>

namespace tidewheel::service {

Result<void> Endpoints::Open(const Options& options, const std::vector<grpc::Service*>& handlers,
                             std::vector<rpc::Dependency> dependencies) {
  auto exposer = metrics::Exposer::Start(options.metrics_listen, metrics_);
  if (!exposer) return exposer.error();
  exposer_ = *std::move(exposer);
  server_ = std::make_unique<rpc::Server>(options.server, metrics_);
  for (grpc::Service* handler : handlers) server_->Add(*handler);
  if (auto started = server_->Start(); !started) return started;
  probe_ = std::make_unique<rpc::HealthProbe>(*server_, std::move(dependencies));
  return {};
}

rpc::Addresses Endpoints::addresses() const {
  return {{"grpc", server_->address()}, {"metrics", exposer_->address()}};
}

}  // namespace tidewheel::service
