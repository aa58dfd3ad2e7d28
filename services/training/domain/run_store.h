#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/training/domain/run.h"

namespace tidewheel::training {

struct PageRequest {
  std::size_t size = 100;
  std::string token;
};

template <typename T>
struct Page {
  std::vector<T> items;
  std::string next_token;
};

struct EnqueuedRun {
  Run run;
  bool created = false;
};

/// One item of a dataset version, for a worker.
struct DatasetItem {
  std::string payload_ref;
  std::uint32_t class_index = 0;
  std::string split;
  double weight = 1;
  std::map<std::string, std::string> metadata{};
};

/// What a worker made of a run.
struct RunOutcome {
  Hyperparameters effective;
  std::vector<Evaluation> evaluations;
  std::vector<RunPrediction> predictions;  // Without sample, split and given class: the items tell.
  std::uint32_t best_epoch = 0;
  double training_seconds = 0;
  std::string code_version;
  bool code_clean = false;
  std::string build;
  std::vector<TestResult> tests{};
  double cpu_seconds = 0;  // Of the worker's whole process.
};

struct PredictionFilter {
  std::string run_id;
  std::string split;  // Empty: both.
  bool errors_only = false;
};

/// Runs that have not ended.
struct OpenRuns {
  std::uint64_t queued = 0;
  std::uint64_t running = 0;
};

/// How two runs answered the same samples.
struct Disagreement {
  std::uint64_t samples = 0;
  std::uint64_t first_right = 0;
  std::uint64_t second_right = 0;
  std::uint64_t only_first_right = 0;
  std::uint64_t only_second_right = 0;
};

/// What the domain needs of storage. State changes carry their event in the same transaction.
/// Thread-safe.
class RunStore {
 public:
  virtual ~RunStore() = default;

  /// kNotFound: no such dataset version.
  virtual Result<DatasetVersion> FindDatasetVersion(const std::string& id) = 0;
  /// In order, without holding them all.
  virtual Result<void> ForEachItem(
      const std::string& dataset_version_id,
      const std::function<Result<void>(const DatasetItem&)>& visit) = 0;

  /// The run of the same request id is returned instead. kResourceExhausted: `limit` runs wait
  /// already.
  virtual Result<EnqueuedRun> Enqueue(const Run& run, std::size_t limit) = 0;
  virtual Result<std::optional<Run>> Find(const std::string& id) = 0;
  /// Newest first; empty means all.
  virtual Result<Page<Run>> List(const std::string& task, std::optional<RunState> state,
                                 const PageRequest& page) = 0;

  virtual Result<OpenRuns> CountOpen() = 0;

  /// Takes the oldest queued run for `owner`, until `lease` after now; or none.
  virtual Result<std::optional<Run>> Claim(const std::string& owner, Timestamp now,
                                           std::chrono::milliseconds lease) = 0;
  /// Keeps the run and tells its progress. Returns whether it should be cancelled. kAborted: it is
  /// not the owner's any more.
  virtual Result<bool> Renew(const std::string& id, const std::string& owner, Timestamp until,
                             const Progress& progress) = 0;
  /// kAborted: it is not the owner's any more. An empty model version id: the package could not be
  /// registered yet.
  virtual Result<void> Succeed(const std::string& id, const std::string& owner, Timestamp now,
                               const RunOutcome& outcome, const std::string& model_version_id) = 0;
  virtual Result<void> End(const std::string& id, const std::string& owner, Timestamp now,
                           RunState state, const std::string& reason) = 0;
  /// Running runs whose lease has passed are queued again, or fail after `attempts`. Returns how
  /// many.
  virtual Result<std::size_t> RecoverLost(Timestamp now, std::uint32_t attempts) = 0;
  /// A queued run ends at once, a running one is asked to. kNotFound; kFailedPrecondition: it has
  /// ended otherwise.
  virtual Result<Run> Cancel(const std::string& id, const std::string& reason, Timestamp now) = 0;

  virtual Result<Page<RunPrediction>> ListPredictions(const PredictionFilter& filter,
                                                      const PageRequest& page) = 0;
  /// kFailedPrecondition: not the same samples with the same labels, or no predictions.
  virtual Result<Disagreement> Compare(const std::string& run_id, const std::string& other_run_id,
                                       const std::string& split) = 0;
};

}  // namespace tidewheel::training
