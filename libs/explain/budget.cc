#include "tidewheel/explain/budget.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace tidewheel::explain {

Result<void> Check(const Budget& budget) {
  if (budget.batch == 0) {
    return Error{ErrorCode::kInvalidArgument, "an explanation's batch is of at least 1 row"};
  }
  if (budget.stop.stop_requested()) {
    return Error{ErrorCode::kCancelled, "the explanation was cancelled"};
  }
  return {};
}

Result<std::size_t> AskInBatches(const AnswerRows& model, std::span<const float> rows,
                                 std::size_t columns, const Budget& budget,
                                 std::span<double> answers) {
  std::size_t asked = 0;
  while (asked < answers.size()) {
    if (auto checked = Check(budget); !checked.ok()) return checked.error();
    if (asked > 0 && budget.over()) break;
    const std::size_t count = std::min(budget.batch, answers.size() - asked);
    const auto part = answers.subspan(asked, count);
    if (auto done = model(rows.subspan(asked * columns, count * columns), count, part);
        !done.ok()) {
      return done.error();
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (std::isfinite(part[i])) continue;
      return Error{ErrorCode::kInternal, "the model's answer to changed input " +
                                             std::to_string(asked + i) + " is not a number"};
    }
    asked += count;
  }
  return asked;
}

}  // namespace tidewheel::explain
