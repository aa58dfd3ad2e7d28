#include "tidewheel/curation/domain/dataset_builder.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/curation/domain/class_weights.h"
#include "tidewheel/curation/domain/manifest.h"
#include "tidewheel/stats/classification.h"

namespace tidewheel::curation {
namespace {

constexpr std::size_t kMaxSources = 100;
constexpr std::size_t kMaxSourceBytes = 256;
constexpr std::size_t kMaxDescriptionBytes = 4'096;
constexpr std::size_t kMaxActorBytes = 256;
constexpr std::size_t kMaxRequestBytes = 128;
constexpr double kMaxNewSampleWeight = 1'000;

Result<void> CheckText(std::string_view what, std::string_view text, std::size_t limit) {
  if (text.size() > limit) {
    return Error{ErrorCode::kInvalidArgument, std::string(what) + " has " +
                                                  std::to_string(text.size()) +
                                                  " bytes, the limit is " + std::to_string(limit)};
  }
  if (text.find('\0') != std::string_view::npos) {
    return Error{ErrorCode::kInvalidArgument, std::string(what) + " has a zero byte"};
  }
  return {};
}

Result<void> Check(const DatasetRecipe& recipe, Timestamp now) {
  if (recipe.task.empty()) return Error{ErrorCode::kInvalidArgument, "recipe.task is empty"};
  if (recipe.min_confidence && !(*recipe.min_confidence >= 0 && *recipe.min_confidence <= 1)) {
    return Error{ErrorCode::kInvalidArgument, "recipe.min_confidence is " +
                                                  JsonNumber(*recipe.min_confidence) +
                                                  ", it must lie in 0 to 1"};
  }
  if (recipe.sources.size() > kMaxSources) {
    return Error{ErrorCode::kInvalidArgument,
                 "the recipe names " + std::to_string(recipe.sources.size()) +
                     " sources, the limit is " + std::to_string(kMaxSources)};
  }
  for (const std::string& source : recipe.sources) {
    if (const auto checked = CheckText("recipe.sources", source, kMaxSourceBytes); !checked) {
      return checked.error();
    }
  }
  if (recipe.added_until && *recipe.added_until > now + std::chrono::minutes(1)) {
    return Error{ErrorCode::kInvalidArgument,
                 "recipe.added_until " + FormatUtc(*recipe.added_until) +
                     " lies in the future: a later build would differ"};
  }
  if (!(recipe.new_sample_weight > 0 && recipe.new_sample_weight <= kMaxNewSampleWeight)) {
    return Error{ErrorCode::kInvalidArgument,
                 "recipe.new_sample_weight is " + JsonNumber(recipe.new_sample_weight) +
                     ", it must lie above 0, up to " + JsonNumber(kMaxNewSampleWeight)};
  }
  if (recipe.previous_dataset_version_id.empty() && recipe.new_sample_weight != 1) {
    return Error{ErrorCode::kInvalidArgument,
                 "recipe.new_sample_weight says nothing without previous_dataset_version_id"};
  }
  return {};
}

std::string Listed(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 20;
  std::string list;
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i) {
    if (i > 0) list += ", ";
    list += names[i];
  }
  if (names.size() > kShown) list += " and " + std::to_string(names.size() - kShown) + " more";
  return list;
}

std::string LeftOut(const SplitReport& report) {
  return std::to_string(report.unlabeled) + " unlabeled, " + std::to_string(report.low_confidence) +
         " below the confidence limit, " + std::to_string(report.deactivated) + " deactivated";
}

/// Counts, weights and imbalance, or why no model could be trained and judged on this selection.
Result<SplitReport> Judge(const SelectionCounts& counts, const TaskPolicy& task,
                          const DatasetRecipe& recipe) {
  SplitReport report;
  report.groups_across_splits = counts.groups_across_splits;
  report.equal_payloads_across_splits = counts.equal_payloads_across_splits;
  report.unlabeled = counts.unlabeled;
  report.low_confidence = counts.low_confidence;
  report.deactivated = counts.deactivated;
  for (const std::string& name : task.classes) report.classes.push_back({.class_name = name});

  for (const SelectionCounts::Cell& cell : counts.cells) {
    const auto found = std::find_if(
        report.classes.begin(), report.classes.end(),
        [&](const ClassCount& candidate) { return candidate.class_name == cell.class_name; });
    if (found == report.classes.end()) {
      return Error{ErrorCode::kFailedPrecondition,
                   std::to_string(cell.items) + " labels are of class \"" + cell.class_name +
                       "\", which is not in version " + std::to_string(task.version) + " of task " +
                       task.name + " (" + Listed(task.classes) + ")"};
    }
    switch (cell.split) {
      case Split::kTraining:
        found->training += cell.items;
        report.training += cell.items;
        break;
      case Split::kValidation:
        found->validation += cell.items;
        report.validation += cell.items;
        break;
      case Split::kTest:
        found->test += cell.items;
        report.test += cell.items;
        break;
    }
  }

  if (report.training + report.validation + report.test == 0) {
    return Error{
        ErrorCode::kFailedPrecondition,
        "task " + task.name + " has no labeled sample for this recipe (" + LeftOut(report) + ")"};
  }
  for (const auto& [split, items] :
       {std::pair{Split::kTraining, report.training},
        std::pair{Split::kValidation, report.validation}, std::pair{Split::kTest, report.test}}) {
    if (items > 0) continue;
    return Error{ErrorCode::kFailedPrecondition,
                 "the " + std::string(Name(split)) + " split of task " + task.name +
                     " has no labeled sample (training " + std::to_string(report.training) +
                     ", validation " + std::to_string(report.validation) + ", test " +
                     std::to_string(report.test) + "; left out: " + LeftOut(report) + ")"};
  }
  std::vector<std::string> absent;
  std::vector<std::uint64_t> training;
  for (const ClassCount& count : report.classes) {
    training.push_back(count.training);
    if (count.training == 0) absent.push_back(count.class_name);
  }
  if (!absent.empty()) {
    return Error{ErrorCode::kFailedPrecondition,
                 "the training split of task " + task.name + " has no sample of class " +
                     Listed(absent) + " (" + std::to_string(report.training) +
                     " training samples; left out: " + LeftOut(report) + ")"};
  }

  const auto weights = ClassWeights(training, recipe.class_weighting);
  if (!weights) return weights.error();
  for (std::size_t c = 0; c < weights->size(); ++c) report.classes[c].weight = (*weights)[c];
  const auto imbalance = stats::Imbalance(training);
  if (!imbalance) return imbalance.error();
  report.imbalance = *imbalance;
  return report;
}

}  // namespace

