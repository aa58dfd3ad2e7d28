#pragma once

#include <string>

#include "tidewheel/curation/v1/lineage_service.pb.h"

namespace tidewheel::cli {

/// A trace as a tree: the asked thing first, what made it below. Each thing is shown in full once.
std::string LineageTree(const curation::v1::TraceResponse& trace);

}  // namespace tidewheel::cli
