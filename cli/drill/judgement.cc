#include "tidewheel/base/clock.h"
#include "tidewheel/cli/drill/patience.h"
#include "tidewheel/cli/drill/story.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"

namespace tidewheel::cli::drill {
namespace {

using monitoring::v1::MonitoringService;

constexpr std::chrono::seconds kJudgementLimit{60};

Result<monitoring::v1::ListWindowsResponse> Windows(Story& story) {
  monitoring::v1::ListWindowsRequest request;
  request.set_task(story.task);
  return PatientList(story.platform, &MonitoringService::Stub::ListWindows, request);
}

/// Polls until `enough` of the windows; then until the watch has seen what came of them.
template <typename Enough>
Result<void> Await(Story& story, const std::string& what, Enough enough) {
  Result<monitoring::v1::ListWindowsResponse> windows = monitoring::v1::ListWindowsResponse();
  const auto judged = WaitFor(
      [&] {
        windows = Windows(story);
        return !windows || enough(*windows);
      },
      kJudgementLimit, what,
      [&] {
        return FormatCount(static_cast<std::uint64_t>(windows->windows_size())) + " windows";
      });
  if (!windows) return windows.error();
  if (!judged) return judged;
  // One look may have begun before.
  const std::uint64_t wanted = story.watch->looks() + 2;
  return WaitFor([&] { return story.watch->looks() >= wanted; }, kJudgementLimit,
                 "a look at the alerts", [&] { return story.watch->State(); });
}

}  // namespace

Result<void> AwaitAllJudged(Story& story, std::uint64_t predictions) {
  return Await(story, "the judgement of all traffic",
               [predictions](const monitoring::v1::ListWindowsResponse& list) {
                 std::uint64_t cut = 0;
                 for (const auto& window : list.windows()) {
                   if (!window.closed() || !window.judged()) return false;
                   cut += window.predictions();
                 }
                 return cut >= predictions;
               });
}

Result<void> AwaitJudgedUntilNow(Story& story) {
  const auto now = std::chrono::duration<double>(SystemClock().Now().time_since_epoch()).count();
  return Await(story, "the judgement of what was sent",
               [now](const monitoring::v1::ListWindowsResponse& list) {
                 for (const auto& window : list.windows()) {
                   const double last = static_cast<double>(window.last_at().seconds()) +
                                       1e-9 * window.last_at().nanos();
                   if (window.judged() && last >= now) return true;
                 }
                 return false;
               });
}

}  // namespace tidewheel::cli::drill
