#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/curation/domain/dataset.h"

namespace tidewheel::curation {

/// Which samples a build looks at.
struct SelectionRule {
  std::string task;
  std::vector<std::string> classes;  // In the task's order.
  double min_confidence = 0;
  std::vector<std::string> sources;
  std::optional<Timestamp> added_until;
  DatasetVersionId previous{};   // Empty: no sample is new.
  double new_sample_weight = 1;  // Of new training samples, beside their class's weight.
};

/// What a selection holds, and what it left out.
struct SelectionCounts {
  struct Cell {
    std::string class_name;
    Split split = Split::kTraining;
    std::uint64_t items = 0;
  };
  std::vector<Cell> cells;  // Those with items; also of classes that the task does not have.
  std::uint64_t votes = 0;
  std::uint64_t groups_across_splits = 0;
  std::uint64_t equal_payloads_across_splits = 0;
  std::uint64_t unlabeled = 0;
  std::uint64_t low_confidence = 0;
  std::uint64_t deactivated = 0;
};

/// The samples of one build as they stood at one moment.
class Selection {
 public:
  using Visitor =
      std::function<void(const Digest& sha256, std::size_t class_index, Split split, bool is_new)>;

  virtual ~Selection() = default;
  virtual Result<SelectionCounts> Count() = 0;
  /// Every item, in the order of digest, split name, class; read in pieces.
  virtual Result<void> VisitItems(const Visitor& visit) = 0;
  virtual Result<std::optional<DatasetVersion>> FindByDigest(const Digest& digest) = 0;
  /// What an earlier build with this id of its caller's came to.
  virtual Result<std::optional<DatasetVersion>> FindByRequest(const std::string& request_id) = 0;
  virtual Result<void> KeepRequest(const std::string& request_id, const DatasetVersion& version,
                                   Timestamp now) = 0;
  /// Adds the version with its items and queues its event. Fills in id and version number.
  virtual Result<DatasetVersion> Save(DatasetVersion version) = 0;
};

struct BuildOutcome {
  DatasetVersion version;
  bool created = false;
};

struct DatasetVersionFilter {
  std::string task;  // Empty: every task.
};

/// Where the next page of versions starts: after this one, towards older ones.
struct VersionCursor {
  Timestamp built_at{};
  DatasetVersionId dataset_version_id;
};

struct ItemFilter {
  DatasetVersionId dataset_version_id;
  std::optional<Split> split;
  std::string class_name;  // Empty: all.
};

/// Keeps dataset versions. Thread-safe.
class DatasetStore {
 public:
  using Body = std::function<Result<BuildOutcome>(Selection&)>;

  virtual ~DatasetStore() = default;

  /// Runs `body` on one snapshot in one transaction: a value commits. When another build came in
  /// between, `body` runs again on a fresh snapshot.
  virtual Result<BuildOutcome> Build(const SelectionRule& rule, const Body& body) = 0;

  /// kNotFound.
  virtual Result<DatasetVersion> Find(const DatasetVersionId& id) = 0;
  virtual Result<DatasetVersion> FindByDigest(const Digest& digest) = 0;
  /// `version` 0: the newest.
  virtual Result<DatasetVersion> FindByName(const std::string& task, std::uint32_t version) = 0;

  /// Newest first.
  virtual Result<std::vector<DatasetVersion>> List(const DatasetVersionFilter& filter,
                                                   const std::optional<VersionCursor>& after,
                                                   std::size_t at_most) = 0;
  /// From ordinal `from` on. kNotFound: no such dataset version.
  virtual Result<std::vector<DatasetItem>> ListItems(const ItemFilter& filter, std::uint64_t from,
                                                     std::size_t at_most) = 0;
};

/// Where manifests are kept. Thread-safe.
class ManifestArchive {
 public:
  virtual ~ManifestArchive() = default;
  /// The SHA-256 of the text.
  virtual Digest DigestOf(const std::string& text) const = 0;
  /// Durable when it returns; says where.
  virtual Result<std::string> Put(const std::string& text) = 0;
};

}  // namespace tidewheel::curation
