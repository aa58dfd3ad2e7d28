#pragma once

#include "tidewheel/ingestion/domain/examiner.h"

namespace tidewheel::ingestion {

/// Pictures: decoded within the task's limits, measured, held against its quality rules and hashed
/// by libs/vision, the same code that measures them again in serving. Thread-safe.
class PictureExaminer final : public Examiner {
 public:
  Examination Examine(std::string_view payload, const QualityRules& rules) const override;
  Digest Hash(std::string_view payload) const override;
};

}  // namespace tidewheel::ingestion
