#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/ids.h"
#include "tidewheel/labeling/domain/task_catalogue.h"
#include "tidewheel/labeling/domain/vote.h"

namespace tidewheel::labeling {

struct LabelTag;
using LabelId = StrongId<LabelTag>;

/// What the votes on one sample amount to. Versions are never overwritten. A version without a
/// class says that the label was withdrawn.
struct Label {
  LabelId label_id{};
  SampleId sample_id{};
  std::string class_name{};  // Empty: withdrawn.
  double confidence = 0;     // Posterior probability of the class, 0 to 1.
  ConsensusMethod method = ConsensusMethod::kMajority;
  std::uint32_t version = 0;  // Counts from 1 for each sample.
  std::uint32_t votes = 0;
  Timestamp decided_at{};

  bool withdrawn() const { return class_name.empty(); }
};

/// How good an annotator was of late beside before, over answers that can be compared.
struct RecentQuality {
  std::uint64_t recent_votes = 0;
  std::uint64_t recent_agreed = 0;
  std::uint64_t earlier_votes = 0;
  std::uint64_t earlier_agreed = 0;
  double worse_p_value = 1;  // One-sided, of "as good as before".

  friend bool operator==(const RecentQuality&, const RecentQuality&) = default;
};

/// Who voted, and how well.
struct Annotator {
  std::string annotator{};
  AnnotatorKind kind = AnnotatorKind::kPerson;
  std::uint64_t votes = 0;
  std::optional<double> quality{};        // Probability of a right vote, weighted by class share.
  std::optional<double> agreement{};      // Share of its votes that equal the label.
  std::optional<RecentQuality> recent{};  // Nothing: too few answers to tell.
  std::optional<Timestamp> assessed_at{};
};

}  // namespace tidewheel::labeling
