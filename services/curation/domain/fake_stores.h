#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/curation/domain/dataset_store.h"
#include "tidewheel/curation/domain/lineage.h"
#include "tidewheel/curation/domain/task_catalogue.h"

namespace tidewheel::curation {

/// Tasks in memory, for tests.
class FakeTaskCatalogue final : public TaskCatalogue {
 public:
  Result<TaskPolicy> FindNewest(const std::string& task) override {
    if (failure) return *failure;
    const auto found = tasks.find(task);
    if (found == tasks.end()) return Error{ErrorCode::kNotFound, "no task " + task};
    return found->second;
  }

  std::map<std::string, TaskPolicy> tasks;
  std::optional<Error> failure;
};

/// A digest that is stable but no SHA-256: enough to tell texts apart in tests.
inline Digest FakeDigest(std::string_view text) {
  Digest digest;
  for (std::size_t word = 0; word < 4; ++word) {
    std::uint64_t hash = StableHash(text, word + 1);
    for (std::size_t byte = 0; byte < 8; ++byte, hash >>= 8U) {
      digest.bytes[word * 8 + byte] = static_cast<std::uint8_t>(hash & 0xffU);
    }
  }
  return digest;
}

class FakeManifestArchive final : public ManifestArchive {
 public:
  Digest DigestOf(const std::string& text) const override { return FakeDigest(text); }
  Result<std::string> Put(const std::string& text) override {
    const Digest digest = DigestOf(text);
    texts[digest] = text;
    ++puts;
    return "fake:" + digest.Hex();
  }

  int puts = 0;
  std::map<Digest, std::string> texts;
};

/// Samples with labels, and dataset versions, in memory, for tests.
class FakeDatasetStore final : public DatasetStore {
 public:
  struct LabeledSample {
    Digest sha256;
    std::string class_name;  // Empty: unlabeled.
    Split split = Split::kTraining;
    double confidence = 1;
    bool is_new = false;  // The previous version does not hold it.
  };

  Result<BuildOutcome> Build(const SelectionRule& rule, const Body& body) override {
    ++builds;
    last_rule = rule;
    FakeSelection selection(*this, rule);
    return body(selection);
  }

  Result<DatasetVersion> Find(const DatasetVersionId& id) override {
    for (const DatasetVersion& version : versions) {
      if (version.dataset_version_id == id) return version;
    }
    return Error{ErrorCode::kNotFound, "no dataset version " + id.text()};
  }
  Result<DatasetVersion> FindByDigest(const Digest& digest) override {
    for (const DatasetVersion& version : versions) {
      if (version.digest == digest) return version;
    }
    return Error{ErrorCode::kNotFound, "no dataset version of digest " + digest.Hex()};
  }
  Result<DatasetVersion> FindByName(const std::string& task, std::uint32_t number) override {
    for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
      if (version->task == task && (number == 0 || version->version == number)) return *version;
    }
    return Error{ErrorCode::kNotFound, "task " + task + " has no such dataset version"};
  }
  Result<std::vector<DatasetVersion>> List(const DatasetVersionFilter& filter,
                                           const std::optional<VersionCursor>& after,
                                           std::size_t at_most) override {
    const auto place = [](const DatasetVersion& version) {
      return std::tuple(version.built_at, version.dataset_version_id);
    };
    std::vector<DatasetVersion> listed;
    for (const DatasetVersion& version : versions) {
      if (!filter.task.empty() && version.task != filter.task) continue;
      if (after && place(version) >= std::tuple(after->built_at, after->dataset_version_id))
        continue;
      listed.push_back(version);
    }
    std::sort(listed.begin(), listed.end(),
              [&](const auto& a, const auto& b) { return place(a) > place(b); });
    if (listed.size() > at_most) listed.resize(at_most);
    return listed;
  }
  Result<std::vector<DatasetItem>> ListItems(const ItemFilter& filter, std::uint64_t from,
                                             std::size_t at_most) override {
    if (const auto found = Find(filter.dataset_version_id); !found) return found.error();
    std::vector<DatasetItem> listed;
    for (const DatasetItem& item : items) {
      if (item.ordinal < from || listed.size() == at_most) continue;
      if (filter.split && item.split != *filter.split) continue;
      if (!filter.class_name.empty() && item.class_name != filter.class_name) continue;
      listed.push_back(item);
    }
    return listed;
  }

  std::vector<LabeledSample> samples;
  std::vector<DatasetVersion> versions;
  std::vector<DatasetItem> items;  // Whatever the version.
  std::map<std::string, DatasetVersion> requests;
  SelectionRule last_rule;
  int builds = 0;

 private:
  class FakeSelection final : public Selection {
   public:
    FakeSelection(FakeDatasetStore& store, const SelectionRule& rule)
        : store_(store), rule_(rule) {}

    Result<SelectionCounts> Count() override {
      SelectionCounts counts;
      std::map<std::pair<std::string, Split>, std::uint64_t> cells;
      for (const LabeledSample& sample : store_.samples) {
        if (sample.class_name.empty()) {
          ++counts.unlabeled;
        } else if (sample.confidence < rule_.min_confidence) {
          ++counts.low_confidence;
        } else {
          ++cells[{sample.class_name, sample.split}];
          counts.votes += 3;
        }
      }
      for (const auto& [key, items] : cells) counts.cells.push_back({key.first, key.second, items});
      return counts;
    }

