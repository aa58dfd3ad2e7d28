#include "tidewheel/cli/drill/watch.h"
#include "tidewheel/base/worker.h"

#include <algorithm>

namespace tidewheel::cli::drill {
namespace {

namespace monitoring_v1 = monitoring::v1;
namespace training_v1 = training::v1;

constexpr std::chrono::milliseconds kPause{40};
constexpr double kQuietSeconds = 4;  // Between two reasons of one state.

double SecondsOf(const google::protobuf::Timestamp& time) {
  return static_cast<double>(time.seconds()) + static_cast<double>(time.nanos()) * 1e-9;
}

}  // namespace

bool HasEnded(const training_v1::Cycle& cycle) {
  switch (cycle.state()) {
    case training_v1::CYCLE_STATE_PROMOTED:
    case training_v1::CYCLE_STATE_REJECTED:
    case training_v1::CYCLE_STATE_ROLLED_BACK:
    case training_v1::CYCLE_STATE_CANCELLED:
    case training_v1::CYCLE_STATE_FAILED:
      return true;
    default:
      return false;
  }
}

std::string StateWord(const training_v1::Cycle& cycle) {
  return LowerEnum(training_v1::CycleState_Name(cycle.state()), "CYCLE_STATE_");
}

std::string StepsInWords(const training_v1::Cycle& cycle) {
  std::string text;
  for (const auto& step : cycle.steps()) {
    text += text.empty() ? "" : "; ";
    text += LowerEnum(training_v1::CycleState_Name(step.state()), "CYCLE_STATE_");
    if (step.has_left_at()) {
      text += " " + demo::FormatSeconds(SecondsOf(step.left_at()) - SecondsOf(step.entered_at()));
    }
    if (!step.result().empty()) text += " (" + step.result() + ")";
  }
  return text;
}

Watch::Watch(const Platform::Options& connection, std::string task,
             std::function<std::uint64_t()> sent, Progress& progress)
    : platform_(connection),
      task_(std::move(task)),
      sent_(std::move(sent)),
      progress_(progress),
      worker_([this](std::stop_token stop) { Work(stop); }) {}

Watch::~Watch() { Stop(); }

void Watch::Stop() {
  worker_.request_stop();
  if (worker_.joinable()) worker_.join();
}

void Watch::Work(std::stop_token stop) {
  while (!stop.stop_requested()) {
    LookAtAlerts();
    LookAtCycles();
    {
      const std::lock_guard lock(mutex_);
      looks_ += problem_.empty() ? 1 : 0;
    }
    tidewheel::Pause().Wait(stop, kPause);
  }
}

void Watch::LookAtAlerts() {
  monitoring_v1::ListAlertsRequest request;
  request.set_task(task_);
  const auto listed =
      platform_.CallList(&monitoring_v1::MonitoringService::Stub::ListAlerts, request, 0);
  const std::uint64_t sent = sent_();
  std::vector<std::string> news;
  {
    const std::lock_guard lock(mutex_);
    problem_ = listed ? "" : listed.error().message;
    if (!listed) return;
    // Newest first, as they are listed.
    for (int i = listed->alerts_size() - 1; i >= 0; --i) {
      const auto& alert = listed->alerts(i);
      const auto known = std::find_if(alerts_.begin(), alerts_.end(), [&](const SeenAlert& each) {
        return each.alert.alert_id() == alert.alert_id();
      });
      if (known == alerts_.end()) {
        alerts_.push_back({alert, sent, progress_.seconds()});
        news.push_back("alert raised: " + alert.cause() + ", \"" + alert.title() +
                       "\", expected damage " + FormatNumber(alert.damage(), 3) + ", after " +
                       FormatCount(sent) + " requests");
        continue;
      }
      if (known->alert.state() != alert.state()) {
        news.push_back("alert " +
                       LowerEnum(monitoring_v1::AlertState_Name(alert.state()), "ALERT_STATE_") +
                       ": " + alert.cause() +
                       (alert.resolution().empty() ? "" : " (" + alert.resolution() + ")"));
      }
      known->alert = alert;
    }
  }
  for (const auto& each : news) progress_.Say(each);
}

void Watch::LookAtCycles() {
  training_v1::ListCyclesRequest request;
  request.set_task(task_);
  const auto listed = platform_.CallList(&training_v1::CycleService::Stub::ListCycles, request, 0);
  std::vector<std::string> news;
  {
    const std::lock_guard lock(mutex_);
    if (!listed) {
      problem_ = listed.error().message;
      return;
    }
    for (int i = listed->cycles_size() - 1; i >= 0; --i) {
      const auto& cycle = listed->cycles(i);
      auto& known = cycles_[cycle.cycle_id()];
      const bool moved = known.state() != cycle.state();
      const bool says_more = known.reason() != cycle.reason() &&
                             progress_.seconds() - told_at_[cycle.cycle_id()] > kQuietSeconds;
      if (moved || says_more) {
        told_at_[cycle.cycle_id()] = progress_.seconds();
        std::string text = "cycle " + StateWord(cycle);
        if (!cycle.reason().empty()) text += ": " + cycle.reason();
        news.push_back(std::move(text));
      } else if (known.reason() != cycle.reason()) {
        // Said later, should it still be the case then.
        const std::string before = known.reason();
        known = cycle;
        known.set_reason(before);
        continue;
      }
      known = cycle;
    }
  }
  for (const auto& each : news) progress_.Say(each);
}

std::vector<SeenAlert> Watch::alerts() const {
  const std::lock_guard lock(mutex_);
  return alerts_;
}

std::vector<training_v1::Cycle> Watch::cycles() const {
  const std::lock_guard lock(mutex_);
  std::vector<training_v1::Cycle> cycles;
  for (const auto& [id, cycle] : cycles_) cycles.push_back(cycle);
  std::stable_sort(cycles.begin(), cycles.end(), [](const auto& a, const auto& b) {
    return SecondsOf(a.started_at()) < SecondsOf(b.started_at());
  });
  return cycles;
}

std::uint64_t Watch::looks() const {
  const std::lock_guard lock(mutex_);
  return looks_;
}

std::string Watch::State() const {
  std::string text;
  for (const auto& each : alerts()) {
    text += (text.empty() ? "" : ", ") + std::string("alert ") + each.alert.cause() + " " +
            LowerEnum(monitoring_v1::AlertState_Name(each.alert.state()), "ALERT_STATE_");
  }
  if (text.empty()) text = "no alert";
  const auto all = cycles();
  if (all.empty()) text += "; no cycle";
  for (const auto& cycle : all) {
    text += "; cycle " + cycle.cycle_id() + " " + StateWord(cycle) +
            (cycle.reason().empty() ? "" : " (" + cycle.reason() + ")") +
            ", its steps: " + StepsInWords(cycle);
  }
  const std::lock_guard lock(mutex_);
  if (!problem_.empty()) text += "; the last look failed: " + problem_;
  return text;
}

}  // namespace tidewheel::cli::drill
