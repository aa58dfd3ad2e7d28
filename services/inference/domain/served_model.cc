#include "tidewheel/inference/domain/served_model.h"

#include <exception>

namespace tidewheel::inference {

Result<std::vector<Answer>> Ask(const ServedModel& model, const ModelInput& input,
                                const QualityRules& rules) {
  try {
    auto answers = input.rows ? model.PredictRows(input.rows->shape, input.rows->values)
                              : model.PredictPictures(input.pictures, rules);
    if (!answers) return answers;
    std::size_t asked = input.pictures.size();
    if (input.rows) {
      const auto& shape = input.rows->shape;
      asked = shape.empty() ? 0 : static_cast<std::size_t>(shape.front());
    }
    if (answers->size() != asked) {
      return Error{ErrorCode::kInternal, "the model gave " + std::to_string(answers->size()) +
                                             " answers to " + std::to_string(asked) + " inputs"};
    }
    return answers;
  } catch (const std::exception& failure) {
    // A worker that dies of one model would take every other task along.
    return Error{ErrorCode::kInternal, std::string("the model threw: ") + failure.what()};
  }
}

}  // namespace tidewheel::inference
