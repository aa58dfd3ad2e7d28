#include "tidewheel/curation/domain/dataset.h"

namespace tidewheel::curation {

std::string_view Name(Split split) {
  switch (split) {
    case Split::kTraining:
      return "training";
    case Split::kValidation:
      return "validation";
    case Split::kTest:
      break;
  }
  return "test";
}

Result<Split> ParseSplit(std::string_view name) {
  for (const auto split : {Split::kTraining, Split::kValidation, Split::kTest}) {
    if (Name(split) == name) return split;
  }
  return Error{ErrorCode::kInvalidArgument,
               "split \"" + std::string(name) + "\" is none of training, validation and test"};
}

std::string_view Name(ClassWeighting weighting) {
  switch (weighting) {
    case ClassWeighting::kNone:
      return "none";
    case ClassWeighting::kInverseFrequency:
      return "inverse-frequency";
    case ClassWeighting::kRootInverseFrequency:
      return "root-inverse-frequency";
    case ClassWeighting::kEffectiveNumber:
      break;
  }
  return "effective-number";
}

Result<ClassWeighting> ParseClassWeighting(std::string_view name) {
  for (const auto weighting :
       {ClassWeighting::kNone, ClassWeighting::kInverseFrequency, ClassWeighting::kEffectiveNumber,
        ClassWeighting::kRootInverseFrequency}) {
    if (Name(weighting) == name) return weighting;
  }
  return Error{
      ErrorCode::kInvalidArgument,
      "class weighting \"" + std::string(name) +
          "\" is none of none, inverse-frequency, root-inverse-frequency and effective-number"};
}

}  // namespace tidewheel::curation
