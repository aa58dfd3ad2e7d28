#include "tidewheel/labeling/label_worker.h"

#include <string>

#include "tidewheel/log/log.h"

namespace tidewheel::labeling {

LabelWorker::LabelWorker(QueueStore& store, LabelMaker& maker, const Clock& clock, Options options,
                         Counter& completed)
    : store_(store),
      maker_(maker),
      clock_(clock),
      options_(options),
      completed_(completed),
      worker_("labels", [this](std::stop_token stop) { Run(stop); }) {}

void LabelWorker::Report(const Result<void>& outcome) const {
  if (!outcome) log::Warning("labels wait", {{"problem", outcome.error()}});
}

void LabelWorker::Run(std::stop_token stop) {
  using std::chrono::steady_clock;
  auto settle_at = steady_clock::now();
  auto drop_at = settle_at;
  do {
    const auto now = steady_clock::now();
    if (now >= settle_at) {
      Report(store_.Settle(clock_.Now()));
      settle_at = now + options_.settle_every;
    }
    if (now >= drop_at) {
      const auto dropped = store_.DropOutcomes(clock_.Now() - options_.keep_outcomes);
      if (!dropped) Report(dropped.error());
      drop_at = now + std::chrono::hours(1);
    }
    const auto computed =
        store_.ComputeDue(clock_.Now(), [this](const std::string& task) -> Result<void> {
          const auto report = maker_.Compute(task, {});
          return report ? Result<void>() : report.error();
        });
    if (computed) {
      completed_.Add(*computed);
    } else {
      Report(computed.error());
    }
  } while (pause_.Wait(stop, options_.interval));
}

}  // namespace tidewheel::labeling
