#include "tidewheel/bus/consumer.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace tidewheel::bus {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kLagInterval{10};
constexpr std::string_view kDeadLetterPrefix = "dlq_";
constexpr char kReplaysHeader[] = "dlq_replays";

/// Whether the error says nothing about the message itself.
bool MayPassLater(ErrorCode code) {
  return IsTransient(code) || code == ErrorCode::kDeadlineExceeded || code == ErrorCode::kCancelled;
}

/// Whether `subscription` still has the partition of each; those it lost are taken out.
bool KeepOwned(const Subscription& subscription, std::vector<Delivery>& deliveries) {
  std::set<std::pair<std::string, int>> owned;
  for (const Position& position : subscription.Assignment()) {
    owned.emplace(position.topic, position.partition);
  }
  return std::erase_if(deliveries, [&](const Delivery& delivery) {
           return !owned.contains({delivery.message.topic, delivery.partition});
         }) == 0;
}

/// Pauses that double from the first to the last.
class Backoff {
 public:
  Backoff(milliseconds first, milliseconds last) : first_(first), last_(last), next_(first) {}

  /// False: stopped.
  bool Wait(std::stop_token stop) {
    const milliseconds now = std::exchange(next_, std::min(2 * next_, last_));
    return pause_.Wait(std::move(stop), now);
  }
  void Reset() { next_ = first_; }

 private:
  const milliseconds first_;
  const milliseconds last_;
  milliseconds next_;
  Pause pause_;
};

}  // namespace

Consumer::Consumer(Broker& broker, ConsumerOptions options, Handler handler)
    : broker_(broker),
      options_(std::move(options)),
      handler_(std::move(handler)),
      worker_("bus-consume", [this](std::stop_token stop) { Run(stop); }) {}

Consumer::Consumer(Broker& broker, ConsumerOptions options, OneByOne handler)
    : Consumer(broker, std::move(options),
               Handler([handler = std::move(handler)](std::span<const Delivery> deliveries) {
                 for (const Delivery& delivery : deliveries) {
                   if (auto handled = handler(delivery); !handled) return handled;
                 }
                 return Result<void>();
               })) {}

void Consumer::Run(std::stop_token stop) {
  Backoff backoff(options_.first_backoff, options_.last_backoff);
  while (!stop.stop_requested()) {
    auto dead_letters = broker_.NewPublisher();
    auto subscription = broker_.Subscribe(options_.group, options_.topics);
    if (dead_letters && subscription) {
      if (const auto served = Serve(**subscription, **dead_letters, stop); !served) {
        Report(served.error());
      }
    } else {
      Report(subscription ? dead_letters.error() : subscription.error());
    }
    connected_ = false;
    if (!backoff.Wait(stop)) return;
  }
}

Result<void> Consumer::Serve(Subscription& subscription, Publisher& dead_letters,
                             std::stop_token stop) {
  Backoff backoff(options_.first_backoff, options_.last_backoff);
  while (!stop.stop_requested()) {
    auto polled = subscription.Poll(options_.at_most, options_.wait, stop);
    if (!polled) {
      connected_ = false;
      if (!MayPassLater(polled.error().code)) return polled.error();
      Report(polled.error());
      backoff.Wait(stop);
      continue;
    }
    connected_ = true;
    backoff.Reset();
    if (!polled->empty()) {
      const auto handled = Handle(std::move(*polled), subscription, dead_letters, stop);
      if (!handled) return handled.error();
    }
    MeasureLag();
  }
  return {};
}

Result<void> Consumer::Handle(std::vector<Delivery> deliveries, Subscription& subscription,
                              Publisher& dead_letters, std::stop_token stop) {
  Backoff backoff(options_.first_backoff, options_.last_backoff);
  std::vector<Delivery> done;  // Dealt with when handled one by one.
  bool one_by_one = false;
  while (!deliveries.empty()) {
    const std::span<const Delivery> now =
        one_by_one ? std::span<const Delivery>(deliveries).first(1) : deliveries;
    Result<void> handled = handler_(now);
    if (handled.ok()) {
      options_.counters.handled.Add(static_cast<double>(now.size()));
    } else if (!MayPassLater(handled.error().code)) {
      if (now.size() > 1) {
        one_by_one = true;
        continue;
      }
      const Error reason = handled.error();
      handled = Bury(now.front(), reason, dead_letters);
      if (handled.ok()) {
        options_.counters.dead_lettered.Add();
        Report(Prefixed("dead letter: ", reason));
      }
    } else {
      options_.counters.retried.Add();
    }
    if (!handled.ok()) {
      Report(handled.error());
      if (!backoff.Wait(stop)) break;
      subscription.KeepAlive();
      if (!KeepOwned(subscription, deliveries)) options_.counters.lost.Add();
      continue;
    }
    backoff.Reset();
    const auto end = deliveries.begin() + static_cast<std::ptrdiff_t>(now.size());
    done.insert(done.end(), std::make_move_iterator(deliveries.begin()),
                std::make_move_iterator(end));
    deliveries.erase(deliveries.begin(), end);
    if (stop.stop_requested()) break;
  }

  // Also when stopped: what was handled should not come again.
  while (!done.empty()) {
    const auto committed = subscription.CommitAfter(done);
    if (committed.ok()) break;
    if (committed.error().code == ErrorCode::kAborted) {
      options_.counters.lost.Add();
      break;
    }
    if (!MayPassLater(committed.error().code)) return committed;
    Report(committed.error());
    if (!backoff.Wait(stop)) break;
    subscription.KeepAlive();
    KeepOwned(subscription, done);
  }
  return {};
}

