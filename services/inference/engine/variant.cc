#include "tidewheel/inference/engine/variant.h"

#include <utility>

namespace tidewheel::inference {

Result<Wanted> ParseWanted(std::string_view name) {
  if (name == "f32") return Wanted::kFloat32;
  if (name == "bf16") return Wanted::kBf16;
  if (name == "int8") return Wanted::kInt8;
  if (name == "fastest") return Wanted::kFastest;
  return Error{ErrorCode::kInvalidArgument,
               "f32, bf16, int8 or fastest, not \"" + std::string(name.substr(0, 80)) + "\""};
}

Result<ChosenVariant> ChooseVariant(const ml::PackageManifest& manifest, Wanted wanted,
                                    bool has_bf16, double float32_tolerance) {
  if (wanted == Wanted::kFloat32) return ChosenVariant{.tolerance = float32_tolerance};
  std::string why;
  for (const auto& [kind, name] :
       {std::pair{Wanted::kInt8, "int8"}, std::pair{Wanted::kBf16, "bf16"}}) {
    if (wanted != kind && wanted != Wanted::kFastest) continue;
    const ml::Variant* variant = ml::OfferedVariant(manifest, name);
    const bool bf16 = kind == Wanted::kBf16;
    if (variant != nullptr && (!bf16 || has_bf16)) {
      // Another processor rounds a little differently than the one on which it was compared.
      return ChosenVariant{
          .name = name,
          .file = variant->file,
          .precision = bf16 ? serving::Precision::kBf16 : serving::Precision::kFloat32,
          .tolerance = 0.01 + 1.5 * variant->largest_difference};
    }
    why = variant != nullptr ? "the processor has no bfloat16" : "the package does not offer it";
    for (const ml::Variant& one : manifest.variants) {
      if (one.name == name && !one.offered) why += ": " + one.reason;
    }
  }
  if (wanted == Wanted::kFastest) return ChosenVariant{.tolerance = float32_tolerance};
  return Error{ErrorCode::kFailedPrecondition,
               std::string(wanted == Wanted::kInt8 ? "int8" : "bf16") + ": " + why};
}

}  // namespace tidewheel::inference
