#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/cli/connection/platform.h"

namespace tidewheel::cli::drill {

/// Sends what turned out to be true, a moment after the answers, until it is acknowledged.
/// Thread-safe.
class OutcomeSender {
 public:
  OutcomeSender(const Platform::Options& connection, std::string task);
  ~OutcomeSender();

  void Add(std::string request_id, std::string class_name);
  /// Sends the rest. Returns the requests whose outcomes were acknowledged.
  Result<std::vector<std::string>> Finish();

 private:
  struct Outcome {
    std::string request_id;
    std::string class_name;
  };
  void Work(std::stop_token stop);
  Result<void> SendWaiting();

  Platform platform_;  // The worker's, and Finish's once that has ended.
  const std::string task_;
  std::mutex mutex_;  // Guards waiting_, acknowledged_ and failure_.
  std::vector<Outcome> waiting_;
  std::vector<std::string> acknowledged_;
  std::optional<Error> failure_;
  std::jthread worker_;  // Last: it uses the rest.
};

}  // namespace tidewheel::cli::drill
