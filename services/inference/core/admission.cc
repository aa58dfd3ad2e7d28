#include "tidewheel/inference/core/admission.h"

#include <algorithm>
#include <cstdint>

namespace tidewheel::inference {
namespace {

std::string Milliseconds(std::chrono::nanoseconds time) {
  return std::to_string((time.count() + 500'000) / 1'000'000) + " ms";
}

}  // namespace

Result<void> CheckInTime(const std::string& model, const Backlog& backlog, const CostModel& cost,
                         const Urgency& urgency, SteadyTime now) {
  const bool answer = urgency.deadline != SteadyTime::max();
  const bool turn = urgency.timeout != SteadyTime::max();
  if (backlog.idle || (!answer && !turn && urgency.budget.count() == 0)) return {};

  const auto instances = static_cast<std::int64_t>(std::max<std::size_t>(backlog.instances, 1));
  const std::size_t most = std::max<std::size_t>(backlog.most_rows, 1);
  const auto wait = (backlog.running + cost.ForAll(backlog.rows / most * most, most)) / instances;
  // Where a full batch stands in the queue, the request's own will be full when its turn comes.
  const std::size_t together =
      backlog.rows >= most ? std::max(most, urgency.rows)
                           : std::max(std::min(most, backlog.rows + urgency.rows), urgency.rows);
  const auto refuse = [&](const std::string& limit) {
    return Error{ErrorCode::kResourceExhausted,
                 "model \"" + model + "\": " + std::to_string(backlog.rows) + " rows wait, about " +
                     Milliseconds(wait) + "; " + limit};
  };
  // The budget is about a queue: the next in turn is let in, however slow the call before it looks.
  if (urgency.budget.count() > 0 && backlog.rows > 0 && wait > urgency.budget) {
    return refuse("requests wait at most " + Milliseconds(urgency.budget));
  }
  if (answer && now + wait + cost.Of(together) > urgency.deadline) {
    return refuse("the deadline is in " + Milliseconds(urgency.deadline - now));
  }
  if (turn && now + wait > urgency.timeout) {
    return refuse("the timeout is " + Milliseconds(urgency.timeout - now));
  }
  return {};
}

}  // namespace tidewheel::inference
