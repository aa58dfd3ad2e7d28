#include "tidewheel/ingestion/api/convert.h"

#include "tidewheel/rpc/page.h"
#include "tidewheel/rpc/time.h"

namespace tidewheel::ingestion {
namespace {

v1::Split ToProto(Split split) {
  switch (split) {
    case Split::kTraining:
      return v1::SPLIT_TRAINING;
    case Split::kValidation:
      return v1::SPLIT_VALIDATION;
    case Split::kTest:
      return v1::SPLIT_TEST;
  }
  return v1::SPLIT_UNSPECIFIED;
}

v1::ReasonCode ToProto(ReasonCode code) {
  switch (code) {
    case ReasonCode::kUndecodable:
      return v1::REASON_CODE_UNDECODABLE;
    case ReasonCode::kTooSmall:
      return v1::REASON_CODE_TOO_SMALL;
    case ReasonCode::kTooLarge:
      return v1::REASON_CODE_TOO_LARGE;
    case ReasonCode::kUnderexposed:
      return v1::REASON_CODE_UNDEREXPOSED;
    case ReasonCode::kOverexposed:
      return v1::REASON_CODE_OVEREXPOSED;
    case ReasonCode::kBlurred:
      return v1::REASON_CODE_BLURRED;
    case ReasonCode::kExactDuplicate:
      return v1::REASON_CODE_EXACT_DUPLICATE;
    case ReasonCode::kNearDuplicate:
      return v1::REASON_CODE_NEAR_DUPLICATE;
  }
  return v1::REASON_CODE_UNSPECIFIED;
}

v1::Disposition ToProto(Disposition disposition) {
  switch (disposition) {
    case Disposition::kAccepted:
      return v1::DISPOSITION_ACCEPTED;
    case Disposition::kUnchanged:
      return v1::DISPOSITION_UNCHANGED;
    case Disposition::kQuarantined:
      return v1::DISPOSITION_QUARANTINED;
  }
  return v1::DISPOSITION_UNSPECIFIED;
}

void Fill(const Reason& reason, v1::Reason* out) {
  out->set_code(ToProto(reason.code));
  out->set_message(reason.message);
  out->set_sample_id(reason.sample_id);
}

}  // namespace

Result<NewSample> FromProto(const v1::NewSample& sample) {
  NewSample out;
  out.payload = sample.payload();
  out.name = sample.name();
  out.source = sample.source();
  if (sample.has_collected_at()) {
    const auto time = rpc::FromProto(sample.collected_at());
    if (!time) return Prefixed("collected_at: ", time.error());
    out.collected_at = *time;
  }
  out.metadata = {sample.metadata().begin(), sample.metadata().end()};
  out.group = sample.group();
  return out;
}

Result<std::vector<NewSample>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::NewSample>& samples) {
  std::vector<NewSample> out;
  out.reserve(static_cast<std::size_t>(samples.size()));
  for (const auto& sample : samples) {
    auto converted = FromProto(sample);
    if (!converted) {
      return Prefixed("sample " + std::to_string(out.size()) + ": ", converted.error());
    }
    out.push_back(*std::move(converted));
  }
  return out;
}

SampleFilter FromProto(const v1::ListSamplesRequest& request) {
  SampleFilter filter;
  filter.task = request.task();
  filter.source = request.source();
  filter.name = request.name();
  filter.include_deactivated = request.include_deactivated();
  filter.request_id = request.request_id();
  for (const Split split : {Split::kTraining, Split::kValidation, Split::kTest}) {
    if (ToProto(split) == request.split()) filter.split = split;
  }
  return filter;
}

std::optional<ReasonCode> FromProto(v1::ReasonCode code) {
  for (const ReasonCode reason : kReasonCodes) {
    if (ToProto(reason) == code) return reason;
  }
  return std::nullopt;
}

Result<PageRequest> PageFromProto(std::int32_t size, const std::string& token) {
  const auto items = rpc::PageSize(size);
  if (!items) return items.error();
  return PageRequest{static_cast<std::size_t>(*items), token};
}

v1::Verdict ToProto(const Verdict& verdict) {
  v1::Verdict out;
  out.set_disposition(ToProto(verdict.disposition));
  out.set_sample_id(verdict.sample_id);
  out.set_sha256(verdict.sha256.Hex());
  for (const auto& reason : verdict.reasons) Fill(reason, out.add_reasons());
  if (verdict.split) out.set_split(ToProto(*verdict.split));
  return out;
}

v1::Sample ToProto(const Sample& sample) {
  v1::Sample out;
  out.set_sample_id(sample.id);
  out.set_task(sample.task);
  out.set_sha256(sample.sha256.Hex());
  out.set_name(sample.name);
  out.set_source(sample.source);
  *out.mutable_collected_at() = rpc::ToProto(sample.collected_at);
  *out.mutable_added_at() = rpc::ToProto(sample.added_at);
  if (sample.deactivated_at) *out.mutable_deactivated_at() = rpc::ToProto(*sample.deactivated_at);
  out.mutable_metadata()->insert(sample.metadata.begin(), sample.metadata.end());
  out.set_group(sample.group);
  out.set_split(ToProto(sample.split));
  out.mutable_measures()->insert(sample.measures.begin(), sample.measures.end());
  out.set_width(sample.width);
  out.set_height(sample.height);
  out.set_size_bytes(sample.size_bytes);
  if (sample.request) {
    out.set_request_id(sample.request->request_id);
    out.set_request_index(sample.request->index);
  }
  return out;
}

v1::QuarantinedSample ToProto(const QuarantinedSample& sample) {
  v1::QuarantinedSample out;
  out.set_quarantine_id(sample.id);
  out.set_task(sample.task);
  out.set_sha256(sample.sha256.Hex());
  out.set_name(sample.name);
  out.set_source(sample.source);
  for (const auto& reason : sample.reasons) Fill(reason, out.add_reasons());
  out.set_size_bytes(sample.size_bytes);
  *out.mutable_quarantined_at() = rpc::ToProto(sample.quarantined_at);
  return out;
}

v1::GetSampleCountsResponse ToProto(const SampleCounts& counts) {
  v1::GetSampleCountsResponse out;
  out.set_active(counts.active);
  out.set_deactivated(counts.deactivated);
  out.set_quarantined(counts.quarantined);
  out.mutable_by_split()->insert(counts.by_split.begin(), counts.by_split.end());
  out.mutable_quarantined_by_reason()->insert(counts.quarantined_by_reason.begin(),
                                              counts.quarantined_by_reason.end());
  return out;
}

}  // namespace tidewheel::ingestion
