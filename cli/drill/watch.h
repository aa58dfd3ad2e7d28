#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/cli/connection/platform.h"
#include "tidewheel/cli/drill/progress.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"
#include "tidewheel/training/v1/cycle_service.grpc.pb.h"

namespace tidewheel::cli::drill {

/// An alert as it stands, and when the drill first saw it.
struct SeenAlert {
  monitoring::v1::Alert alert;
  std::uint64_t at_request = 0;  // Requests sent by then.
  double at_seconds = 0;         // Of the drill's clock.
};

/// Looks at alerts and cycles of one task all the time, and tells of every change. Thread-safe.
class Watch {
 public:
  /// `sent` counts the requests so far; `progress` is told. Both outlive the watch.
  Watch(const Platform::Options& connection, std::string task, std::function<std::uint64_t()> sent,
        Progress& progress);
  ~Watch();

  /// In the order in which they were first seen.
  std::vector<SeenAlert> alerts() const;
  /// In the order in which they began.
  std::vector<training::v1::Cycle> cycles() const;
  /// How often it has looked at everything, with an answer.
  std::uint64_t looks() const;
  /// What is the case, in words: for a wait that was in vain.
  std::string State() const;
  void Stop();

 private:
  void Work(std::stop_token stop);
  void LookAtAlerts();
  void LookAtCycles();

  Platform platform_;  // The worker's.
  const std::string task_;
  const std::function<std::uint64_t()> sent_;
  Progress& progress_;
  mutable std::mutex mutex_;  // Guards everything below.
  std::vector<SeenAlert> alerts_;
  std::map<std::string, training::v1::Cycle> cycles_;
  std::map<std::string, double> told_at_;  // When each cycle was last spoken of.
  std::string problem_;                    // Of the last look.
  std::uint64_t looks_ = 0;                // Without a problem.
  std::jthread worker_;                    // Last: it uses the rest.
};

/// Whether a cycle takes no further step.
bool HasEnded(const training::v1::Cycle& cycle);
/// "gating", "rolled back".
std::string StateWord(const training::v1::Cycle& cycle);
/// All steps with their results and seconds, in one line.
std::string StepsInWords(const training::v1::Cycle& cycle);

}  // namespace tidewheel::cli::drill
