#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/bus/broker.h"
#include "tidewheel/bus/memory_journal.h"
#include "tidewheel/bus/message.h"
#include "tidewheel/bus/spill_log.h"

namespace tidewheel::bus {

/// What a buffered publisher counts. References must outlive it. `dropped` deserves an alert.
struct BufferedPublisherCounters {
  Counter& published = Counter::None();  // Messages the bus took.
  Counter& spilled = Counter::None();    // Messages written to disk.
  Counter& dropped = Counter::None();    // Messages lost: memory and disk full, disk broken, or
                                         // refused by the bus for good.
  Gauge& waiting = Gauge::None();        // Messages in memory.
  Gauge& spill_bytes = Gauge::None();    // On disk, still to publish.
};

struct BufferedPublisherOptions {
  std::filesystem::path folder{};  // Of spill and journal. One process at a time: locked.
  std::size_t memory_messages = 10'000;
  std::size_t memory_bytes = 32u << 20;
  std::uint64_t spill_bytes = 1u << 30;
  std::size_t batch = 500;                           // Messages for one Publish.
  std::chrono::milliseconds publish_timeout{5'000};  // For one Publish; bounds the destructor.
  /// A Publish that takes longer sends what waits behind it to disk.
  std::chrono::milliseconds spill_after{500};
  std::chrono::milliseconds first_backoff{100};
  std::chrono::milliseconds last_backoff{5'000};
  BufferedPublisherCounters counters{};
  std::function<void(const Error&)> on_problem{};  // For the log. From a worker's thread.
};

/// For facts that are many and not transactional (predictions): takes them at once and publishes
/// behind the caller's back, in order. When the bus is away they go to disk (SpillLog) and come
/// back in order, also after a restart. What waits in memory stands in a MemoryJournal, too. So at
/// least once for all that Offer took, also after kill -9 at any moment; a machine that stops
/// without warning loses what was in memory (about spill_after's worth), never more. In order, but
/// for the batch that was on its way to a slow bus when its process was killed. Thread-safe.
class BufferedPublisher {
 public:
  /// Opens the spill (kFailedPrecondition: another process has the folder) and starts its two
  /// threads. The bus may come later. `broker` must outlive it.
  static Result<std::unique_ptr<BufferedPublisher>> Open(Broker& broker,
                                                         BufferedPublisherOptions options);

  /// Publishes or spills what is in memory, so that a shutdown loses nothing.
  ~BufferedPublisher();
  BufferedPublisher(const BufferedPublisher&) = delete;
  BufferedPublisher& operator=(const BufferedPublisher&) = delete;

  /// Never waits for the bus or for a disk to sync. False: dropped (memory is full and the disk's
  /// part too), and counted.
  bool Offer(Message message);

  /// Waits until everything offered before is on the bus. False: not within `at_most`.
  bool Drain(std::chrono::milliseconds at_most);

 private:
  BufferedPublisher(Broker& broker, BufferedPublisherOptions options,
                    std::unique_ptr<SpillLog> spill);

  void PublishLoop(std::stop_token stop);
  void SpillLoop(std::stop_token stop);
  Result<void> PublishBatch(std::span<const Message> batch);
  void Report(const Error& error) const;
  void Measure();
  void Drop(std::size_t messages, const Error& why);
  /// Messages, and where the journal has each.
  struct Batch {
    std::vector<Message> messages;
    std::vector<MemoryJournal::Place> places;
  };
  Batch TakeLocked(std::size_t at_most);
  /// They are on the bus, on disk, or dropped.
  void ForgetLocked(const Batch& batch);
  bool HalfFullLocked() const;
  /// Whether memory should go to disk: the bus is away or slow, or older messages are there.
  bool BehindLocked() const;

  Broker& broker_;
  const BufferedPublisherOptions options_;
  const std::unique_ptr<SpillLog> spill_;
  std::unique_ptr<Publisher> publisher_;  // The publishing thread's own.

  std::mutex mutex_;  // Guards all below.
  std::condition_variable_any changed_;
  std::deque<Message> queue_;
  std::deque<MemoryJournal::Place> places_;  // Of the messages in queue_.
  MemoryJournal journal_;
  bool journal_fails_ = false;  // Reported once.
  std::size_t queue_bytes_ = 0;
  bool publishing_ = false;  // A batch from memory or disk is on its way.
  bool spill_empty_ = true;
  bool spilling_ = false;  // A batch is between memory and disk.
  bool bus_away_ = false;  // The last Publish failed.
  std::chrono::steady_clock::time_point publishing_since_{};

  std::unique_ptr<Worker> publish_worker_;
  std::unique_ptr<Worker> spill_worker_;
};

}  // namespace tidewheel::bus
