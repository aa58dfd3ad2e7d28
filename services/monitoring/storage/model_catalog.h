#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/monitoring_policy.h"
#include "tidewheel/monitoring/domain/prediction.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::monitoring {

/// A stored model: what its rows mean. Dictionaries only grow, so what was read stays true.
struct StoredModel {
  int id = 0;
  ModelKey key;
  std::vector<std::string> classes;
  std::vector<std::string> features;
  std::unordered_map<std::string, std::uint32_t> feature_places;
  std::unordered_map<std::string, int> streams;  // By slice; "" is all traffic.
  std::unordered_map<int, std::string> slices;   // By stream.
  std::map<std::string, std::size_t> values;     // How many slices there are of each metadata key.

  /// The stream of "key=value"; when the key has all the values it may have, that of "key=other".
  /// Absent: not stored yet.
  std::optional<int> StreamOf(const std::string& slice) const;
};

/// Models by name and by number, remembered. Thread-safe.
class ModelCatalog {
 public:
  static constexpr std::size_t kMostValues = 100;      // Of one metadata key; more are "other".
  static constexpr std::size_t kMostFeatures = 2'000;  // Of one model; more are left out.

  explicit ModelCatalog(postgres::Pool& pool) : pool_(pool) {}

  /// Makes it when it is missing. kInvalidArgument: its classes are others.
  Result<std::shared_ptr<const StoredModel>> Ensure(const ModelKey& key,
                                                    const std::vector<std::string>& classes,
                                                    const MonitoringPolicy& policy);
  /// Adds names to its dictionaries.
  Result<std::shared_ptr<const StoredModel>> Extend(const StoredModel& model,
                                                    const std::set<std::string>& features,
                                                    const std::set<std::string>& slices);
  /// As it is now, or was when it was last looked at. kNotFound: no such model.
  Result<std::shared_ptr<const StoredModel>> Find(int id);
  /// Looks again: for a row that names what is not known here.
  Result<std::shared_ptr<const StoredModel>> Refresh(int id);
  /// Null: no such model.
  Result<std::shared_ptr<const StoredModel>> FindByKey(const ModelKey& key);

 private:
  std::shared_ptr<const StoredModel> Remember(StoredModel model);

  postgres::Pool& pool_;
  std::mutex mutex_;  // Guards the maps.
  std::map<ModelKey, std::shared_ptr<const StoredModel>> by_key_;
  std::unordered_map<int, std::shared_ptr<const StoredModel>> by_id_;
};

}  // namespace tidewheel::monitoring
