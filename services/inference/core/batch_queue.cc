#include "tidewheel/inference/core/batch_queue.h"

#include <algorithm>
#include <string>
#include <utility>

namespace tidewheel::inference {
namespace {

// Requests of other shapes that are passed over while a batch is put together.
constexpr std::size_t kMostPassedOver = 64;
// A queue that is full is searched for requests that are too late at most this often.
constexpr std::chrono::milliseconds kBetweenSweeps{1};
// A batch starts at least this long before a request in it would be too late.
constexpr std::chrono::nanoseconds kLeastMargin{500'000};

/// Whether all sizes but the first agree.
bool SameShapes(const InferRequest& one, const InferRequest& other) {
  for (std::size_t i = 0; i < one.inputs.size() && i < other.inputs.size(); ++i) {
    const auto& a = one.inputs[i].shape;
    const auto& b = other.inputs[i].shape;
    if (a.size() != b.size()) return false;
    if (!a.empty() && !std::equal(a.begin() + 1, a.end(), b.begin() + 1)) return false;
  }
  return true;
}

std::string Milliseconds(SteadyTime from, SteadyTime to) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(to - from).count()) +
         " ms";
}

}  // namespace

std::string_view Name(BatchReason reason) {
  switch (reason) {
    case BatchReason::kSize:
      return "size";
    case BatchReason::kDelay:
      return "delay";
    case BatchReason::kDeadline:
      return "deadline";
    case BatchReason::kIdle:
      return "idle";
  }
  return "idle";
}

RequestList::~RequestList() {
  while (first_ != nullptr) Take(first_);
}

void RequestList::Append(std::unique_ptr<QueuedRequest> request) {
  QueuedRequest* const added = request.release();
  added->previous = last_;
  added->next = nullptr;
  (last_ == nullptr ? first_ : last_->next) = added;
  last_ = added;
  ++size_;
}

std::unique_ptr<QueuedRequest> RequestList::Take(QueuedRequest* request) {
  (request->previous == nullptr ? first_ : request->previous->next) = request->next;
  (request->next == nullptr ? last_ : request->next->previous) = request->previous;
  request->previous = nullptr;
  request->next = nullptr;
  --size_;
  return std::unique_ptr<QueuedRequest>(request);
}

BatchQueue::BatchQueue(BatchPolicy policy, Limits limits)
    : policy_(std::move(policy)),
      limits_(limits),
      levels_(std::max<std::uint32_t>(policy_.priority_levels, 1)) {
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    const auto own = policy_.priority_queue_policy.find(static_cast<std::uint32_t>(i + 1));
    levels_[i].policy = policy_.priority_levels > 0 && own != policy_.priority_queue_policy.end()
                            ? own->second
                            : policy_.default_queue_policy;
  }
  least_wanted_ = limits_.most_rows;
  for (const std::uint32_t size : policy_.preferred_batch_sizes) {
    least_wanted_ = std::min<std::size_t>(least_wanted_, size);
  }
}

std::uint32_t BatchQueue::LevelOf(std::uint64_t priority) const {
  const auto levels = static_cast<std::uint32_t>(levels_.size());
  if (priority == 0 || priority > levels) priority = policy_.default_priority_level;
  if (priority == 0 || priority > levels) priority = levels;
  return static_cast<std::uint32_t>(priority - 1);
}

SteadyTime BatchQueue::TimeoutOf(const InferRequest& request, std::uint32_t level,
                                 SteadyTime now) const {
  const QueuePolicy& policy = levels_[level].policy;
  std::chrono::microseconds most = policy.default_timeout;
  if (policy.allow_timeout_override && request.timeout && request.timeout->count() > 0 &&
      (most.count() == 0 || *request.timeout < most)) {
    most = *request.timeout;
  }
  // A timeout of ages is none, rather than a sum that overflows.
  if (most.count() <= 0 || most > std::chrono::hours{24 * 365}) return SteadyTime::max();
  return now + most;
}

std::size_t BatchQueue::RowsBefore(std::uint32_t level) const {
  std::size_t rows = 0;
  for (std::uint32_t i = 0; i <= level && i < levels_.size(); ++i) rows += levels_[i].rows;
  return rows;
}

Result<void> BatchQueue::Add(std::unique_ptr<QueuedRequest>& request, SteadyTime now,
                             std::vector<RefusedRequest>& refused) {
  request->level = LevelOf(request->request.priority);
  Level& level = levels_[request->level];
  const std::size_t most = level.policy.max_queue_size;
  const auto room = [&] {
    return (most == 0 || level.waiting.size() + level.delayed.size() < most) &&
           size_ < limits_.most_requests &&
           (size_ == 0 || bytes_ + request->bytes <= limits_.most_bytes);
  };
  if (!room() && now - swept_ >= kBetweenSweeps) {
    swept_ = now;
    for (Level& any : levels_) Sweep(any, now, refused);
  }
  if (!room()) {
    const bool own = most != 0 && level.waiting.size() + level.delayed.size() >= most;
    return Error{ErrorCode::kResourceExhausted,
                 own ? "the queue holds its " + std::to_string(most) + " requests (max_queue_size)"
                 : size_ >= limits_.most_requests
                     ? "the queue holds its " + std::to_string(limits_.most_requests) + " requests"
                     : "the queue holds " + std::to_string(bytes_) + " bytes, its limit is " +
                           std::to_string(limits_.most_bytes)};
  }
  request->queued = now;
  request->timeout = TimeoutOf(request->request, request->level, now);
  request->ticket = tickets_++;
  ++size_;
  rows_ += request->rows;
  level.rows += request->rows;
  bytes_ += request->bytes;
  level.waiting.Append(std::move(request));
  return {};
}

