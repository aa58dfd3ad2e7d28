#include "tidewheel/labeling/api/convert.h"

#include <string>
#include <utility>

#include "tidewheel/rpc/time.h"

namespace tidewheel::labeling {
namespace {

v1::AnnotatorKind ToProto(AnnotatorKind kind) {
  switch (kind) {
    case AnnotatorKind::kPerson:
      return v1::ANNOTATOR_KIND_PERSON;
    case AnnotatorKind::kRule:
      return v1::ANNOTATOR_KIND_RULE;
    case AnnotatorKind::kModel:
      return v1::ANNOTATOR_KIND_MODEL;
    case AnnotatorKind::kOutcome:
      return v1::ANNOTATOR_KIND_OUTCOME;
    case AnnotatorKind::kImport:
      return v1::ANNOTATOR_KIND_IMPORT;
  }
  return v1::ANNOTATOR_KIND_UNSPECIFIED;
}

v1::ConsensusMethod ToProto(ConsensusMethod method) {
  switch (method) {
    case ConsensusMethod::kMajority:
      return v1::CONSENSUS_METHOD_MAJORITY;
    case ConsensusMethod::kDawidSkene:
      return v1::CONSENSUS_METHOD_DAWID_SKENE;
  }
  return v1::CONSENSUS_METHOD_UNSPECIFIED;
}

Subject SubjectOf(const v1::NewVote& vote) {
  switch (vote.subject_case()) {
    case v1::NewVote::kSampleId:
      return {Subject::By::kSampleId, vote.sample_id()};
    case v1::NewVote::kSampleName:
      return {Subject::By::kName, vote.sample_name()};
    case v1::NewVote::kSha256:
      return {Subject::By::kSha256, vote.sha256()};
    case v1::NewVote::SUBJECT_NOT_SET:
      break;
  }
  return {};
}

}  // namespace

Result<std::optional<AnnotatorKind>> FromProto(v1::AnnotatorKind kind) {
  switch (kind) {
    case v1::ANNOTATOR_KIND_UNSPECIFIED:
      return std::optional<AnnotatorKind>();
    case v1::ANNOTATOR_KIND_PERSON:
      return std::optional(AnnotatorKind::kPerson);
    case v1::ANNOTATOR_KIND_RULE:
      return std::optional(AnnotatorKind::kRule);
    case v1::ANNOTATOR_KIND_MODEL:
      return std::optional(AnnotatorKind::kModel);
    case v1::ANNOTATOR_KIND_OUTCOME:
      return std::optional(AnnotatorKind::kOutcome);
    case v1::ANNOTATOR_KIND_IMPORT:
      return std::optional(AnnotatorKind::kImport);
    default:
      return Error{ErrorCode::kInvalidArgument,
                   "annotator_kind " + std::to_string(static_cast<int>(kind)) + " is not known"};
  }
}

Result<std::vector<NewVote>> FromProto(const v1::SubmitVotesRequest& request) {
  std::vector<NewVote> votes;
  votes.reserve(static_cast<std::size_t>(request.votes_size()));
  for (const v1::NewVote& proto : request.votes()) {
    const std::string place = "votes[" + std::to_string(votes.size()) + "]";
    auto kind = FromProto(proto.annotator_kind());
    if (!kind) return Prefixed(place + ": ", kind.error());
    NewVote vote{.subject = SubjectOf(proto),
                 .class_name = proto.class_name(),
                 .annotator = proto.annotator(),
                 .annotator_kind = *kind,
                 .source = proto.source(),
                 .voted_at = {}};
    if (proto.has_voted_at()) {
      const auto voted_at = rpc::FromProto(proto.voted_at());
      if (!voted_at) return Prefixed(place + ".voted_at: ", voted_at.error());
      vote.voted_at = *voted_at;
    }
    votes.push_back(std::move(vote));
  }
  return votes;
}

Result<std::optional<ConsensusMethod>> FromProto(v1::ConsensusMethod method) {
  switch (method) {
    case v1::CONSENSUS_METHOD_UNSPECIFIED:
      return std::optional<ConsensusMethod>();
    case v1::CONSENSUS_METHOD_MAJORITY:
      return std::optional(ConsensusMethod::kMajority);
    case v1::CONSENSUS_METHOD_DAWID_SKENE:
      return std::optional(ConsensusMethod::kDawidSkene);
    default:
      return Error{ErrorCode::kInvalidArgument,
                   "method " + std::to_string(static_cast<int>(method)) + " is not known"};
  }
}

v1::SubmitVotesResponse ToProto(const SubmitReport& report) {
  v1::SubmitVotesResponse proto;
  proto.set_accepted(report.accepted);
  proto.set_unchanged(report.unchanged);
  for (const RejectedVote& rejected : report.rejected) {
    v1::RejectedVote* const added = proto.add_rejected();
    added->set_index(static_cast<std::uint32_t>(rejected.index));
    added->set_reason(rejected.reason);
  }
  return proto;
}

v1::ComputeLabelsResponse ToProto(const ConsensusReport& report) {
  v1::ComputeLabelsResponse proto;
  proto.set_method(ToProto(report.method));
  proto.set_samples(report.samples);
  proto.set_votes(report.votes);
  proto.set_changed(report.changed);
  proto.set_unchanged(report.unchanged);
  proto.set_without_label(report.without_label);
  proto.set_ties(report.ties);
  proto.set_rounds(report.rounds);
  proto.set_seconds(report.seconds);
  return proto;
}

v1::Vote ToProto(const Vote& vote) {
  v1::Vote proto;
  proto.set_vote_id(vote.vote_id.text());
  proto.set_sample_id(vote.sample_id.text());
  proto.set_class_name(vote.class_name);
  proto.set_annotator(vote.annotator);
  proto.set_annotator_kind(ToProto(vote.annotator_kind));
  proto.set_source(vote.source);
  *proto.mutable_voted_at() = rpc::ToProto(vote.voted_at);
  return proto;
}

v1::Label ToProto(const Label& label) {
  v1::Label proto;
  proto.set_label_id(label.label_id.text());
  proto.set_sample_id(label.sample_id.text());
  proto.set_class_name(label.class_name);
  proto.set_confidence(label.confidence);
  proto.set_method(ToProto(label.method));
  proto.set_version(label.version);
  proto.set_votes(label.votes);
  *proto.mutable_decided_at() = rpc::ToProto(label.decided_at);
  return proto;
}

v1::Annotator ToProto(const Annotator& annotator) {
  v1::Annotator proto;
  proto.set_annotator(annotator.annotator);
  proto.set_kind(ToProto(annotator.kind));
  proto.set_votes(annotator.votes);
  if (annotator.quality) proto.set_quality(*annotator.quality);
  if (annotator.agreement) proto.set_agreement(*annotator.agreement);
  if (annotator.recent) {
    proto.set_recent_votes(annotator.recent->recent_votes);
    proto.set_recent_agreed(annotator.recent->recent_agreed);
    proto.set_earlier_votes(annotator.recent->earlier_votes);
    proto.set_earlier_agreed(annotator.recent->earlier_agreed);
    proto.set_worse_p_value(annotator.recent->worse_p_value);
  }
  if (annotator.assessed_at) *proto.mutable_assessed_at() = rpc::ToProto(*annotator.assessed_at);
  return proto;
}

}  // namespace tidewheel::labeling
