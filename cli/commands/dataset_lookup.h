#pragma once

#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/cli/commands/command.h"
#include "tidewheel/curation/v1/curation_service.grpc.pb.h"

namespace tidewheel::cli {

/// By id, digest, TASK (its newest) or TASK@VERSION.
Result<curation::v1::DatasetVersion> FindDatasetVersion(CommandLine& line, const std::string& text);

}  // namespace tidewheel::cli
