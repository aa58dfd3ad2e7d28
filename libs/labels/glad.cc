#include "tidewheel/labels/glad.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "tidewheel/labels/internal/conclude.h"
#include "tidewheel/labels/internal/glad_votes.h"
#include "tidewheel/labels/internal/packed_votes.h"
#include "tidewheel/labels/internal/softmax_rows.h"

namespace tidewheel::labels {
namespace {

using internal::PackedVotes;

/// Of one worker or item: what its votes say for its parameter.
struct Slope {
  double fit = 0;  // Expected log-likelihood and log-prior.
  double gradient = 0;
  double curvature = 0;  // Above 0, of a parabola to step by.
};

constexpr double kPriorMean = 1;
constexpr double kLongestStep = 2;
constexpr int kHalvings = 20;

double LogPrior(double parameter) {
  return -0.5 * (parameter - kPriorMean) * (parameter - kPriorMean);
}

/// One set of parameters, abilities or ease (the logarithm of one over the difficulty), that
/// climbs.
class Climbers {
 public:
  explicit Climbers(std::size_t size)
      : value(size, kPriorMean), slope_(size), before_(size), step_(size) {}

  std::vector<double> value;

  void Begin() { std::fill(slope_.begin(), slope_.end(), Slope{}); }
  void Add(std::size_t which, double fit, double gradient, double curvature) {
    slope_[which].fit += fit;
    slope_[which].gradient += gradient;
    slope_[which].curvature += curvature;
  }
  void End() {
    for (std::size_t n = 0; n < value.size(); ++n) {
      slope_[n].fit += LogPrior(value[n]);
      slope_[n].gradient -= value[n] - kPriorMean;
      slope_[n].curvature += 1;
    }
  }
  void Step() {
    for (std::size_t n = 0; n < value.size(); ++n) {
      before_[n] = slope_[n].fit;
      step_[n] = std::clamp(slope_[n].gradient / slope_[n].curvature, -kLongestStep, kLongestStep);
      value[n] += step_[n];
    }
  }
  /// Takes half of each step back that made its fit fall, or all of it; says whether any was.
  bool Retreat(bool entirely) {
    bool any = false;
    for (std::size_t n = 0; n < value.size(); ++n) {
      // A fall within rounding is none: at the top every step is.
      if (slope_[n].fit >= before_[n] - 1e-13 * std::abs(before_[n])) continue;
      any = true;
      step_[n] = entirely ? step_[n] : step_[n] / 2;
      value[n] -= step_[n];
    }
    return any;
  }
  double LogPriors() const {
    double sum = 0;
    for (const double parameter : value) sum += LogPrior(parameter);
    return sum;
  }

 private:
  std::vector<Slope> slope_;
  std::vector<double> before_;
  std::vector<double> step_;
};

class Model {
 public:
  explicit Model(const PackedVotes& votes)
      : votes_(votes),
        workers_(votes.workers()),
        items_(votes.items()),
        power_(votes.items()),
        worker_(votes.size()),
        label_(votes.size()),
        x_(votes.size()),
        right_(votes.size()),
        fit_(votes.size()),
        sure_(votes.size()) {
    for (std::size_t v = 0; v < votes.size(); ++v) {
      worker_[v] = static_cast<std::uint32_t>(votes.WorkerOf(votes.rows()[v]));
      label_[v] = static_cast<std::uint32_t>(votes.LabelOf(votes.rows()[v]));
    }
    Evaluate();
  }

  /// New posteriors; returns the log-likelihood of the votes.
  double Expect(std::span<const double> log_prior, std::vector<double>* posterior) {
    const std::size_t classes = votes_.classes();
    const double others = std::log(static_cast<double>(classes - 1));
    double sure = 0;
    for (std::size_t i = 0; i < votes_.items(); ++i) {
      double* const p = posterior->data() + i * classes;
      const std::uint32_t from = votes_.begin()[i];
      const std::uint32_t to = votes_.begin()[i + 1];
      for (std::size_t k = 0; k < classes; ++k) p[k] = from < to ? log_prior[k] : 0;
      if (from == to) sure -= std::log(static_cast<double>(classes));
      for (std::uint32_t v = from; v < to; ++v) {
        // Right over one certain wrong: x + log(classes - 1). Wrong: -log(1 + e^x), less that.
        p[label_[v]] += x_[v] + others;
        sure += fit_[v] - right_[v] * x_[v] - others;
      }
    }
    const double log_likelihood =
        sure + internal::SoftmaxRows(posterior->data(), votes_.items(), classes);
    for (std::size_t i = 0; i < votes_.items(); ++i) {
      const double* const p = posterior->data() + i * classes;
      for (std::uint32_t v = votes_.begin()[i]; v < votes_.begin()[i + 1]; ++v) {
        right_[v] = p[label_[v]];
      }
    }
    return log_likelihood;
  }

