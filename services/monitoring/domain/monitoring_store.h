#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/prediction.h"

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

/// What the domain needs of storage. A prediction or outcome that comes again changes nothing, and
/// it does not matter which of the two comes first. Thread-safe.
class MonitoringStore {
 public:
  virtual ~MonitoringStore() = default;

  /// Stores what is new and counts it into the model's windows, in one transaction, then joins
  /// outcomes that are there. `window_sizes` by task apply to models not seen before. Returns how
  /// many were new. After an error call it again: what was stored counts once.
  virtual Result<std::size_t> AddPredictions(
      std::span<const Prediction> predictions,
      const std::map<std::string, std::uint32_t>& window_sizes) = 0;
  /// The first outcome of a prediction counts, later ones are kept beside it. Returns how many were
  /// new.
  virtual Result<std::size_t> AddOutcomes(std::span<const Outcome> outcomes) = 0;

  virtual Result<std::optional<Prediction>> FindPrediction(const std::string& request_id,
                                                           std::uint32_t index) = 0;
  /// Newest first; empty fields mean all.
  virtual Result<Page<Window>> ListWindows(const ModelKey& model, const PageRequest& page) = 0;
  virtual Result<Page<ModelSummary>> ListSummaries(const std::string& task,
                                                   const PageRequest& page) = 0;

  /// Drops predictions and outcomes older than `before`; windows and summaries stay. Returns how
  /// many.
  virtual Result<std::uint64_t> Forget(Timestamp before) = 0;
};

}  // namespace tidewheel::monitoring
