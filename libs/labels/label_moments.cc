#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/labels/internal/vote_patterns.h"
#include "tidewheel/labels/label_models.h"

namespace tidewheel::labels {
namespace {

using internal::VotePatterns;

constexpr std::size_t kMostVotes = 4'096;  // functions x classes; their joint has the square of it.

/// How often a function votes for a class, and how often two do so together.
struct Moments {
  std::size_t functions = 0;
  std::size_t classes = 0;
  double rows = 0;
  std::vector<double> share;  // functions x classes.
  std::vector<double> joint;  // (functions x classes)^2.

  /// Of the votes (f, k) and (g, l).
  double Covariance(std::size_t vote, std::size_t other) const {
    return joint[vote * share.size() + other] - share[vote] * share[other];
  }
};

Moments Count(const VotePatterns& patterns, std::size_t classes, std::size_t rows) {
  Moments moments{
      .functions = patterns.functions,
      .classes = classes,
      .rows = static_cast<double>(rows),
      .share = std::vector<double>(patterns.functions * classes),
      .joint = std::vector<double>(patterns.functions * classes * patterns.functions * classes)};
  std::vector<std::size_t> said;
  for (std::size_t u = 0; u < patterns.size(); ++u) {
    said.clear();
    const auto votes = patterns[u];
    for (std::size_t f = 0; f < votes.size(); ++f) {
      if (votes[f] != kAbstain) said.push_back(f * classes + static_cast<std::size_t>(votes[f]));
    }
    for (const std::size_t vote : said) {
      moments.share[vote] += patterns.weight[u];
      for (const std::size_t other : said) {
        moments.joint[vote * moments.share.size() + other] += patterns.weight[u];
      }
    }
  }
  for (double& share : moments.share) share /= moments.rows;
  for (double& joint : moments.joint) joint /= moments.rows;
  return moments;
}

/// What the score of a function for `target` gives a vote for k.
double Score(std::size_t target, std::size_t k, std::size_t classes) {
  return k == target ? 1 : -1 / static_cast<double>(classes - 1);
}

/// (functions x classes) x functions: covariance of each vote with each function's score.
std::vector<double> WithScores(const Moments& moments, std::size_t target) {
  const std::size_t classes = moments.classes;
  std::vector<double> covariance(moments.share.size() * moments.functions);
  for (std::size_t vote = 0; vote < moments.share.size(); ++vote) {
    for (std::size_t g = 0; g < moments.functions; ++g) {
      double sum = 0;
      for (std::size_t k = 0; k < classes; ++k) {
        sum += Score(target, k, classes) * moments.Covariance(vote, g * classes + k);
      }
      covariance[vote * moments.functions + g] = sum;
    }
  }
  return covariance;
}

struct Strengths {
  std::vector<double> of;      // u, where the covariance of two scores is u_i u_j.
  std::vector<bool> contrary;  // Set to 0 for moving against the others.
};

/// Least squares over all triplets; 0 where they contradict each other.
std::vector<double> Magnitudes(const std::vector<double>& covariance, std::size_t n) {
  const auto at = [&](std::size_t i, std::size_t j) { return covariance[i * n + j]; };
  double all = 0;  // Of the squares above the diagonal.
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t k = j + 1; k < n; ++k) all += at(j, k) * at(j, k);
  }
  std::vector<double> magnitude(n);
  for (std::size_t i = 0; i < n; ++i) {
    double above = 0;
    double below = all;
    for (std::size_t j = 0; j < n; ++j) {
      if (j == i) continue;
      below -= at(i, j) * at(i, j);
      for (std::size_t k = j + 1; k < n; ++k) {
        if (k != i) above += at(i, j) * at(i, k) * at(j, k);
      }
    }
    // Differences of sums: what is left of rounding is nothing.
    const bool told = below > 1e-12 * all && above > 0;
    magnitude[i] = told ? std::sqrt(above / below) : 0;
  }
  return magnitude;
}

Strengths FindStrengths(const std::vector<double>& covariance, std::size_t n,
                        bool better_than_chance) {
  Strengths strengths{Magnitudes(covariance, n), std::vector<bool>(n)};
  std::vector<double>& of = strengths.of;
  // Each against all others, again until none changes; more rounds than functions would be a cycle.
  bool changed = true;
  for (std::size_t round = 0; changed && round <= n; ++round) {
    changed = false;
    std::vector<double> next = of;
    for (std::size_t i = 0; i < n; ++i) {
      double together = 0;
      for (std::size_t j = 0; j < n; ++j) {
        if (j != i) together += covariance[i * n + j] * of[j];
      }
      if (together * of[i] >= 0) continue;
      changed = true;
      next[i] = better_than_chance ? 0 : -of[i];
      strengths.contrary[i] = better_than_chance;
    }
    of = std::move(next);
  }
  if (std::accumulate(of.begin(), of.end(), 0.0) < 0) {
    for (double& one : of) one = -one;
  }
  return strengths;
}

/// Functions whose votes are not the same on every row.
std::vector<bool> Varying(const Moments& moments) {
  std::vector<bool> varying(moments.functions);
  for (std::size_t vote = 0; vote < moments.share.size(); ++vote) {
    const double share = moments.share[vote];
    if (share > 0 && share < 1) varying[vote / moments.classes] = true;
  }
  return varying;
}

