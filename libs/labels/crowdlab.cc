#include "tidewheel/labels/crowdlab.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "tidewheel/labels/internal/conclude.h"
#include "tidewheel/labels/internal/packed_votes.h"

namespace tidewheel::labels {
namespace {

using internal::PackedVotes;

constexpr double kLeast = 1e-6;
constexpr double kSumsToOne = 1e-3;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// Rows that sum to 1.
Result<std::vector<double>> Checked(const MatrixView<double>& probabilities, const Votes& votes) {
  if (!probabilities.Fits() || probabilities.rows != votes.items ||
      probabilities.columns != votes.classes) {
    return Bad("probabilities of " + std::to_string(probabilities.rows) + " x " +
               std::to_string(probabilities.columns) + " (" +
               std::to_string(probabilities.values.size()) + " values) for " +
               std::to_string(votes.items) + " items and " + std::to_string(votes.classes) +
               " classes");
  }
  std::vector<double> checked(probabilities.values.begin(), probabilities.values.end());
  for (std::size_t i = 0; i < votes.items; ++i) {
    const auto row = std::span(checked).subspan(i * votes.classes, votes.classes);
    double sum = 0;
    for (std::size_t k = 0; k < row.size(); ++k) {
      if (!(row[k] >= 0 && row[k] <= 1)) {
        return Bad("the probability in row " + std::to_string(i) + ", column " + std::to_string(k) +
                   " is not within 0 to 1");
      }
      sum += row[k];
    }
    if (std::abs(sum - 1) > kSumsToOne) {
      return Bad("the probabilities of row " + std::to_string(i) + " sum to " +
                 std::to_string(sum) + ", not to 1");
    }
    for (double& p : row) p /= sum;
  }
  return checked;
}

std::size_t FirstLargest(std::span<const double> values) {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

/// Of the votes, whatever the consensus is.
struct Crowd {
  explicit Crowd(const PackedVotes& packed) : votes(packed), cast(packed.VotesOfWorkers()) {
    std::size_t voted = 0;
    for (std::size_t i = 0; i < votes.items(); ++i) voted += votes.of(i).empty() ? 0 : 1;
    mean_votes = static_cast<double>(votes.size()) / static_cast<double>(voted);
    MeasureErrors();
  }

  const PackedVotes& votes;
  std::vector<std::uint32_t> cast;  // Of each worker.
  std::vector<double> error;        // Of each worker: how often another voter disagrees.
  double mean_votes = 0;            // Of an item with votes.

 private:
  void MeasureErrors() {
    std::vector<double> agreed(votes.workers());
    std::vector<double> met(votes.workers());
    std::vector<double> counts(votes.classes());
    for (std::size_t i = 0; i < votes.items(); ++i) {
      const auto of_item = votes.of(i);
      counts.assign(votes.classes(), 0);
      for (const std::uint32_t vote : of_item) counts[votes.LabelOf(vote)] += 1;
      // Ascending votes: those of one worker stand together.
      for (std::size_t first = 0; first < of_item.size();) {
        const std::size_t worker = votes.WorkerOf(of_item[first]);
        std::size_t last = first;
        while (last < of_item.size() && votes.WorkerOf(of_item[last]) == worker) ++last;
        const double others = static_cast<double>(of_item.size() - (last - first));
        for (std::size_t v = first; v < last; ++v) {
          double own = 0;
          for (std::size_t u = first; u < last; ++u) own += of_item[u] == of_item[v] ? 1 : 0;
          agreed[worker] += counts[votes.LabelOf(of_item[v])] - own;
          met[worker] += others;
        }
        first = last;
      }
    }
    error.resize(votes.workers());
    double sum = 0;
    double known = 0;
    for (std::size_t w = 0; w < error.size(); ++w) {
      if (met[w] == 0) continue;
      error[w] = 1 - agreed[w] / met[w];
      sum += error[w];
      known += 1;
    }
    for (std::size_t w = 0; w < error.size(); ++w) error[w] = met[w] > 0 ? error[w] : sum / known;
  }
};

/// The majority, ties broken by the classifier.
std::vector<std::int32_t> MajorityLabels(const PackedVotes& votes,
                                         std::span<const double> probabilities) {
  const std::size_t classes = votes.classes();
  const std::vector<double> shares = internal::VoteShares(votes);
  const std::vector<double> prior = internal::MeanPosterior(votes, shares);
  std::vector<std::int32_t> label(votes.items());
  std::vector<double> contest(classes);
  for (std::size_t i = 0; i < votes.items(); ++i) {
    const auto share = std::span(shares).subspan(i * classes, classes);
    const auto p = probabilities.subspan(i * classes, classes);
    const double best = *std::max_element(share.begin(), share.end());
    // Without votes all shares are 0 and equal, and the classifier decides.
    for (std::size_t k = 0; k < classes; ++k) contest[k] = share[k] < best ? -1 : p[k];
    bool tied = false;
    label[i] = static_cast<std::int32_t>(internal::LargestClass(contest, prior, &tied));
  }
  return label;
}

/// Weights and posterior that follow from a consensus.
void Weigh(const Crowd& crowd, std::span<const double> probabilities,
           std::span<const std::int32_t> label, CrowdlabConsensus* result) {
  const PackedVotes& votes = crowd.votes;
  const std::size_t classes = votes.classes();
  result->agreement.assign(votes.items(), 0);
  double agreement = 0;
  double missed = 0;
  double pairable = 0;
  std::vector<double> answers(classes);
  for (std::size_t i = 0; i < votes.items(); ++i) {
    const auto of_item = votes.of(i);
    const auto truth = static_cast<std::size_t>(label[i]);
    for (const std::uint32_t vote : of_item) {
      result->agreement[i] += votes.LabelOf(vote) == truth ? 1 : 0;
    }
    if (!of_item.empty()) result->agreement[i] /= static_cast<double>(of_item.size());
    if (of_item.size() < 2) continue;
    pairable += 1;
    agreement += result->agreement[i];
    answers[truth] += 1;
    missed += FirstLargest(probabilities.subspan(i * classes, classes)) != truth ? 1 : 0;
  }
  result->mean_agreement = agreement / pairable;
  result->baseline_error =
      std::max(1 - *std::max_element(answers.begin(), answers.end()) / pairable, kLeast);
  const auto weight = [&](double error) {
    return std::max(1 - error / result->baseline_error, kLeast);
  };
  result->model_weight = weight(missed / pairable) * std::sqrt(crowd.mean_votes);
  result->worker_weight.resize(votes.workers());
  for (std::size_t w = 0; w < votes.workers(); ++w) {
    result->worker_weight[w] = weight(crowd.error[w]);
  }

  const double right = result->mean_agreement;
  const double wrong = (1 - right) / static_cast<double>(classes - 1);
  result->consensus.posterior.resize(probabilities.size());
  for (std::size_t i = 0; i < votes.items(); ++i) {
    double* const p = result->consensus.posterior.data() + i * classes;
    const double* const model = probabilities.data() + i * classes;
    for (std::size_t k = 0; k < classes; ++k) p[k] = model[k] * result->model_weight;
    double total = result->model_weight;
    for (const std::uint32_t vote : votes.of(i)) {
      const double share = result->worker_weight[votes.WorkerOf(vote)];
      total += share;
      for (std::size_t k = 0; k < classes; ++k) {
        p[k] += share * (k == votes.LabelOf(vote) ? right : wrong);
      }
    }
    for (std::size_t k = 0; k < classes; ++k) p[k] /= total;
  }
}

/// How good each worker's labels are.
std::vector<double> Quality(const Crowd& crowd, const CrowdlabConsensus& result) {
  const PackedVotes& votes = crowd.votes;
  const std::size_t classes = votes.classes();
  std::vector<double> by_posterior(votes.workers());
  std::vector<double> agreed(votes.workers());
  std::vector<double> met(votes.workers());
  for (std::size_t i = 0; i < votes.items(); ++i) {
    const auto of_item = votes.of(i);
    for (const std::uint32_t vote : of_item) {
      const std::size_t w = votes.WorkerOf(vote);
      by_posterior[w] += result.consensus.posterior[i * classes + votes.LabelOf(vote)];
      if (of_item.size() < 2) continue;
      met[w] += 1;
      agreed[w] +=
          votes.LabelOf(vote) == static_cast<std::size_t>(result.consensus.label[i]) ? 1 : 0;
    }
  }
  double weights = 0;
  double workers = 0;
  for (std::size_t w = 0; w < votes.workers(); ++w) {
    if (crowd.cast[w] == 0) continue;
    weights += result.worker_weight[w];
    workers += 1;
  }
  const double of_item = weights * crowd.mean_votes / workers;
  const double share = result.model_weight / (result.model_weight + of_item);
  std::vector<double> quality(votes.workers());
  for (std::size_t w = 0; w < votes.workers(); ++w) {
    if (crowd.cast[w] == 0) continue;
    const double own = by_posterior[w] / crowd.cast[w];
    quality[w] = met[w] > 0 ? share * own + (1 - share) * (agreed[w] / met[w]) : own;
  }
  return quality;
}

}  // namespace

Result<CrowdlabConsensus> Crowdlab(const Votes& in, const MatrixView<double>& probabilities) {
  const auto packed = PackedVotes::Of(in);
  if (!packed) return packed.error();
  const PackedVotes& votes = *packed;
  if (const auto fits = internal::NeedConfusionToFit(votes); !fits) return fits.error();
  if (const auto overlap = internal::NeedOverlap(votes, "CROWDLAB"); !overlap)
    return overlap.error();
  const auto model = Checked(probabilities, in);
  if (!model) return model.error();

  const Crowd crowd(votes);
  CrowdlabConsensus result;
  Consensus& consensus = result.consensus;
  const auto majority = MajorityLabels(votes, *model);
  Weigh(crowd, *model, majority, &result);
  consensus.label.resize(in.items);
  consensus.tied.resize(in.items);
  for (std::size_t i = 0; i < in.items; ++i) {
    const auto row = std::span(consensus.posterior).subspan(i * in.classes, in.classes);
    const double best = *std::max_element(row.begin(), row.end());
    const bool tied = std::count_if(row.begin(), row.end(),
                                    [best](double p) { return p >= best - internal::kTie; }) > 1;
    consensus.label[i] = tied ? majority[i] : static_cast<std::int32_t>(FirstLargest(row));
    consensus.tied[i] = tied ? 1 : 0;
    consensus.ties += tied ? 1 : 0;
  }
  Weigh(crowd, *model, consensus.label, &result);
  for (std::size_t i = 0; i < in.items; ++i) {
    result.label_quality.push_back(
        consensus.posterior[i * in.classes + static_cast<std::size_t>(consensus.label[i])]);
  }
  consensus.prior = internal::MeanPosterior(votes, consensus.posterior);
  consensus.confusion = internal::ConfusionOf(votes, consensus.posterior, 0);
  consensus.quality = Quality(crowd, result);
  return result;
}

}  // namespace tidewheel::labels
