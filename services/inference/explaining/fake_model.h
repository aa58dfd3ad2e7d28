#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/inference/explaining/explainable_model.h"

namespace tidewheel::inference {

/// Two classes; "yes" has the logistic of the weighted sum as its probability. A "picture" is a
/// text of digits, one a pixel.
class FakeExplainable final : public ExplainableModel {
 public:
  FakeExplainable(std::vector<std::int64_t> row_shape, std::vector<double> weights)
      : row_shape_(std::move(row_shape)), weights_(std::move(weights)) {
    identity_.task = "answers";
    identity_.model_version_id = "a-version";
    identity_.model_version = 3;
    identity_.classes = {"no", "yes"};
  }

  const ModelIdentity& identity() const override { return identity_; }

  Result<NumberRows> Prepare(std::string_view picture) override {
    NumberRows rows{{1}, {}};
    rows.shape.insert(rows.shape.end(), row_shape_.begin(), row_shape_.end());
    for (const char digit : picture) rows.values.push_back(static_cast<float>(digit - '0'));
    if (rows.values.size() != weights_.size()) {
      return Error{ErrorCode::kInvalidArgument, "the picture cannot be decoded"};
    }
    return rows;
  }

  Result<void> Ask(std::span<const std::int64_t> row_shape, std::span<const float> rows,
                   std::size_t count, std::span<float> probabilities) override {
    if (before_ask) before_ask();
    if (!std::equal(row_shape.begin(), row_shape.end(), row_shape_.begin(), row_shape_.end())) {
      return Error{ErrorCode::kInvalidArgument, "the model takes another shape"};
    }
    for (std::size_t i = 0; i < count; ++i) {
      const double yes = Yes(rows.subspan(i * weights_.size(), weights_.size()));
      probabilities[2 * i] = static_cast<float>(1 - yes);
      probabilities[2 * i + 1] = static_cast<float>(yes);
    }
    return {};
  }

  Result<void> Gradients(std::span<const std::int64_t>, std::span<const float> rows,
                         std::size_t count, std::size_t class_index,
                         std::span<double> probabilities, std::span<float> gradients) override {
    for (std::size_t i = 0; i < count; ++i) {
      const double yes = Yes(rows.subspan(i * weights_.size(), weights_.size()));
      probabilities[i] = class_index == 1 ? yes : 1 - yes;
      const double sign = class_index == 1 ? 1 : -1;
      for (std::size_t j = 0; j < weights_.size(); ++j) {
        gradients[i * weights_.size() + j] =
            static_cast<float>(sign * yes * (1 - yes) * weights_[j]);
      }
    }
    return {};
  }

  std::function<void()> before_ask;

 private:
  double Yes(std::span<const float> row) const {
    double sum = 0;
    for (std::size_t j = 0; j < weights_.size(); ++j)
      sum += weights_[j] * static_cast<double>(row[j]);
    return 1 / (1 + std::exp(-sum));
  }

  const std::vector<std::int64_t> row_shape_;
  const std::vector<double> weights_;
  ModelIdentity identity_;
};

}  // namespace tidewheel::inference
