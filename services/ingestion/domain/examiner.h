#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/ingestion/domain/sample.h"
#include "tidewheel/ingestion/domain/task_rules.h"

namespace tidewheel::ingestion {

/// Looks at payloads: one implementation a modality. Thread-safe.
class Examiner {
 public:
  virtual ~Examiner() = default;
  /// Never fails: what cannot be decoded is a reason.
  virtual Examination Examine(std::string_view payload, const QualityRules& rules) const = 0;
  virtual Digest Hash(std::string_view payload) const = 0;
};

/// A stored sample that looks like another.
struct NearSample {
  std::string sample_id;
  std::string group;
  int distance = 0;  // Bits.
};

/// Finds look-alikes among a task's samples, those of other copies of the service too, a little
/// later. Thread-safe.
class NearDuplicates {
 public:
  virtual ~NearDuplicates() = default;
  /// The nearest within `radius` bits.
  virtual Result<std::optional<NearSample>> Nearest(const std::string& task,
                                                    const PictureHash& hash, int radius) = 0;
  /// Stored just now.
  virtual void Add(const std::string& task, const PictureHash& hash, const std::string& sample_id,
                   const std::string& group) = 0;
};

/// How many of 128 bits differ.
int Distance(const PictureHash& a, const PictureHash& b);

}  // namespace tidewheel::ingestion
