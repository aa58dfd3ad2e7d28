#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/labeling/domain/vote.h"

namespace tidewheel::labeling {

/// One answer of one annotator to one sample, in numbers.
struct CastAnswer {
  std::int32_t sample = 0;
  std::int32_t annotator = 0;
  std::int32_t class_index = 0;
  Timestamp at{};
  /// Of an answer to a sample whose label was known: that label. Then it is no vote, and nobody is
  /// compared with it. -1: a vote.
  std::int32_t known_class = -1;
};

/// What is known of an annotator.
struct AnnotatorFacts {
  AnnotatorKind kind = AnnotatorKind::kPerson;
};

struct AssessmentOptions {
  /// Lengths of the recent stretch that are tried, rising; the one that says most is taken, its
  /// p-value times the number of those tried (Bonferroni).
  std::vector<std::size_t> stretches{30, 60, 100};
  std::size_t min_earlier = 30;  // Fewer before say nothing.
  /// An annotator may be as good as ever in one stretch of this many answers and not in the next.
  std::size_t block = 50;
  double measure_from = 0.75;  // What others say is a measure when it is so likely to be true.
};

/// How good an annotator was of late beside before, as far as answers can be compared: with the
/// label that the others' votes make, with the data's own label or outcome where there is one, or
/// with a label that was known.
struct Assessment {
  std::int32_t annotator = 0;
  std::uint64_t recent_votes = 0;
  std::uint64_t recent_agreed = 0;
  std::uint64_t earlier_votes = 0;
  std::uint64_t earlier_agreed = 0;
  double p_value = 1;  // One-sided, of "as good as before": Fisher's exact test.
};

/// One for each person, rule or model with enough comparable answers, by annotator.
///
/// One who got worse must not pull down those who were asked the same. So how far each stretch of
/// answers of each annotator can be trusted is estimated from all of them together (the one-coin
/// model of Dawid and Skene 1979, by expectation-maximisation, a coin a stretch), and an annotator
/// is held only against what the others make likely: one other who guesses of late is no measure.
/// `annotators` are by number. O(answers x classes) a round, 30 rounds at most.
std::vector<Assessment> AssessAnnotators(const std::vector<CastAnswer>& answers,
                                         const std::vector<AnnotatorFacts>& annotators,
                                         std::size_t classes,
                                         const AssessmentOptions& options = {});

}  // namespace tidewheel::labeling
