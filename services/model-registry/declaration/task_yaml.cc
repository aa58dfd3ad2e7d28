#include "tidewheel/model_registry/declaration/task_yaml.h"

#include <charconv>

#include "tidewheel/config/yaml.h"
#include "tidewheel/model_registry/declaration/policy_yaml.h"
#include "tidewheel/model_registry/declaration/yaml_text.h"

namespace tidewheel::model_registry {
namespace {

using config::YamlNode;

const std::vector<std::pair<std::string, Modality>> kModalities = {{"image", Modality::kImage}};
const std::vector<std::pair<std::string, ResizeMode>> kResizeModes = {
    {"stretch", ResizeMode::kStretch}, {"fit_pad", ResizeMode::kFitPad}};
const std::vector<std::pair<std::string, ConsensusMethod>> kMethods = {
    {"majority", ConsensusMethod::kMajority}, {"dawid_skene", ConsensusMethod::kDawidSkene}};
const std::vector<std::pair<std::string, PrimaryMetric>> kMetrics = {
    {"accuracy", PrimaryMetric::kAccuracy},
    {"balanced_accuracy", PrimaryMetric::kBalancedAccuracy},
    {"macro_f1", PrimaryMetric::kMacroF1}};

void ReadPreprocessing(const YamlNode& node, Preprocessing* spec) {
  node.Read("width", &spec->width);
  node.Read("height", &spec->height);
  node.Read("channels", &spec->channels);
  node.ReadEnum("resize", &spec->resize, kResizeModes);
  node.Read("mean", &spec->mean);
  node.Read("std", &spec->std);
  // The plain scale of -1 to 1 when nothing else is asked for.
  if (spec->mean.empty() && spec->channels <= 3) spec->mean.assign(spec->channels, 0.5);
  if (spec->std.empty() && spec->channels <= 3) spec->std.assign(spec->channels, 0.5);
}

void ReadQuality(const YamlNode& node, QualityRules* rules) {
  config::ByteCount max_payload{rules->max_payload_bytes};
  if (node.Read("max_payload", &max_payload)) rules->max_payload_bytes = max_payload.bytes;
  node.Read("max_pixels", &rules->max_pixels);
  node.Read("min_side", &rules->min_side);
  node.Read("max_side", &rules->max_side);
  node.Read("min_mean_luminance", &rules->min_mean_luminance);
  node.Read("max_mean_luminance", &rules->max_mean_luminance);
  node.Read("max_dark_share", &rules->max_dark_share);
  node.Read("max_bright_share", &rules->max_bright_share);
  node.Read("min_sharpness", &rules->min_sharpness);
  node.Read("near_duplicate_quarantine_distance", &rules->near_duplicate_quarantine_distance);
  node.Read("near_duplicate_group_distance", &rules->near_duplicate_group_distance);
}

void ReadRest(const YamlNode& root, TaskSpec* spec) {
  const YamlNode splits = root.Field("splits");
  splits.Read("validation_share", &spec->splits.validation_share);
  splits.Read("test_share", &spec->splits.test_share);
  splits.Read("seed", &spec->splits.seed);
  splits.Read("metadata_key", &spec->splits.metadata_key);
  const YamlNode labels = root.Field("labels");
  labels.ReadEnum("method", &spec->labels.method, kMethods);
  labels.Read("min_votes", &spec->labels.min_votes);
  labels.Read("min_confidence", &spec->labels.min_confidence);
  const YamlNode gate = root.Field("gate");
  gate.ReadEnum("primary_metric", &spec->gate.primary_metric, kMetrics);
  gate.Read("min_primary_metric", &spec->gate.min_primary_metric);
  gate.Read("min_class_recall", &spec->gate.min_class_recall);
  root.Field("monitoring").Read("window_predictions", &spec->monitoring.window_predictions);
  ReadPolicies(root, spec);
}

/// The place that a problem's key names: "gate.tests[0].amount".
YamlNode Find(YamlNode node, std::string_view key) {
  while (!key.empty()) {
    const auto dot = key.find('.');
    std::string_view name = key.substr(0, dot);
    key = dot == std::string_view::npos ? std::string_view() : key.substr(dot + 1);
    const auto bracket = name.find('[');
    node = node.Field(name.substr(0, bracket));
    if (bracket == std::string_view::npos) continue;
    std::size_t index = 0;
    std::from_chars(name.data() + bracket + 1, name.data() + name.size(), index);
    const auto items = node.Items();
    if (index < items.size()) node = items[index];
  }
  return node;
}

}  // namespace

Result<TaskSpec> ParseTaskYaml(std::string_view text) {
  config::Yaml::Limits limits;
  limits.max_bytes = kMaxTaskYamlBytes;
  auto yaml = config::Yaml::Parse(text, "task", limits);
  if (!yaml) return yaml.error();

  TaskSpec spec;
  const YamlNode root = yaml->Root();
  root.Require("task", &spec.name);
  root.Read("description", &spec.description);
  root.ReadEnum("modality", &spec.modality, kModalities);
  root.Require("classes", &spec.classes);
  ReadPreprocessing(root.Field("preprocessing"), &spec.preprocessing);
  ReadQuality(root.Field("quality"), &spec.quality);
  ReadRest(root, &spec);
  // What has the right form may still break a rule: tell both kinds of problem together, at the
  // key's own line.
  const bool well_formed = yaml->Problems().empty();
  if (well_formed || !spec.name.empty()) {
    for (const auto& problem : Validate(spec)) {
      const YamlNode node = Find(root, problem.key);
      if (well_formed || node.exists()) node.Fail(problem.message);
    }
  }
  if (const auto good = yaml->Finish(); !good) return good.error();
  return spec;
}

std::string PrintTaskYaml(const TaskSpec& spec) {
  std::string out;
  const auto line = [&out](std::string_view key, const std::string& value) {
    out += key;
    out += ": " + value + "\n";
  };
  line("task", Quoted(spec.name));
  line("description", Quoted(spec.description));
  line("modality", NameOf(spec.modality, kModalities));
  out += "classes:\n";
  for (const auto& name : spec.classes) out += "  - " + Quoted(name) + "\n";
  const auto& preprocessing = spec.preprocessing;
  out += "preprocessing:\n";
  line("  width", std::to_string(preprocessing.width));
  line("  height", std::to_string(preprocessing.height));
  line("  channels", std::to_string(preprocessing.channels));
  line("  resize", NameOf(preprocessing.resize, kResizeModes));
  line("  mean", Numbers(preprocessing.mean));
  line("  std", Numbers(preprocessing.std));
  const auto& quality = spec.quality;
  out += "quality:\n";
  line("  max_payload", std::to_string(quality.max_payload_bytes));
  line("  max_pixels", std::to_string(quality.max_pixels));
  line("  min_side", std::to_string(quality.min_side));
  line("  max_side", std::to_string(quality.max_side));
  line("  min_mean_luminance", Number(quality.min_mean_luminance));
  line("  max_mean_luminance", Number(quality.max_mean_luminance));
  line("  max_dark_share", Number(quality.max_dark_share));
  line("  max_bright_share", Number(quality.max_bright_share));
  line("  min_sharpness", Number(quality.min_sharpness));
  line("  near_duplicate_quarantine_distance",
       std::to_string(quality.near_duplicate_quarantine_distance));
  line("  near_duplicate_group_distance", std::to_string(quality.near_duplicate_group_distance));
  out += "splits:\n";
  line("  validation_share", Number(spec.splits.validation_share));
  line("  test_share", Number(spec.splits.test_share));
  line("  seed", std::to_string(spec.splits.seed));
  line("  metadata_key", Quoted(spec.splits.metadata_key));
  out += "labels:\n";
  line("  method", NameOf(spec.labels.method, kMethods));
  line("  min_votes", std::to_string(spec.labels.min_votes));
  line("  min_confidence", Number(spec.labels.min_confidence));
  const PolicyLines policies = PrintPolicies(spec);
  out += "gate:\n";
  line("  primary_metric", NameOf(spec.gate.primary_metric, kMetrics));
  line("  min_primary_metric", Number(spec.gate.min_primary_metric));
  line("  min_class_recall", Number(spec.gate.min_class_recall));
  out += policies.gate;
  out += "monitoring:\n";
  line("  window_predictions", std::to_string(spec.monitoring.window_predictions));
  out += policies.monitoring;
  out += policies.sections;
  return out;
}

}  // namespace tidewheel::model_registry
