#include "tidewheel/rpc/health.h"

#include <utility>

#include "tidewheel/log/log.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::rpc {

HealthProbe::HealthProbe(Server& server, std::vector<Dependency> dependencies,
                         std::chrono::milliseconds interval)
    : server_(server),
      dependencies_(std::move(dependencies)),
      failures_(dependencies_.size()),
      worker_("health-probe", [this, interval](std::stop_token stop) {
        while (!stop.stop_requested()) {
          Ask();
          pause_.Wait(stop, interval);
        }
      }) {}

HealthProbe::~HealthProbe() = default;

void HealthProbe::Ask() {
  bool all_well = true;
  bool changed = first_;
  for (std::size_t i = 0; i < dependencies_.size(); ++i) {
    const auto answer = dependencies_[i].check();
    std::string failure = answer ? "" : answer.error().message;
    if (!answer && failure.empty()) failure = Name(answer.error().code);
    if (!failure.empty()) all_well = false;
    if (failure.empty() == failures_[i].empty()) continue;
    changed = true;
    failures_[i] = std::move(failure);
    if (failures_[i].empty()) {
      log::Info("dependency is back", {{"dependency", dependencies_[i].name}});
    } else {
      log::Warning("dependency is away",
                   {{"dependency", dependencies_[i].name}, {"error", failures_[i]}});
    }
  }
  first_ = false;
  if (changed) server_.SetServing(all_well);
}

}  // namespace tidewheel::rpc
