#include "tidewheel/labels/internal/known_workers.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "tidewheel/labels/internal/conclude.h"
#include "tidewheel/labels/internal/softmax_rows.h"
#include "tidewheel/labels/internal/vector_math.h"

namespace tidewheel::labels::internal {
namespace {

constexpr double kLeastProbability = 1e-9;
constexpr double kSumsToOne = 1e-6;

Error Bad(std::int32_t worker, const std::string& what) {
  return {ErrorCode::kInvalidArgument, "known worker " + std::to_string(worker) + " " + what};
}

}  // namespace

Result<std::vector<KnownLogs>> LogsOf(const std::vector<KnownWorker>& known, std::size_t workers,
                                      std::size_t classes) {
  std::vector<KnownLogs> logs;
  std::vector<bool> seen(workers);
  for (const KnownWorker& one : known) {
    const auto worker = static_cast<std::size_t>(one.worker);
    if (one.worker < 0 || worker >= workers)
      return Bad(one.worker, "is none of the " + std::to_string(workers));
    if (seen[worker]) return Bad(one.worker, "is named twice");
    seen[worker] = true;
    if (one.confusion.size() != classes * classes) {
      return Bad(one.worker, "has a matrix of " + std::to_string(one.confusion.size()) +
                                 " numbers, not of " + std::to_string(classes) + " x " +
                                 std::to_string(classes));
    }
    KnownLogs made{worker, std::vector<double>(classes * classes)};
    for (std::size_t k = 0; k < classes; ++k) {
      double sum = 0;
      for (std::size_t l = 0; l < classes; ++l) {
        const double share = one.confusion[k * classes + l];
        if (!(share >= 0 && share <= 1)) {
          return Bad(one.worker, "has a share outside 0 to 1 in row " + std::to_string(k) +
                                     ", column " + std::to_string(l));
        }
        sum += share;
        made.by_label[l * classes + k] = LogOfPositive(std::max(share, kLeastProbability));
      }
      if (std::abs(sum - 1) > kSumsToOne) {
        return Bad(one.worker, "has a row " + std::to_string(k) + " that sums to " +
                                   std::to_string(sum) + ", not to 1");
      }
    }
    logs.push_back(std::move(made));
  }
  return logs;
}

std::vector<double> StartingPosterior(const PackedVotes& votes, std::span<const KnownLogs> known) {
  std::vector<double> posterior = VoteShares(votes);
  if (known.empty()) return posterior;
  const std::size_t classes = votes.classes();
  std::vector<const KnownLogs*> of_worker(votes.workers());
  for (const KnownLogs& one : known) of_worker[one.worker] = &one;
  std::vector<double> sums(classes);
  for (std::size_t i = 0; i < votes.items(); ++i) {
    sums.assign(classes, 0);
    bool any = false;
    for (const std::uint32_t vote : votes.of(i)) {
      const KnownLogs* const one = of_worker[votes.WorkerOf(vote)];
      if (one == nullptr) continue;
      any = true;
      const double* const row = one->by_label.data() + votes.LabelOf(vote) * classes;
      for (std::size_t k = 0; k < classes; ++k) sums[k] += row[k];
    }
    if (!any) continue;
    SoftmaxRows(sums.data(), 1, classes);
    std::copy(sums.begin(), sums.end(),
              posterior.begin() + static_cast<std::ptrdiff_t>(i * classes));
  }
  return posterior;
}

}  // namespace tidewheel::labels::internal
