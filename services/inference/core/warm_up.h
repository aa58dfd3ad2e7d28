#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/model_server.h"
#include "tidewheel/inference/core/scheduler.h"

namespace tidewheel::inference {

/// Inputs whose right outputs are known. A version that answers something else is not served.
struct GoldenCase {
  std::string name{};
  std::vector<Tensor> inputs{};   // In the spec's order.
  std::vector<Tensor> outputs{};  // Those that are checked, by name.
};

/// The cases of a version's folder: `golden/<case>/<tensor>.raw`, raw little-endian bytes of every
/// input and of the outputs to check, each with its shape in `<tensor>.shape` ("2,784") or, where
/// only the first size is free, without. No folder: none. kInvalidArgument names the file.
Result<std::vector<GoldenCase>> ReadGoldenCases(const std::filesystem::path& folder,
                                                const ModelSpec& spec);

/// Runs the cases. kFailedPrecondition names the case, the output and the first element that
/// differs by more than `tolerance` of 1 + its size (integers, truths and texts: at all).
Result<void> CheckGolden(Scheduler& scheduler, const std::vector<GoldenCase>& cases,
                         double tolerance);

/// Runs the configured samples, or zeros of the smallest and the largest batch, so that the first
/// request finds all memory taken and the costs known. `folder` is the model's; samples from files
/// are in its `warmup`. The error says which sample and why. Zeros of guessed sizes, where the spec
/// leaves sizes open, may fail.
Result<void> WarmUp(Scheduler& scheduler, const ModelConfig& config,
                    const std::filesystem::path& folder);

/// A file's bytes. kNotFound; kInvalidArgument: more than `most` bytes.
Result<std::string> ReadWholeFile(const std::filesystem::path& path, std::size_t most);

}  // namespace tidewheel::inference
