#include "tidewheel/cli/commands/dataset_lookup.h"

#include <memory>

#include "tidewheel/base/digest.h"
#include "tidewheel/base/ids.h"
#include "tidewheel/cli/commands/command.h"
#include "tidewheel/rpc/time.h"

namespace tidewheel::cli {
namespace {

namespace v1 = curation::v1;
using Stub = v1::CurationService::Stub;

struct BuildOptions {
  std::string task;
  std::string weighting;
  std::string description;
  std::vector<std::string> sources;
  std::string added_until;
  std::optional<double> min_confidence;
};

struct ListOptions {
  std::string task;
  std::string dataset;
  std::string split;
  std::string class_name;
  std::uint64_t limit = 100;
};

v1::ClassWeighting WeightingOf(const std::string& name) {
  if (name == "none") return v1::CLASS_WEIGHTING_NONE;
  if (name == "inverse-frequency") return v1::CLASS_WEIGHTING_INVERSE_FREQUENCY;
  if (name == "root-inverse-frequency") return v1::CLASS_WEIGHTING_ROOT_INVERSE_FREQUENCY;
  if (name == "effective-number") return v1::CLASS_WEIGHTING_EFFECTIVE_NUMBER;
  return v1::CLASS_WEIGHTING_UNSPECIFIED;
}

void PrintVersion(const v1::DatasetVersion& version) {
  const auto& report = version.report();
  Print("dataset " + version.task() + "@" + std::to_string(version.version()) + "  " +
        version.dataset_version_id() + "\n  digest " + version.digest() + "\n  " +
        FormatCount(version.items()) + " items: training " + FormatCount(report.training()) +
        ", validation " + FormatCount(report.validation()) + ", test " +
        FormatCount(report.test()) + "; imbalance " + FormatNumber(report.imbalance(), 2) + "\n");
  Table table({"CLASS", ">TRAINING", ">VALIDATION", ">TEST", ">WEIGHT"});
  for (const auto& entry : report.classes()) {
    table.Add({entry.class_name(), FormatCount(entry.training()), FormatCount(entry.validation()),
               FormatCount(entry.test()), FormatNumber(entry.weight(), 3)});
  }
  Print(table.Text());
  Print("left out: " + FormatCount(report.unlabeled()) + " unlabeled, " +
        FormatCount(report.low_confidence()) + " of low confidence, " +
        FormatCount(report.deactivated()) + " deactivated\n");
  if (report.groups_across_splits() > 0 || report.equal_payloads_across_splits() > 0) {
    Print("leakage: " + FormatCount(report.groups_across_splits()) + " groups and " +
          FormatCount(report.equal_payloads_across_splits()) +
          " equal payloads stand in more than one split\n");
  }
}

Result<ExitStatus> Build(CommandLine& line, const BuildOptions& options) {
  v1::BuildDatasetVersionRequest request;
  auto& recipe = *request.mutable_recipe();
  recipe.set_task(options.task);
  recipe.set_class_weighting(WeightingOf(options.weighting));
  for (const auto& source : options.sources) recipe.add_sources(source);
  if (options.min_confidence) recipe.set_min_confidence(*options.min_confidence);
  if (!options.added_until.empty()) {
    const auto time = ParseUtc(options.added_until);
    if (!time) return Prefixed("--added-until: ", time.error());
    *recipe.mutable_added_until() = rpc::ToProto(*time);
  }
  request.set_description(options.description);
  request.set_actor(line.actor());
  const auto built = line.platform().Call(&Stub::BuildDatasetVersion, request);
  if (!built) return built.error();
  if (line.json()) {
    Print(ToJson(*built));
    return ExitStatus::kOk;
  }
  PrintVersion(built->dataset_version());
  if (!built->created()) Print("nothing changed: this content was built before\n");
  return ExitStatus::kOk;
}

Result<ExitStatus> Show(CommandLine& line, const std::string& text) {
  const auto version = FindDatasetVersion(line, text);
  if (!version) return version.error();
  if (line.json()) {
    Print(ToJson(*version));
  } else {
    PrintVersion(*version);
  }
  return ExitStatus::kOk;
}

Result<ExitStatus> List(CommandLine& line, const ListOptions& options) {
  v1::ListDatasetVersionsRequest request;
  request.set_task(options.task);
  const auto list = line.platform().CallList(&Stub::ListDatasetVersions, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({"DATASET", "ID", ">ITEMS", ">TRAINING", ">VALIDATION", ">TEST", ">IMBALANCE",
               "BUILT", "DIGEST", "DESCRIPTION"});
  for (const auto& version : list->dataset_versions()) {
    const auto& report = version.report();
    table.Add({version.task() + "@" + std::to_string(version.version()),
               version.dataset_version_id(), FormatCount(version.items()),
               FormatCount(report.training()), FormatCount(report.validation()),
               FormatCount(report.test()), FormatNumber(report.imbalance(), 2),
               FormatTime(version.built_at()), version.digest().substr(0, 12),
               version.description()});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

Result<ExitStatus> ListItems(CommandLine& line, const ListOptions& options) {
  const auto version = FindDatasetVersion(line, options.dataset);
  if (!version) return version.error();
  v1::ListDatasetItemsRequest request;
  request.set_dataset_version_id(version->dataset_version_id());
  request.set_split(options.split);
  request.set_class_name(options.class_name);
  const auto list = line.platform().CallList(&Stub::ListDatasetItems, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({"SAMPLE", "CLASS", "SPLIT", ">WEIGHT", ">CONFIDENCE", "SHA256"});
  for (const auto& item : list->items()) {
    table.Add({item.sample_id(), item.class_name(), item.split(), FormatNumber(item.weight(), 3),
               FormatNumber(item.label_confidence(), 3), item.sha256().substr(0, 12)});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

}  // namespace

Result<v1::DatasetVersion> FindDatasetVersion(CommandLine& line, const std::string& text) {
  v1::GetDatasetVersionRequest request;
  if (IsUuid(text)) {
    request.set_dataset_version_id(text);
  } else if (Digest::FromHex(text)) {
    request.set_digest(text);
  } else {
    const auto name = ParseVersionedName(text);
    if (!name) return name.error();
    request.mutable_name()->set_task(name->name);
    request.mutable_name()->set_version(name->version);
  }
  auto found = line.platform().Call(&Stub::GetDatasetVersion, request);
  if (!found) return found.error();
  return std::move(*found->mutable_dataset_version());
}

void AddDatasetCommands(CommandLine& line) {
  auto* group = line.AddGroup("dataset", "Dataset versions");
  const auto build = std::make_shared<BuildOptions>();
  auto* command = line.AddCommand(group, "build", "Build a dataset version");
  AddTask(command, &build->task);
  command
      ->add_option("--weighting", build->weighting,
                   "none, inverse-frequency (default), root-inverse-frequency or "
                   "effective-number")
      ->check(CLI::IsMember(
          {"none", "inverse-frequency", "root-inverse-frequency", "effective-number"}));
  command->add_option("--description", build->description, "For people");
  command->add_option("--source", build->sources, "Only samples of this source; may be repeated")
      ->expected(1)
      ->take_all();
  command->add_option("--min-confidence", build->min_confidence,
                      "Leave out labels below (default: the task's)");
  command->add_option("--added-until", build->added_until,
                      "Only samples added up to this moment (RFC 3339)");
  line.OnRun(command, [&line, build] { return Build(line, *build); });

  const auto shown = std::make_shared<std::string>();
  command = line.AddCommand(group, "get", "Show a dataset version with its report");
  command->add_option("DATASET", *shown, "Id, digest, TASK or TASK@VERSION")->required();
  line.OnRun(command, [&line, shown] { return Show(line, *shown); });

  const auto items = std::make_shared<ListOptions>();
  command = line.AddCommand(group, "items", "List a dataset version's items");
  command->add_option("DATASET", items->dataset, "Id, digest, TASK or TASK@VERSION")->required();
  command->add_option("--split", items->split, "training, validation or test")
      ->check(CLI::IsMember({"training", "validation", "test"}));
  command->add_option("--class", items->class_name, "Only of this class");
  AddLimit(command, &items->limit);
  line.OnRun(command, [&line, items] { return ListItems(line, *items); });

  const auto list = std::make_shared<ListOptions>();
  command = line.AddCommand(&line.app(), "datasets", "List dataset versions, newest first");
  command->add_option("--task", list->task, "Only of this task");
  AddLimit(command, &list->limit);
  line.OnRun(command, [&line, list] { return List(line, *list); });
}

}  // namespace tidewheel::cli
