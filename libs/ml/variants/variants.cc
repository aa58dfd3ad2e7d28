#include "tidewheel/ml/variants/variants.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "tidewheel/ml/onnx/quantize.h"
#include "tidewheel/ml/package/file.h"
#include "tidewheel/ml/package/golden.h"
#include "tidewheel/serving/engine.h"
#include "tidewheel/stats/mcnemar.h"
#include "tidewheel/stats/paired_difference.h"

namespace tidewheel::ml {
namespace {

constexpr std::size_t kBatch = 32;
constexpr std::size_t kAtMostModelBytes = std::size_t{1} << 30;
constexpr char kInt8[] = "int8";
constexpr char kBf16[] = "bf16";

/// Up to `at_most` rows, evenly spread.
std::vector<std::uint32_t> Spread(std::size_t rows, std::size_t at_most) {
  const std::size_t count = std::min(rows, at_most);
  std::vector<std::uint32_t> indices(count);
  for (std::size_t i = 0; i < count; ++i) {
    indices[i] = static_cast<std::uint32_t>(i * rows / count);
  }
  return indices;
}

/// Numbers of one row.
Result<std::size_t> ElementsOf(const serving::Graph& graph) {
  const auto& inputs = graph.inputs();
  bool fits = inputs.size() == 1 && inputs[0].type == serving::ElementType::kFp32 &&
              inputs[0].shape.size() > 1 && inputs[0].shape[0] < 0;
  std::size_t elements = 1;
  for (std::size_t i = 1; fits && i < inputs[0].shape.size(); ++i) {
    fits = inputs[0].shape[i] > 0;
    elements *= static_cast<std::size_t>(std::max<std::int64_t>(inputs[0].shape[i], 1));
  }
  if (!fits) {
    return Error{ErrorCode::kInvalidArgument,
                 "ONNX model: variants are made of models with one float32 input whose batch alone "
                 "is free"};
  }
  return elements;
}

/// Runs the rows and shows each batch's outputs.
Result<void> Run(const serving::Graph& graph, const RowSource& rows,
                 std::span<const std::uint32_t> indices,
                 const std::function<void(const std::vector<serving::OutputTensor>&)>& show) {
  const auto elements = ElementsOf(graph);
  if (!elements) return elements.error();
  std::vector<float> numbers(kBatch * *elements);
  std::vector<std::int64_t> shape = graph.inputs()[0].shape;
  for (std::size_t first = 0; first < indices.size(); first += kBatch) {
    const auto part = indices.subspan(first, std::min(kBatch, indices.size() - first));
    rows.copy(part, numbers.data());
    shape[0] = static_cast<std::int64_t>(part.size());
    const serving::TensorView view{
        shape,
        {reinterpret_cast<const char*>(numbers.data()), part.size() * *elements * sizeof(float)}};
    const auto answers = graph.Infer(std::span(&view, 1));
    if (!answers) return answers.error();
    show(*answers);
  }
  return {};
}

std::span<const float> FloatsOf(const serving::OutputTensor& tensor) {
  return {reinterpret_cast<const float*>(tensor.data.data()), tensor.data.size() / sizeof(float)};
}

/// All probabilities, row by row: the first output.
Result<std::vector<float>> Answers(const serving::Graph& graph, const RowSource& rows,
                                   std::span<const std::uint32_t> indices) {
  std::vector<float> all;
  const auto ran = Run(graph, rows, indices, [&](const auto& outputs) {
    const auto numbers = FloatsOf(outputs[0]);
    all.insert(all.end(), numbers.begin(), numbers.end());
  });
  if (!ran) return ran.error();
  if (indices.empty() || all.size() % indices.size() != 0) {
    return Error{ErrorCode::kInvalidArgument, "ONNX model: its first output is not row by row"};
  }
  return all;
}

std::vector<std::int32_t> ClassesOf(std::span<const float> probabilities, std::size_t rows) {
  std::vector<std::int32_t> classes(rows);
  const std::size_t width = probabilities.size() / rows;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto first = probabilities.begin() + static_cast<std::ptrdiff_t>(row * width);
    classes[row] = static_cast<std::int32_t>(
        std::max_element(first, first + static_cast<std::ptrdiff_t>(width)) - first);
  }
  return classes;
}

/// Infinite when a number is none.
double LargestDifference(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return INFINITY;
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(double{a[i]} - double{b[i]});
    if (!std::isfinite(difference)) return INFINITY;
    largest = std::max(largest, difference);
  }
  return largest;
}

std::string_view Name(RangeRule rule) {
  switch (rule) {
    case RangeRule::kMinMax:
      return "min-max";
    case RangeRule::kPercentile:
      return "percentile";
    case RangeRule::kLeastError:
      return "least error";
  }
  return "";
}

