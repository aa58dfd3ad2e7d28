#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/training/domain/run_executor.h"

namespace tidewheel::training {

/// What a worker process gets.
struct ProcessOptions {
  std::filesystem::path program;      // tidewheel-train-worker.
  std::filesystem::path work_folder;  // One folder a run below it.
  std::string payloads_root;
  std::uint32_t threads = 1;
  std::chrono::milliseconds stop_grace{10'000};  // From SIGTERM to SIGKILL.
};

/// What a task's gate asks of a model while it is made.
struct WorkerGate {
  std::vector<BehaviourTest> tests;
  // For variants of the model; absent: as the worker has it.
  std::optional<double> max_loss;
  std::optional<double> alpha;
};

/// The preprocessing of a task's packages, by key, and its gate, for the job of a worker.
class PreprocessingSource {
 public:
  virtual ~PreprocessingSource() = default;
  virtual Result<std::map<std::string, std::string>> Find(const std::string& task) = 0;
  /// Empty unless a source knows it.
  virtual Result<WorkerGate> FindGate(const std::string& /*task*/) { return WorkerGate{}; }
};

/// Runs tidewheel-train-worker: the job goes in as files, reports come back on a pipe, results as
/// files. The process gets SIGKILL when this one dies, and no rights to the database.
class ProcessLauncher final : public WorkerLauncher {
 public:
  ProcessLauncher(RunStore& store, PreprocessingSource& preprocessing, ProcessOptions options)
      : store_(store), preprocessing_(preprocessing), options_(std::move(options)) {}

  Result<WorkerEnd> Launch(const Run& run,
                           const std::function<bool(const Progress&)>& on_progress) override;
  void Remove(const std::string& run_id) override;

 private:
  std::filesystem::path FolderOf(const std::string& run_id) const;
  /// Writes job.pb and items.pb into the folder, where nothing but a checkpoint is left.
  Result<void> Prepare(const Run& run, const std::filesystem::path& folder);

  RunStore& store_;
  PreprocessingSource& preprocessing_;
  const ProcessOptions options_;
};

}  // namespace tidewheel::training
