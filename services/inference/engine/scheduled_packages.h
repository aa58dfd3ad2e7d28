#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "tidewheel/base/worker.h"
#include "tidewheel/inference/core/repository_server.h"
#include "tidewheel/inference/engine/package_host.h"

namespace tidewheel::inference {

/// Packages as models of a server: the task is the name, the model's version the number. What the
/// platform predicts and what clients of the Open Inference Protocol ask then waits in one queue
/// and runs in the same batches. Thread-safe.
///
/// The last holder of a runner may be an answer that is given on one of the server's own threads,
/// which must not wait for the server: so packages whose runners are gone are taken away on a
/// thread of this.
class ScheduledPackages final : public PackageHost {
 public:
  /// Rows of one call; more are several calls.
  static constexpr std::size_t kMostRows = 128;

  /// `models` outlives this, and this every runner. As many calls of a package at a time as
  /// `instances`.
  ScheduledPackages(RepositoryServer& models, std::uint32_t instances);
  /// Takes away what is still to go.
  ~ScheduledPackages() override;

  Result<std::unique_ptr<const RowRunner>> Host(const ReadyPackage& package) override;

 private:
  class Runner;
  using Place = std::pair<std::string, std::uint64_t>;
  void Leave(const Place& place, std::uint64_t turn);
  void TakeAway(const Place& place, std::uint64_t turn);

  RepositoryServer& models_;
  const std::uint32_t instances_;
  std::mutex changing_;  // Held while a package comes or goes. Guards the two below.
  std::uint64_t turns_ = 0;
  /// Who was the last to take a place: only that one gives it back.
  std::map<Place, std::uint64_t> holders_;

  std::mutex leaving_mutex_;  // Guards the two below.
  std::condition_variable_any left_;
  std::deque<std::pair<Place, std::uint64_t>> leaving_;
  std::unique_ptr<Worker> worker_;  // Last: it uses the rest.
};

}  // namespace tidewheel::inference
