#pragma once

#include <string>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/ml/package/manifest.h"
#include "tidewheel/serving/graph.h"

namespace tidewheel::inference {

/// Which of a package's variants serves: one by name, or whatever is fastest of those that its
/// manifest offers and this processor can compute.
enum class Wanted { kFloat32, kBf16, kInt8, kFastest };
/// "f32", "bf16", "int8", "fastest"; kInvalidArgument lists them.
Result<Wanted> ParseWanted(std::string_view name);

/// A variant as it is loaded.
struct ChosenVariant {
  std::string name = "f32";
  std::string file = std::string(ml::kOnnxFile);
  serving::Precision precision = serving::Precision::kFloat32;
  /// How far its probabilities may be from those of the trained model in float32.
  double tolerance = 0;
};
/// kFailedPrecondition: the package does not offer what is wanted, with its reason.
Result<ChosenVariant> ChooseVariant(const ml::PackageManifest& manifest, Wanted wanted,
                                    bool has_bf16, double float32_tolerance);

}  // namespace tidewheel::inference
