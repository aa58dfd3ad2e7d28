#include "tidewheel/labels/label_error_choice.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::labels {
namespace {

constexpr std::uint64_t kFewestInside = 5;
constexpr std::array kScores = {LabelScore::kSelfConfidence, LabelScore::kNormalizedMargin,
                                LabelScore::kConfidenceWeightedEntropy};

Error Invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> Check(const ValidatedLabels& validated, std::size_t examples,
                   const LabelErrorChoiceOptions& options) {
  if (options.budget == 0) return Invalid("a relabeling budget of 0 examples");
  if (!(options.min_precision >= 0 && options.min_precision < 1)) {
    return Invalid("min_precision " + std::to_string(options.min_precision) + " is not in [0, 1)");
  }
  if (!(options.confidence > 0 && options.confidence < 1)) {
    return Invalid("confidence " + std::to_string(options.confidence) + " is not between 0 and 1");
  }
  if (validated.wrong.size() != validated.rows.size()) {
    return Invalid(std::to_string(validated.wrong.size()) + " verdicts for " +
                   std::to_string(validated.rows.size()) + " validated rows");
  }
  if (!validated.weights.empty() && validated.weights.size() != validated.rows.size()) {
    return Invalid(std::to_string(validated.weights.size()) + " weights for " +
                   std::to_string(validated.rows.size()) + " validated rows");
  }
  std::vector<std::uint8_t> seen(examples);
  for (std::size_t v = 0; v < validated.rows.size(); ++v) {
    const std::uint32_t row = validated.rows[v];
    const auto at = [&] { return "validated row " + std::to_string(row); };
    if (row >= examples) {
      return Invalid(at() + " is not one of " + std::to_string(examples) + " examples from 0");
    }
    if (seen[row] != 0) return Invalid(at() + " is there twice");
    seen[row] = 1;
    if (validated.wrong[v] > 1) {
      return Invalid(at() + ": verdict " + std::to_string(validated.wrong[v]) +
                     " is neither 0 nor 1");
    }
    if (!validated.weights.empty() &&
        !(validated.weights[v] > 0 && std::isfinite(validated.weights[v]))) {
      return Invalid(at() + ": weight " + std::to_string(validated.weights[v]) +
                     " is not positive and finite");
    }
  }
  return {};
}

/// What validated examples say of a set they were drawn from.
struct Verdicts {
  std::uint64_t examples = 0;
  double weight = 0;
  double squares = 0;  // Of weights.
  double wrong = 0;    // Weight of errors.

  void Add(bool is_wrong, double w) {
    ++examples;
    weight += w;
    squares += w * w;
    if (is_wrong) wrong += w;
  }
  double Share() const { return wrong / weight; }
  /// How many equally weighted examples would say as much (Kish 1965).
  double EffectiveSize() const { return weight * weight / squares; }
  /// With half an error and half a hit added: a handful of verdicts promises nothing certain.
  double Expected() const { return (Share() * EffectiveSize() + 0.5) / (EffectiveSize() + 1); }
};

enum class Half : std::uint8_t { kNone, kChooses, kHeldOut };

/// Which half each validated example is in, and what it says, by row.
class Validation {
 public:
  Validation(const ValidatedLabels& validated, std::size_t examples, std::uint64_t seed)
      : half_(examples, Half::kNone), wrong_(examples), weight_(examples) {
    std::vector<std::size_t> order(validated.rows.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    // By row, so that the order in which the sample was handed over does not matter.
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return validated.rows[a] < validated.rows[b]; });
    Random random(seed);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::uint32_t row = validated.rows[order[i]];
      half_[row] = i % 2 == 0 ? Half::kChooses : Half::kHeldOut;
      wrong_[row] = validated.wrong[order[i]];
      weight_[row] = validated.weights.empty() ? 1 : validated.weights[order[i]];
    }
  }

  void Add(std::uint32_t row, Verdicts& chooses, Verdicts& held_out) const {
    if (half_[row] == Half::kNone) return;
    (half_[row] == Half::kChooses ? chooses : held_out).Add(wrong_[row] != 0, weight_[row]);
  }

 private:
  std::vector<Half> half_;
  std::vector<std::uint8_t> wrong_;
  std::vector<double> weight_;
};

