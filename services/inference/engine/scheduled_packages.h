#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "tidewheel/inference/core/repository_server.h"
#include "tidewheel/inference/engine/package_host.h"

namespace tidewheel::inference {

/// Packages as models of a server: the task is the name, the model's version the number. What the
/// platform predicts and what clients of the Open Inference Protocol ask then waits in one queue
/// and runs in the same batches. Thread-safe.
class ScheduledPackages final : public PackageHost {
 public:
  /// Rows of one call; more are several calls.
  static constexpr std::size_t kMostRows = 128;

  /// `models` outlives this and every runner. As many calls of a package at a time as `instances`.
  ScheduledPackages(RepositoryServer& models, std::uint32_t instances)
      : models_(models), instances_(instances) {}

  Result<std::unique_ptr<const RowRunner>> Host(
      const ModelIdentity& identity, std::shared_ptr<const serving::Model> model) override;

 private:
  class Runner;
  using Place = std::pair<std::string, std::uint64_t>;
  void Leave(const Place& place, std::uint64_t turn);

  RepositoryServer& models_;
  const std::uint32_t instances_;
  std::mutex mutex_;  // Guards the rest.
  std::uint64_t turns_ = 0;
  /// Who was the last to take a place: only that one gives it back.
  std::map<Place, std::uint64_t> holders_;
};

}  // namespace tidewheel::inference
