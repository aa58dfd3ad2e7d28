#include "tidewheel/labeling/domain/annotator_drift.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <tuple>
#include <utility>

#include "tidewheel/stats/hypergeometric.h"

namespace tidewheel::labeling {
namespace {

constexpr int kRounds = 30;
constexpr double kEnough = 1e-4;     // Of the largest change of a coin in a round.
constexpr double kFirstGuess = 0.8;  // Of every coin.
constexpr double kOwnWeight = 10;    // In answers: how much a stretch is like its annotator's rest.
constexpr double kGuessWeight = 2;   // In answers: how much an annotator is like the first guess.
// The data's own labels and outcomes are taken for nearly true.
constexpr double kFromTheData = 0.98;

bool IsJudged(AnnotatorKind kind) {
  return kind != AnnotatorKind::kImport && kind != AnnotatorKind::kOutcome;
}

/// How likely an answer is right, a number for each stretch of each annotator's answers, and what
/// that makes of the samples.
class Coins {
 public:
  Coins(const std::vector<CastAnswer>& answers, const std::vector<AnnotatorFacts>& annotators,
        std::size_t classes, std::size_t block)
      : answers_(answers),
        annotators_(annotators),
        classes_(classes),
        of_annotator_(annotators.size()),
        coin_of_(answers.size()) {
    for (std::size_t i = 0; i < answers.size(); ++i) {
      of_annotator_[static_cast<std::size_t>(answers[i].annotator)].push_back(i);
      if (answers[i].known_class < 0) by_sample_.push_back(i);
    }
    for (std::size_t who = 0; who < of_annotator_.size(); ++who) {
      auto& own = of_annotator_[who];
      std::sort(own.begin(), own.end(), [&](std::size_t a, std::size_t b) {
        return std::tie(answers[a].at, answers[a].sample, answers[a].class_index) <
               std::tie(answers[b].at, answers[b].sample, answers[b].class_index);
      });
      // Counted from the latest, so that the last stretch is a whole one.
      const std::size_t first_coin = owner_.size();
      for (std::size_t rank = 0; rank < own.size(); ++rank) {
        const std::size_t place = own[own.size() - 1 - rank];
        coin_of_[place] = first_coin + rank / block;
        if (coin_of_[place] == owner_.size()) owner_.push_back(who);
      }
    }
    right_.assign(owner_.size(), kFirstGuess);
    for (std::size_t coin = 0; coin < owner_.size(); ++coin) {
      if (!IsJudged(annotators[owner_[coin]].kind)) right_[coin] = kFromTheData;
    }
    std::sort(by_sample_.begin(), by_sample_.end(), [&](std::size_t a, std::size_t b) {
      return std::tie(answers[a].sample, answers[a].annotator, answers[a].at,
                      answers[a].class_index) < std::tie(answers[b].sample, answers[b].annotator,
                                                         answers[b].at, answers[b].class_index);
    });
    for (std::size_t i = 0; i < by_sample_.size(); ++i) {
      const auto sample = static_cast<std::size_t>(answers[by_sample_[i]].sample);
      if (begin_.size() <= sample + 1) begin_.resize(sample + 2, i);
      begin_[sample + 1] = i + 1;
    }
    Estimate();
  }

  /// Whether each comparable answer of an annotator agrees, in the order of time.
  std::vector<bool> Agreements(std::size_t annotator, double measure_from) const {
    std::vector<bool> agrees;
    std::vector<double> likely(classes_);
    for (const std::size_t place : of_annotator_[annotator]) {
      const CastAnswer& answer = answers_[place];
      int expected = answer.known_class;
      if (expected < 0) {
        if (!Weigh(VotesOn(answer), answer.annotator, &likely)) continue;
        const auto best = std::max_element(likely.begin(), likely.end());
        if (*best < measure_from) continue;
        expected = static_cast<int>(best - likely.begin());
      }
      agrees.push_back(answer.class_index == expected);
    }
    return agrees;
  }

 private:
  std::span<const std::size_t> VotesOn(const CastAnswer& answer) const {
    const auto sample = static_cast<std::size_t>(answer.sample);
    return std::span(by_sample_).subspan(begin_[sample], begin_[sample + 1] - begin_[sample]);
  }

