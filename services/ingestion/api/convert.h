#pragma once

#include <vector>

#include "tidewheel/ingestion/domain/sample.h"
#include "tidewheel/ingestion/domain/sample_store.h"
#include "tidewheel/ingestion/v1/ingestion_service.pb.h"

namespace tidewheel::ingestion {

/// Views into `sample`, which must outlive the result. kInvalidArgument: a time outside the
/// calendar.
Result<NewSample> FromProto(const v1::NewSample& sample);
/// The same for a batch; problems name the place.
Result<std::vector<NewSample>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::NewSample>& samples);
SampleFilter FromProto(const v1::ListSamplesRequest& request);
std::optional<ReasonCode> FromProto(v1::ReasonCode code);
Result<PageRequest> PageFromProto(std::int32_t size, const std::string& token);

v1::Verdict ToProto(const Verdict& verdict);
v1::Sample ToProto(const Sample& sample);
v1::QuarantinedSample ToProto(const QuarantinedSample& sample);
v1::GetSampleCountsResponse ToProto(const SampleCounts& counts);

}  // namespace tidewheel::ingestion