Result<void> Consumer::Bury(const Delivery& delivery, const Error& reason,
                            Publisher& dead_letters) const {
  Message letter = delivery.message;
  letter.topic = DeadLetterTopic(delivery.message.topic);
  letter.headers["dlq_reason"] = std::string(Name(reason.code)) + ": " + reason.message;
  letter.headers["dlq_topic"] = delivery.message.topic;
  letter.headers["dlq_partition"] = std::to_string(delivery.partition);
  letter.headers["dlq_offset"] = std::to_string(delivery.offset);
  letter.headers["dlq_group"] = options_.group;
  letter.headers["dlq_time"] = FormatUtc(SystemClock().Now());
  return dead_letters.Publish({&letter, 1});
}

void Consumer::Report(const Error& error) const {
  if (options_.on_problem) options_.on_problem(error);
}

void Consumer::MeasureLag() {
  const auto now = steady_clock::now();
  if (now < lag_due_) return;
  lag_due_ = now + kLagInterval;
  const auto partitions = broker_.Lag(options_.group);
  if (!partitions) return;  // Only a figure; the next Poll tells what is wrong.
  std::int64_t lag = 0;
  for (const PartitionLag& partition : *partitions) lag += partition.lag;
  options_.counters.lag.Set(static_cast<double>(lag));
}

Result<std::size_t> ReplayDeadLetters(Broker& broker, const std::string& topic,
                                      std::stop_token stop) {
  const std::string dead = DeadLetterTopic(topic);
  const std::string group = dead + ".replay";
  // Up to here and no further: what fails again meanwhile is for the next call.
  const auto extent = broker.Extent(dead);
  if (!extent) return extent.error();
  std::map<int, std::int64_t> to_do;
  for (const PartitionExtent& partition : *extent) {
    if (partition.end > partition.begin) to_do[partition.partition] = partition.end;
  }

  std::unique_ptr<Publisher> publisher;
  std::unique_ptr<Subscription> subscription;
  std::size_t moved = 0;
  while (true) {
    const auto lag = broker.Lag(group);
    if (!lag) return lag.error();
    for (const PartitionLag& partition : *lag) {
      const auto wanted = to_do.find(partition.partition);
      if (partition.topic == dead && wanted != to_do.end() &&
          partition.position >= wanted->second) {
        to_do.erase(wanted);
      }
    }
    if (to_do.empty()) return moved;
    if (subscription == nullptr) {
      auto made = broker.NewPublisher();
      if (!made) return made.error();
      publisher = std::move(*made);
      auto joined = broker.Subscribe(group, {&dead, 1});
      if (!joined) return joined.error();
      subscription = std::move(*joined);
    }
    if (stop.stop_requested()) {
      return Error{ErrorCode::kCancelled, "replay of " + dead + ": stopped"};
    }

    auto polled = subscription->Poll(500, milliseconds{500}, stop);
    if (!polled) return polled.error();
    std::erase_if(*polled, [&](const Delivery& delivery) {
      const auto wanted = to_do.find(delivery.partition);
      return wanted == to_do.end() || delivery.offset >= wanted->second;
    });
    if (polled->empty()) continue;
    std::vector<Message> messages;
    messages.reserve(polled->size());
    for (const Delivery& delivery : *polled) {
      Message message = delivery.message;
      const auto replays = message.headers.find(kReplaysHeader);
      const int before = replays == message.headers.end() ? 0 : std::atoi(replays->second.c_str());
      std::erase_if(message.headers,
                    [](const auto& header) { return header.first.starts_with(kDeadLetterPrefix); });
      message.headers[kReplaysHeader] = std::to_string(before + 1);
      message.topic = topic;
      messages.push_back(std::move(message));
    }
    if (const auto published = publisher->Publish(messages); !published) {
      return published.error();
    }
    moved += messages.size();
    // Not ours any more: another replay has the partition and sends these again, with the same ids.
    if (const auto committed = subscription->CommitAfter(*polled);
        !committed && committed.error().code != ErrorCode::kAborted) {
      return committed.error();
    }
  }
}

}  // namespace tidewheel::bus
