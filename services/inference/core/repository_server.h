#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/inference/core/executor.h"
#include "tidewheel/inference/core/model_server.h"
#include "tidewheel/inference/core/response_cache.h"
#include "tidewheel/inference/core/scheduler.h"
#include "tidewheel/inference/core/warm_up.h"

namespace tidewheel::inference {

/// One version in a repository.
struct ModelSource {
  std::string name{};
  std::uint64_t version = 0;
  std::filesystem::path
      folder{};  // Of the version: holds `model.onnx`, `.pt`, `.pt2` or a package.
  ModelConfig config{};
  bool configured = false;  // By config.pbtxt or the caller; else the file alone says what it is.
};

/// Makes executors of what lies in a repository. Thread-safe; may take long.
class ExecutorLoader {
 public:
  virtual ~ExecutorLoader() = default;
  /// The executor's spec says what the file is; `max_batch_size` there is what it could take.
  /// kNotFound: no file that this loader knows. The error says why it cannot be loaded.
  virtual Result<std::unique_ptr<Executor>> Load(const ModelSource& source) = 0;
};

/// Serves what lies in a folder `<name>/<version>/...`, what is put there by hand, and graphs of
/// both. A version is loaded beside the one that serves, warmed up, checked against its golden
/// outputs and only then asked; the old one answers what it has and goes, with its memory, before
/// Load, Unload, Put and Remove return. What fails leaves what served. Thread-safe.
class RepositoryServer final : public ModelServer {
 public:
  enum class Mode {
    kNone,      // All at the start, and nothing after it.
    kExplicit,  // What Load asks for; in the other modes Load and Unload are refused.
    kPoll,      // Whatever lies there, looked at again and again.
  };
  struct Options {
    std::filesystem::path repository{};  // Empty: only what is put.
    Mode mode = Mode::kNone;
    std::vector<std::string> load_at_start{};  // Of kExplicit; "*" alone: all.
    std::chrono::milliseconds poll_every{15'000};
    std::filesystem::path scratch{};  // For files that Load brings; empty: it may bring none.
    std::size_t most_file_bytes = std::size_t{2} << 30;  // Of one Load.
    /// For all that a model's configuration does not say.
    SchedulerOptions scheduling{};
    /// Of models without a configuration.
    BatchPolicy batching{.default_queue_policy = {.allow_timeout_override = true}};
    std::size_t cache_bytes = 0;  // 0: no response cache.
    double golden_tolerance = 1e-4;
  };

  RepositoryServer(Options options, ExecutorLoader& loader);
  /// Drains and unloads all.
  ~RepositoryServer() override;

  /// Loads what the mode says. Models that cannot be loaded do not fail it: Index says why, and
  /// ready() is false. kNotFound: there is no such folder.
  Result<void> Start();

  bool live() const override { return true; }
  /// Started, and every model that should serve does.
  bool ready() const override;
  Result<bool> ModelReady(const std::string& name, const std::string& version) const override;
  Result<Description> Describe(const std::string& name, const std::string& version) const override;
  Result<ModelConfig> Config(const std::string& name, const std::string& version) const override;
  Result<std::vector<ModelStatistics>> Statistics(const std::string& name,
                                                  const std::string& version) const override;
  void Infer(InferRequest request, Answered answered) override;
  std::vector<IndexEntry> Index(bool ready_only) const override;
  Result<void> Load(const std::string& name, const std::optional<std::string>& config_json,
                    const std::map<std::string, std::string>& files) override;
  Result<void> Unload(const std::string& name) override;

  /// Serves a version that came from elsewhere, beside other versions of the name, and gives it the
  /// requests that name none, unless `prefer` is false and there are others. Replaces one of the
  /// same number. Without a configuration the
  /// executor's spec is in force. kFailedPrecondition: the name is one of the folder's; a golden
  /// case; a warm-up.
  Result<void> Put(const std::string& name, std::uint64_t version,
                   std::unique_ptr<Executor> executor, std::optional<ModelConfig> config = {},
                   const std::vector<GoldenCase>& golden = {}, bool prefer = true);
  /// Gives such a version the requests that name none. kNotFound.
  Result<void> Prefer(const std::string& name, std::uint64_t version);
  /// Takes such a version away; the newest of the others gets the requests that name none.
  /// kNotFound.
  Result<void> Remove(const std::string& name, std::uint64_t version);

  /// One look at the folder, as kPoll takes it: loads what is new or changed, unloads what is gone.
  void Poll();

  /// Warnings of the configurations, one a line, each with its model's name.
  std::vector<std::string> Warnings() const;
  ResponseCache::Counts cache() const;

 private:
  struct Version;
  struct Model;
  using Versions = std::map<std::uint64_t, std::shared_ptr<Version>>;

  struct Wanted;  // What a Load was asked for, read and checked.

  Result<std::shared_ptr<Version>> Find(const std::string& name, const std::string& version) const;
  Error WhyNot(const std::string& name, const std::string& version) const;
  bool LiesThere(const std::string& name) const;
  std::vector<std::string> NamesThere() const;
  Result<std::shared_ptr<Model>> Ensure(const std::string& name);

  void LoadAll(const std::vector<std::string>& names);
  /// A model that `must` serve makes the server not ready when it cannot be loaded.
  Result<void> LoadNow(const std::string& name, const std::optional<std::string>& config_json,
                       const std::map<std::string, std::string>& files, bool must);
  Result<void> UnloadNow(const std::string& name);
  Result<void> LoadLocked(const std::string& name, Model& model, const Wanted& wanted);
  Result<Wanted> ReadWanted(const std::string& name, const std::optional<std::string>& config_json,
                            const std::map<std::string, std::string>& files);
  Result<std::shared_ptr<Version>> MakeVersion(const std::string& name, std::uint64_t number,
                                               std::unique_ptr<Executor> executor,
                                               ModelConfig config, bool configured,
                                               const std::filesystem::path& model_folder,
                                               const std::filesystem::path& folder,
                                               const std::vector<GoldenCase>& golden);
  Result<std::shared_ptr<Version>> MakeGraph(const std::string& name, std::uint64_t number,
                                             ModelConfig config);
  Result<void> Switch(const std::string& name, Model& model, Versions fresh, bool all, bool prefer,
                      std::vector<std::shared_ptr<Version>>& old);
  bool Reaches(const std::string& from, const std::string& name, int depth) const;
  void Retire(std::shared_ptr<Version> version);
  void Note(Model& model, std::uint64_t version, ModelState state, const std::string& reason);
  ModelStatistics StatisticsOf(const Version& version) const;

  const Options options_;
  ExecutorLoader& loader_;
  std::unique_ptr<ResponseCache> cache_;  // Null: there is none.
  std::atomic<std::uint64_t> generations_{0};
  std::atomic<bool> started_{false};

  mutable std::mutex
      mutex_;  // Guards models_ and what in them is said to be; never held in a call.
  std::map<std::string, std::shared_ptr<Model>> models_;
  Pause pause_;
  std::unique_ptr<Worker> poller_;  // Last: stops before what it uses.
};

}  // namespace tidewheel::inference
