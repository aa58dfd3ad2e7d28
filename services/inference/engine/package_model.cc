#include "tidewheel/inference/engine/package_model.h"

#include <algorithm>
#include <cmath>

#include "tidewheel/blob/sha256.h"
#include "tidewheel/inference/engine/quality_check.h"
#include "tidewheel/vision/decode.h"
#include "tidewheel/vision/measure.h"

namespace tidewheel::inference {
namespace {

constexpr std::int64_t kMaxRows = 1'024;

std::string Text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) {
    if (text.size() > 1) text += ", ";
    text += size < 0 ? "N" : std::to_string(size);
  }
  return text + "]";
}

}  // namespace

Result<std::vector<Answer>> PackageModel::Run(std::span<const float> input,
                                              std::size_t rows) const {
  const std::size_t classes = identity_.classes.size();
  const auto& embedding_info = model_->signature().embedding;
  const std::size_t numbers = embedding_info ? embedding_info->elements() : 0;
  std::vector<float> output(rows * classes);
  std::vector<float> embedding(rows * numbers);
  const auto ran = runner_ != nullptr ? runner_->Run(input, rows, output, embedding)
                                      : model_->Infer(input, rows, output, embedding);
  if (!ran) return ran.error();

  std::vector<Answer> answers(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    const auto first = output.begin() + static_cast<std::ptrdiff_t>(row * classes);
    const auto last = first + static_cast<std::ptrdiff_t>(classes);
    if (!std::all_of(first, last, [](float value) { return std::isfinite(value); })) {
      return Error{ErrorCode::kInternal,
                   "the model answered row " + std::to_string(row) + " with what is no number"};
    }
    answers[row].probabilities.assign(first, last);
    answers[row].class_index = static_cast<std::uint32_t>(std::max_element(first, last) - first);
    const auto place = embedding.begin() + static_cast<std::ptrdiff_t>(row * numbers);
    answers[row].embedding.assign(place, place + static_cast<std::ptrdiff_t>(numbers));
  }
  return answers;
}

Result<std::vector<Answer>> PackageModel::PredictPictures(
    std::span<const std::string_view> payloads, const QualityRules& rules) const {
  const std::size_t elements = preprocessing_.OutputSize();
  std::vector<float> input(payloads.size() * elements);
  std::vector<vision::Measures> measures(payloads.size());
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    const std::string place = "picture " + std::to_string(i) + ": ";
    const auto image = vision::Decode(payloads[i]);
    if (!image) return Prefixed(place, {ErrorCode::kInvalidArgument, image.error().message});
    measures[i] = vision::Measure(*image);
    const auto row = std::span(input).subspan(i * elements, elements);
    if (const auto done = vision::Preprocess(*image, preprocessing_, row); !done) {
      return Prefixed(place, done.error());
    }
  }

  auto answers = Run(input, payloads.size());
  if (!answers) return answers;
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    Answer& answer = (*answers)[i];
    answer.payload_sha256 = blob::Sha256(payloads[i]).Hex();
    const auto values = vision::ToArray(measures[i]);
    for (std::size_t m = 0; m < values.size(); ++m) {
      answer.measures.emplace(vision::kMeasureNames[m], values[m]);
    }
    answer.quality_problems = QualityProblems(measures[i], payloads[i].size(), rules);
  }
  return answers;
}

Result<std::vector<Answer>> PackageModel::PredictRows(std::span<const std::int64_t> shape,
                                                      std::span<const float> values) const {
  const auto& expected = model_->signature().input.shape;
  const bool fits = shape.size() == expected.size() && !shape.empty() && shape[0] >= 1 &&
                    shape[0] <= kMaxRows &&
                    std::equal(shape.begin() + 1, shape.end(), expected.begin() + 1);
  if (!fits) {
    return Error{ErrorCode::kInvalidArgument, "tensor has shape " + Text(shape) +
                                                  ", the model takes " + Text(expected) +
                                                  " with N from 1 to " + std::to_string(kMaxRows)};
  }
  const std::size_t rows = static_cast<std::size_t>(shape[0]);
  const std::size_t needed = rows * model_->signature().input.elements();
  if (values.size() != needed) {
    return Error{ErrorCode::kInvalidArgument, "tensor has " + std::to_string(values.size()) +
                                                  " numbers, its shape " + Text(shape) + " needs " +
                                                  std::to_string(needed)};
  }
  return Run(values, rows);
}

Result<PreparedRow> PackageModel::Prepare(std::string_view payload) const {
  const auto image = vision::Decode(payload);
  if (!image) return Error{ErrorCode::kInvalidArgument, image.error().message};
  PreparedRow row{model_->signature().input.shape, std::vector<float>(preprocessing_.OutputSize())};
  row.shape[0] = 1;
  if (const auto done = vision::Preprocess(*image, preprocessing_, row.values); !done) {
    return done.error();
  }
  return row;
}

}  // namespace tidewheel::inference
