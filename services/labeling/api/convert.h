#pragma once

#include <optional>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labeling/domain/label.h"
#include "tidewheel/labeling/domain/label_store.h"
#include "tidewheel/labeling/domain/vote.h"
#include "tidewheel/labeling/domain/vote_taker.h"
#include "tidewheel/labeling/v1/labeling_service.pb.h"

namespace tidewheel::labeling {

/// kInvalidArgument names the vote whose time or annotator kind is none.
Result<std::vector<NewVote>> FromProto(const v1::SubmitVotesRequest& request);
/// Nothing for unspecified. kInvalidArgument: an unknown number.
Result<std::optional<ConsensusMethod>> FromProto(v1::ConsensusMethod method);

/// Nothing for unspecified. kInvalidArgument: an unknown number.
Result<std::optional<AnnotatorKind>> FromProto(v1::AnnotatorKind kind);

v1::SubmitVotesResponse ToProto(const SubmitReport& report);
v1::ComputeLabelsResponse ToProto(const ConsensusReport& report);
v1::Vote ToProto(const Vote& vote);
v1::Label ToProto(const Label& label);
v1::Annotator ToProto(const Annotator& annotator);

}  // namespace tidewheel::labeling
