#include "tidewheel/inference/domain/follow_up.h"

namespace tidewheel::inference {

InputCopy InputCopy::Of(const ModelInput& input) {
  InputCopy copy;
  if (input.rows) {
    copy.shape = input.rows->shape;
    copy.values.assign(input.rows->values.begin(), input.rows->values.end());
  } else {
    copy.pictures.assign(input.pictures.begin(), input.pictures.end());
  }
  return copy;
}

ModelInput InputCopy::View() const {
  ModelInput input;
  if (shape.empty()) {
    input.pictures.assign(pictures.begin(), pictures.end());
  } else {
    input.rows = Rows{shape, values};
  }
  return input;
}

std::size_t CopiedBytes(const ModelInput& input) {
  if (input.rows) return input.rows->values.size_bytes();
  std::size_t bytes = 0;
  for (const auto& picture : input.pictures) bytes += picture.size();
  return bytes;
}

}  // namespace tidewheel::inference
