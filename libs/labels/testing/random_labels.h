#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/random.h"

/// Made-up labels and probabilities for the tests of label errors.
namespace tidewheel::labels::testing {

template <typename T>
struct LabeledRows {
  std::size_t classes = 0;
  std::vector<T> probabilities;
  std::vector<std::int32_t> labels;
  std::vector<std::uint8_t> wrong;  // 1: the label is not the truth.

  MatrixView<T> View() const { return {probabilities, labels.size(), classes}; }
  std::span<T> Row(std::size_t row) {
    return std::span(probabilities).subspan(row * classes, classes);
  }
};

struct RandomLabelsOptions {
  double label_noise = 0.15;
  double model_noise = 0.1;
  double least_confidence = 0.2;  // Of the model's answer; from there to 1.
  int steps = 0;                  // Probabilities are whole numbers of 1/steps; 0: anything.
  std::size_t empty_classes = 0;  // So many of the last classes are nobody's label.
};

/// Rows that sum to 1 within rounding. Every class that is not empty has an example.
template <typename T>
LabeledRows<T> RandomLabels(std::uint64_t seed, std::size_t rows, std::size_t classes,
                            const RandomLabelsOptions& options = {}) {
  Random random(seed);
  LabeledRows<T> made;
  made.classes = classes;
  made.probabilities.resize(rows * classes);
  const std::size_t used = classes - options.empty_classes;
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t truth = i < used ? i : random.Below(used);
    const std::size_t label =
        i >= used && random.Uniform() < options.label_noise ? random.Below(used) : truth;
    const std::size_t answer =
        random.Uniform() < options.model_noise ? random.Below(classes) : truth;
    made.labels.push_back(static_cast<std::int32_t>(label));
    made.wrong.push_back(label == truth ? 0 : 1);

    const double top = options.least_confidence + (1 - options.least_confidence) * random.Uniform();
    std::vector<double> row(classes);
    double sum = 0;
    for (double& p : row) sum += p = -std::log(1 - random.Uniform());
    for (double& p : row) p *= (1 - top) / sum;
    row[answer] += top;
    if (options.steps > 0) {
      int left = options.steps;
      for (std::size_t k = 0; k < classes; ++k) {
        const int part =
            k + 1 == classes
                ? left
                : std::min(left, static_cast<int>(std::lround(row[k] * options.steps)));
        left -= part;
        row[k] = static_cast<double>(part) / options.steps;
      }
    }
    for (std::size_t k = 0; k < classes; ++k) made.Row(i)[k] = static_cast<T>(row[k]);
  }
  return made;
}

/// The same examples in another order; `order[i]` is the old row of row i.
template <typename T>
LabeledRows<T> Reordered(LabeledRows<T>& from, std::span<const std::size_t> order) {
  LabeledRows<T> made;
  made.classes = from.classes;
  for (const std::size_t row : order) {
    const auto p = from.Row(row);
    made.probabilities.insert(made.probabilities.end(), p.begin(), p.end());
    made.labels.push_back(from.labels[row]);
    made.wrong.push_back(from.wrong[row]);
  }
  return made;
}

inline std::vector<std::size_t> RandomOrder(std::uint64_t seed, std::size_t size) {
  std::vector<std::size_t> order(size);
  for (std::size_t i = 0; i < size; ++i) order[i] = i;
  Random random(seed);
  for (std::size_t i = size; i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
  return order;
}

}  // namespace tidewheel::labels::testing
