#include "tidewheel/labeling/stream/fact_consumer.h"

#include <string>
#include <vector>

#include "tidewheel/events/v1/events.pb.h"

namespace tidewheel::labeling {
namespace {

constexpr std::uint32_t kMaxIndex = 0x7FFFFFFF;

Error Bad(const bus::Delivery& delivery, const std::string& why) {
  return {ErrorCode::kInvalidArgument,
          "event " + delivery.message.event_id + " of " + delivery.message.topic + " " + why};
}

bool IsText(const std::string& text) { return text.find('\0') == std::string::npos; }

Result<void> Append(const bus::Delivery& delivery, TaskCatalogue& tasks, Timestamp now,
                    std::vector<Outcome>* outcomes) {
  events::v1::OutcomeEvent event;
  if (!event.ParseFromString(delivery.message.payload)) return Bad(delivery, "is no OutcomeEvent");
  if (event.request_id().empty() || event.task().empty() || event.class_name().empty()) {
    return Bad(delivery, "has no request, task or class");
  }
  if (!IsText(event.request_id()) || !IsText(event.source())) {
    return Bad(delivery, "has a zero byte in a name");
  }
  if (event.index() > kMaxIndex) return Bad(delivery, "has an index beyond 31 bits");
  auto task = tasks.Find(event.task());
  if (task && (*task)->IndexOf(event.class_name()) < 0) task = tasks.FindNewest(event.task());
  if (!task) return task.error();
  if ((*task)->IndexOf(event.class_name()) < 0) {
    return Bad(delivery, "says class \"" + event.class_name().substr(0, 128) +
                             "\", which is not in task " + event.task() + " (" +
                             (*task)->ClassList() + ")");
  }
  const Timestamp observed(std::chrono::seconds(event.observed_at().seconds()) +
                           std::chrono::microseconds(event.observed_at().nanos() / 1'000));
  outcomes->push_back({.task = event.task(),
                       .request_id = event.request_id(),
                       .index = event.index(),
                       .class_name = event.class_name(),
                       .source = event.source().empty() ? "unnamed" : event.source(),
                       .observed_at = event.has_observed_at() ? observed : now});
  return {};
}

Result<void> Append(const bus::Delivery& delivery, std::vector<CapturedSample>* samples) {
  events::v1::SampleEvent event;
  if (!event.ParseFromString(delivery.message.payload)) return Bad(delivery, "is no SampleEvent");
  // Of what was pushed there are no outcomes.
  if (event.request_id().empty() || event.task().empty() || event.request_index() > kMaxIndex) {
    return {};
  }
  samples->push_back(
      {.task = event.task(), .request_id = event.request_id(), .index = event.request_index()});
  return {};
}

}  // namespace

Result<void> FactConsumer::Handle(std::span<const bus::Delivery> deliveries) {
  const Timestamp now = clock_.Now();
  std::vector<Outcome> outcomes;
  std::vector<CapturedSample> samples;
  for (const auto& delivery : deliveries) {
    const auto taken = delivery.message.topic == "tidewheel.outcomes"
                           ? Append(delivery, tasks_, now, &outcomes)
                           : Append(delivery, &samples);
    if (!taken) return taken;
  }
  if (!outcomes.empty()) {
    const auto report = store_.TakeOutcomes(outcomes, now, now + options_.compute_after);
    if (!report) return report.error();
    counters_.votes.Add(report->votes);
    counters_.pending.Add(report->pending);
  }
  if (!samples.empty()) {
    const auto report = store_.JoinOutcomes(samples, now + options_.compute_after);
    if (!report) return report.error();
    counters_.votes.Add(report->votes);
  }
  return {};
}

}  // namespace tidewheel::labeling
