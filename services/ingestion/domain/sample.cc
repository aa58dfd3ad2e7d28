#include "tidewheel/ingestion/domain/sample.h"

namespace tidewheel::ingestion {

std::string_view Name(Split split) {
  switch (split) {
    case Split::kTraining:
      return "training";
    case Split::kValidation:
      return "validation";
    case Split::kTest:
      return "test";
  }
  return "training";
}

std::optional<Split> SplitFrom(std::string_view name) {
  for (const Split split : {Split::kTraining, Split::kValidation, Split::kTest}) {
    if (Name(split) == name) return split;
  }
  return std::nullopt;
}

std::string_view Name(ReasonCode code) {
  switch (code) {
    case ReasonCode::kUndecodable:
      return "undecodable";
    case ReasonCode::kTooSmall:
      return "too_small";
    case ReasonCode::kTooLarge:
      return "too_large";
    case ReasonCode::kUnderexposed:
      return "underexposed";
    case ReasonCode::kOverexposed:
      return "overexposed";
    case ReasonCode::kBlurred:
      return "blurred";
    case ReasonCode::kExactDuplicate:
      return "exact_duplicate";
    case ReasonCode::kNearDuplicate:
      return "near_duplicate";
  }
  return "undecodable";
}

std::optional<ReasonCode> ReasonCodeFrom(std::string_view name) {
  for (const ReasonCode code : kReasonCodes) {
    if (Name(code) == name) return code;
  }
  return std::nullopt;
}

std::string QuarantinedSample::TwinId() const {
  for (const Reason& reason : reasons) {
    if (!reason.sample_id.empty()) return reason.sample_id;
  }
  return {};
}

}  // namespace tidewheel::ingestion
