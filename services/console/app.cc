#include "tidewheel/console/app.h"

namespace tidewheel::console {
namespace {

HttpGateway::Options GatewayOptions(const Config& config, metrics::Registry& metrics) {
  return {.call_deadline = config.call_deadline,
          .hosts = config.http_hosts,
          .max_streams = config.http_threads / 2,
          .heartbeat_seconds = 10,
          .requests = metrics.Counter("tidewheel_console_http_requests_total", "HTTP requests."),
          .failures = metrics.Counter("tidewheel_console_http_failures_total",
                                      "HTTP requests answered with 500 or above."),
          .seconds = metrics.Histogram("tidewheel_console_http_seconds",
                                       "Time to answer an HTTP request.")};
}

}  // namespace

App::App(const Config& config)
    : config_(config),
      backends_(config.backends),
      handler_(backends_, config.health_deadline),
      gateway_(backends_, catalog_, GatewayOptions(config, metrics_)) {}

Result<void> App::Start() {
  auto exposer = metrics::Exposer::Start(config_.metrics_listen, metrics_);
  if (!exposer) return exposer.error();
  exposer_ = std::move(*exposer);

  server_ = std::make_unique<rpc::Server>(config_.server, metrics_);
  server_->Add(handler_);
  if (auto started = server_->Start(); !started) return started;
  backends_.SetAddress("console", server_->address());

  auto http = HttpServer::Start({.listen = config_.http_listen,
                                 .threads = config_.http_threads,
                                 .max_body_bytes = config_.http_max_body,
                                 .read_timeout = config_.http_read_timeout},
                                [this](const HttpRequest& request, HttpExchange& exchange) {
                                  gateway_.Handle(request, exchange);
                                });
  if (!http) return http.error();
  http_ = std::move(*http);
  server_->SetServing(true);
  return {};
}

rpc::Addresses App::addresses() const {
  return {
      {"grpc", server_->address()}, {"metrics", exposer_->address()}, {"http", http_->address()}};
}

}  // namespace tidewheel::console
