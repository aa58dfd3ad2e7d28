#include "tidewheel/bus/buffered_publisher.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "tidewheel/base/ids.h"
#include "tidewheel/bus/message_frame.h"

namespace tidewheel::bus {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How often the spilling thread looks whether a Publish takes too long.
constexpr milliseconds kLookInterval{50};

std::size_t SizeOf(const Message& message) {
  return sizeof(Message) + message.topic.size() + message.key.size() + message.event_id.size() +
         message.type.size() + message.source.size() + message.traceparent.size() +
         message.payload.size() + 64 * message.headers.size();
}

/// Whether the bus may take the same messages later.
bool MayPassLater(ErrorCode code) {
  return IsTransient(code) || code == ErrorCode::kDeadlineExceeded || code == ErrorCode::kCancelled;
}

}  // namespace

Result<std::unique_ptr<BufferedPublisher>> BufferedPublisher::Open(
    Broker& broker, BufferedPublisherOptions options) {
  auto spill = SpillLog::Open({.folder = options.folder,
                               .limit_bytes = options.spill_bytes,
                               .damaged = options.counters.dropped});
  if (!spill) return spill.error();
  // What an earlier process had in memory when it was killed is newer than what it had on disk.
  std::size_t damaged = 0;
  const auto left = MemoryJournal::Left(options.folder, damaged);
  if (!left) return left.error();
  if (const auto kept = (*spill)->Append(*left); kept.ok()) {
    options.counters.spilled.Add(static_cast<double>(left->size()));
  } else if (kept.error().code == ErrorCode::kResourceExhausted) {
    damaged += left->size();
  } else {
    return kept.error();
  }
  if (damaged > 0) options.counters.dropped.Add(static_cast<double>(damaged));
  MemoryJournal::Remove(options.folder);
  return std::unique_ptr<BufferedPublisher>(
      new BufferedPublisher(broker, std::move(options), std::move(*spill)));
}

BufferedPublisher::BufferedPublisher(Broker& broker, BufferedPublisherOptions options,
                                     std::unique_ptr<SpillLog> spill)
    : broker_(broker),
      options_(std::move(options)),
      spill_(std::move(spill)),
      journal_(options_.folder) {
  spill_empty_ = spill_->empty();
  publish_worker_ =
      std::make_unique<Worker>("bus-publish", [this](std::stop_token stop) { PublishLoop(stop); });
  spill_worker_ =
      std::make_unique<Worker>("bus-spill", [this](std::stop_token stop) { SpillLoop(stop); });
}

BufferedPublisher::~BufferedPublisher() {
  publish_worker_->RequestStop();
  spill_worker_->RequestStop();
  publish_worker_.reset();
  spill_worker_.reset();
  // Alone from here on. What is on disk is older, so all goes there unless the disk is empty.
  const Batch rest = TakeLocked(queue_.size());
  std::span<const Message> left = rest.messages;
  while (!left.empty() && spill_empty_ && !bus_away_) {
    const auto batch = left.first(std::min(options_.batch, left.size()));
    if (const auto published = PublishBatch(batch); !published) break;
    left = left.subspan(batch.size());
  }
  if (const auto spilled = spill_->Append(left); !spilled) {
    Drop(left.size(), spilled.error());
  } else {
    options_.counters.spilled.Add(static_cast<double>(left.size()));
  }
  ForgetLocked(rest);
}

bool BufferedPublisher::Offer(Message message) {
  // Made here, not by Publish: a message that is published again after a crash keeps them.
  if (message.event_id.empty()) message.event_id = NewUuid();
  if (message.time == Timestamp{}) message.time = SystemClock().Now();
  const std::size_t size = SizeOf(message);
  std::string frame;
  AppendFrame(message, frame);
  bool taken = false;
  bool wake = false;
  std::optional<Error> problem;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() < options_.memory_messages && queue_bytes_ + size <= options_.memory_bytes) {
      const auto place = journal_.Add(frame);
      if (!place && !journal_fails_) problem = place.error();
      journal_fails_ = !place;
      places_.push_back(place ? *place : 0);
      queue_bytes_ += size;
      queue_.push_back(std::move(message));
      taken = true;
      wake = queue_.size() == 1 || HalfFullLocked();
    }
  }
  if (!taken) options_.counters.dropped.Add();
  if (wake) changed_.notify_all();
  if (problem) Report(*problem);  // Only kill -9 would lose it now.
  return taken;
}

bool BufferedPublisher::Drain(milliseconds at_most) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, at_most, [this] {
    return queue_.empty() && !publishing_ && !spilling_ && spill_empty_;
  });
}

bool BufferedPublisher::HalfFullLocked() const {
  return queue_.size() >= options_.memory_messages / 2 || queue_bytes_ >= options_.memory_bytes / 2;
}

BufferedPublisher::Batch BufferedPublisher::TakeLocked(std::size_t at_most) {
  const auto count = static_cast<std::ptrdiff_t>(std::min(at_most, queue_.size()));
  Batch taken;
  taken.messages.assign(std::make_move_iterator(queue_.begin()),
                        std::make_move_iterator(queue_.begin() + count));
  taken.places.assign(places_.begin(), places_.begin() + count);
  queue_.erase(queue_.begin(), queue_.begin() + count);
  places_.erase(places_.begin(), places_.begin() + count);
  for (const Message& message : taken.messages) queue_bytes_ -= SizeOf(message);
  return taken;
}

void BufferedPublisher::ForgetLocked(const Batch& batch) {
  for (const MemoryJournal::Place place : batch.places) journal_.Done(place);
}

