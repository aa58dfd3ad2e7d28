#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "tidewheel/blob/store.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/monitoring/domain/window_pump.h"

namespace tidewheel::monitoring {

/// A profile from the bytes of profile.pb. kDataLoss: they are none.
Result<Profile> ParseProfile(std::string_view bytes);

/// Asks model-registry where a model's profile.pb is, and takes it from the payload store. Models
/// never change, so what was found is kept. Thread-safe.
class RegistryProfileSource final : public ProfileSource {
 public:
  /// `payloads` may be null: then no model has a profile.
  RegistryProfileSource(const std::string& address, const blob::Store* payloads);

  /// A model that the registry does not know has none, and neither has one whose profile is lost
  /// or damaged: that is logged once.
  Result<std::shared_ptr<const Profile>> ProfileOf(const ModelKey& model) override;

 private:
  Result<std::shared_ptr<const Profile>> Fetch(const ModelKey& model);

  struct Entry {
    std::shared_ptr<const Profile> profile;
    std::chrono::steady_clock::time_point asked_at;
  };

  const std::unique_ptr<model_registry::v1::ModelRegistryService::Stub> stub_;
  const blob::Store* const payloads_;
  std::mutex mutex_;                      // Guards entries_.
  std::map<std::string, Entry> entries_;  // By model version.
};

}  // namespace tidewheel::monitoring