    Result<void> VisitItems(const Visitor& visit) override {
      auto sorted = store_.samples;
      std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
        return std::tuple(a.sha256, Name(a.split)) < std::tuple(b.sha256, Name(b.split));
      });
      for (const LabeledSample& sample : sorted) {
        const auto found = std::find(rule_.classes.begin(), rule_.classes.end(), sample.class_name);
        if (found == rule_.classes.end() || sample.confidence < rule_.min_confidence) continue;
        const bool is_new = !rule_.previous.empty() && sample.is_new;
        visit(sample.sha256, static_cast<std::size_t>(found - rule_.classes.begin()), sample.split,
              is_new);
      }
      return {};
    }

    Result<std::optional<DatasetVersion>> FindByRequest(const std::string& request_id) override {
      const auto found = store_.requests.find(request_id);
      if (found == store_.requests.end()) return std::optional<DatasetVersion>();
      return std::optional(found->second);
    }
    Result<void> KeepRequest(const std::string& request_id, const DatasetVersion& version,
                             Timestamp /*now*/) override {
      store_.requests.emplace(request_id, version);
      return {};
    }
    Result<std::optional<DatasetVersion>> FindByDigest(const Digest& digest) override {
      const auto found = store_.FindByDigest(digest);
      return found ? std::optional(*found) : std::optional<DatasetVersion>();
    }

    Result<DatasetVersion> Save(DatasetVersion version) override {
      version.dataset_version_id = DatasetVersionId(NewUuid());
      version.version = static_cast<std::uint32_t>(store_.versions.size() + 1);
      store_.versions.push_back(version);
      return version;
    }

   private:
    FakeDatasetStore& store_;
    const SelectionRule rule_;
  };
};

/// The rest of the world a trace asks, in memory, for tests.
class FakeLineageSources final : public PredictionLog,
                                 public ModelCatalogue,
                                 public RunBook,
                                 public LineageStore {
 public:
  Result<PredictionFacts> FindPrediction(const std::string& id) override {
    if (monitoring_failure) return *monitoring_failure;
    return Look(predictions, id, "prediction");
  }
  Result<ModelVersionFacts> FindModelVersion(const std::string& id) override {
    return Look(models, id, "model version");
  }
  Result<RunFacts> FindRun(const std::string& id) override {
    if (training_failure) return *training_failure;
    return Look(runs, id, "run");
  }
  Result<CycleFacts> FindCycle(const std::string& id, std::size_t samples_shown) override {
    auto facts = Look(cycles, id, "cycle");
    if (facts && facts->chosen.size() > samples_shown) facts->chosen.resize(samples_shown);
    return facts;
  }
  Result<std::vector<DatasetItem>> Examples(const DatasetVersionId& /*dataset*/,
                                            const std::string& preferred_class,
                                            std::size_t at_most) override {
    auto sorted = items;
    std::stable_sort(sorted.begin(), sorted.end(), [&](const auto& a, const auto& b) {
      return (a.class_name == preferred_class) > (b.class_name == preferred_class);
    });
    if (sorted.size() > at_most) sorted.resize(at_most);
    return sorted;
  }
  Result<std::vector<SampleFacts>> FindSamples(std::span<const SampleId> ids) override {
    return Pick(samples, ids);
  }
  Result<std::vector<LabelFacts>> FindLabels(std::span<const SampleId> ids) override {
    return Pick(labels, ids);
  }
  Result<std::vector<VoteFacts>> FindVotes(std::span<const SampleId> ids,
                                           std::size_t at_most) override {
    auto picked = Pick(votes, ids);
    if (picked && picked->size() > at_most) picked->resize(at_most);
    return picked;
  }
  Result<std::vector<DatasetVersionId>> FindDatasetsOf(const SampleId& /*sample*/,
                                                       std::size_t /*at_most*/) override {
    return datasets;
  }

  std::map<std::string, PredictionFacts> predictions;
  std::map<std::string, ModelVersionFacts> models;
  std::map<std::string, RunFacts> runs;
  std::map<std::string, CycleFacts> cycles;
  std::vector<DatasetItem> items;
  std::vector<SampleFacts> samples;
  std::vector<LabelFacts> labels;
  std::vector<VoteFacts> votes;
  std::vector<DatasetVersionId> datasets;
  std::optional<Error> monitoring_failure;
  std::optional<Error> training_failure;

 private:
  template <typename Facts>
  static Result<Facts> Look(const std::map<std::string, Facts>& known, const std::string& id,
                            const std::string& what) {
    const auto found = known.find(id);
    if (found == known.end()) return Error{ErrorCode::kNotFound, "no " + what + " " + id};
    return found->second;
  }
  template <typename Facts>
  static Result<std::vector<Facts>> Pick(const std::vector<Facts>& known,
                                         std::span<const SampleId> ids) {
    std::vector<Facts> picked;
    for (const Facts& facts : known) {
      if (std::find(ids.begin(), ids.end(), SampleId(facts.sample_id)) != ids.end()) {
        picked.push_back(facts);
      }
    }
    return picked;
  }
};

}  // namespace tidewheel::curation