void BufferedPublisher::PublishLoop(std::stop_token stop) {
  Pause pause;
  milliseconds backoff = options_.first_backoff;
  Batch held;  // From memory, refused by the bus and by the disk.
  while (true) {
    Batch batch = std::exchange(held, {});
    bool from_memory = true;
    {
      std::unique_lock lock(mutex_);
      if (batch.messages.empty()) {
        // Memory only while nothing older is on disk or on its way there.
        changed_.wait(lock, stop,
                      [this] { return !spilling_ && (!spill_empty_ || !queue_.empty()); });
        if (stop.stop_requested()) return;
        from_memory = spill_empty_;
        if (from_memory) batch = TakeLocked(options_.batch);
      }
      publishing_ = true;
      publishing_since_ = steady_clock::now();
    }

    Result<void> done;
    if (!from_memory) {
      auto peeked = spill_->Peek(options_.batch);
      if (peeked) {
        batch.messages = std::move(*peeked);
      } else {
        done = peeked.error();
      }
    }
    if (done.ok() && !batch.messages.empty()) done = PublishBatch(batch.messages);
    if (done.ok() && !from_memory) done = spill_->Advance();
    bool prepended = false;
    if (!done && from_memory) {
      // What waits behind this batch may go to disk meanwhile, so this belongs before it.
      if (const auto spilled = spill_->Prepend(batch.messages); spilled.ok()) {
        prepended = true;
        options_.counters.spilled.Add(static_cast<double>(batch.messages.size()));
      } else if (stop.stop_requested()) {
        Drop(batch.messages.size(), spilled.error());
      } else {
        Report(spilled.error());
        held = std::exchange(batch, {});
      }
    }

    {
      const std::lock_guard lock(mutex_);
      ForgetLocked(batch);
      publishing_ = !held.messages.empty();
      bus_away_ = !done.ok();
      // The log is busy only while spilling, so asking it here waits for no disk.
      if (prepended) {
        spill_empty_ = false;
      } else if (!spilling_) {
        spill_empty_ = spill_->empty();
      }
    }
    changed_.notify_all();
    Measure();
    if (stop.stop_requested()) {
      if (!held.messages.empty()) {
        Drop(held.messages.size(), Error{ErrorCode::kUnavailable, "stopped"});
        const std::lock_guard lock(mutex_);
        ForgetLocked(held);
      }
      return;
    }
    if (done.ok()) {
      backoff = options_.first_backoff;
    } else {
      Report(done.error());
      pause.Wait(stop, backoff);
      backoff = std::min(2 * backoff, options_.last_backoff);
    }
  }
}

void BufferedPublisher::SpillLoop(std::stop_token stop) {
  Pause pause;
  while (!stop.stop_requested()) {
    Batch batch;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, stop, kLookInterval,
                        [this] { return !queue_.empty() && BehindLocked(); });
      if (stop.stop_requested()) return;
      if (queue_.empty() || !BehindLocked()) continue;
      batch = TakeLocked(queue_.size());
      spilling_ = true;
    }

    const Result<void> spilled = spill_->Append(batch.messages);
    if (spilled.ok()) options_.counters.spilled.Add(static_cast<double>(batch.messages.size()));

    std::size_t dropped = 0;
    {
      const std::lock_guard lock(mutex_);
      spilling_ = false;
      if (spilled.ok()) {
        spill_empty_ = false;
        ForgetLocked(batch);
      } else {
        // Back to the front of memory; what no longer fits is the newest.
        places_.insert(places_.begin(), batch.places.begin(), batch.places.end());
        for (auto message = batch.messages.rbegin(); message != batch.messages.rend(); ++message) {
          queue_bytes_ += SizeOf(*message);
          queue_.push_front(std::move(*message));
        }
        while (queue_.size() > options_.memory_messages || queue_bytes_ > options_.memory_bytes) {
          queue_bytes_ -= SizeOf(queue_.back());
          queue_.pop_back();
          journal_.Done(places_.back());
          places_.pop_back();
          ++dropped;
        }
      }
    }
    changed_.notify_all();
    if (dropped > 0) Drop(dropped, spilled.error());
    Measure();
    if (!spilled) pause.Wait(stop, options_.first_backoff);
  }
}

bool BufferedPublisher::BehindLocked() const {
  if (!spill_empty_ || bus_away_) return true;
  if (!publishing_) return false;
  return HalfFullLocked() || steady_clock::now() - publishing_since_ > options_.spill_after;
}

Result<void> BufferedPublisher::PublishBatch(std::span<const Message> batch) {
  if (publisher_ == nullptr) {
    auto made = broker_.NewPublisher(options_.publish_timeout);
    if (!made) return made.error();
    publisher_ = std::move(*made);
  }
  const auto published = publisher_->Publish(batch);
  if (published.ok()) {
    options_.counters.published.Add(static_cast<double>(batch.size()));
    return {};
  }
  if (MayPassLater(published.error().code)) return published;
  if (batch.size() == 1) {
    Drop(1, published.error());
    return {};
  }
  // One of them is refused for good; the others must not go with it. Repeats keep their event ids.
  const std::size_t half = batch.size() / 2;
  if (const auto first = PublishBatch(batch.first(half)); !first) return first;
  return PublishBatch(batch.subspan(half));
}

void BufferedPublisher::Drop(std::size_t messages, const Error& why) {
  options_.counters.dropped.Add(static_cast<double>(messages));
  Report(Prefixed(std::to_string(messages) + " messages dropped: ", why));
}

void BufferedPublisher::Report(const Error& error) const {
  if (options_.on_problem) options_.on_problem(error);
}

void BufferedPublisher::Measure() {
  std::size_t waiting = 0;
  {
    const std::lock_guard lock(mutex_);
    waiting = queue_.size();
  }
  options_.counters.waiting.Set(static_cast<double>(waiting));
  options_.counters.spill_bytes.Set(static_cast<double>(spill_->bytes()));
}

}  // namespace tidewheel::bus