void BatchQueue::Uncount(const QueuedRequest& request) {
  Level& level = levels_[request.level];
  --size_;
  rows_ -= request.rows;
  level.rows -= request.rows;
  bytes_ -= request.bytes;
}

bool BatchQueue::SetAsideIfLate(Level& level, RequestList& list, QueuedRequest* request,
                                SteadyTime now, std::vector<RefusedRequest>& refused) {
  if (request->deadline <= now) {
    Uncount(*request);
    refused.push_back(
        {list.Take(request),
         {ErrorCode::kDeadlineExceeded,
          "the deadline passed after " + Milliseconds(request->queued, now) + " in the queue"}});
    return true;
  }
  if (request->timeout > now) return false;
  if (level.policy.delays_on_timeout) {
    request->timeout = SteadyTime::max();
    level.delayed.Append(list.Take(request));
    return true;
  }
  Uncount(*request);
  refused.push_back(
      {list.Take(request),
       {ErrorCode::kDeadlineExceeded, "the request's timeout passed after " +
                                          Milliseconds(request->queued, now) + " in the queue"}});
  return true;
}

void BatchQueue::Sweep(Level& level, SteadyTime now, std::vector<RefusedRequest>& refused) {
  for (RequestList* list : {&level.waiting, &level.delayed}) {
    for (QueuedRequest *request = list->first(), *next = nullptr; request != nullptr;
         request = next) {
      next = request->next;
      SetAsideIfLate(level, *list, request, now, refused);
    }
  }
}

BatchQueue::Choice BatchQueue::Pick(SteadyTime now, const QueuedRequest* first, std::size_t rows,
                                    std::vector<RefusedRequest>& refused) {
  Choice choice{.rows = rows};
  picked_.clear();
  std::size_t passed_over = 0;
  for (Level& level : levels_) {
    for (RequestList* list : {&level.waiting, &level.delayed}) {
      for (QueuedRequest *request = list->first(), *next = nullptr; request != nullptr;
           request = next) {
        next = request->next;
        if (SetAsideIfLate(level, *list, request, now, refused)) continue;
        if (first != nullptr) {
          if (!limits_.batches || choice.rows + request->rows > limits_.most_rows) {
            choice.full = true;
            return choice;
          }
          if (limits_.shapes_vary && !SameShapes(first->request, request->request)) {
            if (++passed_over >= kMostPassedOver) return choice;
            continue;
          }
        } else {
          first = request;
        }
        picked_.push_back({request, list});
        choice.rows += request->rows;
        choice.oldest = std::min(choice.oldest, request->queued);
        choice.soonest = std::min({choice.soonest, request->deadline, request->timeout});
        if (std::find(policy_.preferred_batch_sizes.begin(), policy_.preferred_batch_sizes.end(),
                      choice.rows) != policy_.preferred_batch_sizes.end()) {
          choice.preferred = picked_.size();
        }
        if (choice.rows >= limits_.most_rows) {
          choice.full = true;
          return choice;
        }
      }
    }
  }
  return choice;
}

void BatchQueue::TakePicked(std::size_t count, std::vector<std::unique_ptr<QueuedRequest>>& batch) {
  for (std::size_t i = 0; i < count; ++i) {
    Uncount(*picked_[i].request);
    batch.push_back(picked_[i].list->Take(picked_[i].request));
  }
  picked_.clear();
}

BatchQueue::Turn BatchQueue::Next(SteadyTime now, std::chrono::nanoseconds batch_cost,
                                  std::vector<std::unique_ptr<QueuedRequest>>& batch,
                                  std::vector<RefusedRequest>& refused) {
  const Choice choice = Pick(now, nullptr, 0, refused);
  if (picked_.empty()) return {};
  const auto send = [&](BatchReason reason, std::size_t count) {
    TakePicked(count, batch);
    return Turn{.kind = Turn::Kind::kBatch, .reason = reason};
  };
  if (!limits_.batches) return send(BatchReason::kIdle, 1);
  if (choice.full) return send(BatchReason::kSize, picked_.size());
  if (choice.preferred > 0) return send(BatchReason::kSize, choice.preferred);
  if (policy_.max_queue_delay.count() <= 0) return send(BatchReason::kIdle, picked_.size());

  const SteadyTime delay_ends = choice.oldest + policy_.max_queue_delay;
  if (now >= delay_ends) return send(BatchReason::kDelay, picked_.size());
  SteadyTime until = delay_ends;
  if (choice.soonest != SteadyTime::max()) {
    const SteadyTime last_start = choice.soonest - std::max(batch_cost, kLeastMargin);
    if (now >= last_start) return send(BatchReason::kDeadline, picked_.size());
    until = std::min(until, last_start);
  }
  picked_.clear();
  return {.kind = Turn::Kind::kWait, .until = until};
}

void BatchQueue::TopUp(SteadyTime now, std::vector<std::unique_ptr<QueuedRequest>>& batch,
                       std::vector<RefusedRequest>& refused) {
  if (batch.empty() || !limits_.batches) return;
  std::size_t rows = 0;
  for (const auto& request : batch) rows += request->rows;
  if (rows >= limits_.most_rows) return;
  Pick(now, batch.front().get(), rows, refused);
  TakePicked(picked_.size(), batch);
}

}  // namespace tidewheel::inference
