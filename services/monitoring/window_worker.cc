#include "tidewheel/monitoring/window_worker.h"

#include <algorithm>

#include "tidewheel/log/log.h"

namespace tidewheel::monitoring {
namespace {

constexpr std::chrono::milliseconds kLongestBackoff{5'000};
// Who cuts holds the streams that others add to: some batches together, and not after each.
constexpr std::chrono::milliseconds kRest{50};

}  // namespace

WindowWorker::WindowWorker(WindowPump& pump, std::chrono::milliseconds interval)
    : pump_(pump),
      interval_(interval),
      cutter_("cut-windows", [this](std::stop_token stop) { Cut(stop); }),
      teller_("tell-windows", [this](std::stop_token stop) { Tell(stop); }) {}

void WindowWorker::Cut(std::stop_token stop) {
  while (!stop.stop_requested()) {
    const auto done = pump_.CutOnce();
    if (!done) log::Warning("windows not cut", {{"error", done.error()}});
    if (done && *done) {
      cut_.Wake();
      if (!rest_.Wait(stop, kRest)) return;
    } else if (!stored_.Wait(stop, interval_)) {
      return;
    }
  }
}

void WindowWorker::Tell(std::stop_token stop) {
  auto pause = interval_;
  while (!stop.stop_requested()) {
    const auto done = pump_.TellOnce();
    if (!done) log::Warning("windows not judged", {{"error", done.error()}});
    if (done && *done) continue;
    pause = done ? interval_ : std::min(2 * pause, kLongestBackoff);
    if (!cut_.Wait(stop, pause)) return;
  }
}

}  // namespace tidewheel::monitoring
