#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/cli/commands/command.h"
#include "tidewheel/model_registry/v1/model_registry_service.pb.h"

namespace tidewheel::cli {

/// By id or TASK@VERSION.
Result<model_registry::v1::ModelVersion> FindModelVersion(CommandLine& line,
                                                          const std::string& text);

/// "traffic-lights@3"
std::string TitleOf(const model_registry::v1::ModelVersion& model);

/// "canary of traffic-lights@4, share 0.1"; "-" without a rollout.
std::string RolloutText(const model_registry::v1::Deployment& deployment);

/// One row a criterion, with its numbers where there are any.
Table CriteriaTable(
    const google::protobuf::RepeatedPtrField<model_registry::v1::GateCriterion>& criteria);

/// What the registry answers when the gate or a signature stands in the way: a missed goal, not a
/// failure.
Result<ExitStatus> RefusedByGate(const Error& error);

/// `sign`, `signatures` and `gate` below `models`.
void AddReviewCommands(CommandLine& line, CLI::App* models);
/// `rollout set`, `clear` and `show`.
void AddRolloutCommands(CommandLine& line);

}  // namespace tidewheel::cli
