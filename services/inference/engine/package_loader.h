#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tidewheel/blob/store.h"
#include "tidewheel/inference/domain/deployment.h"
#include "tidewheel/inference/engine/package_host.h"
#include "tidewheel/inference/engine/variant.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::inference {

/// How far a golden sample's probabilities may be from those of the trained model.
inline constexpr double kGoldenTolerance = 1e-4;

/// Loads model packages from the payload store onto the serving engine: reads, compiles, warms up,
/// and checks the answers to the package's golden samples. Thread-safe.
class PackageLoader final : public ModelLoader {
 public:
  /// `host` serves what is loaded; null: who asks a model runs it. `wanted`: which variant of each
  /// package; "fastest" never fails for want of one.
  PackageLoader(const blob::Store& payloads, const serving::Engine& engine,
                PackageHost* host = nullptr, Wanted wanted = Wanted::kFloat32)
      : payloads_(payloads), engine_(engine), host_(host), wanted_(wanted) {}

  Result<std::shared_ptr<const ServedModel>> Load(const ModelPackage& package) override;

 private:
  /// Of profile.pb; none when the package or its profile has none.
  Result<std::optional<EmbeddingReference>> ReadReference(const ModelPackage& package,
                                                          const serving::Model& model) const;

  const blob::Store& payloads_;
  const serving::Engine& engine_;
  PackageHost* const host_;
  const Wanted wanted_;
};

}  // namespace tidewheel::inference
