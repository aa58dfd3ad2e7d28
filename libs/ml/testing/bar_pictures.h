#pragma once

#include <cstdint>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/ml/dataset.h"

namespace tidewheel::ml {

/// Noise with a bright bar in the row of pixels that its class says: easy, but not for a constant
/// answer.
struct BarPictures {
  BarPictures(std::size_t rows, std::uint64_t seed, ImageShape form = {1, 8, 8}, int classes = 4)
      : shape(form) {
    Random random(seed);
    for (std::size_t row = 0; row < rows; ++row) {
      const auto label =
          static_cast<std::int32_t>(random.Below(static_cast<std::uint64_t>(classes)));
      labels.push_back(label);
      for (int channel = 0; channel < shape.channels; ++channel) {
        for (int y = 0; y < shape.height; ++y) {
          for (int x = 0; x < shape.width; ++x) {
            const double bar = y / 2 == label ? 0.5 : 0.0;
            elements.push_back(static_cast<float>(bar + 0.5 * random.Uniform()));
          }
        }
      }
    }
  }

  TensorDataset View() const { return ViewOf(shape, elements, labels); }

  ImageShape shape;
  std::vector<float> elements;
  std::vector<std::int32_t> labels;
};

}  // namespace tidewheel::ml
