#include "tidewheel/curation/api/convert.h"

#include <string>

#include "tidewheel/rpc/time.h"

namespace tidewheel::curation {
namespace {

v1::ClassWeighting ToProto(ClassWeighting weighting) {
  switch (weighting) {
    case ClassWeighting::kNone:
      return v1::CLASS_WEIGHTING_NONE;
    case ClassWeighting::kInverseFrequency:
      return v1::CLASS_WEIGHTING_INVERSE_FREQUENCY;
    case ClassWeighting::kEffectiveNumber:
      return v1::CLASS_WEIGHTING_EFFECTIVE_NUMBER;
    case ClassWeighting::kRootInverseFrequency:
      return v1::CLASS_WEIGHTING_ROOT_INVERSE_FREQUENCY;
  }
  return v1::CLASS_WEIGHTING_UNSPECIFIED;
}

Result<ClassWeighting> FromProto(v1::ClassWeighting weighting) {
  switch (weighting) {
    case v1::CLASS_WEIGHTING_NONE:
      return ClassWeighting::kNone;
    case v1::CLASS_WEIGHTING_UNSPECIFIED:
    case v1::CLASS_WEIGHTING_INVERSE_FREQUENCY:
      return ClassWeighting::kInverseFrequency;
    case v1::CLASS_WEIGHTING_EFFECTIVE_NUMBER:
      return ClassWeighting::kEffectiveNumber;
    case v1::CLASS_WEIGHTING_ROOT_INVERSE_FREQUENCY:
      return ClassWeighting::kRootInverseFrequency;
    default:
      return Error{ErrorCode::kInvalidArgument, "recipe.class_weighting " +
                                                    std::to_string(static_cast<int>(weighting)) +
                                                    " is not known"};
  }
}

void Fill(const DatasetRecipe& recipe, v1::DatasetRecipe* proto) {
  proto->set_task(recipe.task);
  proto->set_class_weighting(ToProto(recipe.class_weighting));
  if (recipe.min_confidence) proto->set_min_confidence(*recipe.min_confidence);
  for (const std::string& source : recipe.sources) proto->add_sources(source);
  if (recipe.added_until) *proto->mutable_added_until() = rpc::ToProto(*recipe.added_until);
  if (recipe.previous_dataset_version_id.empty()) return;
  proto->set_previous_dataset_version_id(recipe.previous_dataset_version_id.text());
  proto->set_new_sample_weight(recipe.new_sample_weight);
}

void Fill(const SplitReport& report, v1::SplitReport* proto) {
  for (const ClassCount& count : report.classes) {
    v1::ClassCount* const added = proto->add_classes();
    added->set_class_name(count.class_name);
    added->set_training(count.training);
    added->set_validation(count.validation);
    added->set_test(count.test);
    added->set_weight(count.weight);
  }
  proto->set_training(report.training);
  proto->set_validation(report.validation);
  proto->set_test(report.test);
  proto->set_imbalance(report.imbalance);
  proto->set_groups_across_splits(report.groups_across_splits);
  proto->set_equal_payloads_across_splits(report.equal_payloads_across_splits);
  proto->set_unlabeled(report.unlabeled);
  proto->set_low_confidence(report.low_confidence);
  proto->set_deactivated(report.deactivated);
}

}  // namespace

Result<DatasetRecipe> FromProto(const v1::DatasetRecipe& proto) {
  const auto weighting = FromProto(proto.class_weighting());
  if (!weighting) return weighting.error();
  DatasetRecipe recipe{
      .task = proto.task(),
      .class_weighting = *weighting,
      .min_confidence = {},
      .sources = {proto.sources().begin(), proto.sources().end()},
      .added_until = {},
      .previous_dataset_version_id = DatasetVersionId(proto.previous_dataset_version_id()),
      .new_sample_weight = proto.new_sample_weight() == 0 ? 1 : proto.new_sample_weight()};
  if (proto.has_min_confidence()) recipe.min_confidence = proto.min_confidence();
  if (proto.has_added_until()) {
    const auto until = rpc::FromProto(proto.added_until());
    if (!until) return Prefixed("recipe.added_until: ", until.error());
    recipe.added_until = *until;
  }
  return recipe;
}

v1::DatasetVersion ToProto(const DatasetVersion& version) {
  v1::DatasetVersion proto;
  proto.set_dataset_version_id(version.dataset_version_id.text());
  proto.set_task(version.task);
  proto.set_version(version.version);
  proto.set_digest(version.digest.Hex());
  Fill(version.recipe, proto.mutable_recipe());
  Fill(version.report, proto.mutable_report());
  proto.set_items(version.items);
  proto.set_manifest_ref(version.manifest_ref);
  proto.set_description(version.description);
  *proto.mutable_built_at() = rpc::ToProto(version.built_at);
  proto.set_built_by(version.built_by);
  proto.set_task_version(version.task_version);
  return proto;
}

v1::DatasetItem ToProto(const DatasetItem& item) {
  v1::DatasetItem proto;
  proto.set_sample_id(item.sample_id.text());
  proto.set_sha256(item.sha256.Hex());
  proto.set_class_name(item.class_name);
  proto.set_split(std::string(Name(item.split)));
  proto.set_weight(item.weight);
  proto.set_label_id(item.label_id.text());
  proto.set_label_confidence(item.label_confidence);
  return proto;
}

v1::TraceResponse ToProto(const Lineage& lineage) {
  v1::TraceResponse proto;
  for (const LineageNode& node : lineage.nodes) {
    v1::LineageNode* const added = proto.add_nodes();
    added->set_kind(node.kind);
    added->set_id(node.id);
    added->set_title(node.title);
    for (const auto& [name, value] : node.attributes) (*added->mutable_attributes())[name] = value;
    if (node.at) *added->mutable_at() = rpc::ToProto(*node.at);
  }
  for (const LineageEdge& edge : lineage.edges) {
    v1::LineageEdge* const added = proto.add_edges();
    added->set_from_id(edge.from_id);
    added->set_to_id(edge.to_id);
    added->set_relation(edge.relation);
  }
  proto.set_samples_not_shown(lineage.samples_not_shown);
  proto.set_votes(lineage.votes);
  return proto;
}

}  // namespace tidewheel::curation
