#include <algorithm>
#include <map>
#include <optional>

#include "tidewheel/base/clock.h"
#include "tidewheel/cli/drill/patience.h"
#include "tidewheel/cli/drill/story.h"
#include "tidewheel/labeling/v1/labeling_service.grpc.pb.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"

namespace tidewheel::cli::drill {
namespace {

using labeling::v1::LabelingService;
using monitoring::v1::MonitoringService;

constexpr std::chrono::seconds kJudgementLimit{60};

Result<monitoring::v1::ListWindowsResponse> Windows(Story& story) {
  monitoring::v1::ListWindowsRequest request;
  request.set_task(story.task);
  return PatientList(story.platform, &MonitoringService::Stub::ListWindows, request);
}

/// Until the watch has seen what is the case now.
Result<void> AwaitLook(Story& story) {
  // One look may have begun before.
  const std::uint64_t wanted = story.watch->looks() + 2;
  return WaitFor([&] { return story.watch->looks() >= wanted; }, kJudgementLimit,
                 "a look at the alerts", [&] { return story.watch->State(); });
}

double SecondsOf(const google::protobuf::Timestamp& time) {
  return static_cast<double>(time.seconds()) + 1e-9 * time.nanos();
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
  return AwaitLook(story);
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
                   if (window.judged() && SecondsOf(window.last_at()) >= now) return true;
                 }
                 return false;
               });
}

Result<void> AwaitAnnotatorsJudged(Story& story, const std::vector<DeskPerson>& people) {
  labeling::v1::ListAnnotatorsRequest assessed;
  assessed.set_task(story.task);
  monitoring::v1::ListFindingsRequest told;
  told.set_task(story.task);
  told.set_kind(monitoring::v1::FINDING_KIND_ANNOTATOR_QUALITY);
  std::optional<Error> failure;
  std::string missing;
  const auto judged = WaitFor(
      [&] {
        const auto annotators =
            PatientList(story.platform, &LabelingService::Stub::ListAnnotators, assessed);
        const auto findings =
            PatientList(story.platform, &MonitoringService::Stub::ListFindings, told);
        if (!annotators || !findings) {
          failure = annotators ? findings.error() : annotators.error();
          return true;
        }
        std::map<std::string, double> looked_at;
        for (const auto& finding : findings->findings()) {
          double& at = looked_at[finding.subject()];
          at = std::max(at, SecondsOf(finding.window_last_at()));
        }
        missing.clear();
        for (const auto& person : people) {
          const auto known = std::find_if(
              annotators->annotators().begin(), annotators->annotators().end(),
              [&](const auto& annotator) { return annotator.annotator() == person.name; });
          const bool is_assessed =
              known != annotators->annotators().end() && known->has_assessed_at();
          // Times are kept to the microsecond.
          if (!is_assessed || looked_at[person.name] < SecondsOf(known->assessed_at()) - 1e-6) {
            missing += (missing.empty() ? "" : ", ") + person.name;
          }
        }
        return missing.empty();
      },
      kJudgementLimit, "monitoring's look at the annotators", [&] { return "still " + missing; });
  if (failure) return *failure;
  if (!judged) return judged;
  return AwaitLook(story);
}

}  // namespace tidewheel::cli::drill
