#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/label_functions.h"
#include "tidewheel/stats/intervals.h"
#include "tidewheel/stats/mcnemar.h"

namespace tidewheel::labels {

/// Labels with probabilities, made from the votes of labeling functions.
///
/// Ties: classes whose posteriors lie within 1e-12 of the largest; the label is the one with the
/// larger prior, then the one with the smaller index.
struct ProbabilisticLabels {
  std::size_t classes = 0;
  std::vector<double> posterior;      // rows x classes; rows sum to 1.
  std::vector<double> prior;          // classes.
  std::vector<std::int32_t> label;    // rows.
  std::vector<std::uint8_t> tied;     // rows: 1 where several classes had the largest posterior.
  std::vector<std::uint8_t> covered;  // rows: 1 where any function votes.
  std::size_t ties = 0;
  std::size_t uncovered = 0;
};

/// Shares of the votes of each row; a row without votes is a tie of all classes. The prior is the
/// mean posterior of the rows with votes. O(rows x functions).
Result<ProbabilisticLabels> MajorityLabels(const FunctionVotes& votes);

/// What an abstention says.
enum class Abstention : std::uint8_t {
  kOutcome,  // Something: whether a function votes depends on the class as its vote does.
  kMissing,  // Nothing. A function that only ever votes for one class then says nothing at all.
};

/// Functions that are independent of each other given the class, each with a table of outcomes.
struct LabelModel {
  std::size_t functions = 0;
  std::size_t classes = 0;
  Abstention abstention = Abstention::kOutcome;
  std::vector<double> prior;  // classes.
  /// functions x (classes + 1) x classes: P(outcome | class). Outcome 0 is abstention, outcome l +
  /// 1 the vote l. Sums to 1 over outcomes; with kMissing over votes, and outcome 0 has no share.
  std::vector<double> table;
  std::vector<double> accuracy;  // functions: P(vote is right | it votes); 0 where it never does.
};

struct FittedLabelModel {
  LabelModel model;
  double log_likelihood = 0;  // Of the votes it was fitted on.
  std::uint32_t rounds = 0;   // Of expectation and maximisation; 0 for moments.
  bool converged = true;      // False where the rounds ran out first.
  /// Shares of outcomes that were seen which the moments put below the floor, and which were raised
  /// to it. Many: the functions are not independent given the class.
  std::size_t clamped = 0;
  /// Functions that the moments tell nothing about, because they never vote, always vote alike, or
  /// do not move with the others: their table is the same for all classes.
  std::vector<std::int32_t> silent;
  /// Those of the silent that move against the others, which better_than_chance rules out.
  std::vector<std::int32_t> contrary;
};

struct LabelDawidSkeneOptions {
  Abstention abstention = Abstention::kOutcome;
  std::vector<double> prior = {};  // Shares of the classes, kept; empty: learned as well.
  double smoothing = 0.01;         // Added to every count; in [1e-30, 1e9].
  std::uint32_t rounds = 100;      // At most; at least 1.
  double tolerance = 1e-9;         // Stops when the log-likelihood per vote changes by less.
};

/// Dawid and Skene (1979) with abstentions: expectation-maximisation over the classes and one table
/// a function, from the majority shares. Equal rows are worked on once: O(different rows x
/// functions x classes) a round after O(rows log rows x functions); the result does not depend on
/// the order of the rows. kInvalidArgument: as FunctionVotes says, or an option out of its range.
/// kFailedPrecondition: no row has votes of two functions.
Result<FittedLabelModel> FitDawidSkene(const FunctionVotes& votes,
                                       const LabelDawidSkeneOptions& options = {});

struct MomentOptions {
  /// Shares of the classes; empty: all alike. Second moments do not tell.
  std::vector<double> prior = {};
  double floor = 0;  // Least share of an outcome, in [0, 0.1]; 0: one over the rows.
  /// Every function votes for a class rather where it is the class; one that moves against the
  /// others then counts for nothing. Else it counts as wrong, and only the most are better.
  bool better_than_chance = true;
};

/// The method of moments for functions that are independent given the class (Anandkumar, Hsu,
/// Kakade 2012; Ratner et al. 2019; Fu et al. 2020), without rounds. For each class against the
/// rest, and each function its score (1 for the class, -1/(classes - 1) for another, 0 for none):
/// covariances of two scores are products u_i u_j, so that triplets give u_i^2, here their
/// least-squares mean sum_jk C_ij C_ik C_jk / sum_jk C_jk^2. The share of each outcome within the
/// class follows from its covariance with the other scores. Covariances leave out what a function
/// votes anyway, so that functions which only ever vote for one class do as well as others. Signs
/// as better_than_chance says. Exact in the limit for two classes; with more, the rest
/// counts as one class. O(rows x votes in a row^2 + functions^3 x classes), memory (functions x
/// classes)^2 numbers. kInvalidArgument: as FunctionVotes says, an option out of its range, or
/// functions x classes above 4,096. kFailedPrecondition: fewer than three functions whose votes
/// vary, or a class of which no three functions tell (the class is named).
Result<FittedLabelModel> FitMoments(const FunctionVotes& votes, const MomentOptions& options = {});

/// What the model makes of votes, those it was fitted on or others. kInvalidArgument: as
/// FunctionVotes says, or another number of functions or classes than the model's.
Result<ProbabilisticLabels> ApplyLabelModel(const LabelModel& model, const FunctionVotes& votes);

/// Share of the rows with a gold label that are right; a tie counts for its share.
/// kInvalidArgument: as CheckGold() says. kFailedPrecondition: no gold label is known.
Result<double> AccuracyWithTiesShared(const ProbabilisticLabels& labels,
                                      std::span<const std::int32_t> gold);

enum class AgainstMajority : std::uint8_t { kBetter, kWorse, kUndecided };

/// A label model beside the majority of the same votes, on gold labels.
struct MajorityComparison {
  std::uint64_t rows = 0;        // With a gold label.
  double majority_accuracy = 0;  // Both with ties shared.
  double model_accuracy = 0;
  double difference = 0;  // Model less majority.
  stats::Interval difference_interval;
  stats::McNemarTest mcnemar;  // On labels, ties decided; "first" is the majority.
  /// By the interval; kUndecided where it holds 0.
  AgainstMajority verdict = AgainstMajority::kUndecided;
};

/// Paired on the rows: the interval is that of the mean difference with half a row added for each
/// model (Agresti, Min 2005). A model whose verdict is kWorse, or that stays behind undecided, is
/// not to be used silently. kInvalidArgument: as FunctionVotes and CheckGold() say, another number
/// of rows, or a confidence not in (0, 1). kFailedPrecondition: no gold label is known.
Result<MajorityComparison> CompareWithMajority(const FunctionVotes& votes,
                                               const ProbabilisticLabels& model,
                                               std::span<const std::int32_t> gold,
                                               double confidence = 0.95);

}  // namespace tidewheel::labels
