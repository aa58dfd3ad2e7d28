#include "tidewheel/curation/domain/lineage_tracer.h"

#include <array>
#include <cstdio>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tidewheel/curation/domain/manifest.h"

namespace tidewheel::curation {
namespace {

constexpr std::int64_t kDefaultSamples = 5;
constexpr std::int64_t kMaxSamples = 100;
constexpr std::size_t kMaxVotes = 10'000;
constexpr std::size_t kMaxDatasets = 20;
constexpr std::size_t kMaxMetrics = 32;

Result<std::size_t> SampleCount(std::int64_t asked) {
  if (asked < 0 || asked > kMaxSamples) {
    return Error{ErrorCode::kInvalidArgument, "samples is " + std::to_string(asked) +
                                                  ", it must lie in 0 to " +
                                                  std::to_string(kMaxSamples)};
  }
  return static_cast<std::size_t>(asked == 0 ? kDefaultSamples : asked);
}

std::string Percent(double share) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%.1f %%", share * 100);
  return text.data();
}

std::string Short(const std::string& hex) { return hex.substr(0, 12); }

/// Leaves out what is not known.
void Put(LineageNode& node, const std::string& name, const std::string& value) {
  if (!value.empty()) node.attributes.emplace(name, value);
}

void PutMetrics(LineageNode& node, const std::map<std::string, double>& metrics) {
  std::size_t shown = 0;
  for (const auto& [name, value] : metrics) {
    if (shown++ == kMaxMetrics) break;
    node.attributes.emplace("metric." + name, JsonNumber(value));
  }
}

LineageNode Missing(const std::string& kind, const std::string& id, const Error& why) {
  return {.kind = kind,
          .id = id,
          .title = kind + " " + id + " is not there any more",
          .attributes = {{"missing", why.message}},
          .at = {}};
}

LineageNode NodeOf(const PredictionFacts& facts) {
  LineageNode node{.kind = "prediction",
                   .id = facts.request_id,
                   .title = facts.class_name + " (" + Percent(facts.confidence) + ")",
                   .attributes = {{"class", facts.class_name},
                                  {"confidence", JsonNumber(facts.confidence)},
                                  {"task", facts.task}},
                   .at = facts.predicted_at};
  Put(node, "payload_sha256", facts.payload_sha256);
  Put(node, "outcome", facts.outcome_class_name);
  return node;
}

LineageNode NodeOf(const ModelVersionFacts& facts) {
  LineageNode node{.kind = "model version",
                   .id = facts.model_version_id,
                   .title = facts.task + " model " + std::to_string(facts.version) +
                            (facts.recipe.empty() ? "" : ", " + facts.recipe),
                   .attributes = {{"task", facts.task}, {"version", std::to_string(facts.version)}},
                   .at = facts.registered_at};
  Put(node, "stage", facts.stage);
  Put(node, "recipe", facts.recipe);
  Put(node, "package_digest", facts.package_digest);
  Put(node, "dataset_digest", facts.dataset_digest);
  Put(node, "code_version", facts.code_version);
  Put(node, "registered_by", facts.registered_by);
  PutMetrics(node, facts.metrics);
  return node;
}

LineageNode NodeOf(const RunFacts& facts) {
  LineageNode node{.kind = "run",
                   .id = facts.run_id,
                   .title = facts.recipe + ", seed " + std::to_string(facts.seed) + ", code " +
                            (facts.code_version.empty() ? "unknown" : Short(facts.code_version)) +
                            (facts.code_clean ? "" : " (changed)"),
                   .attributes = {{"task", facts.task},
                                  {"recipe", facts.recipe},
                                  {"seed", std::to_string(facts.seed)},
                                  {"code_clean", facts.code_clean ? "true" : "false"},
                                  {"attempt", std::to_string(facts.attempt)}},
                   .at = facts.queued_at};
  Put(node, "state", facts.state);
  Put(node, "code_version", facts.code_version);
  Put(node, "build", facts.build);
  Put(node, "dataset_digest", facts.dataset_digest);
  Put(node, "actor", facts.actor);
  PutMetrics(node, facts.test_metrics);
  return node;
}

LineageNode NodeOf(const CycleFacts& facts) {
  LineageNode node{.kind = "cycle",
                   .id = facts.cycle_id,
                   .title = facts.task + " cycle, " + facts.state +
                            (facts.reason.empty() ? "" : ": " + facts.reason),
                   .attributes = {{"task", facts.task},
                                  {"state", facts.state},
                                  {"trigger", facts.trigger},
                                  {"labels", std::to_string(facts.labels)},
                                  {"cpu_seconds", JsonNumber(facts.cpu_seconds)},
                                  {"samples", std::to_string(facts.acquired)}},
                   .at = facts.started_at};
  Put(node, "actor", facts.actor);
  Put(node, "baseline_model_version", facts.baseline_model_version_id);
  if (facts.gain) Put(node, "gain", JsonNumber(*facts.gain));
  if (facts.harmed_requests > 0) {
    Put(node, "harmed_requests", std::to_string(facts.harmed_requests));
  }
  // Attributes are told by name: the time keeps them in their order.
  for (const auto& decided : facts.decisions) {
    Put(node, "decided " + FormatUtc(decided.at),
        decided.outcome + (decided.actor.empty() ? "" : " by " + decided.actor) +
            (decided.reason.empty() ? "" : ": " + decided.reason));
  }
  return node;
}

LineageNode NodeOf(const DatasetVersion& version) {
  const SplitReport& report = version.report;
  LineageNode node{
      .kind = "dataset version",
      .id = version.dataset_version_id.text(),
      .title = version.task + " dataset " + std::to_string(version.version) + ", " +
               std::to_string(version.items) + " samples, digest " + Short(version.digest.Hex()),
      .attributes = {{"task", version.task},
                     {"version", std::to_string(version.version)},
                     {"digest", version.digest.Hex()},
                     {"items", std::to_string(version.items)},
                     {"training", std::to_string(report.training)},
                     {"validation", std::to_string(report.validation)},
                     {"test", std::to_string(report.test)},
                     {"votes", std::to_string(version.votes)},
                     {"task_version", std::to_string(version.task_version)},
                     {"class_weighting", std::string(Name(version.recipe.class_weighting))}},
      .at = version.built_at};
  Put(node, "manifest_ref", version.manifest_ref);
  Put(node, "built_by", version.built_by);
  Put(node, "description", version.description);
  return node;
}

LineageNode NodeOf(const SampleFacts& facts) {
  LineageNode node{.kind = "sample",
                   .id = facts.sample_id,
                   .title = facts.name.empty() ? Short(facts.sha256) : facts.name,
                   .attributes = {{"sha256", facts.sha256}},
                   .at = facts.collected_at};
  Put(node, "task", facts.task);
  Put(node, "name", facts.name);
  Put(node, "source", facts.source);
  Put(node, "group", facts.group);
  Put(node, "split", facts.split);
  Put(node, "payload_ref", facts.payload_ref);
  if (facts.width > 0) {
    Put(node, "size", std::to_string(facts.width) + " x " + std::to_string(facts.height));
  }
  if (facts.deactivated) Put(node, "deactivated", "true");
  return node;
}

LineageNode NodeOf(const LabelFacts& facts) {
  LineageNode node{
      .kind = "label",
      .id = facts.label_id,
      .title = facts.class_name + " (" + Percent(facts.confidence) + ")",
      .attributes = {{"class", facts.class_name}, {"confidence", JsonNumber(facts.confidence)}},
      .at = {}};
  Put(node, "method", facts.method);
  if (facts.version > 0) {
    Put(node, "version", std::to_string(facts.version));
    Put(node, "votes", std::to_string(facts.votes));
    node.at = facts.decided_at;
  }
  return node;
}

LineageNode NodeOf(const VoteFacts& facts) {
  LineageNode node{.kind = "vote",
                   .id = facts.vote_id,
                   .title = facts.annotator + " said " + facts.class_name,
                   .attributes = {{"class", facts.class_name}, {"annotator", facts.annotator}},
                   .at = facts.voted_at};
  Put(node, "annotator_kind", facts.annotator_kind);
  Put(node, "source", facts.source);
  return node;
}

}  // namespace