/// Whether the pairs let the variant be offered; fills in the figures and the reason.
Result<void> Decide(std::span<const std::int32_t> labels, std::span<const std::int32_t> before,
                    std::span<const std::int32_t> after, const VariantOptions& options,
                    Variant& variant) {
  stats::PairedCounts counts;
  std::uint64_t changed = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const bool was = before[i] == labels[i];
    const bool is = after[i] == labels[i];
    ++(was ? (is ? counts.both_right : counts.only_baseline_right)
           : (is ? counts.only_candidate_right : counts.neither_right));
    if (before[i] != after[i]) ++changed;
  }
  variant.samples = labels.size();
  if (labels.empty()) {
    variant.reason = "no held-out rows to compare the answers on";
    return {};
  }
  const auto interval = stats::PairedDifferenceInterval(counts, 1 - options.alpha);
  if (!interval) return interval.error();
  const auto test = stats::McNemar(counts.only_baseline_right, counts.only_candidate_right);
  if (!test) return test.error();
  variant.difference = counts.difference();
  variant.low = interval->low;
  variant.high = interval->high;
  variant.changed = static_cast<double>(changed) / static_cast<double>(labels.size());

  const bool harm = counts.only_baseline_right > counts.only_candidate_right &&
                    test->p_value / 2 <= options.alpha && variant.difference < -options.max_loss;
  const bool proven = variant.low > -options.max_loss;
  variant.offered = proven && !harm;
  const std::string pairs = std::to_string(counts.only_baseline_right) + " answers lost, " +
                            std::to_string(counts.only_candidate_right) + " won of " +
                            std::to_string(labels.size());
  variant.reason = variant.offered ? "worse by less than the gate allows: " + pairs
                   : harm          ? "worse than the gate allows: " + pairs
                          : "too few rows to exclude a loss that the gate forbids: " + pairs;
  return {};
}

Result<std::unique_ptr<serving::Graph>> Load(const serving::Engine& engine, std::string_view onnx,
                                             bool bf16) {
  return engine.LoadGraph(
      onnx, {.precision = bf16 ? serving::Precision::kBf16 : serving::Precision::kFloat32});
}

Result<std::unique_ptr<serving::Engine>> MakeEngine() { return serving::Engine::Create({}); }

Result<Int8Model> MakeInt8With(const serving::Engine& engine, std::string_view onnx,
                               const RowSource& training, std::size_t calibration_rows) {
  const auto tensors = TensorsToObserve(onnx);
  if (!tensors) return tensors.error();
  if (tensors->empty()) {
    return Error{ErrorCode::kFailedPrecondition, "there is nothing that 8 bits would help"};
  }
  const auto indices = Spread(training.rows, calibration_rows);
  if (indices.empty()) return Error{ErrorCode::kInvalidArgument, "no rows to calibrate with"};
  const auto observed = WithObservedOutputs(onnx, *tensors);
  if (!observed) return observed.error();
  const auto watched = Load(engine, *observed, false);
  if (!watched) return watched.error();
  const std::size_t own = (*watched)->outputs().size() - tensors->size();
  std::vector<ObservedNumbers> seen(tensors->size());
  std::vector<float> exact;
  const auto ran = Run(**watched, training, indices, [&](const auto& outputs) {
    for (std::size_t i = 0; i < seen.size(); ++i) seen[i].Add(FloatsOf(outputs[own + i]));
    const auto numbers = FloatsOf(outputs[0]);
    exact.insert(exact.end(), numbers.begin(), numbers.end());
  });
  if (!ran) return ran.error();

  // Of the rules the one whose answers on the calibration rows are nearest: the held-out rows are
  // for the decision alone.
  std::optional<Int8Model> best;
  double least = INFINITY;
  for (const auto rule : {RangeRule::kLeastError, RangeRule::kPercentile, RangeRule::kMinMax}) {
    std::map<std::string, ActivationRange> ranges;
    for (std::size_t i = 0; i < seen.size(); ++i) ranges[(*tensors)[i]] = seen[i].Range(rule);
    auto quantized = QuantizeOnnx(onnx, ranges);
    if (!quantized) return quantized.error();
    const auto graph = Load(engine, *quantized, false);
    if (!graph) return graph.error();
    const auto rounded = Answers(**graph, training, indices);
    if (!rounded) return rounded.error();
    double error = rounded->size() == exact.size() ? 0 : INFINITY;
    for (std::size_t i = 0; i < std::min(exact.size(), rounded->size()); ++i) {
      const double difference = double{(*rounded)[i]} - double{exact[i]};
      error += difference * difference;
    }
    if (!best || error < least) {
      least = error;
      best = Int8Model{.onnx = *std::move(quantized),
                       .calibration = std::string(Name(rule)) + " of " +
                                      std::to_string(indices.size()) + " rows"};
    }
  }
  return *std::move(best);
}

}  // namespace