/// Ascending numbers of examples to take from a ranking.
std::vector<std::size_t> CutOffs(std::size_t issues, std::size_t budget) {
  std::vector<std::size_t> takes;
  for (const std::size_t part : {8, 4, 2, 1}) {
    const std::size_t take = budget / part;
    if (take > 0 && take < issues) takes.push_back(take);
  }
  if (issues > 0 && issues <= budget) takes.push_back(issues);
  takes.erase(std::unique(takes.begin(), takes.end()), takes.end());
  return takes;
}

struct Judged {
  LabelErrorCut cut;
  Verdicts held_out;
};

void Judge(const RankedIssues& ranked, const Validation& validation, std::size_t budget,
           LabelErrorCut cut, std::vector<Judged>& judged) {
  Verdicts chooses;
  Verdicts held_out;
  std::size_t row = 0;
  for (const std::size_t take : CutOffs(ranked.rows.size(), budget)) {
    for (; row < take; ++row) validation.Add(ranked.rows[row], chooses, held_out);
    if (chooses.examples < kFewestInside || held_out.examples < kFewestInside) continue;
    cut.take = take;
    cut.last_score = ranked.scores[take - 1];
    cut.chosen_by = chooses.examples;
    cut.held_out = held_out.examples;
    cut.expected_precision = chooses.Expected();
    judged.push_back({cut, held_out});
  }
}

/// Wilson's interval of a share of `size` examples, which need not be a whole number.
std::pair<double, double> Wilson(double share, double size, double confidence) {
  const double z = stats::NormalQuantile(1 - (1 - confidence) / 2);
  const double middle = (share + z * z / (2 * size)) / (1 + z * z / size);
  const double half =
      z / (1 + z * z / size) * std::sqrt(share * (1 - share) / size + z * z / (4 * size * size));
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

}  // namespace

template <typename T>
Result<LabelErrorChoice> ChooseLabelErrors(const LabelErrorScan<T>& scan,
                                           const ValidatedLabels& validated,
                                           const LabelErrorChoiceOptions& options) {
  const std::size_t examples = scan.labels().size();
  if (const auto good = Check(validated, examples, options); !good) return good.error();

  const Validation validation(validated, examples, options.seed);
  std::vector<Judged> judged;
  for (const LabelErrorMethod method : kLabelErrorMethods) {
    const LabelIssues issues =
        scan.Find(method, {.keep_per_class = options.keep_per_class, .threads = options.threads});
    for (const LabelScore score : kScores) {
      Judge(scan.Rank(issues.rows, score), validation, options.budget,
            {.method = method, .rank_by = score}, judged);
    }
  }
  if (judged.empty()) {
    return Error{ErrorCode::kFailedPrecondition,
                 std::to_string(validated.rows.size()) +
                     " validated examples are too few: no cut holds " +
                     std::to_string(kFewestInside) + " of each half"};
  }

  const Judged* best = nullptr;
  double most_precise = 0;
  for (const Judged& one : judged) {
    most_precise = std::max(most_precise, one.cut.expected_precision);
    if (one.cut.expected_precision < options.min_precision) continue;
    const auto worth = [](const Judged& j) {
      return std::pair(static_cast<double>(j.cut.take) * j.cut.expected_precision,
                       j.cut.expected_precision);
    };
    if (best == nullptr || worth(one) > worth(*best)) best = &one;
  }
  if (best == nullptr) {
    return Error{ErrorCode::kFailedPrecondition, "no cut is expected to reach a precision of " +
                                                     std::to_string(options.min_precision) +
                                                     "; the best reaches " +
                                                     std::to_string(most_precise)};
  }

  LabelErrorChoice choice;
  choice.cut = best->cut;
  const LabelIssues issues = scan.Find(
      choice.cut.method, {.keep_per_class = options.keep_per_class, .threads = options.threads});
  choice.rows = scan.Rank(issues.rows, choice.cut.rank_by).rows;
  choice.rows.resize(choice.cut.take);
  choice.precision = best->held_out.Share();
  std::tie(choice.low, choice.high) =
      Wilson(choice.precision, best->held_out.EffectiveSize(), options.confidence);
  choice.expected_errors = choice.precision * static_cast<double>(choice.cut.take);
  for (const Judged& one : judged) choice.considered.push_back(one.cut);
  return choice;
}

template Result<LabelErrorChoice> ChooseLabelErrors(const LabelErrorScan<float>&,
                                                    const ValidatedLabels&,
                                                    const LabelErrorChoiceOptions&);
template Result<LabelErrorChoice> ChooseLabelErrors(const LabelErrorScan<double>&,
                                                    const ValidatedLabels&,
                                                    const LabelErrorChoiceOptions&);

}  // namespace tidewheel::labels
