#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/judge.h"
#include "tidewheel/stats/estimate_audit.h"

namespace tidewheel::monitoring {

/// What judging the next window or outcome of a model needs to know of those before. Kept in the
/// database, so that any copy of the service goes on where another ended.
struct ModelWatch {
  struct JudgedWindow {
    std::string kind;
    std::uint64_t number = 0;
    std::uint64_t fingerprint = 0;
    Timestamp last_at{};
    double pair_share = 0;  // Of the pair level; above 1 is suspicious.
    bool quiet = true;
    std::vector<RareCount> rare;  // Those with a hit.
  };
  struct Block {
    std::uint64_t outcomes = 0;
    std::uint64_t errors = 0;
  };
  struct Blocks {
    Block current;
    Block before;
    std::uint64_t quiet = 0;  // Blocks in a row like the reference.
  };
  struct PastOutcome {
    Timestamp at{};
    bool wrong = false;
    std::string name;  // "request_id#index".
  };
  /// Outcomes that tell of trouble, until the inputs of the same time are judged.
  struct Suspicion {
    std::string method;
    double statistic = 0;
    double threshold = 0;
    std::uint64_t outcomes = 0;
    std::uint64_t errors = 0;
    Timestamp since{};
    Timestamp until{};  // The newest prediction that takes part.
    std::uint64_t delay = 0;
    std::vector<std::string> telling;
  };

  std::vector<JudgedWindow> recent;  // Oldest first; a few of each kind.
  bool several_conditions = false;   // See AlertKeeper.
  std::uint64_t next_outcome = 0;
  std::string detector;  // StreamDetector::SaveState.
  Blocks all;
  std::map<std::string, Blocks> slices;
  std::vector<PastOutcome> past;  // The last ones.
  std::optional<Suspicion> suspicion;
  /// What was expected of the answers whose outcomes came, chunk by chunk, and what came.
  struct Audit {
    double expected = 0;  // Right answers of the chunk that is being filled, ...
    double variance = 0;  // ... and their variance.
    Block current;
    std::vector<stats::AuditedEstimate> chunks;  // The last ones.
  };
  Audit audit;

  std::string ToBytes() const;
  /// kInvalidArgument: other bytes. Empty bytes are a new watch.
  static Result<ModelWatch> FromBytes(const std::string& bytes);
};

/// What judging the next window of a slice of a model needs to know.
struct SliceWatch {
  std::vector<ModelWatch::JudgedWindow> recent;  // Oldest first.
  std::uint64_t quiet = 0;                       // Windows in a row, up to now.
  bool at_home = false;                          // Once was like the reference for long enough.

  std::string ToBytes() const;
  static Result<SliceWatch> FromBytes(const std::string& bytes);
};

/// The same for what is not of one model.
struct TaskWatch {
  std::string serving_model;  // Of the newest production window.
  Timestamp serving_at{};
  std::uint64_t samples = 0;  // Captured from traffic, in blocks that were calm.
  std::uint64_t quarantined = 0;
  ModelWatch::Block block;
  std::map<std::string, std::string> annotators;  // Who is believed to have got worse, and how.

  std::string ToBytes() const;
  static Result<TaskWatch> FromBytes(const std::string& bytes);
};

}  // namespace tidewheel::monitoring