/// One walk down: each step adds its thing and goes on to what made it.
class LineageTracer::Walk {
 public:
  Walk(LineageTracer& tracer, std::size_t samples) : tracer_(tracer), samples_(samples) {}

  Result<void> FromPrediction(const std::string& request_id) {
    const auto facts = tracer_.predictions_.FindPrediction(request_id);
    if (!facts) return facts.error();
    Add(NodeOf(*facts));
    preferred_class_ = facts->class_name;
    if (facts->model_version_id.empty()) return {};
    Link(facts->request_id, facts->model_version_id, "served by");
    return FromModelVersion(facts->model_version_id);
  }

  Result<void> FromModelVersion(const std::string& id) {
    const auto facts = tracer_.models_.FindModelVersion(id);
    if (!facts) return NotThere("model version", id, facts.error());
    Add(NodeOf(*facts));
    if (!facts->run_id.empty()) {
      Link(id, facts->run_id, "made by");
      return FromRun(facts->run_id);
    }
    if (facts->dataset_version_id.empty()) return {};
    Link(id, facts->dataset_version_id, "trained on");
    return FromDatasetVersion(DatasetVersionId(facts->dataset_version_id));
  }

  Result<void> FromRun(const std::string& id) {
    const auto facts = tracer_.runs_.FindRun(id);
    if (!facts) return NotThere("run", id, facts.error());
    Add(NodeOf(*facts));
    if (facts->dataset_version_id.empty()) return {};
    Link(id, facts->dataset_version_id, "trained on");
    return FromDatasetVersion(DatasetVersionId(facts->dataset_version_id));
  }

