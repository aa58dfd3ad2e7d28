#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tidewheel/training/domain/cycle.h"
#include "tidewheel/training/domain/cycle_policy.h"

namespace tidewheel::training {

/// A cycle's sample with the label it got.
struct LabeledSample {
  CycleSample sample{};
  std::string class_name{};
  std::vector<float> embedding{};  // Of the serving model; empty: not known, and not looked at.
};

/// Two votes more on each of so many samples: with the first one a majority of three.
constexpr std::uint32_t kVotesOfReview = 2;

/// How many samples a policy's share of labels for review suffices for.
std::uint32_t ReviewedAtMost(const CyclePolicy& policy);

/// The samples whose label fewer than half of their nearest neighbours share (weighed by distance,
/// in the serving model's embedding): what to ask again when one vote made a label. The least
/// shared first, at most so many. Few samples have no neighbours to speak of: none is doubtful.
std::vector<CycleSample> DoubtfulLabels(const std::vector<LabeledSample>& labeled,
                                        std::uint32_t at_most);

}  // namespace tidewheel::training
