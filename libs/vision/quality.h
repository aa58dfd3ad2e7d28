#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/vision/measure.h"

namespace tidewheel::vision {

/// Which pictures are set aside, by their measures; a limit of 0 switches its rule off.
/// The defaults pass photographs and drawings down to 28 x 28 pixels (measured: all 1,484 real
/// traffic lights, all of Fashion-MNIST and MNIST) and catch black, white and strongly blurred
/// ones.
struct QualityRules {
  int min_side = 8;                   ///< Pixels of the shorter side.
  int max_side = 16'384;              ///< Pixels of the longer side.
  double min_mean_luminance = 0.015;  ///< Measures::luminance_mean, 0..1.
  double max_mean_luminance = 0.975;  ///< Measures::luminance_mean, 0..1.
  double max_dark_share = 0.995;      ///< Measures::dark_share, 0..1.
  double max_bright_share = 0.98;     ///< Measures::bright_share, 0..1.
  /// Measures::relative_sharpness, 0..20. Of the traffic lights the least is 0.090; of their
  /// copies, blurred by a gaussian of an eighth of their width, the greatest 0.029 (as JPEG 0.060).
  double min_sharpness = 0.07;

  friend bool operator==(const QualityRules&, const QualityRules&) = default;
};

/// Blur is not judged on pictures whose shorter side is below this: too few pixels to tell.
inline constexpr int kMinSideForBlur = 8;

enum class QualityProblem { kTooSmall, kTooLarge, kUnderexposed, kOverexposed, kBlurred };

/// "too_small", "too_large", "underexposed", "overexposed", "blurred".
std::string_view Name(QualityProblem problem);

struct QualityIssue {
  QualityProblem problem = QualityProblem::kTooSmall;
  double value = 0;  ///< As measured.
  double limit = 0;
  std::string message;  ///< Names the measure, its value and the limit.
};

/// Every rule that is broken, at most one issue a problem, in the order of QualityProblem.
/// A picture that is under- or overexposed shows too little to be called blurred as well.
std::vector<QualityIssue> Check(const Measures& measures, const QualityRules& rules);

}  // namespace tidewheel::vision
