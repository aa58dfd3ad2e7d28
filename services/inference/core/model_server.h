#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/executor.h"
#include "tidewheel/inference/core/tensor.h"

namespace tidewheel::inference {

using Parameter = std::variant<bool, std::int64_t, std::uint64_t, double, std::string>;
using Parameters = std::map<std::string, Parameter>;

/// One call of ModelInfer, whatever protocol it came by.
struct InferRequest {
  std::string model_name{};
  std::string model_version{};  // Empty: as the version policy says.
  std::string id{};
  /// Requests of one key are answered by the same version while a rollout stays as it is. Empty:
  /// the id.
  std::string routing_key{};
  /// "priority", "timeout", "routing_key" and "sequence_*" have been taken out.
  Parameters parameters{};
  std::vector<Tensor> inputs{};
  std::vector<std::string> outputs{};  // Empty: all.
  std::uint64_t priority = 0;          // 0: the default level; 1 is the first.
  std::optional<std::chrono::microseconds>
      timeout{};  // In the queue; may only shorten the policy's.
  /// After it the request is not run any more.
  std::optional<std::chrono::system_clock::time_point> deadline{};
  /// Asked when the request's turn comes: true leaves it out.
  std::function<bool()> cancelled{};
  /// Requests that were read together, this one among them.
  std::size_t came_with = 1;
  /// Where the phase "queue" begins.
  std::chrono::steady_clock::time_point arrived = std::chrono::steady_clock::now();
  /// Keeps alive what `inputs` view.
  std::shared_ptr<const void> owner{};
};

/// Where the time of a request went.
struct Phases {
  std::chrono::nanoseconds queue{};
  std::chrono::nanoseconds preprocess{};  // Tensors gathered to a batch, pictures decoded.
  std::chrono::nanoseconds infer{};
  std::chrono::nanoseconds postprocess{};
};

struct InferResponse {
  std::string model_name{};
  std::string model_version{};
  std::string id{};
  Parameters parameters{};  // Such as "variant".
  std::vector<Tensor> outputs{};
  Phases phases{};
  std::size_t batch_size = 0;  // Rows that ran together with it.
};

/// Sums since a version was loaded.
struct DurationSum {
  std::uint64_t count = 0;
  std::uint64_t nanoseconds = 0;
};
struct BatchStatistics {
  std::uint64_t batch_size = 0;
  DurationSum input{};
  DurationSum infer{};
  DurationSum output{};
};
/// Requests by how long a phase took them; what Prometheus calls a histogram.
struct PhaseHistogram {
  /// Upper bounds in seconds, rising; the last, infinite one is implied.
  static constexpr std::array kBounds = {5e-6, 1e-5,   2.5e-5, 5e-5, 1e-4,   2.5e-4, 5e-4,
                                         1e-3, 2.5e-3, 5e-3,   1e-2, 2.5e-2, 5e-2,   0.1,
                                         0.25, 0.5,    1.0,    2.5,  5.0,    10.0};
  std::array<std::uint64_t, kBounds.size() + 1> counts{};  // Each bucket alone, not cumulated.
  double sum_seconds = 0;
};
/// Why a batch was sent off as it was: it had a wanted size, its oldest request had waited as long
/// as told, a request would have come too late, or nothing spoke for waiting.
enum class BatchReason { kSize, kDelay, kDeadline, kIdle };
inline constexpr std::size_t kBatchReasons = 4;
/// "size" and so on.
std::string_view Name(BatchReason reason);

struct ModelStatistics {
  std::string name{};
  std::string version{};
  std::uint64_t last_inference_ms = 0;  // Unix time.
  std::uint64_t inference_count = 0;    // Rows.
  std::uint64_t execution_count = 0;    // Batches.
  DurationSum success{};
  DurationSum fail{};
  DurationSum queue{};
  DurationSum input{};
  DurationSum infer{};
  DurationSum output{};
  DurationSum cache_hit{};
  DurationSum cache_miss{};
  std::vector<BatchStatistics> batches{};
  // Of `fail`, by kind; the rest are failures of the engine.
  std::uint64_t refused = 0;  // No room in the queue, or no hope to be in time.
  std::uint64_t expired = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t pending = 0;     // Waiting now.
  std::uint64_t ran_inline = 0;  // Of the batches, those on the caller's thread.
  std::size_t memory_bytes = 0;  // As the executor says; 0: not known.
  std::array<std::uint64_t, kBatchReasons> reasons{};  // Batches, by BatchReason.
  PhaseHistogram queue_seconds{};
  PhaseHistogram preprocess_seconds{};
  PhaseHistogram infer_seconds{};
  PhaseHistogram postprocess_seconds{};
};

enum class ModelState { kUnavailable, kLoading, kReady, kUnloading };

struct IndexEntry {
  std::string name{};
  std::string version{};  // Empty: known, never loaded.
  ModelState state = ModelState::kUnavailable;
  std::string reason{};
};

/// When several requests run together; the words and defaults of the field's model configuration.
struct QueuePolicy {
  bool delays_on_timeout = false;                // Else rejects.
  std::chrono::microseconds default_timeout{0};  // 0: none.
  bool allow_timeout_override = false;
  std::uint32_t max_queue_size = 0;  // 0: no limit of its own.
};
struct BatchPolicy {
  bool enabled = true;
  std::vector<std::uint32_t> preferred_batch_sizes{};
  std::chrono::microseconds max_queue_delay{0};
  bool preserve_ordering = false;
  std::uint32_t priority_levels = 0;
  std::uint32_t default_priority_level = 0;
  QueuePolicy default_queue_policy{};
  std::map<std::uint32_t, QueuePolicy> priority_queue_policy{};
};
struct VersionPolicy {
  enum class Kind { kLatest, kAll, kSpecific } kind = Kind::kLatest;
  std::uint32_t latest = 1;
  std::vector<std::uint64_t> specific{};
};

/// Requests that a version answers before it serves.
struct WarmupSample {
  struct Input {
    enum class Kind { kZero, kRandom, kFile } kind = Kind::kZero;
    TensorSpec spec{};   // Without the batch.
    std::string file{};  // Of raw bytes, in the model's folder `warmup`.
  };
  std::string name{};
  std::size_t batch_size = 0;
  std::size_t count = 1;
  std::vector<Input> inputs{};
};

/// A step of a graph of models served as one: which tensor of the graph is which of the model's.
struct EnsembleStep {
  std::string model{};
  std::string version{};                         // Empty: the one in force.
  std::map<std::string, std::string> inputs{};   // The model's name -> the graph's.
  std::map<std::string, std::string> outputs{};  // The model's name -> the graph's.
};

/// config.pbtxt, and what is in force where there is none.
struct ModelConfig {
  std::string name{};
  std::string platform{};
  std::string backend{};
  std::size_t max_batch_size = 0;
  std::vector<TensorSpec> inputs{};  // Without the batch, as the file has them.
  std::vector<TensorSpec> outputs{};
  std::optional<BatchPolicy> batching{};
  VersionPolicy versions{};
  std::uint32_t instances = 1;
  bool response_cache = false;
  std::map<std::string, std::string> parameters{};
  std::string file{};           // default_model_filename.
  std::string instance_kind{};  // "KIND_CPU" and so on, of the first group; empty: not said.
  std::vector<WarmupSample> warmup{};
  std::vector<EnsembleStep> ensemble{};  // Not empty: the model is a graph of others.
};

/// All that the protocols ask. Thread-safe; nothing blocks but what says so.
class ModelServer {
 public:
  virtual ~ModelServer() = default;

