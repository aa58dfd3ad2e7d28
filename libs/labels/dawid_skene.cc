#include "tidewheel/labels/dawid_skene.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "tidewheel/labels/internal/conclude.h"
#include "tidewheel/labels/internal/dawid_skene_round.h"
#include "tidewheel/labels/internal/known_workers.h"
#include "tidewheel/labels/internal/packed_votes.h"
#include "tidewheel/labels/internal/vector_math.h"

namespace tidewheel::labels {
namespace {

using internal::KnownLogs;
using internal::PackedVotes;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// Adds a posterior to the sums of the votes and of the prior.
void Learn(const PackedVotes& votes, std::span<const double> posterior, std::size_t lanes,
           double* table, double* prior_sum) {
  const std::size_t classes = votes.classes();
  for (std::size_t i = 0; i < votes.items(); ++i) {
    const auto cast = votes.of(i);
    if (cast.empty()) continue;
    const double* const p = posterior.data() + i * classes;
    for (std::size_t k = 0; k < classes; ++k) prior_sum[k] += p[k];
    for (const std::uint32_t vote : cast) {
      double* const sums = table + static_cast<std::size_t>(vote) * 2 * lanes + lanes;
      for (std::size_t k = 0; k < classes; ++k) sums[k] += p[k];
    }
  }
}

/// Sums become logarithms, but for those of known workers, which stay what they are.
void LogShares(const PackedVotes& votes, std::span<const KnownLogs> known, std::size_t lanes,
               const DawidSkeneOptions& options, double* table) {
  const std::size_t classes = votes.classes();
  if (options.right_before > 0) {
    for (std::size_t w = 0; w < votes.workers(); ++w) {
      for (std::size_t k = 0; k < classes; ++k) {
        table[(w * classes + k) * 2 * lanes + lanes + k] += options.right_before;
      }
    }
  }
  std::vector<double> totals(lanes);
  internal::LogSharesOfWorkers(table, votes.workers(), classes, lanes, options.smoothing,
                               totals.data());
  for (const KnownLogs& one : known) {
    for (std::size_t l = 0; l < classes; ++l) {
      std::copy_n(one.by_label.data() + l * classes, classes,
                  table + (one.worker * classes + l) * 2 * lanes);
    }
  }
}

std::vector<double> ConfusionFrom(const PackedVotes& votes, std::size_t lanes,
                                  const double* table) {
  const std::size_t classes = votes.classes();
  std::vector<double> confusion(votes.table_rows() * classes);
  for (std::size_t w = 0; w < votes.workers(); ++w) {
    for (std::size_t l = 0; l < classes; ++l) {
      const double* const logs = table + (w * classes + l) * 2 * lanes;
      for (std::size_t k = 0; k < classes; ++k) {
        confusion[(w * classes + k) * classes + l] = internal::ExpNotAbove0(logs[k]);
      }
    }
  }
  return confusion;
}

}  // namespace

KnownWorker GoldWorker(std::int32_t worker, std::size_t classes, double accuracy) {
  KnownWorker gold{worker, std::vector<double>(classes * classes)};
  for (std::size_t k = 0; k < classes; ++k) {
    for (std::size_t l = 0; l < classes; ++l) {
      gold.confusion[k * classes + l] =
          k == l ? accuracy : (1 - accuracy) / static_cast<double>(classes - 1);
    }
  }
  return gold;
}

Result<Consensus> DawidSkene(const Votes& in, const DawidSkeneOptions& options) {
  if (!(options.smoothing >= 1e-30) || !std::isfinite(options.smoothing) ||
      !(options.tolerance >= 0) || !(options.right_before >= 0) ||
      !std::isfinite(options.right_before)) {
    return Bad(
        "Dawid-Skene needs a smoothing above 0, a right_before of 0 or more and a tolerance of 0 "
        "or "
        "more");
  }
  const auto packed = PackedVotes::Of(in);
  if (!packed) return packed.error();
  const PackedVotes& votes = *packed;
  if (const auto fits = internal::NeedConfusionToFit(votes); !fits) return fits.error();
  const auto known = internal::LogsOf(options.known, in.workers, in.classes);
  if (!known) return known.error();
  if (known->empty() && !options.without_overlap) {
    if (const auto overlap = internal::NeedOverlap(votes, "Dawid-Skene"); !overlap)
      return overlap.error();
  }

  const std::size_t lanes = internal::LanesFor(in.classes);
  internal::AlignedNumbers table(votes.table_rows() * 2 * lanes);
  std::vector<double> prior_sum(lanes);
  std::vector<double> log_prior(lanes, internal::kNoClass);
  std::size_t voted = 0;
  for (std::size_t i = 0; i < in.items; ++i) voted += votes.of(i).empty() ? 0 : 1;

  Consensus consensus;
  if (options.rounds == 0 || !known->empty()) {
    consensus.posterior = internal::StartingPosterior(votes, *known);
    Learn(votes, consensus.posterior, lanes, table.get(), prior_sum.data());
  } else {
    consensus.posterior.resize(in.items * in.classes);
    internal::AddVoteShares({.begin = votes.begin(),
                             .rows = votes.rows(),
                             .classes = in.classes,
                             .lanes = lanes,
                             .table = table.get(),
                             .log_prior = nullptr,
                             .prior_sum = prior_sum.data(),
                             .posterior = nullptr});
  }
  LogShares(votes, *known, lanes, options, table.get());
  consensus.converged = false;
  const double enough = options.tolerance * static_cast<double>(votes.size());
  bool written = true;
  for (std::uint32_t round = 0; round < options.rounds && !consensus.converged; ++round) {
    if (round > 0) LogShares(votes, *known, lanes, options, table.get());
    for (std::size_t k = 0; k < in.classes; ++k) {
      log_prior[k] = internal::LogOfShare(prior_sum[k] / static_cast<double>(voted));
      prior_sum[k] = 0;
    }
    // Posteriors are only wanted once: writing them each time would cost as much as the votes.
    written = round + 1 == options.rounds;
    const double before = consensus.log_likelihood;
    consensus.log_likelihood =
        internal::RunDawidSkeneRound({.begin = votes.begin(),
                                      .rows = votes.rows(),
                                      .classes = in.classes,
                                      .lanes = lanes,
                                      .table = table.get(),
                                      .log_prior = log_prior.data(),
                                      .prior_sum = prior_sum.data(),
                                      .posterior = written ? consensus.posterior.data() : nullptr});
    consensus.rounds = round + 1;
    consensus.converged = round > 0 && std::abs(consensus.log_likelihood - before) <= enough;
  }
  if (!written) {
    internal::RunDawidSkeneRound({.begin = votes.begin(),
                                  .rows = votes.rows(),
                                  .classes = in.classes,
                                  .lanes = lanes,
                                  .table = table.get(),
                                  .log_prior = log_prior.data(),
                                  .prior_sum = nullptr,
                                  .posterior = consensus.posterior.data()});
  }
  for (std::size_t k = 0; k < in.classes; ++k) {
    consensus.prior.push_back(prior_sum[k] / static_cast<double>(voted));
  }
  consensus.confusion = ConfusionFrom(votes, lanes, table.get());
  internal::FillQuality(votes, &consensus);
  internal::FillLabels(votes, &consensus);
  return consensus;
}

}  // namespace tidewheel::labels
