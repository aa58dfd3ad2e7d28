#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/model_server.h"

namespace tidewheel::inference {

using SteadyTime = std::chrono::steady_clock::time_point;

/// A request that waits for its turn.
struct QueuedRequest {
  InferRequest request{};
  ModelServer::Answered answered{};
  std::size_t rows = 1;
  std::size_t bytes = 0;                    // Of its inputs.
  SteadyTime deadline = SteadyTime::max();  // After it nobody waits for the answer.
  SteadyTime queued{};                      // Add sets this and what follows.
  SteadyTime timeout = SteadyTime::max();   // What its queue's policy grants.
  std::uint32_t level = 0;                  // From 0, the first.
  std::uint64_t ticket = 0;                 // Rises in the order of acceptance.
  QueuedRequest* previous = nullptr;
  QueuedRequest* next = nullptr;
};

/// Owns its requests, first come first out; taking one out of the middle costs nothing.
class RequestList {
 public:
  RequestList() = default;
  ~RequestList();
  RequestList(const RequestList&) = delete;
  RequestList& operator=(const RequestList&) = delete;

  QueuedRequest* first() const { return first_; }
  std::size_t size() const { return size_; }
  void Append(std::unique_ptr<QueuedRequest> request);
  std::unique_ptr<QueuedRequest> Take(QueuedRequest* request);

 private:
  QueuedRequest* first_ = nullptr;
  QueuedRequest* last_ = nullptr;
  std::size_t size_ = 0;
};

/// A request that is not run, and why.
struct RefusedRequest {
  std::unique_ptr<QueuedRequest> request{};
  Error error{};
};

/// Who waits, and who runs together: sizes, delays, priorities, timeouts and limits as a model's
/// policy has them. Knows no thread and no clock: each call is told the time. Not thread-safe.
class BatchQueue {
 public:
  struct Limits {
    std::size_t most_rows = 1;  // Of a batch.
    bool batches = true;        // Else each request goes alone.
    bool shapes_vary = false;   // Then only requests of the same shapes go together.
    std::size_t most_requests = 16'384;
    std::size_t most_bytes = std::size_t{1} << 30;  // Of all inputs that wait.
  };

  BatchQueue(BatchPolicy policy, Limits limits);

  /// The level that a request's priority means.
  std::uint32_t LevelOf(std::uint64_t priority) const;
  const QueuePolicy& PolicyOf(std::uint32_t level) const { return levels_[level].policy; }
  /// When a request that comes now is given up; max(): never.
  SteadyTime TimeoutOf(const InferRequest& request, std::uint32_t level, SteadyTime now) const;

  /// Takes `request`, or leaves it and says why: kResourceExhausted names the limit. What was found
  /// to be too late on the way is appended to `refused`.
  Result<void> Add(std::unique_ptr<QueuedRequest>& request, SteadyTime now,
                   std::vector<RefusedRequest>& refused);

  struct Turn {
    enum class Kind { kEmpty, kWait, kBatch } kind = Kind::kEmpty;
    BatchReason reason = BatchReason::kIdle;
    SteadyTime until{};  // Of kWait: ask again then, or after an Add.
  };
  /// The next batch, appended to `batch`: never a request that is too late; those are appended to
  /// `refused` (kDeadlineExceeded). `batch_cost` is what a full batch takes: a batch that is being
  /// waited for starts early enough for the deadlines in it.
  Turn Next(SteadyTime now, std::chrono::nanoseconds batch_cost,
            std::vector<std::unique_ptr<QueuedRequest>>& batch,
            std::vector<RefusedRequest>& refused);
  /// Fills a batch of the same turn from which requests were taken away.
  void TopUp(SteadyTime now, std::vector<std::unique_ptr<QueuedRequest>>& batch,
             std::vector<RefusedRequest>& refused);

  std::size_t size() const { return size_; }
  std::size_t rows() const { return rows_; }
  /// Rows that go before a request of this level which comes now.
  std::size_t RowsBefore(std::uint32_t level) const;
  /// Whether so many rows are reason enough to look again at a batch that waits.
  bool IsWantedSize(std::size_t rows) const { return rows >= least_wanted_; }

 private:
  struct Level {
    QueuePolicy policy{};
    RequestList waiting{};
    RequestList delayed{};  // Their timeout passed: they go after all others of the level.
    std::size_t rows = 0;
  };
  struct Choice {
    std::size_t rows = 0;
    std::size_t preferred = 0;  // So many of the picked have a preferred size; 0: none.
    bool full = false;
    SteadyTime oldest = SteadyTime::max();
    SteadyTime soonest = SteadyTime::max();
  };

  Choice Pick(SteadyTime now, const QueuedRequest* first, std::size_t rows,
              std::vector<RefusedRequest>& refused);
  /// True: taken out of its list, or put elsewhere in it.
  bool SetAsideIfLate(Level& level, RequestList& list, QueuedRequest* request, SteadyTime now,
                      std::vector<RefusedRequest>& refused);
  void TakePicked(std::size_t count, std::vector<std::unique_ptr<QueuedRequest>>& batch);
  /// Its list gives it away; here it stops to count.
  void Uncount(const QueuedRequest& request);
  void Sweep(Level& level, SteadyTime now, std::vector<RefusedRequest>& refused);

  const BatchPolicy policy_;
  const Limits limits_;
  std::size_t least_wanted_ = 1;
  std::vector<Level> levels_;
  std::size_t size_ = 0;
  std::size_t rows_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t tickets_ = 0;
  SteadyTime swept_{};
  struct Picked {
    QueuedRequest* request;
    RequestList* list;
  };
  std::vector<Picked> picked_;  // Of the turn under way; kept for its memory.
};

}  // namespace tidewheel::inference