Result<void> Check(const FunctionVotes& votes, const MomentOptions& options) {
  if (auto checked = CheckFunctionVotes(votes); !checked) return checked.error();
  if (auto checked = internal::CheckPrior(options.prior, votes.classes); !checked) {
    return checked.error();
  }
  if (!(options.floor >= 0 && options.floor <= 0.1)) {
    return Error{ErrorCode::kInvalidArgument, "label model: floor must be in [0, 0.1]"};
  }
  if (votes.votes.columns > kMostVotes / votes.classes) {
    return Error{ErrorCode::kInvalidArgument,
                 "label model: " + std::to_string(votes.votes.columns) + " functions x " +
                     std::to_string(votes.classes) + " classes, moments take at most " +
                     std::to_string(kMostVotes)};
  }
  return {};
}

/// Raises what is below the floor, counts what of it was seen, and makes the outcomes sum to 1.
std::size_t Clamp(const Moments& moments, double floor, LabelModel& model) {
  const std::size_t classes = model.classes;
  std::size_t clamped = 0;
  for (std::size_t f = 0; f < model.functions; ++f) {
    double* table = model.table.data() + f * (classes + 1) * classes;
    double votes = 0;
    for (std::size_t l = 0; l < classes; ++l) votes += moments.share[f * classes + l];
    for (std::size_t k = 0; k < classes; ++k) {
      double sum = 0;
      for (std::size_t o = 0; o <= classes; ++o) {
        double& share = table[o * classes + k];
        const double seen = o == 0 ? 1 - votes : moments.share[f * classes + o - 1];
        if (share < floor) {
          clamped += seen > 0.5 / moments.rows ? 1 : 0;
          share = floor;
        }
        sum += share;
      }
      for (std::size_t o = 0; o <= classes; ++o) table[o * classes + k] /= sum;
    }
  }
  return clamped;
}

}  // namespace

Result<FittedLabelModel> FitMoments(const FunctionVotes& votes, const MomentOptions& options) {
  if (auto checked = Check(votes, options); !checked) return checked.error();
  const std::size_t functions = votes.votes.columns;
  const std::size_t classes = votes.classes;
  const VotePatterns patterns = internal::FindPatterns(votes);
  const Moments moments = Count(patterns, classes, votes.votes.rows);
  const std::vector<bool> varying = Varying(moments);
  const auto usable = std::count(varying.begin(), varying.end(), true);
  if (usable < 3) {
    return Error{ErrorCode::kFailedPrecondition,
                 "label model: moments need at least three functions whose votes vary; of " +
                     std::to_string(functions) + " there are " + std::to_string(usable)};
  }

  FittedLabelModel fitted;
  LabelModel& model = fitted.model;
  model.functions = functions;
  model.classes = classes;
  model.prior = options.prior;
  if (model.prior.empty()) model.prior.assign(classes, 1 / static_cast<double>(classes));
  model.table.resize(functions * (classes + 1) * classes);
  std::vector<bool> told(functions);
  std::vector<bool> contrary(functions);
  for (std::size_t k = 0; k < classes; ++k) {
    const std::vector<double> with_scores = WithScores(moments, k);
    std::vector<double> covariance(functions * functions);
    for (std::size_t f = 0; f < functions; ++f) {
      for (std::size_t g = 0; g < functions; ++g) {
        for (std::size_t l = 0; l < classes; ++l) {
          covariance[f * functions + g] +=
              Score(k, l, classes) * with_scores[(f * classes + l) * functions + g];
        }
      }
    }
    const Strengths strengths = FindStrengths(covariance, functions, options.better_than_chance);
    const std::vector<double>& strength = strengths.of;
    if (std::count_if(strength.begin(), strength.end(), [](double u) { return u != 0; }) < 3) {
      return Error{ErrorCode::kFailedPrecondition,
                   "label model: moments are not applicable, because no three functions move "
                   "together on class " +
                       std::to_string(k)};
    }
    const double prior = model.prior[k];
    const double spread = std::sqrt(prior * (1 - prior));
    double squares = 0;
    for (const double u : strength) squares += u * u;
    for (std::size_t f = 0; f < functions; ++f) {
      double* table = model.table.data() + f * (classes + 1) * classes;
      const double others = squares - strength[f] * strength[f];
      told[f] = told[f] || strength[f] != 0;
      contrary[f] = contrary[f] || strengths.contrary[f];
      double rest = 1;
      for (std::size_t l = 0; l < classes; ++l) {
        double together = 0;
        for (std::size_t g = 0; g < functions; ++g) {
          if (g != f) together += strength[g] * with_scores[(f * classes + l) * functions + g];
        }
        // Of the vote's share within the class and in the rest.
        const double difference = strength[f] != 0 ? together / (spread * others) : 0;
        const double share = moments.share[f * classes + l] + (1 - prior) * difference;
        table[(l + 1) * classes + k] = share;
        rest -= share;
      }
      table[k] = rest;
    }
  }
  for (std::size_t f = 0; f < functions; ++f) {
    if (told[f]) continue;
    fitted.silent.push_back(static_cast<std::int32_t>(f));
    if (contrary[f]) fitted.contrary.push_back(static_cast<std::int32_t>(f));
  }
  const double floor = options.floor > 0 ? options.floor : std::min(0.1, 1 / moments.rows);
  fitted.clamped = Clamp(moments, floor, model);
  std::vector<double> posterior(patterns.size() * classes);
  fitted.log_likelihood = internal::Expect(model, patterns, posterior);
  internal::SetAccuracies(model);
  return fitted;
}

}  // namespace tidewheel::labels
