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
  std::string reason;  // "random", "drifted", "uncertain", "slice" or "diverse".
  double share = 0;    // Of the samples to choose for training.
  struct Candidate {
    RankedPrediction prediction;
    CapturedSample sample;
  };
  std::vector<Candidate> candidates;
};

/// The orders a policy asks for, those of a share above 0, the random one first and always there:
/// what it draws must not hang on what the others took, and what is held out is drawn from it.
std::vector<AcquisitionList> AcquisitionListsOf(const CyclePolicy& policy,
                                                const std::string& slice);

/// What a policy's labels are spent on, in samples.
struct LabelBudget {
  std::uint32_t samples = 0;     // In all.
  std::uint32_t test = 0;        // Of these for the test split.
  std::uint32_t validation = 0;  // And for the validation split; the others are for training.
};
LabelBudget BudgetOf(const CyclePolicy& policy);

/// What could be chosen at most, in groups.
struct Choosable {
  std::size_t samples = 0;     // Whatever split: the training split's, and these.
  std::size_t test = 0;        // In the test split, captured at random.
  std::size_t validation = 0;  // And in the validation split.
};
Choosable CountChoosable(const std::vector<AcquisitionList>& lists);

/// At most `budget.samples`, one of each group, none that the previous dataset version holds. A
/// sample's split was fixed when it arrived.
///
/// What is held out is drawn: the test split's and the validation split's samples come, in the
/// order of the random list, from what was captured at random, so that they stand for the traffic
/// whatever else was thought worth capturing. What is learned from is chosen: the training split's
/// by the lists' shares (largest remainder); what a list cannot fill the others do. Of the diverse
/// list come those that lie far, in the model's embedding, from everything chosen. Its random
/// ones are a control, drawn as the held-out ones are. Whatever was drawn is kept with the
/// probability that an input like it had of being drawn. Where nothing was captured at random the
/// random list stands as it is, with a probability of 0: not known.
///
/// What one split cannot fill goes to training, and what that cannot use to the drawn ones.
std::vector<CycleSample> Choose(const std::vector<AcquisitionList>& lists,
                                const LabelBudget& budget);

}  // namespace tidewheel::training
