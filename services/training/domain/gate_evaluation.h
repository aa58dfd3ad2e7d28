#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/training/domain/run.h"

namespace tidewheel::training {

enum class PrimaryMetric { kAccuracy, kBalancedAccuracy, kMacroF1 };

/// The bar that a task agreed on up front.
struct GatePolicy {
  std::vector<std::string> classes;  // In the order of a model's outputs.
  PrimaryMetric primary_metric = PrimaryMetric::kAccuracy;
  double min_primary_metric = 0;
  double min_class_recall = 0;
  double max_loss = 0.01;  // Of accuracy, in shares of right answers.
  double alpha = 0.05;     // Of a wrong "fail" of a comparison.
  std::uint32_t min_samples = 10;
  bool require_better_on_new = true;
  std::vector<BehaviourTest> tests{};
};

/// What two models answered for one held-out sample.
struct GateSample {
  std::uint32_t given_class = 0;
  std::uint32_t candidate_class = 0;
  std::optional<std::uint32_t> baseline_class{};  // Absent: nothing served yet.
  bool is_new_condition = false;                  // Added by the cycle.
  std::vector<std::string> slices{};              // "key=value"; each once.
  std::string split = "test";
};

enum class GateVerdict { kPass, kFail, kInconclusive, kNotEvaluated };
/// "pass", "fail", "inconclusive", "not_evaluated".
std::string_view Name(GateVerdict verdict);

struct GateCriterion {
  std::string name;
  GateVerdict verdict = GateVerdict::kNotEvaluated;
  std::string reason;
  std::optional<double> difference{};  // Accuracy of the candidate less the baseline's.
  std::optional<double> low{};         // Newcombe's paired interval at 1 - alpha.
  std::optional<double> high{};
  std::uint64_t samples = 0;
  std::optional<double> p_value{};  // After correction.
};

/// Holds a candidate against the task's bar and against the serving model. Only samples of split
/// "test" count: the candidate's epoch was chosen on the validation split.
///
/// Compared are the pairs of answers of both models. A pair is lost where only the baseline is
/// right, won where only the candidate is. "Worse" has one meaning everywhere: there is *evidence
/// of harm*, which is both
///   - more pairs lost than won, at a one-sided p-value of the exact sign test (McNemar 1947, exact
///     form) of at most alpha, and
///   - a difference of accuracy below -max_loss: what is significant but smaller than the agreed
///     loss is no harm.
/// So few samples cannot fail a candidate for want of proof, which also means that a pass of few
/// samples proves little: where the interval does not exclude a loss of max_loss, the reason says
/// so. (With 200 samples and no pair lost it cannot: the interval's end is near -0.02.)
///
///   enough_samples_old, enough_samples_new   min_samples of each condition, else inconclusive; the
///                                            new one only where it is required to be better
///   not_worse_on_old                         pass: no evidence of harm. fail: evidence of harm.
///                                            inconclusive: fewer samples than min_samples
///   better_on_new                            where required. pass: more pairs won than lost, at
///                                            p <= alpha. fail: evidence of the contrary, or not
///                                            better although the samples suffice: a candidate
///                                            that mends half of the baseline's errors would pass
///                                            with probability 0.8. Else inconclusive: the reason
///                                            says how many more samples it takes
///   class.NAME, slice.KEY=VALUE              over both conditions; the p-values are corrected over
///                                            all classes and slices together (Holm 1979). Where
///                                            the new condition is not required to be better it is
///                                            one more slice, "slice.new". Parts without samples
///                                            are left out; of more than 60 parts those that pass
///                                            are told in one criterion, other_parts
///   test.NAME                                each behaviour test of the policy; not evaluated
///                                            without a result
///   min_primary_metric, min_class_recall     the candidate alone, on all test samples
///
/// Without any baseline the comparison is one criterion, `baseline`, that is not evaluated. Classes
/// of samples outside the policy's are wrong answers. Pure; O(samples x slices).
std::vector<GateCriterion> EvaluateCandidate(const GatePolicy& policy,
                                             std::span<const GateSample> samples,
                                             std::span<const TestResult> tests = {});

/// Fail when one fails, else inconclusive when one is, else not evaluated when one is, else pass.
GateVerdict VerdictOf(std::span<const GateCriterion> criteria);

}  // namespace tidewheel::training