  /// How likely each class is by the votes of all but one annotator (-1: of all). False: there are
  /// none.
  bool Weigh(std::span<const std::size_t> votes, std::int32_t without,
             std::vector<double>* likely) const {
    std::fill(likely->begin(), likely->end(), 0.0);
    bool any = false;
    for (const std::size_t place : votes) {
      const CastAnswer& vote = answers_[place];
      if (vote.annotator == without) continue;
      any = true;
      (*likely)[static_cast<std::size_t>(vote.class_index)] += weight_[coin_of_[place]];
    }
    if (!any) return false;
    const double most = *std::max_element(likely->begin(), likely->end());
    double sum = 0;
    for (double& value : *likely) sum += value = std::exp(value - most);
    for (double& value : *likely) value /= sum;
    return true;
  }

  /// What an answer adds to the case for its class: its log odds against each other class.
  void SetWeights() {
    weight_.resize(right_.size());
    for (std::size_t coin = 0; coin < right_.size(); ++coin) {
      const double right = std::clamp(right_[coin], 0.01, 0.99);
      weight_[coin] = std::log(right * static_cast<double>(classes_ - 1) / (1 - right));
    }
  }

  void Estimate() {
    SetWeights();
    std::vector<double> counted(owner_.size(), 0.0);
    std::vector<double> known(owner_.size(), 0.0);
    for (std::size_t place = 0; place < answers_.size(); ++place) {
      const CastAnswer& answer = answers_[place];
      if (answer.known_class >= 0) {
        counted[coin_of_[place]] += 1;
        known[coin_of_[place]] += answer.known_class == answer.class_index ? 1 : 0;
      } else if (VotesOn(answer).size() > 1) {
        counted[coin_of_[place]] += 1;
      }
    }
    std::vector<double> likely(classes_);
    for (int round = 0; round < kRounds; ++round) {
      std::vector<double> right = known;
      for (std::size_t i = 0; i < by_sample_.size();) {
        const auto votes = VotesOn(answers_[by_sample_[i]]);
        i += votes.size();
        if (votes.size() < 2) continue;  // Alone it says nothing of its coin.
        Weigh(votes, -1, &likely);
        for (const std::size_t place : votes) {
          right[coin_of_[place]] += likely[static_cast<std::size_t>(answers_[place].class_index)];
        }
      }
      std::vector<double> of_all(annotators_.size(), kGuessWeight * kFirstGuess);
      std::vector<double> counted_of_all(annotators_.size(), kGuessWeight);
      for (std::size_t coin = 0; coin < owner_.size(); ++coin) {
        of_all[owner_[coin]] += right[coin];
        counted_of_all[owner_[coin]] += counted[coin];
      }
      double change = 0;
      for (std::size_t coin = 0; coin < owner_.size(); ++coin) {
        const std::size_t who = owner_[coin];
        if (!IsJudged(annotators_[who].kind)) continue;
        const double estimate = (right[coin] + kOwnWeight * of_all[who] / counted_of_all[who]) /
                                (counted[coin] + kOwnWeight);
        change = std::max(change, std::abs(estimate - right_[coin]));
        right_[coin] = estimate;
      }
      SetWeights();
      if (change < kEnough) break;
    }
  }

  const std::vector<CastAnswer>& answers_;
  const std::vector<AnnotatorFacts>& annotators_;
  const std::size_t classes_;
  std::vector<std::vector<std::size_t>> of_annotator_;  // Places, in the order of time.
  std::vector<std::size_t> coin_of_;                    // Of each answer.
  std::vector<std::size_t> owner_;                      // Annotator of each coin.
  std::vector<double> right_;           // Of each coin: probability of a right answer.
  std::vector<double> weight_;          // Of each coin.
  std::vector<std::size_t> by_sample_;  // Places of votes.
  std::vector<std::size_t> begin_;      // Of each sample in `by_sample_`.
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
  std::vector<Assessment> assessments;
  if (classes < 2) return assessments;
  const Coins coins(answers, annotators, classes, options.block);
  for (std::size_t annotator = 0; annotator < annotators.size(); ++annotator) {
    if (!IsJudged(annotators[annotator].kind)) continue;
    const auto agrees = coins.Agreements(annotator, options.measure_from);
    if (const auto found = Assess(annotator, agrees, options)) assessments.push_back(*found);
  }
  return assessments;
}

}  // namespace tidewheel::labeling
