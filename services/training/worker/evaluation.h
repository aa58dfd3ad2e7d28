#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/training/v1/worker.pb.h"

namespace tidewheel::training {

/// What a model's probabilities are worth on one split: every metric with its 95 % interval, and
/// the confusion matrix.
Result<v1::Evaluation> Evaluate(const std::string& split, std::span<const std::int32_t> labels,
                                std::span<const float> probabilities,
                                const std::vector<std::string>& classes);

/// evaluation.json of a model package: {"splits": {"test": {"samples", "metrics": {name: {"value",
/// "low", "high", "interval"}}, "confusion"}}}.
std::string EvaluationJson(std::span<const v1::Evaluation> evaluations);

/// card.md of a model package: what it is, what made it, how good it is.
std::string ModelCard(const v1::WorkerJob& job, const v1::WorkerResult& result);

}  // namespace tidewheel::training
