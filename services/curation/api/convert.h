#pragma once

#include "tidewheel/base/result.h"
#include "tidewheel/curation/domain/dataset.h"
#include "tidewheel/curation/domain/lineage.h"
#include "tidewheel/curation/v1/curation_service.pb.h"
#include "tidewheel/curation/v1/lineage_service.pb.h"

namespace tidewheel::curation {

/// kInvalidArgument: an unknown weighting, a time that is none.
Result<DatasetRecipe> FromProto(const v1::DatasetRecipe& recipe);

v1::DatasetVersion ToProto(const DatasetVersion& version);
v1::DatasetItem ToProto(const DatasetItem& item);
v1::TraceResponse ToProto(const Lineage& lineage);

}  // namespace tidewheel::curation
