#include "tidewheel/inference/app.h"

#include <array>
#include <string>
#include <utility>

#include "tidewheel/log/log.h"
#include "tidewheel/service/events.h"

namespace tidewheel::inference {
namespace {

constexpr std::chrono::seconds kRegistryDeadline{2};

}  // namespace

App::App(const Config& config)
    : config_(config), deployments_(config.registry_address, kRegistryDeadline) {}

Result<void> App::Start() {
  auto payloads = blob::OpenFileStore(config_.payloads_root);
  if (!payloads) return payloads.error();
  payloads_ = *std::move(payloads);
  serving::EngineOptions engine_options;
  engine_options.concurrency = static_cast<int>(config_.workers);
  auto engine = serving::Engine::Create(engine_options);
  if (!engine) return engine.error();
  engine_ = *std::move(engine);

  auto broker = bus::OpenBroker(config_.bus.OptionsFor("inference"));
  if (!broker) return broker.error();
  broker_ = *std::move(broker);
  if (auto opened = OpenPublisher(); !opened) return opened;
  sink_.emplace(*publisher_);

  loader_.emplace(*payloads_, *engine_);
  follower_.emplace(deployments_, *loader_, table_, clock_);
  PredictorCounters counters{
      .predictions = metrics_.Counter("tidewheel_inference_predictions_total", "Answers given."),
      .refused = metrics_.Counter("tidewheel_inference_requests_refused_total",
                                  "Requests that got an error."),
      .outcomes = metrics_.Counter("tidewheel_inference_outcomes_total", "Outcomes taken.")};
  predictor_.emplace(table_, *sink_, clock_, counters);
  handler_.emplace(*predictor_, table_, clock_,
                   InferenceHandler::Options{config_.workers, config_.queue});

  following_ = std::make_unique<Worker>(
      "deployments", [this](std::stop_token stop) { FollowDeployments(std::move(stop)); });
  return endpoints_.Open(
      config_.endpoints, {&*handler_},
      {{"deployments", [this]() -> Result<void> {
          if (settled_) return {};
          return Error{ErrorCode::kUnavailable, "model-registry has not been heard yet"};
        }}});
}

Result<void> App::OpenPublisher() {
  bus::BufferedPublisherCounters counters{
      .published =
          metrics_.Counter("tidewheel_inference_events_published_total", "Events the bus took."),
      .spilled = metrics_.Counter("tidewheel_inference_events_spilled_total",
                                  "Events that went to disk because the bus was away or slow."),
      .dropped = metrics_.Counter("tidewheel_inference_events_dropped_total",
                                  "Events lost: memory and disk were full."),
      .waiting = metrics_.Gauge("tidewheel_inference_waiting_events", "Events in memory."),
      .spill_bytes =
          metrics_.Gauge("tidewheel_inference_spill_bytes", "Events on disk, still to publish.")};
  bus::BufferedPublisherOptions options{.folder = config_.spill_folder,
                                        .spill_bytes = config_.spill_limit.bytes,
                                        .counters = counters,
                                        .on_problem = [](const Error& error) {
                                          log::Warning("events wait", {{"problem", error}});
                                        }};
  auto publisher = bus::BufferedPublisher::Open(*broker_, std::move(options));
  if (!publisher) return publisher.error();
  publisher_ = *std::move(publisher);
  return {};
}

void App::FollowDeployments(std::stop_token stop) {
  bool topics_made = false;
  do {
    // The bus may come later than this service: predictions spill until it does.
    if (!topics_made) {
      const std::array<std::string, 2> topics{"tidewheel.predictions", "tidewheel.outcomes"};
      topics_made = broker_->EnsureTopics(topics, service::kPartitions).ok();
    }
    const auto followed = follower_->Follow();
    if (!followed) {
      log::Debug("deployments not followed", {{"problem", followed.error()}});
      continue;
    }
    settled_ = true;
    if (followed->loaded + followed->removed + followed->failed > 0) {
      log::Info("deployments followed", {{"loaded", followed->loaded},
                                         {"removed", followed->removed},
                                         {"failed", followed->failed}});
    }
  } while (pause_.Wait(stop, config_.follow_interval));
}

rpc::Addresses App::addresses() const { return endpoints_.addresses(); }

}  // namespace tidewheel::inference
