#include "tidewheel/training/domain/doubtful_labels.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "tidewheel/labels/neighbour_agreement.h"

namespace tidewheel::training {
namespace {

constexpr std::size_t kNeighbours = 9;
constexpr std::size_t kFewestSamples = 2 * kNeighbours;
constexpr double kDoubtBelow = 0.5;

}  // namespace

std::uint32_t ReviewedAtMost(const CyclePolicy& policy) {
  return static_cast<std::uint32_t>(std::floor(policy.review_share * policy.max_labels + 1e-9)) /
         kVotesOfReview;
}

std::vector<CycleSample> DoubtfulLabels(const std::vector<LabeledSample>& labeled,
                                        std::uint32_t at_most) {
  std::vector<const LabeledSample*> rows;
  std::vector<float> points;
  std::vector<std::int32_t> labels;
  std::map<std::string, std::int32_t> numbers;
  for (const auto& sample : labeled) {
    if (sample.class_name.empty() || sample.embedding.empty()) continue;
    if (!rows.empty() && sample.embedding.size() != rows.front()->embedding.size()) continue;
    rows.push_back(&sample);
    points.insert(points.end(), sample.embedding.begin(), sample.embedding.end());
    labels.push_back(
        numbers.try_emplace(sample.class_name, static_cast<std::int32_t>(numbers.size()))
            .first->second);
  }
  if (rows.size() < kFewestSamples) return {};
  const auto agreement =
      labels::NeighbourAgreement(points, rows.front()->embedding.size(), labels, kNeighbours);
  if (!agreement) return {};  // An embedding that is no number.
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return (*agreement)[a] < (*agreement)[b]; });
  std::vector<CycleSample> doubtful;
  for (const std::size_t row : order) {
    if (doubtful.size() == at_most || (*agreement)[row] >= kDoubtBelow) break;
    doubtful.push_back(rows[row]->sample);
    doubtful.back().reason = "doubtful";
    doubtful.back().score = 1 - (*agreement)[row];
  }
  return doubtful;
}

}  // namespace tidewheel::training
