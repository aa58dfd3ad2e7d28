#include "tidewheel/inference/engine/package_model.h"

#include <algorithm>
#include <cmath>
#include <semaphore>

#include "tidewheel/blob/sha256.h"
#include "tidewheel/inference/engine/quality_check.h"
#include "tidewheel/vision/decode.h"
#include "tidewheel/vision/encode.h"
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

struct PackageModel::Pictures {
  std::vector<float> input;
  std::vector<Answer> measured;  // Digest, measures and problems of each.

  std::vector<Answer> With(std::vector<Answer> answers) {
    for (std::size_t i = 0; i < answers.size() && i < measured.size(); ++i) {
      answers[i].payload_sha256 = std::move(measured[i].payload_sha256);
      answers[i].measures = std::move(measured[i].measures);
      answers[i].quality_problems = std::move(measured[i].quality_problems);
    }
    return answers;
  }
};

PackageModel::PackageModel(ReadyPackage package, vision::PreprocessSpec preprocessing,
                           std::optional<EmbeddingReference> reference,
                           std::unique_ptr<const RowRunner> runner)
    : package_(std::move(package)),
      preprocessing_(std::move(preprocessing)),
      names_{
          package_.model->signature().output.name,
          package_.model->signature().embedding ? package_.model->signature().embedding->name : ""},
      reference_(std::move(reference)),
      runner_(std::move(runner)) {}

Result<std::vector<Answer>> PackageModel::AnswersOf(std::span<const float> probabilities,
                                                    std::span<const float> embedding) const {
  const std::size_t classes = identity().classes.size();
  const std::size_t rows = probabilities.size() / classes;
  const auto& embedding_info = package_.model->signature().embedding;
  const std::size_t numbers = embedding_info ? embedding_info->elements() : 0;
  if (probabilities.size() != rows * classes ||
      (!embedding.empty() && embedding.size() != rows * numbers)) {
    return Error{ErrorCode::kInternal, "the answer has " + std::to_string(probabilities.size()) +
                                           " probabilities and an embedding of " +
                                           std::to_string(embedding.size()) + " numbers"};
  }
  std::vector<Answer> answers(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    const auto own = probabilities.subspan(row * classes, classes);
    if (!std::all_of(own.begin(), own.end(), [](float value) { return std::isfinite(value); })) {
      return Error{ErrorCode::kInternal,
                   "the model answered row " + std::to_string(row) + " with what is no number"};
    }
    answers[row].probabilities.assign(own.begin(), own.end());
    answers[row].class_index =
        static_cast<std::uint32_t>(std::max_element(own.begin(), own.end()) - own.begin());
    if (embedding.empty()) continue;
    const auto place = embedding.subspan(row * numbers, numbers);
    answers[row].embedding.assign(place.begin(), place.end());
  }
  return answers;
}

Result<std::vector<Answer>> PackageModel::Run(std::span<const float> input,
                                              std::size_t rows) const {
  if (runner_ != nullptr) {
    std::optional<Result<RowAnswers>> given;
    std::binary_semaphore answered{0};
    runner_->Start(input, rows, {}, [&](Result<RowAnswers> answer) {
      given.emplace(std::move(answer));
      answered.release();
    });
    answered.acquire();
    if (!*given) return given->error();
    return AnswersOf((*given)->probabilities, (*given)->embedding);
  }
  const auto& signature = package_.model->signature();
  std::vector<float> output(rows * signature.output.elements());
  std::vector<float> embedding(signature.embedding ? rows * signature.embedding->elements() : 0);
  const auto ran = package_.model->Infer(input, rows, output, embedding);
  if (!ran) return ran.error();
  return AnswersOf(output, embedding);
}

