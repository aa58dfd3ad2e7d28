#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/ml/onnx/calibration.h"
#include "tidewheel/ml/package/manifest.h"

namespace tidewheel::ml {

/// Preprocessed rows, wherever they lie.
struct RowSource {
  std::size_t rows = 0;
  /// Writes the rows of these numbers as floats, one after the other.
  std::function<void(std::span<const std::uint32_t> indices, float* out)> copy{};
};
/// Rows that lie one after the other in memory, which lives as long as the source.
RowSource RowsIn(std::span<const float> numbers, std::size_t elements_of_a_row);

/// Held-out rows with what is true of them and what the model in float32 answered when it was
/// evaluated.
struct ScoredRows {
  RowSource rows{};
  std::span<const std::int32_t> labels{};
  /// The stored predictions' classes; empty: the model is asked again.
  std::span<const std::int32_t> answers{};
};

struct VariantOptions {
  double max_loss = 0.01;  // Of accuracy, in shares of right answers: the task's gate.
  double alpha = 0.05;
  std::size_t calibration_rows = 512;  // Of the training rows, spread over all.
  std::size_t compared_rows = 50'000;  // Of the held-out rows, likewise.
};

/// The model in 8 bits: ranges of its activations on training rows, by the rule whose answers on
/// these rows are nearest to float32's. `calibration` says which.
struct Int8Model {
  std::string onnx{};
  std::string calibration{};
};
/// kInvalidArgument: no ONNX model with one float32 input and a free batch, or no rows;
/// kFailedPrecondition: nothing that 8 bits would help (the last product always stays float32).
Result<Int8Model> MakeInt8(std::string_view onnx, const RowSource& training,
                           std::size_t calibration_rows);

/// Makes a package's variants, int8 and bf16, compares each with float32 on the held-out rows, pair
/// by pair, and writes model.int8.onnx and the decisions into model.yaml. One is offered when
///   - there is no evidence of harm: not more answers lost than won at a one-sided p-value of at
///     most alpha (McNemar 1947, exact), and
///   - the interval of the difference of accuracy (Newcombe 1998, paired, 1 - alpha) lies above
///     -max_loss, so that few rows offer nothing.
/// bf16 only where the processor that runs this computes in it. What is not offered has its reason
/// in the manifest and no file. Replaces variants that are there. kNotFound: no package.
Result<std::vector<Variant>> AddVariants(const std::filesystem::path& package,
                                         const RowSource& training, const ScoredRows& held_out,
                                         const VariantOptions& options = {});

}  // namespace tidewheel::ml