  Result<void> FromDatasetVersion(const DatasetVersionId& id) {
    const auto version = tracer_.datasets_.Find(id);
    if (!version) return NotThere("dataset version", id.text(), version.error());
    Add(NodeOf(*version));
    lineage_.votes = version->votes;

    const auto items = tracer_.store_.Examples(id, preferred_class_, samples_);
    if (!items) return items.error();
    lineage_.samples_not_shown = version->items - items->size();
    return AddItems(id, *items);
  }

  Result<void> FromSample(const SampleId& id) {
    const std::array<SampleId, 1> one{id};
    const auto samples = tracer_.store_.FindSamples(one);
    if (!samples) return samples.error();
    if (samples->empty()) return Error{ErrorCode::kNotFound, "no sample " + id.text()};
    Add(NodeOf(samples->front()));

    const auto labels = tracer_.store_.FindLabels(one);
    if (!labels) return labels.error();
    std::unordered_map<std::string, std::string> label_of;
    for (const LabelFacts& label : *labels) {
      Link(id.text(), label.label_id, "labeled by");
      Add(NodeOf(label));
      label_of.emplace(id.text(), label.label_id);
    }
    const auto voted = AddVotes(one, label_of);
    if (!voted) return voted.error();
    lineage_.votes = *voted;

    const auto datasets = tracer_.store_.FindDatasetsOf(id, kMaxDatasets);
    if (!datasets) return datasets.error();
    for (const DatasetVersionId& dataset : *datasets) {
      const auto version = tracer_.datasets_.Find(dataset);
      if (!version) return version.error();
      Add(NodeOf(*version));
      Link(dataset.text(), id.text(), "contains");
    }
    return {};
  }