  virtual bool live() const = 0;
  virtual bool ready() const = 0;
  /// kNotFound: no such model or version, ever.
  virtual Result<bool> ModelReady(const std::string& name, const std::string& version) const = 0;
  /// With the versions that are ready. kNotFound; kUnavailable: known but not loaded.
  struct Description {
    ModelSpec spec{};
    std::vector<std::string> versions{};
  };
  virtual Result<Description> Describe(const std::string& name,
                                       const std::string& version) const = 0;
  virtual Result<ModelConfig> Config(const std::string& name, const std::string& version) const = 0;
  /// Empty name: all models.
  virtual Result<std::vector<ModelStatistics>> Statistics(const std::string& name,
                                                          const std::string& version) const = 0;

  using Answered = std::function<void(Result<InferResponse>)>;
  /// Validates against the spec, then queues or runs at once; `answered` is called exactly once,
  /// from any thread, perhaps before this returns.
  /// kNotFound, kUnavailable, kInvalidArgument (names the tensor, the expected and the given shape
  /// and type), kResourceExhausted (the queue, or more than can be answered in time),
  /// kDeadlineExceeded, kCancelled, kInternal.
  virtual void Infer(InferRequest request, Answered answered) = 0;

  virtual std::vector<IndexEntry> Index(bool ready_only) const = 0;
  /// Blocks until the model serves, or the error says why not; then what served goes on.
  /// `config_json` replaces config.pbtxt; `files` ("<version>/<file>") replace the folder's.
  virtual Result<void> Load(const std::string& name, const std::optional<std::string>& config_json,
                            const std::map<std::string, std::string>& files) = 0;
  /// Blocks until the last request has been answered and the memory is given back.
  virtual Result<void> Unload(const std::string& name) = 0;
};

}  // namespace tidewheel::inference
