#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/model_server.h"
#include "tidewheel/inference/domain/predictor.h"
#include "tidewheel/inference/domain/under_way.h"

namespace tidewheel::inference {

/// The models of a process, those that the registry deployed behind their rollout: a request that
/// names no version goes to the version that its key belongs to, the shadow gets a copy after the
/// answer, the answer is told and its rows are captured, as those of the platform's own rpc are.
/// The request's id is the prediction's. A request that names a version is served as asked, and so
/// are models that nobody deployed. Thread-safe.
class RolloutModels final : public ModelServer {
 public:
  /// All must outlive it.
  RolloutModels(ModelServer& models, const ModelTable& table, Predictor& predictor)
      : models_(models), table_(table), predictor_(predictor) {}
  /// Waits for what follows the answers. Nobody asks any more.
  ~RolloutModels() override { under_way_.Wait(); }

  bool live() const override { return models_.live(); }
  bool ready() const override { return models_.ready(); }
  Result<bool> ModelReady(const std::string& name, const std::string& version) const override {
    return models_.ModelReady(name, version);
  }
  Result<Description> Describe(const std::string& name, const std::string& version) const override {
    return models_.Describe(name, version);
  }
  Result<ModelConfig> Config(const std::string& name, const std::string& version) const override {
    return models_.Config(name, version);
  }
  Result<std::vector<ModelStatistics>> Statistics(const std::string& name,
                                                  const std::string& version) const override {
    return models_.Statistics(name, version);
  }
  /// Also kInvalidArgument: an id, a key or metadata beyond the limits of a prediction.
  void Infer(InferRequest request, Answered answered) override;
  std::vector<IndexEntry> Index(bool ready_only) const override {
    return models_.Index(ready_only);
  }
  Result<void> Load(const std::string& name, const std::optional<std::string>& config_json,
                    const std::map<std::string, std::string>& files) override {
    return models_.Load(name, config_json, files);
  }
  Result<void> Unload(const std::string& name) override { return models_.Unload(name); }

 private:
  struct Call;

  void Ask(const std::shared_ptr<Call>& call, const LoadedVersion& version,
           ServedModel::Answered asked);

  ModelServer& models_;
  const ModelTable& table_;
  Predictor& predictor_;
  UnderWay under_way_;  // Calls whose answers are still followed by something.
};

}  // namespace tidewheel::inference