  Result<void> FromCycle(const std::string& id) {
    const auto facts = tracer_.runs_.FindCycle(id, samples_);
    if (!facts) return facts.error();
    Add(NodeOf(*facts));
    if (!facts->alert_id.empty()) {
      Link(id, facts->alert_id, "triggered by");
      Add({.kind = "alert",
           .id = facts->alert_id,
           .title = facts->alert_cause,
           .attributes = {{"cause", facts->alert_cause}},
           .at = {}});
    }
    if (const auto added = AddChosen(*facts); !added) return added;
    if (!facts->gate_evaluation_id.empty()) {
      Link(id, facts->gate_evaluation_id, "judged by");
      Add({.kind = "gate",
           .id = facts->gate_evaluation_id,
           .title = std::to_string(facts->criteria.size()) + " criteria",
           .attributes = facts->criteria,
           .at = {}});
    }
    // As far as it came.
    if (!facts->candidate_model_version_id.empty()) {
      Link(id, facts->candidate_model_version_id, "made");
      return FromModelVersion(facts->candidate_model_version_id);
    }
    if (!facts->run_id.empty()) {
      Link(id, facts->run_id, "made");
      return FromRun(facts->run_id);
    }
    if (facts->dataset_version_id.empty()) return {};
    Link(id, facts->dataset_version_id, "made");
    return FromDatasetVersion(DatasetVersionId(facts->dataset_version_id));
  }

  Lineage Take() { return std::move(lineage_); }

 private:
  /// Each thing once, however many ways lead to it.
  void Add(LineageNode node) {
    if (known_.insert(node.id).second) lineage_.nodes.push_back(std::move(node));
  }
  void Link(const std::string& from, const std::string& to, const std::string& relation) {
    if (linked_.insert(from + "\n" + to).second) lineage_.edges.push_back({from, to, relation});
  }

  Result<void> AddChosen(const CycleFacts& facts) {
    std::vector<SampleId> ids;
    for (const auto& chosen : facts.chosen) {
      Link(facts.cycle_id, chosen.sample_id, "chose as " + chosen.reason);
      ids.emplace_back(chosen.sample_id);
    }
    const auto samples = tracer_.store_.FindSamples(ids);
    if (!samples) return samples.error();
    for (const SampleFacts& sample : *samples) Add(NodeOf(sample));
    const auto labels = tracer_.store_.FindLabels(ids);
    if (!labels) return labels.error();
    std::unordered_map<std::string, std::string> label_of;
    for (const LabelFacts& label : *labels) {
      Link(label.sample_id, label.label_id, "labeled by");
      Add(NodeOf(label));
      label_of.emplace(label.sample_id, label.label_id);
    }
    const auto voted = AddVotes(ids, label_of);
    if (!voted) return voted.error();
    return {};
  }

  /// What was asked for must be there; further down a gap is part of the answer.
  Result<void> NotThere(const std::string& kind, const std::string& id, const Error& error) {
    if (error.code != ErrorCode::kNotFound || lineage_.nodes.empty()) return error;
    Add(Missing(kind, id, error));
    return {};
  }

