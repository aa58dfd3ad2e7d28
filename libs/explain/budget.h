#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>

#include "tidewheel/base/result.h"

namespace tidewheel::explain {

/// Asks the model about `count` rows (row by row in `rows`) and writes what is explained, one
/// number a row: usually the probability of one class. Called from the explaining thread only.
using AnswerRows = std::function<Result<void>(std::span<const float> rows, std::size_t count,
                                              std::span<double> answers)>;

/// What an explanation may cost. When the time is over it is made of what was asked so far and says
/// how exact that is; a stop request ends it with kCancelled.
struct Budget {
  std::size_t batch = 64;  // Rows the model is asked about at once; at least 1.
  std::optional<std::chrono::steady_clock::time_point> deadline{};
  std::stop_token stop{};

  bool over() const { return deadline && std::chrono::steady_clock::now() >= *deadline; }
};

/// kInvalidArgument: a batch of 0. kCancelled: a stop was requested.
Result<void> Check(const Budget& budget);

/// Asks about all rows, in batches. Gives how many were answered before the time was over; the
/// first batch is always asked. Errors: those of the model, kCancelled, kInternal for an answer
/// that is not finite.
Result<std::size_t> AskInBatches(const AnswerRows& model, std::span<const float> rows,
                                 std::size_t columns, const Budget& budget,
                                 std::span<double> answers);

}  // namespace tidewheel::explain
