#include "tidewheel/labels/label_error_scores.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>

#include "tidewheel/labels/internal/chunks.h"
#include "tidewheel/labels/internal/labeled_rows.h"
#include "tidewheel/labels/internal/row_votes.h"

namespace tidewheel::labels {
namespace {

constexpr std::size_t kChunk = 1024;
constexpr double kSmallestConfidence = 1e-6;

template <typename T>
double LargestOther(std::span<const T> row, std::size_t label) {
  T largest = 0;
  for (std::size_t k = 0; k < row.size(); ++k) {
    if (k != label) largest = std::max(largest, internal::Clipped(row[k]));
  }
  return static_cast<double>(largest);
}

template <typename T>
double ConfidenceWeightedEntropy(std::span<const T> row, std::size_t label, double p) {
  double entropy = 0;
  for (const T value : row) {
    const auto q = static_cast<double>(internal::Clipped(value));
    if (q > 0) entropy -= q * std::log(q);
  }
  const double x =
      entropy / std::log(static_cast<double>(row.size())) / std::max(p, kSmallestConfidence);
  if (x > 0) return std::log1p(x) / x;
  return p > LargestOther(row, label) ? 1 : 0;
}

}  // namespace

std::string_view Name(LabelScore score) {
  switch (score) {
    case LabelScore::kSelfConfidence:
      return "self_confidence";
    case LabelScore::kNormalizedMargin:
      return "normalized_margin";
    case LabelScore::kConfidenceWeightedEntropy:
      return "confidence_weighted_entropy";
  }
  return "unknown";
}

template <typename T>
double ScoreLabel(std::span<const T> row, std::int32_t label, LabelScore score) {
  const auto given = static_cast<std::size_t>(label);
  const auto p = static_cast<double>(internal::Clipped(row[given]));
  switch (score) {
    case LabelScore::kSelfConfidence:
      return p;
    case LabelScore::kNormalizedMargin:
      return (p - LargestOther(row, given) + 1) / 2;
    case LabelScore::kConfidenceWeightedEntropy:
      return ConfidenceWeightedEntropy(row, given, p);
  }
  return 0;
}

template <typename T>
Result<std::vector<double>> ScoreLabels(MatrixView<T> probabilities,
                                        std::span<const std::int32_t> labels, LabelScore score,
                                        std::uint32_t threads) {
  if (const auto good = internal::CheckLabeled(probabilities, labels); !good) return good.error();

  // Votes are not asked for: the thresholds only let the rows be checked as they are elsewhere.
  const auto cuts =
      internal::MakeCuts<T>(std::vector<double>(probabilities.columns, kUnreachableThreshold), {});
  std::vector<double> scores(labels.size());
  const std::size_t chunks = (labels.size() + kChunk - 1) / kChunk;
  std::vector<std::optional<Error>> failed(chunks);
  internal::ForEachChunk(chunks, threads, [&](std::size_t chunk, std::size_t) {
    const std::size_t begin = chunk * kChunk;
    const std::size_t rows = std::min(kChunk, labels.size() - begin);
    internal::RowScratch<T> scratch;
    const auto read = internal::ReadRows<T>(
        probabilities.values.subspan(begin * probabilities.columns, rows * probabilities.columns),
        probabilities.columns, labels.subspan(begin, rows), cuts, begin, scratch,
        [&](std::size_t i, const internal::RowVote<T>&) {
          scores[begin + i] = ScoreLabel(probabilities.Row(begin + i), labels[begin + i], score);
        });
    if (!read) failed[chunk] = read.error();
  });
  for (const auto& error : failed) {
    if (error) return *error;
  }
  return scores;
}

template double ScoreLabel(std::span<const float>, std::int32_t, LabelScore);
template double ScoreLabel(std::span<const double>, std::int32_t, LabelScore);
template Result<std::vector<double>> ScoreLabels(MatrixView<float>, std::span<const std::int32_t>,
                                                 LabelScore, std::uint32_t);
template Result<std::vector<double>> ScoreLabels(MatrixView<double>, std::span<const std::int32_t>,
                                                 LabelScore, std::uint32_t);

}  // namespace tidewheel::labels