  Result<void> AddItems(const DatasetVersionId& dataset, const std::vector<DatasetItem>& items) {
    std::vector<SampleId> ids;
    for (const DatasetItem& item : items) ids.push_back(item.sample_id);
    const auto samples = tracer_.store_.FindSamples(ids);
    if (!samples) return samples.error();
    const auto labels = tracer_.store_.FindLabels(ids);
    if (!labels) return labels.error();

    std::unordered_map<std::string, const SampleFacts*> sample_of;
    for (const SampleFacts& sample : *samples) sample_of.emplace(sample.sample_id, &sample);
    std::unordered_map<std::string, const LabelFacts*> in_force;
    for (const LabelFacts& label : *labels) in_force.emplace(label.sample_id, &label);

    std::unordered_map<std::string, std::string> label_of;
    for (const DatasetItem& item : items) {
      const std::string& id = item.sample_id.text();
      const auto sample = sample_of.find(id);
      SampleFacts facts;
      if (sample != sample_of.end()) {
        facts = *sample->second;
      } else {
        facts.sample_id = id;
        facts.sha256 = item.sha256.Hex();
      }
      LineageNode node = NodeOf(facts);
      node.attributes["split"] = Name(item.split);  // As the dataset version has it.
      node.attributes["weight"] = JsonNumber(item.weight);
      Add(std::move(node));
      Link(dataset.text(), id, "contains");

      // The label of the dataset version, which may have been superseded since.
      LabelFacts label{.label_id = item.label_id.text(),
                       .sample_id = id,
                       .class_name = item.class_name,
                       .confidence = item.label_confidence,
                       .method = {},
                       .version = 0,
                       .votes = 0,
                       .decided_at = {}};
      const auto now = in_force.find(id);
      const bool current = now != in_force.end() && now->second->label_id == label.label_id;
      if (current) label = *now->second;
      LineageNode label_node = NodeOf(label);
      if (!current) {
        label_node.attributes.emplace("superseded", "true");
        if (now != in_force.end()) {
          label_node.attributes.emplace("class_now", now->second->class_name);
        }
      }
      Add(std::move(label_node));
      Link(id, label.label_id, "labeled by");
      label_of.emplace(id, label.label_id);
    }
    const auto voted = AddVotes(ids, label_of);
    if (!voted) return voted.error();
    return {};
  }

  Result<std::uint64_t> AddVotes(std::span<const SampleId> samples,
                                 const std::unordered_map<std::string, std::string>& label_of) {
    const auto votes = tracer_.store_.FindVotes(samples, kMaxVotes);
    if (!votes) return votes.error();
    for (const VoteFacts& vote : *votes) {
      Add(NodeOf(vote));
      // A sample without a label still has its votes.
      const auto label = label_of.find(vote.sample_id);
      Link(label == label_of.end() ? vote.sample_id : label->second, vote.vote_id,
           label == label_of.end() ? "voted on by" : "decided by");
    }
    return votes->size();
  }

  LineageTracer& tracer_;
  const std::size_t samples_;
  std::string preferred_class_;
  std::set<std::string> known_;   // Nodes by id.
  std::set<std::string> linked_;  // Edges by both ends.
  Lineage lineage_;
};

Result<Lineage> LineageTracer::TracePrediction(const std::string& request_id,
                                               std::int64_t samples) {
  const auto count = SampleCount(samples);
  if (!count) return count.error();
  Walk walk(*this, *count);
  if (const auto walked = walk.FromPrediction(request_id); !walked) return walked.error();
  return walk.Take();
}

Result<Lineage> LineageTracer::TraceModelVersion(const std::string& id, std::int64_t samples) {
  const auto count = SampleCount(samples);
  if (!count) return count.error();
  Walk walk(*this, *count);
  if (const auto walked = walk.FromModelVersion(id); !walked) return walked.error();
  return walk.Take();
}

Result<Lineage> LineageTracer::TraceRun(const std::string& id, std::int64_t samples) {
  const auto count = SampleCount(samples);
  if (!count) return count.error();
  Walk walk(*this, *count);
  if (const auto walked = walk.FromRun(id); !walked) return walked.error();
  return walk.Take();
}

Result<Lineage> LineageTracer::TraceDatasetVersion(const DatasetVersionId& id,
                                                   std::int64_t samples) {
  const auto count = SampleCount(samples);
  if (!count) return count.error();
  Walk walk(*this, *count);
  if (const auto walked = walk.FromDatasetVersion(id); !walked) return walked.error();
  return walk.Take();
}

Result<Lineage> LineageTracer::TraceCycle(const std::string& id, std::int64_t samples) {
  const auto count = SampleCount(samples);
  if (!count) return count.error();
  Walk walk(*this, *count);
  if (const auto walked = walk.FromCycle(id); !walked) return walked.error();
  return walk.Take();
}

Result<Lineage> LineageTracer::TraceSample(const SampleId& id) {
  Walk walk(*this, 1);
  if (const auto walked = walk.FromSample(id); !walked) return walked.error();
  return walk.Take();
}

}  // namespace tidewheel::curation
