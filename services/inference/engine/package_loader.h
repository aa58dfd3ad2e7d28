#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tidewheel/blob/store.h"
#include "tidewheel/inference/domain/deployment.h"
#include "tidewheel/inference/engine/package_host.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::inference {

/// How far a golden sample's probabilities may be from those of the trained model.
inline constexpr double kGoldenTolerance = 1e-4;

/// Loads model packages from the payload store onto the serving engine: reads, compiles, warms up,
/// and checks the answers to the package's golden samples. Thread-safe.
class PackageLoader final : public ModelLoader {
 public:
  /// `host` serves what is loaded; null: who asks a model runs it.
  PackageLoader(const blob::Store& payloads, const serving::Engine& engine,
                PackageHost* host = nullptr)
      : payloads_(payloads), engine_(engine), host_(host) {}

  Result<std::shared_ptr<const ServedModel>> Load(const ModelPackage& package) override;

 private:
  Result<std::string> ReadFile(const ModelPackage& package, std::string_view name) const;
  /// Of profile.pb; none when the package or its profile has none.
  Result<std::optional<EmbeddingReference>> ReadReference(const ModelPackage& package,
                                                          const serving::Model& model) const;

  const blob::Store& payloads_;
  const serving::Engine& engine_;
  PackageHost* const host_;
};

}  // namespace tidewheel::inference
