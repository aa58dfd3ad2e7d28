#include "tidewheel/inference/domain/served_model.h"

#include <exception>
#include <utility>

namespace tidewheel::inference {
namespace {

std::size_t CountOf(const ModelInput& input) {
  if (!input.rows) return input.pictures.size();
  const auto& shape = input.rows->shape;
  return shape.empty() ? 0 : static_cast<std::size_t>(shape.front());
}

Result<std::vector<Answer>> OneEach(Result<std::vector<Answer>> answers, std::size_t asked) {
  if (!answers || answers->size() == asked) return answers;
  return Error{ErrorCode::kInternal, "the model gave " + std::to_string(answers->size()) +
                                         " answers to " + std::to_string(asked) + " inputs"};
}

}  // namespace

Result<std::vector<Answer>> Ask(const ServedModel& model, const ModelInput& input,
                                const QualityRules& rules) {
  try {
    return OneEach(input.rows ? model.PredictRows(input.rows->shape, input.rows->values)
                              : model.PredictPictures(input.pictures, rules),
                   CountOf(input));
  } catch (const std::exception& failure) {
    // A worker that dies of one model would take every other task along.
    return Error{ErrorCode::kInternal, std::string("the model threw: ") + failure.what()};
  }
}

void ServedModel::Start(const ModelInput& input, const QualityRules& rules,
                        const CallTerms& /*terms*/, Answered answered) const {
  answered(Ask(*this, input, rules));
}

void StartAsking(const ServedModel& model, const ModelInput& input, const QualityRules& rules,
                 const CallTerms& terms, ServedModel::Answered answered) {
  model.Start(
      input, rules, terms,
      [asked = CountOf(input), answered = std::move(answered)](
          Result<std::vector<Answer>> answers) { answered(OneEach(std::move(answers), asked)); });
}

}  // namespace tidewheel::inference
