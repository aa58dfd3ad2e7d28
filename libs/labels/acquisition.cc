#include "tidewheel/labels/acquisition.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "tidewheel/stats/nearest_neighbours.h"

namespace tidewheel::labels {
namespace {

constexpr double kSlack = 1e-6;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

template <typename T>
Result<void> CheckProbabilities(const MatrixView<T>& probabilities, const char* whose) {
  if (probabilities.rows == 0) return Bad(std::string(whose) + "there are no rows");
  if (probabilities.columns < 2) {
    return Bad(std::string(whose) + "at least 2 classes, not " +
               std::to_string(probabilities.columns));
  }
  if (!probabilities.Fits()) {
    return Bad(std::string(whose) + std::to_string(probabilities.values.size()) +
               " probabilities are not " + std::to_string(probabilities.rows) + " rows of " +
               std::to_string(probabilities.columns));
  }
  for (std::size_t row = 0; row < probabilities.rows; ++row) {
    double sum = 0;
    for (const T value : probabilities.Row(row)) {
      const auto p = static_cast<double>(value);
      if (!(p >= -kSlack && p <= 1 + kSlack)) {
        return Bad(std::string(whose) + "row " + std::to_string(row) +
                   ": a probability is not in 0 to 1");
      }
      sum += p;
    }
    if (std::abs(sum - 1) > 1e-3) {
      return Bad(std::string(whose) + "row " + std::to_string(row) + ": probabilities sum to " +
                 std::to_string(sum));
    }
  }
  return {};
}

template <typename T>
double Cut(T p) {
  return std::clamp(static_cast<double>(p), 0.0, 1.0);
}

/// -p ln p, 0 for 0.
double Surprise(double p) { return p > 0 ? -p * std::log(p) : 0; }

Result<void> CheckQuality(std::span<const double> quality, const char* what) {
  if (quality.empty()) return Bad("there are no items");
  for (std::size_t i = 0; i < quality.size(); ++i) {
    if (!(quality[i] >= 0 && quality[i] <= 1)) {
      return Bad("item " + std::to_string(i) + ": the " + what + " is not in 0 to 1");
    }
  }
  return {};
}

Result<void> CheckActiveLab(const ActiveLabInput& input) {
  const auto good = CheckQuality(input.consensus_quality, "consensus quality");
  if (!good) return good.error();
  const Votes& votes = input.votes;
  if (votes.classes < 2) return Bad("at least 2 classes, not " + std::to_string(votes.classes));
  if (votes.item.size() != votes.worker.size() || votes.item.size() != votes.label.size()) {
    return Bad("votes have as many items as workers and labels");
  }
  const auto out = [](std::int32_t index, std::size_t below) {
    return index < 0 || static_cast<std::size_t>(index) >= below;
  };
  for (std::size_t v = 0; v < votes.item.size(); ++v) {
    if (out(votes.item[v], input.consensus_quality.size()) ||
        out(votes.worker[v], input.worker_weight.size()) ||
        (votes.label[v] != kAbstain && out(votes.label[v], votes.classes))) {
      return Bad("vote " + std::to_string(v) + " is of item " + std::to_string(votes.item[v]) +
                 ", worker " + std::to_string(votes.worker[v]) + ", label " +
                 std::to_string(votes.label[v]) + "; there are " +
                 std::to_string(input.consensus_quality.size()) + " items, " +
                 std::to_string(input.worker_weight.size()) + " workers, " +
                 std::to_string(votes.classes) + " classes");
    }
  }
  for (std::size_t w = 0; w < input.worker_weight.size(); ++w) {
    if (!(input.worker_weight[w] >= 0 && std::isfinite(input.worker_weight[w]))) {
      return Bad("the weight of worker " + std::to_string(w) + " is not a number of 0 or more");
    }
  }
  if (!(input.model_weight >= 0 && std::isfinite(input.model_weight))) {
    return Bad("the model's weight is not a number of 0 or more");
  }
  return {};
}

}  // namespace

template <typename T>
Result<std::vector<double>> UncertaintyScores(MatrixView<T> probabilities, Uncertainty kind) {
  if (const auto good = CheckProbabilities(probabilities, ""); !good) return good.error();
  std::vector<double> scores;
  scores.reserve(probabilities.rows);
  const double most = std::log(static_cast<double>(probabilities.columns));
  for (std::size_t row = 0; row < probabilities.rows; ++row) {
    double first = 0;
    double second = 0;
    double entropy = 0;
    for (const T value : probabilities.Row(row)) {
      const double p = Cut(value);
      if (p > first) {
        second = std::exchange(first, p);
      } else {
        second = std::max(second, p);
      }
      if (kind == Uncertainty::kEntropy) entropy += Surprise(p);
    }
    const double score = kind == Uncertainty::kLeastConfident ? 1 - first
                         : kind == Uncertainty::kMargin       ? 1 - (first - second)
                                                              : entropy / most;
    scores.push_back(std::min(score, 1.0));  // Rows sum to 1 nearly.
  }
  return scores;
}

template <typename T>
Result<Disagreement> CompareClassifiers(MatrixView<T> production, MatrixView<T> candidate) {
  if (const auto good = CheckProbabilities(production, "production: "); !good) return good.error();
  if (const auto good = CheckProbabilities(candidate, "candidate: "); !good) return good.error();
  if (production.rows != candidate.rows || production.columns != candidate.columns) {
    return Bad("production has " + std::to_string(production.rows) + " rows of " +
               std::to_string(production.columns) + ", the candidate " +
               std::to_string(candidate.rows) + " of " + std::to_string(candidate.columns));
  }
  Disagreement apart;
  for (std::size_t row = 0; row < production.rows; ++row) {
    const auto p = production.Row(row);
    const auto q = candidate.Row(row);
    double divergence = 0;
    double variation = 0;
    for (std::size_t k = 0; k < p.size(); ++k) {
      const double a = Cut(p[k]);
      const double b = Cut(q[k]);
      if (a != b) divergence += Surprise((a + b) / 2) - (Surprise(a) + Surprise(b)) / 2;
      variation += std::abs(a - b);
    }
    apart.jensen_shannon.push_back(std::clamp(divergence / std::log(2.0), 0.0, 1.0));
    apart.total_variation.push_back(std::min(variation / 2, 1.0));
    const auto answer = [](std::span<const T> of) {
      return std::max_element(of.begin(), of.end()) - of.begin();
    };
    apart.other_answer.push_back(answer(p) != answer(q) ? 1 : 0);
  }
  return apart;
}

template <typename T>
Result<std::vector<double>> DriftRegionScores(MatrixView<T> reference, MatrixView<T> current,
                                              const DriftRegionOptions& options) {
  const std::size_t k = options.neighbours;
  const stats::NeighbourOptions asked{.neighbours = k, .threads = options.threads};
  const auto old_rows = stats::NearestNeighbours(reference, current, asked);
  if (!old_rows) return Prefixed("reference: ", old_rows.error());
  const auto new_rows = stats::NearestOthers(current, asked);
  if (!new_rows) return Prefixed("current: ", new_rows.error());
  const double of_old = 1 / static_cast<double>(reference.rows);
  const double of_new = 1 / static_cast<double>(current.rows - 1);
  std::vector<double> scores;
  scores.reserve(current.rows);
  for (std::size_t row = 0; row < current.rows; ++row) {
    const auto old_distance = std::span(old_rows->squared_distance).subspan(row * k, k);
    const auto new_distance = std::span(new_rows->squared_distance).subspan(row * k, k);
    std::size_t taken_old = 0;
    std::size_t taken_new = 0;
    while (taken_old + taken_new < k) {
      if (old_distance[taken_old] <= new_distance[taken_new]) {
        ++taken_old;
      } else {
        ++taken_new;
      }
    }
    const double weight_old = static_cast<double>(taken_old) * of_old;
    const double weight_new = static_cast<double>(taken_new) * of_new;
    scores.push_back(weight_new / (weight_old + weight_new));
  }
  return scores;
}

Result<std::vector<double>> SuspectedErrorScores(std::span<const double> label_quality) {
  if (const auto good = CheckQuality(label_quality, "label quality"); !good) return good.error();
  std::vector<double> scores;
  scores.reserve(label_quality.size());
  for (const double quality : label_quality) scores.push_back(1 - quality);
  return scores;
}

Result<std::vector<double>> ActiveLabScores(const ActiveLabInput& input) {
  if (const auto good = CheckActiveLab(input); !good) return good.error();
  const Votes& votes = input.votes;
  const auto workers = static_cast<double>(input.worker_weight.size());
  const double mean_weight =
      input.worker_weight.empty()
          ? 1
          : std::accumulate(input.worker_weight.begin(), input.worker_weight.end(), 0.0) / workers;
  if (!(mean_weight + input.model_weight > 0)) {
    return Error{ErrorCode::kFailedPrecondition,
                 "not applicable, because all weights, the model's too, are 0"};
  }
  std::vector<std::pair<std::int32_t, std::int32_t>> voted;
  voted.reserve(votes.item.size());
  for (std::size_t v = 0; v < votes.item.size(); ++v) {
    if (votes.label[v] != kAbstain) voted.emplace_back(votes.item[v], votes.worker[v]);
  }
  std::sort(voted.begin(), voted.end());
  voted.erase(std::unique(voted.begin(), voted.end()), voted.end());
  std::vector<double> weight(input.consensus_quality.size(), input.model_weight);
  for (const auto& [item, worker] : voted) {
    weight[static_cast<std::size_t>(item)] += input.worker_weight[static_cast<std::size_t>(worker)];
  }
  std::vector<double> scores;
  scores.reserve(weight.size());
  for (std::size_t i = 0; i < weight.size(); ++i) {
    scores.push_back((weight[i] * input.consensus_quality[i] +
                      mean_weight / static_cast<double>(votes.classes)) /
                     (weight[i] + mean_weight));
  }
  return scores;
}

template Result<std::vector<double>> UncertaintyScores(MatrixView<float>, Uncertainty);
template Result<std::vector<double>> UncertaintyScores(MatrixView<double>, Uncertainty);
template Result<Disagreement> CompareClassifiers(MatrixView<float>, MatrixView<float>);
template Result<Disagreement> CompareClassifiers(MatrixView<double>, MatrixView<double>);
template Result<std::vector<double>> DriftRegionScores(MatrixView<float>, MatrixView<float>,
                                                       const DriftRegionOptions&);
template Result<std::vector<double>> DriftRegionScores(MatrixView<double>, MatrixView<double>,
                                                       const DriftRegionOptions&);

}  // namespace tidewheel::labels
