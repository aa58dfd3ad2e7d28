#include "tidewheel/labels/internal/conclude.h"

#include <algorithm>
#include <string>

namespace tidewheel::labels::internal {

std::size_t LargestClass(std::span<const double> posterior, std::span<const double> prior,
                         bool* tied) {
  const double best = *std::max_element(posterior.begin(), posterior.end());
  std::size_t label = posterior.size();
  std::size_t sharing = 0;
  for (std::size_t k = 0; k < posterior.size(); ++k) {
    if (posterior[k] < best - kTie) continue;
    ++sharing;
    if (label == posterior.size() || prior[k] > prior[label] + kTie) label = k;
  }
  *tied = sharing > 1;
  return label;
}

std::vector<double> VoteShares(const PackedVotes& votes) {
  const std::size_t classes = votes.classes();
  std::vector<double> shares(votes.items() * classes);
  for (std::size_t i = 0; i < votes.items(); ++i) {
    const auto cast = votes.of(i);
    if (cast.empty()) continue;
    double* row = shares.data() + i * classes;
    // Whole counts first: thirds would not add up to equal sums for equal votes.
    for (const std::uint32_t vote : cast) row[votes.LabelOf(vote)] += 1;
    for (std::size_t k = 0; k < classes; ++k) row[k] /= static_cast<double>(cast.size());
  }
  return shares;
}

std::vector<double> MeanPosterior(const PackedVotes& votes, std::span<const double> posterior) {
  const std::size_t classes = votes.classes();
  std::vector<double> prior(classes);
  std::size_t voted = 0;
  for (std::size_t i = 0; i < votes.items(); ++i) {
    if (votes.of(i).empty()) continue;
    ++voted;
    for (std::size_t k = 0; k < classes; ++k) prior[k] += posterior[i * classes + k];
  }
  for (double& share : prior) share /= static_cast<double>(voted);
  return prior;
}

Result<void> NeedConfusionToFit(const PackedVotes& votes) {
  constexpr std::size_t kMost = std::size_t{1} << 30;
  if (votes.table_rows() <= kMost / votes.classes()) return {};
  return Error{ErrorCode::kInvalidArgument,
               "the confusion matrices of " + std::to_string(votes.workers()) + " workers and " +
                   std::to_string(votes.classes()) + " classes have more than " +
                   std::to_string(kMost) + " numbers"};
}

std::vector<double> ConfusionOf(const PackedVotes& votes, std::span<const double> posterior,
                                double smoothing) {
  const std::size_t classes = votes.classes();
  // By label first, so that a vote's row over the classes is contiguous.
  std::vector<double> by_label(votes.table_rows() * classes, smoothing);
  for (std::size_t i = 0; i < votes.items(); ++i) {
    const double* p = posterior.data() + i * classes;
    for (const std::uint32_t vote : votes.of(i)) {
      double* row = by_label.data() + static_cast<std::size_t>(vote) * classes;
      for (std::size_t k = 0; k < classes; ++k) row[k] += p[k];
    }
  }
  std::vector<double> confusion(by_label.size());
  for (std::size_t w = 0; w < votes.workers(); ++w) {
    const double* from = by_label.data() + w * classes * classes;
    double* to = confusion.data() + w * classes * classes;
    for (std::size_t k = 0; k < classes; ++k) {
      double sum = 0;
      for (std::size_t l = 0; l < classes; ++l) sum += from[l * classes + k];
      for (std::size_t l = 0; l < classes; ++l) {
        to[k * classes + l] =
            sum > 0 ? from[l * classes + k] / sum : 1 / static_cast<double>(classes);
      }
    }
  }
  return confusion;
}

void FillQuality(const PackedVotes& votes, Consensus* consensus) {
  const std::size_t classes = votes.classes();
  consensus->quality.assign(votes.workers(), 0);
  for (std::size_t w = 0; w < votes.workers(); ++w) {
    const double* confusion = consensus->confusion.data() + w * classes * classes;
    for (std::size_t k = 0; k < classes; ++k) {
      consensus->quality[w] += consensus->prior[k] * confusion[k * classes + k];
    }
  }
}

void FillLabels(const PackedVotes& votes, Consensus* consensus) {
  const std::size_t classes = votes.classes();
  consensus->label.resize(votes.items());
  consensus->tied.assign(votes.items(), 0);
  consensus->ties = 0;
  for (std::size_t i = 0; i < votes.items(); ++i) {
    const auto row = std::span(consensus->posterior).subspan(i * classes, classes);
    if (votes.of(i).empty()) {
      std::copy(consensus->prior.begin(), consensus->prior.end(), row.begin());
    }
    bool tied = false;
    consensus->label[i] = static_cast<std::int32_t>(LargestClass(row, consensus->prior, &tied));
    consensus->tied[i] = tied ? 1 : 0;
    consensus->ties += tied ? 1 : 0;
  }
}

}  // namespace tidewheel::labels::internal
