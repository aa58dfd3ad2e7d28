#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace tidewheel::model_registry {

/// A problem of a declaration: which key, and what is wrong with it.
struct SpecProblem {
  std::string key;  // Such as "quality.max_pixels" or "gate.tests[0].amount".
  std::string message;
};

/// Collects problems under one key after another.
class SpecProblems {
 public:
  void Require(bool good, std::string key, std::string message) {
    if (!good) found_.push_back({std::move(key), std::move(message)});
  }
  std::vector<SpecProblem> Take() { return std::move(found_); }

 private:
  std::vector<SpecProblem> found_;
};

inline bool IsShare(double value) { return std::isfinite(value) && value >= 0 && value <= 1; }

}  // namespace tidewheel::model_registry
