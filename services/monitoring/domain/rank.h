#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/monitoring/domain/window_rows.h"

namespace tidewheel::monitoring {

enum class RankOrder { kUncertain, kDrifted, kRandom };

/// Which stored predictions are worth a label.
struct RankQuery {
  std::string task;
  std::string model_version_id;  // Empty: every model's.
  std::optional<Timestamp> since;
  RankOrder order = RankOrder::kUncertain;
  std::string slice;  // Empty: all traffic.
  std::uint64_t seed = 0;
  std::size_t count = 100;
  bool sound_only = false;  // Leaves out those that break a quality rule.
};

/// A stored prediction to choose from.
struct RankCandidate {
  ModelKey model;
  std::string class_name;
  ObservedRow row;  // Features in the order of RankCandidates::features of its model.
};

struct RankCandidates {
  std::vector<RankCandidate> items;
  std::map<ModelKey, std::vector<std::string>> features;
};

struct RankedPrediction {
  RankCandidate prediction;
  double score = 0;
};

/// The best of the candidates, best first; equal scores in the order of request id and index.
/// - kUncertain: 1 - (largest - second largest probability) (margin sampling: Scheffer et al.
/// 2001).
/// - kDrifted: Mahalanobis distance of the embedding to the profile's mean; without embeddings the
///   root mean square of the features' standardised differences; without a profile 0.
/// - kRandom: a number in [0, 1) of the seed, the request id and the index.
/// `profiles` by model; one may be null or missing.
std::vector<RankedPrediction> Rank(
    RankCandidates candidates, const RankQuery& query,
    const std::map<ModelKey, std::shared_ptr<const Profile>>& profiles);

}  // namespace tidewheel::monitoring
