#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/ml/model.h"
#include "tidewheel/training/worker/prepared_data.h"
#include "tidewheel/vision/preprocess.h"

namespace tidewheel::training {

/// A test looks at no more samples than this, spread evenly over those that it is about.
inline constexpr std::size_t kMostTestedSamples = 2'000;
/// How much surer an answer may become in a test of direction: what rounding does.
inline constexpr float kSurerTolerance = 1e-4F;

/// Takes the job's behaviour tests (Ribeiro et al. 2020) on the test split, whose probabilities,
/// rows x classes, the model has given already. A test with a metadata key is about the samples of
/// that value only.
///   minimum function: the answer is the given class.
///   invariance: the transformed picture gets the same answer.
///   direction: the top probability does not grow.
/// What cannot be evaluated says why. Deterministic: noise is seeded by the job and the item.
/// kNotFound, kInvalidArgument: a picture that cannot be read; kCancelled.
Result<std::vector<v1::WorkerTestResult>> TakeBehaviourTests(
    const v1::WorkerJob& job, const ml::Model& model, const vision::PreprocessSpec& preprocessing,
    const PreparedSplit& test, std::span<const float> probabilities,
    const ml::PredictOptions& options, const std::stop_token& stop);

}  // namespace tidewheel::training
