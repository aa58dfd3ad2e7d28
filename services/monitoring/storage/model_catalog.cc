#include "tidewheel/monitoring/storage/model_catalog.h"

#include <algorithm>
#include <cmath>
#include <pqxx/pqxx>
#include <utility>

#include "tidewheel/monitoring/storage/row_reader.h"
#include "tidewheel/postgres/arrays.h"

namespace tidewheel::monitoring {
namespace {

constexpr std::size_t kMostRemembered = 10'000;

constexpr char kMake[] =
    "INSERT INTO models (task, model_version_id, classes, window_size, window_seconds) "
    "VALUES ($1, $2, $3::text[], $4, $5) ON CONFLICT DO NOTHING";
// A model that failed before it ever answered has none yet.
constexpr char kSetClasses[] =
    "UPDATE models SET classes = $2::text[] WHERE id = $1 AND classes = '{}'";
constexpr char kMakeStream[] =
    "INSERT INTO streams (model_id, slice) SELECT id, $3 FROM models WHERE task = $1 AND "
    "model_version_id = $2 ON CONFLICT DO NOTHING";
constexpr char kByKey[] =
    "SELECT id, task, model_version_id, classes, features FROM models WHERE task = $1 AND "
    "model_version_id = $2";
constexpr char kById[] =
    "SELECT id, task, model_version_id, classes, features FROM models WHERE id = $1";
constexpr char kStreams[] = "SELECT id, slice FROM streams WHERE model_id = $1";
constexpr char kLock[] = "SELECT FROM models WHERE id = $1 FOR NO KEY UPDATE";
constexpr char kSetFeatures[] = "UPDATE models SET features = $2::text[] WHERE id = $1";

std::string KeyOf(const std::string& slice) { return slice.substr(0, slice.find('=')); }

/// Absent: no row.
std::optional<StoredModel> ModelFrom(pqxx::transaction_base& tx, const pqxx::result& rows) {
  if (rows.empty()) return std::nullopt;
  StoredModel model;
  model.id = rows[0]["id"].as<int>();
  model.key = {rows[0]["task"].c_str(), rows[0]["model_version_id"].c_str()};
  model.classes = TextsFrom(rows[0]["classes"]);
  model.features = TextsFrom(rows[0]["features"]);
  for (const auto& name : model.features) {
    model.feature_places.emplace(name, static_cast<std::uint32_t>(model.feature_places.size()));
  }
  for (const auto& row : tx.exec_params(kStreams, model.id)) {
    const std::string slice = row[1].c_str();
    model.streams.emplace(slice, row[0].as<int>());
    model.slices.emplace(row[0].as<int>(), slice);
    if (!slice.empty()) ++model.values[KeyOf(slice)];
  }
  return model;
}

}  // namespace

std::optional<int> StoredModel::StreamOf(const std::string& slice) const {
  if (const auto found = streams.find(slice); found != streams.end()) return found->second;
  const std::string metadata_key = KeyOf(slice);
  const auto count = values.find(metadata_key);
  if (count == values.end() || count->second < ModelCatalog::kMostValues) return std::nullopt;
  const auto other = streams.find(metadata_key + "=other");
  if (other == streams.end()) return std::nullopt;
  return other->second;
}

std::shared_ptr<const StoredModel> ModelCatalog::Remember(StoredModel model) {
  auto shared = std::make_shared<const StoredModel>(std::move(model));
  const std::lock_guard lock(mutex_);
  if (by_id_.size() >= kMostRemembered) {
    by_id_.clear();
    by_key_.clear();
  }
  by_id_[shared->id] = shared;
  by_key_[shared->key] = shared;
  return shared;
}

Result<std::shared_ptr<const StoredModel>> ModelCatalog::Ensure(
    const ModelKey& key, const std::vector<std::string>& classes, const MonitoringPolicy& policy) {
  auto found = FindByKey(key);
  if (!found) return found;
  if (*found == nullptr) {
    auto made = pool_.InTransaction([&](pqxx::work& tx) -> Result<StoredModel> {
      tx.exec_params0(kMake, key.task, key.model_version_id, postgres::TextArrayLiteral(classes),
                      std::max<std::uint32_t>(policy.window_predictions, 1),
                      std::max(policy.window_seconds, 0.0));
      tx.exec_params0(kMakeStream, key.task, key.model_version_id, "");
      auto model = ModelFrom(tx, tx.exec_params(kByKey, key.task, key.model_version_id));
      if (!model) return Error{ErrorCode::kInternal, "model " + key.model_version_id + " is gone"};
      return *std::move(model);
    });
    if (!made) return made.error();
    found = Remember(*std::move(made));
  }
  if ((*found)->classes.empty() && !classes.empty()) {
    const int id = (*found)->id;
    const auto set = pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
      tx.exec_params0(kSetClasses, id, postgres::TextArrayLiteral(classes));
      return {};
    });
    if (!set) return set.error();
    found = Refresh(id);
    if (!found) return found;
  }
  if ((*found)->classes != classes) {
    return Error{ErrorCode::kInvalidArgument, "model " + key.model_version_id + " answered with " +
                                                  std::to_string((*found)->classes.size()) +
                                                  " classes before, now with " +
                                                  std::to_string(classes.size()) + " or others"};
  }
  return found;
}

