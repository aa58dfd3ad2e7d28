#include "tidewheel/bus/retention.h"

#include <utility>

namespace tidewheel::bus {

Retention::Retention(Broker& broker, const Clock& clock, RetentionOptions options)
    : broker_(broker),
      clock_(clock),
      options_(std::move(options)),
      worker_("bus-retention", [this](std::stop_token stop) {
        Pause pause;
        do {
          RemoveOld();
        } while (pause.Wait(stop, options_.interval));
      }) {}

void Retention::RemoveOld() {
  const Timestamp before = clock_.Now() - options_.keep;
  for (const std::string& topic : options_.topics) {
    const auto removed = broker_.RemoveBefore(topic, before, options_.also_unread);
    if (removed) {
      options_.removed.Add(static_cast<double>(*removed));
    } else if (removed.error().code != ErrorCode::kUnimplemented && options_.on_problem) {
      options_.on_problem(removed.error());
    }
  }
}

}  // namespace tidewheel::bus
