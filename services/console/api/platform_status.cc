#include "tidewheel/console/api/platform_status.h"

#include <future>
#include <utility>
#include <vector>

#include "tidewheel/base/build_identity.h"

namespace tidewheel::console {
namespace {

v1::Health ToProto(rpc::HealthAnswer::State state) {
  switch (state) {
    case rpc::HealthAnswer::State::kServing:
      return v1::HEALTH_SERVING;
    case rpc::HealthAnswer::State::kNotServing:
      return v1::HEALTH_NOT_SERVING;
    case rpc::HealthAnswer::State::kUnreachable:
      return v1::HEALTH_UNREACHABLE;
  }
  return v1::HEALTH_UNSPECIFIED;
}

}  // namespace

v1::GetPlatformStatusResponse CheckPlatform(const Backends& backends,
                                            std::chrono::milliseconds deadline) {
  const auto addresses = backends.addresses();
  std::vector<std::future<rpc::HealthAnswer>> answers;
  for (const auto& [service, address] : addresses) {
    answers.push_back(std::async(std::launch::async, [&backends, &service = service, deadline] {
      return backends.CheckHealth(service, deadline);
    }));
  }
  v1::GetPlatformStatusResponse status;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    rpc::HealthAnswer health = answers[i].get();
    auto* service = status.add_services();
    service->set_name(addresses[i].first);
    service->set_address(addresses[i].second);
    service->set_health(ToProto(health.state));
    service->set_problem(std::move(health.problem));
    service->set_answer_seconds(health.seconds);
  }
  const auto build = CurrentBuild();
  status.set_version(std::string(build.version));
  status.set_commit(std::string(build.commit));
  status.set_clean(build.clean);
  return status;
}

}  // namespace tidewheel::console
