#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/monitoring_policy.h"
#include "tidewheel/monitoring/domain/prediction.h"
#include "tidewheel/monitoring/domain/rank.h"
#include "tidewheel/monitoring/domain/window_rows.h"

namespace tidewheel::monitoring {

struct PageRequest {
  std::size_t size = 100;
  std::string token;
};

template <typename T>
struct Page {
  std::vector<T> items;
  std::string next_token;
};

/// Which windows are asked for; an empty task or model means all.
struct WindowFilter {
  ModelKey model;
  std::string slice;           // Empty: all traffic.
  std::string kind = "count";  // Or "time".
};

/// By task. What a task does not name has the defaults.
using Policies = std::map<std::string, MonitoringPolicy>;

/// What the domain needs of storage. A prediction, failure or outcome that comes again changes
/// nothing, and it does not matter in which order they come. Thread-safe.
class MonitoringStore {
 public:
  virtual ~MonitoringStore() = default;

  /// Stores what is new in one transaction, then joins outcomes that are there. Returns how many
  /// were new. After an error call it again: what was stored counts once. kInvalidArgument: a model
  /// that answered with other classes before.
  virtual Result<std::size_t> AddPredictions(std::span<const Prediction> predictions,
                                             const Policies& policies) = 0;
  virtual Result<std::size_t> AddFailures(std::span<const Failure> failures,
                                          const Policies& policies) = 0;
  /// The outcome of a prediction that was observed first counts, others are kept beside it. Returns
  /// how many were new.
  virtual Result<std::size_t> AddOutcomes(std::span<const Outcome> outcomes) = 0;

  /// Of several models' answers the one that the client saw.
  virtual Result<std::optional<Prediction>> FindPrediction(const std::string& request_id,
                                                           std::uint32_t index) = 0;
  /// Newest first, the open one among them.
  virtual Result<Page<Window>> ListWindows(const WindowFilter& filter, const PageRequest& page) = 0;
  virtual Result<Page<ModelSummary>> ListSummaries(const std::string& task,
                                                   const PageRequest& page) = 0;
  virtual Result<std::vector<LabelDelay>> ListLabelDelays() = 0;
  virtual Result<std::vector<TaskActivity>> ListActivity() = 0;
  /// Slices of a model, in order of their names.
  virtual Result<std::vector<std::string>> ListSlices(const ModelKey& model) = 0;

  /// The rows of one stored window, as at its judgement. kNotFound: no such window.
  virtual Result<WindowRows> ReadWindow(const WindowKey& key) = 0;
  /// Adds to a stored window; of a window that is gone nothing is said.
  virtual Result<void> NoteWindow(const WindowKey& key, const WindowNote& note) = 0;

  /// The newest rows that `query` may choose from, at most `at_most`.
  virtual Result<RankCandidates> FindCandidates(const RankQuery& query, std::size_t at_most) = 0;

  /// Drops single predictions, failures and outcomes older than `before`; windows and sums stay,
  /// and what comes later of that time is left out. Returns how many.
  virtual Result<std::uint64_t> Forget(Timestamp before) = 0;
};

}  // namespace tidewheel::monitoring