  void Climb(std::uint32_t steps) {
    Evaluate();  // The expectation changed what is right.
    for (std::uint32_t step = 0; step < steps; ++step) {
      Climb(&workers_);
      Climb(&items_);
    }
  }

  double LogPriors() const { return workers_.LogPriors() + items_.LogPriors(); }
  std::vector<double> Abilities() && { return std::move(workers_.value); }
  std::vector<double> Difficulties() const {
    std::vector<double> difficulty(items_.value.size());
    for (std::size_t i = 0; i < difficulty.size(); ++i) difficulty[i] = std::exp(-items_.value[i]);
    return difficulty;
  }

 private:
  void Climb(Climbers* climbers) {
    climbers->Step();
    Evaluate();
    for (int halving = 0; climbers->Retreat(halving + 1 == kHalvings); ++halving) {
      Evaluate();
      if (halving + 1 == kHalvings) return;
    }
  }

  void Evaluate() {
    for (std::size_t i = 0; i < votes_.items(); ++i) {
      power_[i] = std::exp(items_.value[i]);
      for (std::uint32_t v = votes_.begin()[i]; v < votes_.begin()[i + 1]; ++v) {
        x_[v] = workers_.value[worker_[v]] * power_[i];
      }
    }
    internal::FitVotes(x_.data(), right_.data(), votes_.size(), fit_.data(), sure_.data());
    workers_.Begin();
    items_.Begin();
    for (std::size_t i = 0; i < votes_.items(); ++i) {
      for (std::uint32_t v = votes_.begin()[i]; v < votes_.begin()[i + 1]; ++v) {
        const double off = right_[v] - sure_[v];
        const double spread = sure_[v] * (1 - sure_[v]);
        workers_.Add(worker_[v], fit_[v], off * power_[i], spread * power_[i] * power_[i]);
        items_.Add(i, fit_[v], off * x_[v], spread * x_[v] * x_[v]);
      }
    }
    workers_.End();
    items_.End();
  }

  const PackedVotes& votes_;
  Climbers workers_;
  Climbers items_;
  std::vector<double> power_;  // exp of the ease.
  std::vector<std::uint32_t> worker_;
  std::vector<std::uint32_t> label_;
  std::vector<double> x_;
  std::vector<double> right_;
  std::vector<double> fit_;
  std::vector<double> sure_;
};

}  // namespace

Result<GladConsensus> Glad(const Votes& in, const GladOptions& options) {
  if (!(options.tolerance >= 0) || options.rounds == 0 || options.steps == 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "GLAD needs a round, a step and a tolerance of 0 or more"};
  }
  const auto votes = PackedVotes::Of(in);
  if (!votes) return votes.error();
  if (const auto fits = internal::NeedConfusionToFit(*votes); !fits) return fits.error();
  if (const auto overlap = internal::NeedOverlap(*votes, "GLAD"); !overlap) return overlap.error();

  GladConsensus result;
  Consensus& consensus = result.consensus;
  consensus.posterior.resize(in.items * in.classes);
  consensus.converged = false;
  std::vector<double> log_prior(in.classes, -std::log(static_cast<double>(in.classes)));
  Model model(*votes);
  const double enough = options.tolerance * static_cast<double>(votes->size());
  while (true) {
    const double before = result.objective;
    consensus.log_likelihood = model.Expect(log_prior, &consensus.posterior);
    result.objective = consensus.log_likelihood + model.LogPriors();
    consensus.converged = consensus.rounds > 0 && result.objective - before <= enough;
    if (consensus.converged || consensus.rounds == options.rounds) break;
    ++consensus.rounds;
    model.Climb(options.steps);
    if (!options.estimate_prior) continue;
    const auto prior = internal::MeanPosterior(*votes, consensus.posterior);
    std::transform(prior.begin(), prior.end(), log_prior.begin(),
                   [](double share) { return std::log(share); });
  }
  consensus.prior = internal::MeanPosterior(*votes, consensus.posterior);
  consensus.confusion = internal::ConfusionOf(*votes, consensus.posterior, 0);
  internal::FillQuality(*votes, &consensus);
  internal::FillLabels(*votes, &consensus);
  result.difficulty = model.Difficulties();
  result.ability = std::move(model).Abilities();
  return result;
}

}  // namespace tidewheel::labels
