// Finds label errors that it planted itself, and tells whether two samples come from one
// distribution.
#include <tidewheel/base/random.h>
#include <tidewheel/labels/label_errors.h>
#include <tidewheel/stats/two_sample.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

constexpr std::size_t kExamples = 3'000;
constexpr std::size_t kClasses = 4;

struct Labeled {
  std::vector<double> probabilities;  // kExamples x kClasses: what a good model would answer.
  std::vector<std::int32_t> labels;
  std::vector<std::uint32_t> planted;  // Rows with a wrong label.
};

Labeled LabelsWithErrors(tidewheel::Random& random) {
  Labeled made;
  for (std::uint32_t row = 0; row < kExamples; ++row) {
    const auto truth = static_cast<std::int32_t>(random.Below(kClasses));
    const double confidence = 0.8 + 0.15 * random.Uniform();
    for (std::int32_t k = 0; k < static_cast<std::int32_t>(kClasses); ++k) {
      made.probabilities.push_back(k == truth ? confidence : (1 - confidence) / (kClasses - 1));
    }
    const bool wrong = random.Uniform() < 0.03;
    const auto other = static_cast<std::int32_t>(1 + random.Below(kClasses - 1));
    made.labels.push_back(wrong ? (truth + other) % static_cast<std::int32_t>(kClasses) : truth);
    if (wrong) made.planted.push_back(row);
  }
  return made;
}

std::vector<double> Normal(tidewheel::Random& random, std::size_t count, double mean) {
  std::vector<double> sample(count);
  for (double& value : sample) value = mean + random.Normal();
  return sample;
}

bool Compare(const char* what, const std::vector<double>& reference,
             const std::vector<double>& current) {
  const auto test = tidewheel::stats::KolmogorovSmirnov(reference, current);
  if (!test) {
    std::fprintf(stderr, "%s: %s\n", what, test.error().message.c_str());
    return false;
  }
  std::printf("%-12s largest difference %.3f at %.2f, p = %.3g\n", what, test->statistic,
              test->location, test->p_value);
  return true;
}

}  // namespace

int main() {
  tidewheel::Random random(1);

  const Labeled given = LabelsWithErrors(random);
  const auto errors = tidewheel::labels::FindLabelErrors<double>(
      {given.probabilities, kExamples, kClasses}, given.labels);
  if (!errors) {
    std::fprintf(stderr, "label errors: %s\n", errors.error().message.c_str());
    return 1;
  }
  const auto& found = errors->issues.rows;
  const auto hits = std::count_if(
      given.planted.begin(), given.planted.end(),
      [&](std::uint32_t row) { return std::find(found.begin(), found.end(), row) != found.end(); });
  std::printf("label errors: %zu suspected, %td of %zu planted ones among them\n", found.size(),
              hits, given.planted.size());

  const auto reference = Normal(random, 2'000, 0);
  const bool compared = Compare("same source:", reference, Normal(random, 2'000, 0)) &&
                        Compare("shifted:", reference, Normal(random, 2'000, 0.3));
  return compared ? 0 : 1;
}
