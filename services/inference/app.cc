#include "tidewheel/inference/app.h"

#include <array>
#include <string>
#include <utility>

#include "tidewheel/inference/engine/package_gradients.h"
#include "tidewheel/log/log.h"
#include "tidewheel/service/events.h"

namespace tidewheel::inference {
namespace {

constexpr std::chrono::seconds kRegistryDeadline{2};
constexpr char kSecondsName[] = "tidewheel_inference_predict_seconds";
constexpr char kSecondsHelp[] =
    "From a request's arrival to its answer, by who gave it; of a shadow, the model's own part.";
constexpr char kDroppedName[] = "tidewheel_inference_captures_dropped_total";
constexpr char kDroppedHelp[] = "Inputs that should have been kept and were not, by reason.";

}  // namespace

App::App(const Config& config)
    : config_(config), deployments_(config.registry_address, kRegistryDeadline) {}

Result<void> App::Start() {
  auto payloads = blob::OpenFileStore(config_.payloads_root);
  if (!payloads) return payloads.error();
  payloads_ = *std::move(payloads);
  serving::EngineOptions engine_options;
  engine_options.concurrency = static_cast<int>(config_.workers);
  engine_options.fixed_rows = serving::kServedRows;
  auto engine = serving::Engine::Create(engine_options);
  if (!engine) return engine.error();
  engine_ = *std::move(engine);
  models_.emplace(config_.oip, *engine_, metrics_);
  if (auto started = models_->Start(); !started) return started;
  packages_.emplace(models_->models(), static_cast<std::uint32_t>(config_.workers));

  auto broker = bus::OpenBroker(config_.bus.OptionsFor("inference"));
  if (!broker) return broker.error();
  broker_ = *std::move(broker);
  if (auto opened = OpenPublisher(); !opened) return opened;
  sink_.emplace(*publisher_);
  StartBackground();

  loader_.emplace(*payloads_, *engine_, &*packages_, config_.variant);
  follower_.emplace(deployments_, *loader_, table_, clock_);
  predictor_.emplace(table_, *sink_, *shadows_, *captures_, clock_, MakePredictorCounters());
  if (auto started = StartExplanations(); !started) return started;
  handler_.emplace(*predictor_, table_, *explanations_, clock_,
                   InferenceHandler::Options{config_.workers, config_.queue});

  rollout_.emplace(models_->models(), table_, *predictor_);
  doors_.emplace(config_.oip, *rollout_, metrics_);
  following_ = std::make_unique<Worker>(
      "deployments", [this](std::stop_token stop) { FollowDeployments(std::move(stop)); });
  auto endpoints = config_.endpoints;
  doors_->AddTo(endpoints.server);
  endpoints.server.direct_methods.push_back(handler_->DirectPredict());
  if (auto opened = doors_->OpenHttp(&own_rpcs_); !opened) return opened;
  auto opened = endpoints_.Open(
      endpoints, {&*handler_, &doors_->handler()},
      {{"deployments", [this]() -> Result<void> {
          if (settled_) return {};
          return Error{ErrorCode::kUnavailable, "model-registry has not been heard yet"};
        }}});
  if (opened) own_rpcs_.SetAddress(endpoints_.addresses().at("grpc"));
  return opened;
}

PredictorCounters App::MakePredictorCounters() {
  const auto of_role = [this](Role role) {
    const metrics::Labels labels{{"role", std::string(Name(role))}};
    return RoleCounters{.predictions = metrics_.Counter("tidewheel_inference_predictions_total",
                                                        "Answers given, by who gave them.", labels),
                        .seconds = metrics_.Histogram(kSecondsName, kSecondsHelp, labels)};
  };
  return {.production = of_role(Role::kProduction),
          .canary = of_role(Role::kCanary),
          .refused = metrics_.Counter("tidewheel_inference_requests_refused_total",
                                      "Requests that got an error."),
          .candidate_failures =
              metrics_.Counter("tidewheel_inference_candidate_failures_total",
                               "Requests that a canary could not answer: production did."),
          .captures_over_limit =
              metrics_.Counter(kDroppedName, kDroppedHelp, {{"reason", "max_per_minute"}}),
          .outcomes = metrics_.Counter("tidewheel_inference_outcomes_total", "Outcomes taken.")};
}

void App::StartBackground() {
  shadows_.emplace(
      *sink_, BackgroundLimits{config_.shadow_queue, config_.shadow_limit.bytes},
      ShadowCounters{.predictions = metrics_.Counter("tidewheel_inference_shadow_predictions_total",
                                                     "Answers of shadows, which nobody saw."),
                     .failures = metrics_.Counter("tidewheel_inference_shadow_failures_total",
                                                  "Copies that a shadow could not answer."),
                     .dropped = metrics_.Counter("tidewheel_inference_shadow_dropped_total",
                                                 "Copies for a shadow that found no room."),
                     .seconds = metrics_.Histogram(kSecondsName, kSecondsHelp,
                                                   {{"role", std::string(Name(Role::kShadow))}})});

  const auto kept = [this](CaptureReason because) -> Counter& {
    return metrics_.Counter("tidewheel_inference_captures_total", "Inputs kept, by reason.",
                            {{"because", std::string(Name(because))}});
  };
  const auto dropped = [this](const std::string& reason) -> Counter& {
    return metrics_.Counter(kDroppedName, kDroppedHelp, {{"reason", reason}});
  };
  captures_.emplace(*payloads_, *sink_,
                    BackgroundLimits{config_.capture_queue, config_.capture_limit.bytes},
                    CaptureCounters{.uncertain = kept(CaptureReason::kUncertain),
                                    .out_of_distribution = kept(CaptureReason::kOutOfDistribution),
                                    .random = kept(CaptureReason::kRandom),
                                    .dropped_by_queue = dropped("queue"),
                                    .dropped_by_store = dropped("store"),
                                    .dropped_by_bus = dropped("bus")},
                    [](const Error& error) {
                      log::Warning("captures not kept", {{"problem", error}});
                    });
}

Result<void> App::StartExplanations() {
  auto engine = serving::Engine::Create({});
  if (!engine) return engine.error();
  explain_engine_ = *std::move(engine);
  explain_loader_.emplace(*payloads_, *explain_engine_);
  const TorchOptions& torch = config_.oip.torch;
  explain_models_.emplace(deployments_, *explain_loader_, PackageGradients(*payloads_, torch));
  explanations_.emplace(
      *explain_models_, ExplainQueue::Options{config_.explain_queue},
      ExplainCounters{
          .explained = metrics_.Counter("tidewheel_inference_explanations_total",
                                        "Answers that were explained."),
          .cut_short = metrics_.Counter("tidewheel_inference_explanations_cut_short_total",
                                        "Of these, those whose time was over before the end."),
          .failed = metrics_.Counter("tidewheel_inference_explanations_failed_total",
                                     "Explanations that got an error."),
          .refused = metrics_.Counter("tidewheel_inference_explanations_refused_total",
                                      "Explanations that found no room in the queue."),
          .seconds = metrics_.Histogram("tidewheel_inference_explain_seconds",
                                        "What one explanation took, without its wait.")});
  return {};
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
      const std::array<std::string, 3> topics{"tidewheel.predictions", "tidewheel.outcomes",
                                              "tidewheel.captures"};
      topics_made = broker_->EnsureTopics(topics, service::kPartitions).ok();
    }
    const auto followed = follower_->Follow();
    if (!followed) {
      log::Debug("deployments not followed", {{"problem", followed.error()}});
      continue;
    }
    settled_ = true;
    PreferProduction();
    if (followed->loaded + followed->routed + followed->removed + followed->failed > 0) {
      log::Info("deployments followed", {{"loaded", followed->loaded},
                                         {"routed", followed->routed},
                                         {"removed", followed->removed},
                                         {"failed", followed->failed}});
    }
  } while (pause_.Wait(stop, config_.follow_interval));
}

void App::PreferProduction() {
  for (const LoadedModel& model : table_.List()) {
    if (model.role != Role::kProduction || !model.loaded_at) continue;
    // kNotFound: it went this moment, and what follows it is preferred the next time.
    const auto preferred =
        models_->models().Prefer(model.identity.task, model.identity.model_version);
    if (!preferred) log::Debug("version not preferred", {{"problem", preferred.error()}});
  }
}

rpc::Addresses App::addresses() const {
  rpc::Addresses all = endpoints_.addresses();
  if (const std::string http = doors_->http_address(); !http.empty()) all["http"] = http;
  return all;
}

}  // namespace tidewheel::inference