Result<std::shared_ptr<const StoredModel>> ModelCatalog::Extend(
    const StoredModel& model, const std::set<std::string>& features,
    const std::set<std::string>& slices) {
  auto extended = pool_.InTransaction([&](pqxx::work& tx) -> Result<StoredModel> {
    tx.exec_params(kLock, model.id);
    auto now = ModelFrom(tx, tx.exec_params(kById, model.id));
    if (!now) return Error{ErrorCode::kInternal, "model " + std::to_string(model.id) + " is gone"};
    const std::size_t before = now->features.size();
    for (const auto& name : features) {
      if (now->features.size() == kMostFeatures) break;
      if (!now->feature_places.contains(name)) now->features.push_back(name);
    }
    if (now->features.size() > before) {
      tx.exec_params0(kSetFeatures, model.id, postgres::TextArrayLiteral(now->features));
    }
    for (const auto& slice : slices) {
      if (now->streams.contains(slice)) continue;
      // The last value that a key may have is "other".
      const std::string metadata_key = KeyOf(slice);
      const bool room = now->values[metadata_key] + 1 < kMostValues;
      const std::string name = room ? slice : metadata_key + "=other";
      if (!now->streams.emplace(name, 0).second) continue;
      ++now->values[metadata_key];
      tx.exec_params0(kMakeStream, model.key.task, model.key.model_version_id, name);
    }
    return *ModelFrom(tx, tx.exec_params(kById, model.id));
  });
  if (!extended) return extended.error();
  return Remember(*std::move(extended));
}

Result<std::shared_ptr<const StoredModel>> ModelCatalog::Find(int id) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_id_.find(id); found != by_id_.end()) return found->second;
  }
  return Refresh(id);
}

Result<std::shared_ptr<const StoredModel>> ModelCatalog::Refresh(int id) {
  auto read = pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<StoredModel> {
    auto model = ModelFrom(tx, tx.exec_params(kById, id));
    if (!model) return Error{ErrorCode::kNotFound, "no stored model " + std::to_string(id)};
    return *std::move(model);
  });
  if (!read) return read.error();
  return Remember(*std::move(read));
}

Result<std::shared_ptr<const StoredModel>> ModelCatalog::FindByKey(const ModelKey& key) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_key_.find(key); found != by_key_.end()) return found->second;
  }
  auto read = pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::optional<StoredModel>> {
    return ModelFrom(tx, tx.exec_params(kByKey, key.task, key.model_version_id));
  });
  if (!read) return read.error();
  if (!*read) return std::shared_ptr<const StoredModel>();
  return Remember(**std::move(read));
}

}  // namespace tidewheel::monitoring
