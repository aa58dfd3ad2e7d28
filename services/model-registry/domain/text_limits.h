#pragma once

#include <string>

#include "tidewheel/base/result.h"

namespace tidewheel::model_registry {

inline constexpr std::size_t kMaxActorBytes = 256;
inline constexpr std::size_t kMaxReasonBytes = 4'096;

/// kInvalidArgument: longer than `limit` bytes, or with a zero byte, which no database keeps.
inline Result<void> CheckText(const std::string& name, const std::string& text, std::size_t limit) {
  if (text.size() > limit) {
    return Error{ErrorCode::kInvalidArgument, name + " has " + std::to_string(text.size()) +
                                                  " bytes, the limit is " + std::to_string(limit)};
  }
  if (text.find('\0') != std::string::npos) {
    return Error{ErrorCode::kInvalidArgument, name + " holds a zero byte"};
  }
  return {};
}

}  // namespace tidewheel::model_registry
