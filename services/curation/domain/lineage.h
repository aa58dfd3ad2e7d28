#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/curation/domain/dataset.h"

namespace tidewheel::curation {

// What other services say about the things on the way from a prediction to its votes.

struct PredictionFacts {
  std::string request_id;
  std::string task;
  std::string model_version_id;
  std::string class_name;
  double confidence = 0;
  Timestamp predicted_at{};
  std::string payload_sha256;      // Empty for tensors.
  std::string outcome_class_name;  // Empty while unknown.
};

struct ModelVersionFacts {
  std::string model_version_id;
  std::string task;
  std::uint32_t version = 0;
  std::string stage;
  std::string run_id;              // Empty for an upload.
  std::string dataset_version_id;  // Empty when the package names none.
  std::string dataset_digest;
  std::string package_digest;
  std::string recipe;
  std::uint64_t seed = 0;
  std::string code_version;
  bool code_clean = false;
  std::map<std::string, double> metrics;
  Timestamp registered_at{};
  std::string registered_by;
};

struct RunFacts {
  std::string run_id;
  std::string task;
  std::string dataset_version_id;
  std::string dataset_digest;
  std::string recipe;
  std::uint64_t seed = 0;
  std::string state;
  std::string code_version;
  bool code_clean = false;
  std::string build;
  std::string actor;
  std::uint32_t attempt = 0;
  std::map<std::string, double> test_metrics;
  Timestamp queued_at{};
};

/// A turn of the loop, as training tells it.
struct CycleFacts {
  std::string cycle_id;
  std::string task;
  std::string state;
  std::string reason;
  std::string trigger;
  std::string alert_id;  // Empty: none started it.
  std::string alert_cause;
  std::string actor;
  std::string baseline_model_version_id;
  std::string dataset_version_id;
  std::string run_id;
  std::string candidate_model_version_id;
  std::string gate_evaluation_id;
  std::map<std::string, std::string> criteria;  // "pass: ..." by name.
  std::uint32_t labels = 0;
  double cpu_seconds = 0;
  std::optional<double> gain;
  std::uint64_t harmed_requests = 0;
  Timestamp started_at{};
  struct Chosen {
    std::string sample_id;
    std::string reason;  // "drifted" and so on.
  };
  std::vector<Chosen> chosen;  // The first ones.
  struct Decided {
    Timestamp at{};
    std::string outcome;  // "started", "paused" and so on.
    std::string actor;
    std::string reason;
  };
  std::vector<Decided> decisions;  // In their order.
  std::uint64_t acquired = 0;      // All of them.
};

struct SampleFacts {
  std::string sample_id;
  std::string task;
  std::string sha256;
  std::string payload_ref;
  std::string name;
  std::string source;
  std::string group;
  std::string split;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  Timestamp collected_at{};
  bool deactivated = false;
};

struct LabelFacts {
  std::string label_id;
  std::string sample_id;
  std::string class_name;
  double confidence = 0;
  std::string method;
  std::uint32_t version = 0;
  std::uint32_t votes = 0;
  Timestamp decided_at{};
};

struct VoteFacts {
  std::string vote_id;
  std::string sample_id;
  std::string class_name;
  std::string annotator;
  std::string annotator_kind;
  std::string source;
  Timestamp voted_at{};
};

/// Monitoring's side. Every call here and below: kNotFound, or kUnavailable naming the service.
class PredictionLog {
 public:
  virtual ~PredictionLog() = default;
  virtual Result<PredictionFacts> FindPrediction(const std::string& request_id) = 0;
};

/// The model registry's side.
class ModelCatalogue {
 public:
  virtual ~ModelCatalogue() = default;
  virtual Result<ModelVersionFacts> FindModelVersion(const std::string& id) = 0;
};

/// Training's side.
class RunBook {
 public:
  virtual ~RunBook() = default;
  virtual Result<RunFacts> FindRun(const std::string& id) = 0;
  /// With the first `samples` of those that it chose.
  virtual Result<CycleFacts> FindCycle(const std::string& id, std::size_t samples) = 0;
};

/// Our own tables and the views of samples, labels and votes.
class LineageStore {
 public:
  virtual ~LineageStore() = default;

  /// Items of a dataset version: those of `preferred_class` first, training before the other
  /// splits.
  virtual Result<std::vector<DatasetItem>> Examples(const DatasetVersionId& dataset,
                                                    const std::string& preferred_class,
                                                    std::size_t at_most) = 0;
  /// Those that are there, in any order.
  virtual Result<std::vector<SampleFacts>> FindSamples(std::span<const SampleId> samples) = 0;
  /// The labels in force.
  virtual Result<std::vector<LabelFacts>> FindLabels(std::span<const SampleId> samples) = 0;
  /// In force, the first `at_most`.
  virtual Result<std::vector<VoteFacts>> FindVotes(std::span<const SampleId> samples,
                                                   std::size_t at_most) = 0;
  /// Dataset versions that hold the sample, newest first.
  virtual Result<std::vector<DatasetVersionId>> FindDatasetsOf(const SampleId& sample,
                                                               std::size_t at_most) = 0;
};

/// One thing on the way, with what made it.
struct LineageNode {
  std::string kind;  // The glossary's word.
  std::string id;
  std::string title;  // One line for people.
  std::map<std::string, std::string> attributes;
  std::optional<Timestamp> at;
};

/// `from_id` was made with `to_id`.
struct LineageEdge {
  std::string from_id;
  std::string to_id;
  std::string relation;
};

struct Lineage {
  std::vector<LineageNode> nodes;  // The asked thing first.
  std::vector<LineageEdge> edges;
  std::uint64_t samples_not_shown = 0;
  std::uint64_t votes = 0;  // Behind all labels of the dataset version.
};

}  // namespace tidewheel::curation