RowSource RowsIn(std::span<const float> numbers, std::size_t elements_of_a_row) {
  return {.rows = elements_of_a_row == 0 ? 0 : numbers.size() / elements_of_a_row,
          .copy = [numbers, elements_of_a_row](std::span<const std::uint32_t> indices, float* out) {
            for (const std::uint32_t index : indices) {
              const auto row = numbers.subspan(index * elements_of_a_row, elements_of_a_row);
              out = std::copy(row.begin(), row.end(), out);
            }
          }};
}

Result<Int8Model> MakeInt8(std::string_view onnx, const RowSource& training,
                           std::size_t calibration_rows) {
  const auto engine = MakeEngine();
  if (!engine) return engine.error();
  return MakeInt8With(**engine, onnx, training, calibration_rows);
}

Result<std::vector<Variant>> AddVariants(const std::filesystem::path& package,
                                         const RowSource& training, const ScoredRows& held_out,
                                         const VariantOptions& options) {
  if (held_out.labels.size() != held_out.rows.rows ||
      (!held_out.answers.empty() && held_out.answers.size() != held_out.rows.rows)) {
    return Error{ErrorCode::kInvalidArgument, "the held-out rows, labels and answers do not fit"};
  }
  auto manifest = ReadPackageManifest(package);
  if (!manifest) return manifest.error();
  const auto onnx = ReadPackageFile(package / kOnnxFile, kAtMostModelBytes);
  if (!onnx) return onnx.error();
  const auto golden = ReadGoldenSamples(package);
  if (!golden) return golden.error();
  const auto engine = MakeEngine();
  if (!engine) return engine.error();
  const auto exact = Load(**engine, *onnx, false);
  if (!exact) return exact.error();
  const auto elements = ElementsOf(**exact);
  if (!elements) return elements.error();
  if (*elements != golden->input_elements) {
    return Error{ErrorCode::kInvalidArgument, "golden.bin is not of this model"};
  }

  const auto indices = Spread(held_out.rows.rows, options.compared_rows);
  std::vector<std::int32_t> labels;
  std::vector<std::int32_t> before;
  for (const std::uint32_t index : indices) {
    labels.push_back(held_out.labels[index]);
    if (!held_out.answers.empty()) before.push_back(held_out.answers[index]);
  }
  if (before.empty() && !indices.empty()) {
    const auto answers = Answers(**exact, held_out.rows, indices);
    if (!answers) return answers.error();
    before = ClassesOf(*answers, indices.size());
  }
  const RowSource golden_rows = RowsIn(golden->inputs, golden->input_elements);
  const auto golden_indices = Spread(golden_rows.rows, golden_rows.rows);

  // Fills in what a variant answered; an error of the engine is a reason not to offer it.
  const auto judge = [&](std::string_view file, bool bf16, Variant& variant) -> Result<void> {
    const auto graph = Load(**engine, file, bf16);
    if (!graph) {
      variant.reason = graph.error().message;
      return {};
    }
    if (!indices.empty()) {
      const auto answers = Answers(**graph, held_out.rows, indices);
      if (!answers) return answers.error();
      const auto decided =
          Decide(labels, before, ClassesOf(*answers, indices.size()), options, variant);
      if (!decided) return decided;
    } else if (const auto decided = Decide({}, {}, {}, options, variant); !decided) {
      return decided;
    }
    const auto rounded = Answers(**graph, golden_rows, golden_indices);
    if (!rounded) return rounded.error();
    variant.largest_difference = LargestDifference(*rounded, golden->probabilities);
    if (!std::isfinite(variant.largest_difference)) {
      variant.largest_difference = 1;
      variant.offered = false;
      variant.reason = "answers a golden row with what is no number";
    }
    return {};
  };

  Variant int8{.name = kInt8};
  std::error_code ignored;
  std::filesystem::remove(package / kInt8OnnxFile, ignored);
  const auto made = MakeInt8With(**engine, *onnx, training, options.calibration_rows);
  if (!made && made.error().code != ErrorCode::kFailedPrecondition) return made.error();
  if (made) {
    int8.calibration = made->calibration;
    if (const auto judged = judge(made->onnx, false, int8); !judged) return judged.error();
    if (int8.offered) {
      const auto written = WritePackageFile(package / kInt8OnnxFile, made->onnx);
      if (!written) return written.error();
      int8.file = kInt8OnnxFile;
    }
  } else {
    int8.reason = made.error().message;
  }

  Variant bf16{.name = kBf16};
  if ((*engine)->HasBf16()) {
    if (const auto judged = judge(*onnx, true, bf16); !judged) return judged.error();
    if (bf16.offered) bf16.file = kOnnxFile;
  } else {
    bf16.reason = "the processor on which it would have been compared has no bfloat16";
  }

  manifest->variants = {std::move(int8), std::move(bf16)};
  const auto written = WritePackageFile(package / kManifestFile, PrintPackageManifest(*manifest));
  if (!written) return written.error();
  return manifest->variants;
}

}  // namespace tidewheel::ml
