#include "tidewheel/inference/background/shadow_runner.h"

#include <chrono>
#include <utility>

namespace tidewheel::inference {
namespace {

/// What a copy weighs beside its input.
constexpr std::size_t kCopyBytes = 1'024;

}  // namespace

ShadowRunner::ShadowRunner(FactSink& sink, const BackgroundLimits& limits, ShadowCounters counters)
    : sink_(sink),
      counters_(counters),
      queue_("shadow", limits, 1, BackgroundQueue<ShadowCopy>::AtShutdown::kDrop,
             [this](const std::vector<ShadowCopy>& copies) {
               for (const ShadowCopy& copy : copies) Run(copy);
             }) {}

bool ShadowRunner::Admits(std::size_t bytes) {
  if (queue_.HasRoom(bytes + kCopyBytes)) return true;
  counters_.dropped.Add();
  return false;
}

void ShadowRunner::Offer(ShadowCopy copy) {
  const std::size_t bytes = CopiedBytes(copy.input.View()) + kCopyBytes;
  if (!queue_.TryPush(std::move(copy), bytes)) counters_.dropped.Add();
}

void ShadowRunner::Run(const ShadowCopy& copy) {
  const auto start = std::chrono::steady_clock::now();
  const auto answers = Ask(copy.candidate->model(), copy.input.View(), copy.quality);
  PredictionFact fact;
  fact.request_id = copy.request_id;
  fact.at = copy.at;
  fact.model = &copy.candidate->identity();
  fact.role = Role::kShadow;
  fact.variant = copy.candidate->model().variant();
  fact.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fact.metadata = &copy.metadata;
  if (answers) {
    fact.answers = *answers;
    fact.answered = copy.answered;
    copy.candidate->CountPredictions(answers->size());
    counters_.predictions.Add(static_cast<double>(answers->size()));
    counters_.seconds.Observe(fact.seconds);
  } else {
    // Production answered this very input: whatever the reason is, it is the candidate's.
    fact.error = answers.error().code;
    counters_.failures.Add();
  }
  sink_.Tell(fact);
}

}  // namespace tidewheel::inference
