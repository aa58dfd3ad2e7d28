#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tidewheel/training/domain/cycle.h"
#include "tidewheel/training/domain/cycle_callees.h"
#include "tidewheel/training/domain/cycle_policy.h"

namespace tidewheel::training {

/// What one order of predictions has to offer: those with a sample, best first.
struct AcquisitionList {
  std::string reason;  // "random", "drifted", "uncertain" or "slice".
  double share = 0;    // Of all samples to choose.
  struct Candidate {
    RankedPrediction prediction;
    CapturedSample sample;
  };
  std::vector<Candidate> candidates;
};

/// The orders a policy asks for, those of a share above 0, the random one first: what it draws must
/// not hang on what the others took.
std::vector<AcquisitionList> AcquisitionListsOf(const CyclePolicy& policy,
                                                const std::string& slice);

/// How many samples a policy's labels suffice for.
std::uint32_t SamplesToChoose(const CyclePolicy& policy);

/// At most `count` samples, by the lists' shares (largest remainder); what a list cannot fill the
/// others do. No sample twice, one of each group, none that the previous dataset version holds.
///
/// The random ones are a control: drawn from what was captured at random, where there is any, and
/// kept with the probability that an input like them had of being chosen.
std::vector<CycleSample> Choose(const std::vector<AcquisitionList>& lists, std::uint32_t count);

/// How many could be chosen at most.
std::size_t CountChoosable(const std::vector<AcquisitionList>& lists);

}  // namespace tidewheel::training
