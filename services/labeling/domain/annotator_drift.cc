#include "tidewheel/labeling/domain/annotator_drift.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <tuple>
#include <utility>

#include "tidewheel/stats/hypergeometric.h"

namespace tidewheel::labeling {
namespace {

bool IsJudged(AnnotatorKind kind) {
  return kind != AnnotatorKind::kImport && kind != AnnotatorKind::kOutcome;
}

/// What a vote adds to the case for its class: its log odds of being right against each other
/// class.
double WeightOf(const AnnotatorFacts& annotator, std::size_t classes) {
  const double quality = std::clamp(annotator.quality, 0.01, 0.99);
  const double odds = quality * static_cast<double>(classes - 1) / (1 - quality);
  return std::max(0.05, std::log(odds));
}

/// The votes of each sample side by side, and each annotator's answers in the order of time.
class Comparison {
 public:
  Comparison(const std::vector<CastAnswer>& answers, const std::vector<AnnotatorFacts>& annotators,
             std::size_t classes)
      : answers_(answers),
        annotators_(annotators),
        classes_(classes),
        put_aside_(answers.size(), false),
        of_annotator_(annotators.size()),
        order_() {
    for (std::size_t i = 0; i < answers.size(); ++i) {
      of_annotator_[static_cast<std::size_t>(answers[i].annotator)].push_back(i);
      if (answers[i].known_class < 0) order_.push_back(i);
    }
    for (auto& own : of_annotator_) {
      std::sort(own.begin(), own.end(), [&](std::size_t a, std::size_t b) {
        return std::tie(answers[a].at, answers[a].sample) <
               std::tie(answers[b].at, answers[b].sample);
      });
    }
    std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      return std::tie(answers[a].sample, a) < std::tie(answers[b].sample, b);
    });
    for (const AnnotatorFacts& annotator : annotators) {
      weights_.push_back(WeightOf(annotator, std::max<std::size_t>(2, classes)));
    }
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const auto sample = static_cast<std::size_t>(answers[order_[i]].sample);
      if (begin_.size() <= sample + 1) begin_.resize(sample + 2, i);
      begin_[sample + 1] = i + 1;
    }
  }

  /// Whether each comparable answer of an annotator agrees, in the order of time; `places` gets
  /// where it stands among the answers.
  std::vector<bool> Agreements(std::size_t annotator, std::vector<std::size_t>* places) const {
    std::vector<bool> agrees;
    places->clear();
    std::vector<double> support(classes_);
    for (const std::size_t place : of_annotator_[annotator]) {
      const CastAnswer& answer = answers_[place];
      const int expected =
          answer.known_class >= 0 ? answer.known_class : LabelOfOthers(answer, &support);
      if (expected < 0) continue;
      agrees.push_back(answer.class_index == expected);
      places->push_back(place);
    }
    return agrees;
  }

  void PutAside(std::size_t place) { put_aside_[place] = true; }

 private:
  /// -1: nobody else said anything, or they do not agree on one class.
  int LabelOfOthers(const CastAnswer& answer, std::vector<double>* support) const {
    const auto sample = static_cast<std::size_t>(answer.sample);
    if (sample + 1 >= begin_.size()) return -1;
    for (const bool from_the_data : {true, false}) {
      std::fill(support->begin(), support->end(), 0.0);
      bool any = false;
      for (std::size_t i = begin_[sample]; i < begin_[sample + 1]; ++i) {
        const CastAnswer& other = answers_[order_[i]];
        const auto who = static_cast<std::size_t>(other.annotator);
        if (other.annotator == answer.annotator || put_aside_[order_[i]]) continue;
        if (from_the_data == IsJudged(annotators_[who].kind)) continue;
        any = true;
        (*support)[static_cast<std::size_t>(other.class_index)] += weights_[who];
      }
      if (!any) continue;
      const auto best = std::max_element(support->begin(), support->end());
      const auto as_good = std::count_if(support->begin(), support->end(),
                                         [&best](double value) { return value > *best - 1e-9; });
      return as_good == 1 ? static_cast<int>(best - support->begin()) : -1;
    }
    return -1;
  }

  const std::vector<CastAnswer>& answers_;
  const std::vector<AnnotatorFacts>& annotators_;
  const std::size_t classes_;
  std::vector<bool> put_aside_;
  std::vector<std::vector<std::size_t>> of_annotator_;
  std::vector<std::size_t> order_;  // Places of votes by sample.
  std::vector<std::size_t> begin_;  // Of each sample in `order_`.
  std::vector<double> weights_;
};

/// The stretch that says most against the annotator; nothing: too few answers.
std::optional<Assessment> Assess(std::size_t annotator, const std::vector<bool>& agrees,
                                 const AssessmentOptions& options) {
  const std::size_t all = agrees.size();
  const auto agreed = static_cast<std::uint64_t>(std::count(agrees.begin(), agrees.end(), true));
  std::optional<Assessment> best;
  std::size_t tried = 0;
  for (const std::size_t stretch : options.stretches) {
    if (all < stretch + options.min_earlier) continue;
    ++tried;
    const auto recent_agreed = static_cast<std::uint64_t>(
        std::count(agrees.end() - static_cast<std::ptrdiff_t>(stretch), agrees.end(), true));
    // As many disagreements among the recent ones, had they fallen anywhere.
    const auto tail =
        stats::HypergeometricTail(stretch - recent_agreed, all, all - agreed, stretch);
    const double p = tail ? *tail : 1;
    if (best && p >= best->p_value) continue;
    best = Assessment{.annotator = static_cast<std::int32_t>(annotator),
                      .recent_votes = stretch,
                      .recent_agreed = recent_agreed,
                      .earlier_votes = all - stretch,
                      .earlier_agreed = agreed - recent_agreed,
                      .p_value = p};
  }
  if (best) best->p_value = std::min(1.0, best->p_value * static_cast<double>(tried));
  return best;
}

}  // namespace

std::vector<Assessment> AssessAnnotators(const std::vector<CastAnswer>& answers,
                                         const std::vector<AnnotatorFacts>& annotators,
                                         std::size_t classes, const AssessmentOptions& options) {
  Comparison comparison(answers, annotators, classes);
  std::vector<std::optional<Assessment>> found(annotators.size());
  std::vector<bool> suspect(annotators.size(), false);
  const double suspect_below =
      options.suspect_below / static_cast<double>(std::max<std::size_t>(1, annotators.size()));
  while (true) {
    std::optional<std::size_t> worst;
    std::vector<std::size_t> worst_places;
    std::vector<std::size_t> places;
    for (std::size_t annotator = 0; annotator < annotators.size(); ++annotator) {
      if (!IsJudged(annotators[annotator].kind)) continue;
      const auto agrees = comparison.Agreements(annotator, &places);
      found[annotator] = Assess(annotator, agrees, options);
      if (!found[annotator] || suspect[annotator]) continue;
      if (found[annotator]->p_value >= suspect_below) continue;
      if (worst && found[annotator]->p_value >= found[*worst]->p_value) continue;
      worst = annotator;
      worst_places = places;
    }
    if (!worst) break;
    suspect[*worst] = true;
    // When it began is not known to the vote: the longest stretch is put aside.
    const std::size_t stretch = std::min(worst_places.size(), options.stretches.back());
    for (std::size_t i = worst_places.size() - stretch; i < worst_places.size(); ++i) {
      comparison.PutAside(worst_places[i]);
    }
  }
  std::vector<Assessment> assessments;
  for (const auto& assessment : found) {
    if (assessment) assessments.push_back(*assessment);
  }
  return assessments;
}

}  // namespace tidewheel::labeling