Result<PackageModel::Pictures> PackageModel::Decode(std::span<const std::string_view> payloads,
                                                    const QualityRules& rules) const {
  const std::size_t elements = preprocessing_.OutputSize();
  Pictures pictures{std::vector<float>(payloads.size() * elements),
                    std::vector<Answer>(payloads.size())};
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    const std::string place = "picture " + std::to_string(i) + ": ";
    const auto image = vision::Decode(payloads[i]);
    if (!image) return Prefixed(place, {ErrorCode::kInvalidArgument, image.error().message});
    const vision::Measures measures = vision::Measure(*image);
    const auto row = std::span(pictures.input).subspan(i * elements, elements);
    if (const auto done = vision::Preprocess(*image, preprocessing_, row); !done) {
      return Prefixed(place, done.error());
    }
    Answer& measured = pictures.measured[i];
    measured.payload_sha256 = blob::Sha256(payloads[i]).Hex();
    const auto values = vision::ToArray(measures);
    for (std::size_t m = 0; m < values.size(); ++m) {
      measured.measures.emplace(vision::kMeasureNames[m], values[m]);
    }
    measured.quality_problems = QualityProblems(measures, payloads[i].size(), rules);
  }
  return pictures;
}

Result<std::vector<Answer>> PackageModel::PredictPictures(
    std::span<const std::string_view> payloads, const QualityRules& rules) const {
  auto pictures = Decode(payloads, rules);
  if (!pictures) return pictures.error();
  auto answers = Run(pictures->input, payloads.size());
  if (!answers) return answers;
  return pictures->With(*std::move(answers));
}

Result<std::size_t> PackageModel::CheckRows(std::span<const std::int64_t> shape,
                                            std::span<const float> values) const {
  const serving::TensorInfo& input = package_.model->signature().input;
  const auto& expected = input.shape;
  const bool fits = shape.size() == expected.size() && !shape.empty() && shape[0] >= 1 &&
                    shape[0] <= kMaxRows &&
                    std::equal(shape.begin() + 1, shape.end(), expected.begin() + 1);
  if (!fits) {
    return Error{ErrorCode::kInvalidArgument, "tensor has shape " + Text(shape) +
                                                  ", the model takes " + Text(expected) +
                                                  " with N from 1 to " + std::to_string(kMaxRows)};
  }
  const std::size_t rows = static_cast<std::size_t>(shape[0]);
  const std::size_t needed = rows * input.elements();
  if (values.size() != needed) {
    return Error{ErrorCode::kInvalidArgument, "tensor has " + std::to_string(values.size()) +
                                                  " numbers, its shape " + Text(shape) + " needs " +
                                                  std::to_string(needed)};
  }
  return rows;
}

Result<std::vector<Answer>> PackageModel::PredictRows(std::span<const std::int64_t> shape,
                                                      std::span<const float> values) const {
  const auto rows = CheckRows(shape, values);
  if (!rows) return rows.error();
  return Run(values, *rows);
}

void PackageModel::Start(const ModelInput& input, const QualityRules& rules, const CallTerms& terms,
                         Answered answered) const {
  if (runner_ == nullptr) return answered(Ask(*this, input, rules));
  if (input.rows) {
    const auto rows = CheckRows(input.rows->shape, input.rows->values);
    if (!rows) return answered(rows.error());
    return runner_->Start(input.rows->values, *rows, terms,
                          [this, answered = std::move(answered)](Result<RowAnswers> given) {
                            answered(given ? AnswersOf(given->probabilities, given->embedding)
                                           : Result<std::vector<Answer>>(given.error()));
                          });
  }
  auto decoded = Decode(input.pictures, rules);
  if (!decoded) return answered(decoded.error());
  const auto pictures = std::make_shared<Pictures>(*std::move(decoded));
  runner_->Start(pictures->input, input.pictures.size(), terms,
                 [this, pictures, answered = std::move(answered)](Result<RowAnswers> given) {
                   auto answers = given ? AnswersOf(given->probabilities, given->embedding)
                                        : Result<std::vector<Answer>>(given.error());
                   if (!answers) return answered(answers.error());
                   answered(pictures->With(*std::move(answers)));
                 });
}

Result<std::string> PackageModel::Show(std::span<const float> row) const {
  const auto image = vision::Restore(row, preprocessing_);
  if (!image) return image.error();
  return vision::EncodePng(*image);
}

Result<PreparedRow> PackageModel::Prepare(std::string_view payload) const {
  const auto image = vision::Decode(payload);
  if (!image) return Error{ErrorCode::kInvalidArgument, image.error().message};
  PreparedRow row{package_.model->signature().input.shape,
                  std::vector<float>(preprocessing_.OutputSize())};
  row.shape[0] = 1;
  if (const auto done = vision::Preprocess(*image, preprocessing_, row.values); !done) {
    return done.error();
  }
  return row;
}

}  // namespace tidewheel::inference
