#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/base/worker.h"

namespace tidewheel::rpc {

class Server;

/// Something a service cannot work without: the check returns quickly, or by its own deadline.
struct Dependency {
  std::string name;  // "postgres".
  std::function<Result<void>()> check;
};

/// Asks the dependencies at once and then once an interval, and lets the server say SERVING only
/// while all of them answer. Logs each change. Stops when destroyed; declare it after the server
/// and what the checks use.
class HealthProbe {
 public:
  HealthProbe(Server& server, std::vector<Dependency> dependencies,
              std::chrono::milliseconds interval = std::chrono::milliseconds{1'000});
  ~HealthProbe();
  HealthProbe(const HealthProbe&) = delete;
  HealthProbe& operator=(const HealthProbe&) = delete;

 private:
  void Ask();

  Server& server_;
  const std::vector<Dependency> dependencies_;
  std::vector<std::string>
      failures_;  // The last message of each dependency, empty: well. The worker's alone.
  bool first_ = true;
  Pause pause_;
  Worker worker_;  // Last: it uses the rest.
};

}  // namespace tidewheel::rpc