Result<BuildOutcome> DatasetBuilder::Build(DatasetRecipe recipe, const std::string& description,
                                           const std::string& actor,
                                           const std::string& request_id) {
  const auto started = std::chrono::steady_clock::now();
  if (const auto checked = Check(recipe, clock_.Now()); !checked) return checked.error();
  if (const auto checked = CheckText("description", description, kMaxDescriptionBytes); !checked) {
    return checked.error();
  }
  if (const auto checked = CheckText("actor", actor, kMaxActorBytes); !checked) {
    return checked.error();
  }
  if (const auto checked = CheckText("request_id", request_id, kMaxRequestBytes); !checked) {
    return checked.error();
  }
  const auto task = tasks_.FindNewest(recipe.task);
  if (!task) return task.error();

  // The canonical form: what is equal in meaning is equal in text.
  if (!recipe.min_confidence) recipe.min_confidence = task->min_confidence;
  std::sort(recipe.sources.begin(), recipe.sources.end());
  recipe.sources.erase(std::unique(recipe.sources.begin(), recipe.sources.end()),
                       recipe.sources.end());

  std::optional<Digest> previous;
  if (!recipe.previous_dataset_version_id.empty()) {
    const auto found = store_.Find(recipe.previous_dataset_version_id);
    if (!found) return Prefixed("recipe.previous_dataset_version_id: ", found.error());
    if (found->task != recipe.task) {
      return Error{ErrorCode::kInvalidArgument, "recipe.previous_dataset_version_id is of task " +
                                                    found->task + ", not of " + recipe.task};
    }
    previous = found->digest;
  }

  const SelectionRule rule{.task = task->name,
                           .classes = task->classes,
                           .min_confidence = *recipe.min_confidence,
                           .sources = recipe.sources,
                           .added_until = recipe.added_until,
                           .previous = recipe.previous_dataset_version_id,
                           .new_sample_weight = recipe.new_sample_weight};
  auto outcome = store_.Build(rule, [&](Selection& selection) -> Result<BuildOutcome> {
    if (!request_id.empty()) {
      auto there = selection.FindByRequest(request_id);
      if (!there) return there.error();
      if (*there) return BuildOutcome{.version = **std::move(there), .created = false};
    }
    auto built = BuildFrom(selection, *task, recipe, previous, description, actor);
    if (!built || request_id.empty()) return built;
    const auto kept = selection.KeepRequest(request_id, built->version, clock_.Now());
    if (!kept) return kept.error();
    return built;
  });
  if (!outcome) return outcome.error();

  if (outcome->created) {
    counters_.built.Add();
    counters_.items.Add(static_cast<double>(outcome->version.items));
  } else {
    counters_.repeated.Add();
  }
  counters_.seconds.Observe(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
  return outcome;
}

Result<BuildOutcome> DatasetBuilder::BuildFrom(Selection& selection, const TaskPolicy& task,
                                               const DatasetRecipe& recipe,
                                               const std::optional<Digest>& previous,
                                               const std::string& description,
                                               const std::string& actor) {
  const auto counts = selection.Count();
  if (!counts) return counts.error();
  auto report = Judge(*counts, task, recipe);
  if (!report) return report.error();

  std::vector<double> weights;
  for (const ClassCount& count : report->classes) weights.push_back(count.weight);
  ManifestWriter manifest(task, recipe, weights, previous);
  const auto visited =
      selection.VisitItems([&](const Digest& sha256, std::size_t class_index, Split split,
                               bool is_new) { manifest.Add(sha256, class_index, split, is_new); });
  if (!visited) return visited.error();

  const Digest digest = archive_.DigestOf(manifest.text());
  auto there = selection.FindByDigest(digest);
  if (!there) return there.error();
  if (there->has_value()) return BuildOutcome{.version = std::move(**there), .created = false};

  // Durable before the row that names it; a build that fails later leaves a text nobody asks for.
  auto ref = archive_.Put(manifest.text());
  if (!ref) return ref.error();
  auto saved = selection.Save({.dataset_version_id = {},
                               .task = task.name,
                               .version = 0,
                               .digest = digest,
                               .recipe = recipe,
                               .report = std::move(*report),
                               .items = manifest.items(),
                               .votes = counts->votes,
                               .manifest_ref = std::move(*ref),
                               .description = description,
                               .built_at = clock_.Now(),
                               .built_by = actor,
                               .task_version = task.version});
  if (!saved) return saved.error();
  return BuildOutcome{.version = std::move(*saved), .created = true};
}

}  // namespace tidewheel::curation
