#include "tidewheel/monitoring/domain/rank.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/mahalanobis.h"

namespace tidewheel::monitoring {
namespace {

double Uncertainty(const std::vector<float>& probabilities) {
  float first = 0;
  float second = 0;
  for (const float probability : probabilities) {
    if (probability > first) {
      second = std::exchange(first, probability);
    } else {
      second = std::max(second, probability);
    }
  }
  return 1 - static_cast<double>(first - second);
}

/// Distances to one profile.
class Distance {
 public:
  Distance(const Profile& profile, const std::vector<std::string>& names) {
    if (!profile.embedding.mean.empty()) {
      auto made =
          stats::MahalanobisDistance::Create(profile.embedding.mean, profile.embedding.covariance);
      if (made) embeddings_ = *std::move(made);
    }
    std::unordered_map<std::string, const FeatureReference*> by_name;
    for (const auto& feature : profile.features) by_name[feature.name] = &feature;
    for (const auto& name : names) {
      Spread spread;
      if (const auto found = by_name.find(name); found != by_name.end()) {
        const auto mean = found->second->moments.Mean();
        const auto deviation = found->second->moments.StandardDeviation(1);
        if (mean && deviation && *deviation > 0) spread = {*mean, *deviation};
      }
      spreads_.push_back(spread);
    }
  }

  double Of(const ObservedRow& row) const {
    if (embeddings_ && row.embedding.size() == embeddings_->numbers()) {
      const double square = embeddings_->Squared(row.embedding);
      return std::isfinite(square) ? std::sqrt(square) : 0;
    }
    double sum = 0;
    std::size_t known = 0;
    for (std::size_t i = 0; i < std::min(spreads_.size(), row.features.size()); ++i) {
      if (spreads_[i].deviation <= 0 || !std::isfinite(row.features[i])) continue;
      const double away = (row.features[i] - spreads_[i].mean) / spreads_[i].deviation;
      sum += away * away;
      ++known;
    }
    return known == 0 ? 0 : std::sqrt(sum / static_cast<double>(known));
  }

 private:
  struct Spread {
    double mean = 0;
    double deviation = 0;  // 0: unknown.
  };

  std::optional<stats::MahalanobisDistance> embeddings_;
  std::vector<Spread> spreads_;
};

double SeededNumber(const ObservedRow& row, std::uint64_t seed) {
  const std::uint64_t hash = StableHash(row.request_id + "#" + std::to_string(row.index), seed);
  return static_cast<double>(hash >> 11) * 0x1p-53;
}

}  // namespace

std::vector<RankedPrediction> Rank(
    RankCandidates candidates, const RankQuery& query,
    const std::map<ModelKey, std::shared_ptr<const Profile>>& profiles) {
  std::map<ModelKey, Distance> distances;
  if (query.order == RankOrder::kDrifted) {
    for (const auto& [model, names] : candidates.features) {
      const auto profile = profiles.find(model);
      if (profile == profiles.end() || profile->second == nullptr) continue;
      distances.emplace(model, Distance(*profile->second, names));
    }
  }
  std::vector<RankedPrediction> ranked;
  for (auto& item : candidates.items) {
    if (query.sound_only && !item.row.quality_problems.empty()) continue;
    RankedPrediction one{std::move(item), 0};
    const ObservedRow& row = one.prediction.row;
    switch (query.order) {
      case RankOrder::kUncertain:
        one.score = Uncertainty(row.probabilities);
        break;
      case RankOrder::kDrifted:
        if (const auto found = distances.find(one.prediction.model); found != distances.end()) {
          one.score = found->second.Of(row);
        }
        break;
      case RankOrder::kRandom:
        one.score = SeededNumber(row, query.seed);
        break;
    }
    ranked.push_back(std::move(one));
  }
  const auto better = [](const RankedPrediction& a, const RankedPrediction& b) {
    if (a.score != b.score) return a.score > b.score;
    const ObservedRow& x = a.prediction.row;
    const ObservedRow& y = b.prediction.row;
    return std::tie(x.request_id, x.index, a.prediction.model) <
           std::tie(y.request_id, y.index, b.prediction.model);
  };
  const std::size_t count = std::min(query.count, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count),
                    ranked.end(), better);
  ranked.erase(ranked.begin() + static_cast<std::ptrdiff_t>(count), ranked.end());
  return ranked;
}

}  // namespace tidewheel::monitoring
