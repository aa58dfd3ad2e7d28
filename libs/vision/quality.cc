#include "tidewheel/vision/quality.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace tidewheel::vision {
namespace {

std::string Text(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", number);
  return text.data();
}

std::string Pixels(double number) { return std::to_string(static_cast<long long>(number)); }

class Checklist {
 public:
  void Least(QualityProblem problem, std::string_view measure, double value, double limit) {
    if (limit > 0 && value < limit) {
      Add(problem, value, limit,
          std::string(measure) + " " + Text(value) + " is below " + Text(limit));
    }
  }
  void Most(QualityProblem problem, std::string_view measure, double value, double limit) {
    if (limit > 0 && value > limit) {
      Add(problem, value, limit,
          std::string(measure) + " " + Text(value) + " is above " + Text(limit));
    }
  }
  void Add(QualityProblem problem, double value, double limit, std::string message) {
    if (!Has(problem)) issues_.push_back({problem, value, limit, std::move(message)});
  }
  bool Has(QualityProblem problem) const {
    return std::any_of(issues_.begin(), issues_.end(),
                       [&](const QualityIssue& issue) { return issue.problem == problem; });
  }
  std::vector<QualityIssue> Take() { return std::move(issues_); }

 private:
  std::vector<QualityIssue> issues_;
};

}  // namespace

std::string_view Name(QualityProblem problem) {
  switch (problem) {
    case QualityProblem::kTooSmall:
      return "too_small";
    case QualityProblem::kTooLarge:
      return "too_large";
    case QualityProblem::kUnderexposed:
      return "underexposed";
    case QualityProblem::kOverexposed:
      return "overexposed";
    case QualityProblem::kBlurred:
      return "blurred";
  }
  return "unknown";
}

std::vector<QualityIssue> Check(const Measures& measures, const QualityRules& rules) {
  using enum QualityProblem;
  Checklist list;
  const double shorter = std::min(measures.width, measures.height);
  const double longer = std::max(measures.width, measures.height);
  const std::string size = Pixels(measures.width) + " x " + Pixels(measures.height) + " pixels: ";
  if (rules.min_side > 0 && shorter < rules.min_side) {
    list.Add(kTooSmall, shorter, rules.min_side,
             size + "a side is below " + std::to_string(rules.min_side));
  }
  if (rules.max_side > 0 && longer > rules.max_side) {
    list.Add(kTooLarge, longer, rules.max_side,
             size + "a side is above " + std::to_string(rules.max_side));
  }
  list.Least(kUnderexposed, "mean luminance", measures.luminance_mean, rules.min_mean_luminance);
  list.Most(kUnderexposed, "share of dark pixels", measures.dark_share, rules.max_dark_share);
  list.Most(kOverexposed, "mean luminance", measures.luminance_mean, rules.max_mean_luminance);
  list.Most(kOverexposed, "share of bright pixels", measures.bright_share, rules.max_bright_share);
  if (!list.Has(kUnderexposed) && !list.Has(kOverexposed) && shorter >= kMinSideForBlur) {
    list.Least(kBlurred, "relative sharpness", measures.relative_sharpness, rules.min_sharpness);
  }
  return list.Take();
}

}  // namespace tidewheel::vision
