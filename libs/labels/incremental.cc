#include "tidewheel/labels/incremental.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "tidewheel/labels/internal/conclude.h"
#include "tidewheel/labels/internal/known_workers.h"
#include "tidewheel/labels/internal/softmax_rows.h"

namespace tidewheel::labels {
namespace {

constexpr std::size_t kMostClasses = 1 << 15;
constexpr std::size_t kMostNumbers = std::size_t{1} << 30;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// Workers so far: those who voted and those who are known.
std::size_t WorkersWith(const std::vector<KnownWorker>& known, std::size_t voting) {
  for (const KnownWorker& one : known) {
    voting = std::max(voting, static_cast<std::size_t>(one.worker) + 1);
  }
  return voting;
}

}  // namespace

IncrementalDawidSkene::IncrementalDawidSkene(std::size_t classes, DawidSkeneOptions options)
    : classes_(classes),
      options_(std::move(options)),
      workers_(WorkersWith(options_.known, 0)),
      prior_(classes, 1 / static_cast<double>(classes)) {}

Result<IncrementalDawidSkene> IncrementalDawidSkene::Create(std::size_t classes,
                                                            DawidSkeneOptions options) {
  if (classes < 2 || classes > kMostClasses) {
    return Bad("votes are for 2 to " + std::to_string(kMostClasses) + " classes, not " +
               std::to_string(classes));
  }
  for (const KnownWorker& one : options.known) {
    if (one.worker < 0 || one.worker >= kMost) {
      return Bad("known worker " + std::to_string(one.worker) + " is not within 0 to " +
                 std::to_string(kMost - 1));
    }
  }
  // One vote is enough for the batch to judge the options.
  const std::vector<std::int32_t> none = {0};
  DawidSkeneOptions trial = options;
  trial.rounds = 0;
  trial.without_overlap = true;
  const auto tried = DawidSkene(
      {none, none, none, 1, std::max<std::size_t>(WorkersWith(options.known, 1), 1), classes},
      trial);
  if (!tried) return tried.error();
  return IncrementalDawidSkene(classes, std::move(options));
}

std::span<const double> IncrementalDawidSkene::LogsOf(std::size_t worker, std::size_t label) const {
  if (worker < has_logs_.size() && has_logs_[worker] != 0) {
    return std::span(logs_).subspan((worker * classes_ + label) * classes_, classes_);
  }
  return std::span(usual_logs_).subspan(label * classes_, classes_);
}

void IncrementalDawidSkene::MakeRoomFor(std::size_t item, std::size_t worker) {
  workers_ = std::max(workers_, worker + 1);
  if (item < items_) return;
  sums_.resize((item + 1) * classes_);
  for (; items_ <= item; ++items_) {
    posterior_.insert(posterior_.end(), prior_.begin(), prior_.end());
  }
}

void IncrementalDawidSkene::AddUp(std::size_t item, std::size_t worker, std::size_t label) {
  double* const sums = sums_.data() + item * classes_;
  double* const p = posterior_.data() + item * classes_;
  if (logs_.empty()) {
    sums[label] += 1;
    double total = 0;
    for (std::size_t k = 0; k < classes_; ++k) total += sums[k];
    for (std::size_t k = 0; k < classes_; ++k) p[k] = sums[k] / total;
    return;
  }
  const auto logs = LogsOf(worker, label);
  for (std::size_t k = 0; k < classes_; ++k) {
    sums[k] += logs[k];
    p[k] = log_prior_[k] + sums[k];
  }
  internal::SoftmaxRows(p, 1, classes_);
}

Result<void> IncrementalDawidSkene::Add(std::int32_t item, std::int32_t worker,
                                        std::int32_t label) {
  if (item < 0 || item >= kMost || worker < 0 || worker >= kMost) {
    return Bad("item " + std::to_string(item) + " or worker " + std::to_string(worker) +
               " is not within 0 to " + std::to_string(kMost - 1));
  }
  if (label == kAbstain) return {};
  if (label < 0 || static_cast<std::size_t>(label) >= classes_) {
    return Bad("label " + std::to_string(label) + " is none of the " + std::to_string(classes_) +
               " classes");
  }
  if (static_cast<std::size_t>(item) >= kMostNumbers / classes_) {
    return Bad("item " + std::to_string(item) + " and " + std::to_string(classes_) +
               " classes make more than " + std::to_string(kMostNumbers) + " posteriors");
  }
  item_.push_back(item);
  worker_.push_back(worker);
  label_.push_back(label);
  MakeRoomFor(static_cast<std::size_t>(item), static_cast<std::size_t>(worker));
  AddUp(static_cast<std::size_t>(item), static_cast<std::size_t>(worker),
        static_cast<std::size_t>(label));
  return {};
}

Result<void> IncrementalDawidSkene::Refit() {
  auto fitted = DawidSkene({item_, worker_, label_, items_, workers_, classes_}, options_);
  if (!fitted) return fitted.error();
  fitted_ = *std::move(fitted);
  votes_at_refit_ = item_.size();
  prior_ = fitted_.prior;
  log_prior_.resize(classes_);
  for (std::size_t k = 0; k < classes_; ++k) log_prior_[k] = std::log(prior_[k]);
  posterior_ = fitted_.posterior;

  std::vector<double> cast(workers_);
  for (const std::int32_t worker : worker_) cast[static_cast<std::size_t>(worker)] += 1;
  has_logs_.assign(workers_, 0);
  for (std::size_t w = 0; w < workers_; ++w) has_logs_[w] = cast[w] > 0 ? 1 : 0;
  for (const KnownWorker& one : options_.known) has_logs_[static_cast<std::size_t>(one.worker)] = 1;

  const std::size_t square = classes_ * classes_;
  logs_.resize(workers_ * square);
  usual_logs_.assign(square, 0);
  for (std::size_t w = 0; w < workers_; ++w) {
    for (std::size_t k = 0; k < classes_; ++k) {
      for (std::size_t l = 0; l < classes_; ++l) {
        const double share = fitted_.confusion[w * square + k * classes_ + l];
        logs_[w * square + l * classes_ + k] = std::log(share);
        usual_logs_[l * classes_ + k] += cast[w] * share;
      }
    }
  }
  for (double& usual : usual_logs_) usual = std::log(usual / static_cast<double>(item_.size()));

  std::fill(sums_.begin(), sums_.end(), 0.0);
  for (std::size_t v = 0; v < item_.size(); ++v) {
    double* const sums = sums_.data() + static_cast<std::size_t>(item_[v]) * classes_;
    const auto logs =
        LogsOf(static_cast<std::size_t>(worker_[v]), static_cast<std::size_t>(label_[v]));
    for (std::size_t k = 0; k < classes_; ++k) sums[k] += logs[k];
  }
  return {};
}

std::span<const double> IncrementalDawidSkene::Posterior(std::size_t item) const {
  return std::span(posterior_).subspan(item * classes_, classes_);
}

std::int32_t IncrementalDawidSkene::Label(std::size_t item) const {
  bool tied = false;
  return static_cast<std::int32_t>(internal::LargestClass(Posterior(item), prior_, &tied));
}

}  // namespace tidewheel::labels
