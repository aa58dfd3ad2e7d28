#include "tidewheel/bus/outbox_relay.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "tidewheel/bus/cloud_event.h"
#include "tidewheel/postgres/listener.h"
#include "tidewheel/postgres/outbox.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::bus {
namespace {

using std::chrono::milliseconds;

// The relay's transaction stays open while it publishes.
constexpr milliseconds kPublishTimeout{10'000};

Message ToMessage(const postgres::QueuedMessage& queued) {
  Message message;
  message.topic = queued.message.topic;
  message.key = queued.message.key;
  message.event_id = queued.message.event_id;
  message.type = queued.message.type;
  message.traceparent = queued.message.traceparent;
  message.time = queued.created_at;
  message.payload = queued.message.payload;
  // `ce_time` and `ce_dataschemaversion` may come as headers: the table has no column for them.
  for (const auto& [name, value] : queued.message.headers) {
    ReadCloudEventHeader(name, value, message);
  }
  return message;
}

bool MayPassLater(ErrorCode code) {
  return IsTransient(code) || code == ErrorCode::kDeadlineExceeded || code == ErrorCode::kCancelled;
}

}  // namespace

class OutboxRelay::Loop {
 public:
  Loop(postgres::Pool& pool, Broker& broker, OutboxRelayOptions options)
      : pool_(pool),
        broker_(broker),
        options_(std::move(options)),
        outbox_(options_.schema),
        relay_("bus-relay", [this](std::stop_token stop) { Relay(stop); }),
        listen_("bus-outbox", [this](std::stop_token stop) { Listen(stop); }) {}

  void RequestStop() {
    relay_.RequestStop();
    listen_.RequestStop();
  }

 private:
  struct Step {
    std::size_t moved = 0;
  };

  void Relay(std::stop_token stop) {
    milliseconds backoff = options_.first_backoff;
    while (!stop.stop_requested()) {
      const auto step = MoveBatch();
      if (!step) {
        Report(step.error());
        if (!pause_.Wait(stop, backoff)) return;
        backoff = std::min(2 * backoff, options_.last_backoff);
        continue;
      }
      backoff = options_.first_backoff;
      options_.relayed.Add(static_cast<double>(step->moved));
      CountWaiting();
      if (step->moved == 0 && !pause_.Wait(stop, options_.poll_interval)) return;
    }
  }

  void Listen(std::stop_token stop) {
    const std::vector<std::string> channels(1, outbox_.channel());
    postgres::Listener listener(pool_.options().dsn, channels, "tidewheel-relay");
    while (!stop.stop_requested()) {
      const auto heard = listener.Wait(stop, milliseconds{5'000});
      // Its errors are the relay's too, which reports them.
      if (heard && !heard->empty()) pause_.Wake();
    }
  }

  /// Nothing is taken while another copy of the service relays.
  Result<Step> MoveBatch() {
    if (publisher_ == nullptr) {
      auto made = broker_.NewPublisher(kPublishTimeout);
      if (!made) return made.error();
      publisher_ = std::move(*made);
    }
    return pool_.InTransaction([this](pqxx::work& tx) { return MoveWithin(tx); });
  }

  Result<Step> MoveWithin(pqxx::work& tx) {
    const auto batch = outbox_.TakeBatch(tx, options_.batch);
    if (!batch || batch->empty()) return Step{};
    std::vector<Message> messages;
    messages.reserve(batch->size());
    for (const auto& queued : *batch) messages.push_back(ToMessage(queued));

    std::vector<std::int64_t> done;
    const auto published = publisher_->Publish(messages);
    if (published.ok()) {
      for (const auto& queued : *batch) done.push_back(queued.id);
    } else if (MayPassLater(published.error().code)) {
      return published.error();
    } else {
      // One of them is refused for good. The others are not to wait for it.
      for (std::size_t i = 0; i < messages.size(); ++i) {
        const auto alone = publisher_->Publish({&messages[i], 1});
        if (alone.ok()) {
          done.push_back((*batch)[i].id);
        } else if (MayPassLater(alone.error().code)) {
          return alone.error();
        } else {
          Refuse((*batch)[i], alone.error());
        }
      }
    }
    outbox_.Delete(tx, done);
    return Step{done.size()};
  }

  /// By every copy of the service, whoever relays: a backlog is seen wherever one looks.
  void CountWaiting() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_count_) return;
    next_count_ = now + options_.count_interval;
    const auto backlog = pool_.InTransaction(
        [this](pqxx::work& tx) -> Result<postgres::OutboxBacklog> { return outbox_.Backlog(tx); });
    if (backlog) options_.waiting.Set(static_cast<double>(backlog->messages));
  }

  /// The row stays: a person may make the topic or raise the limit. Told once.
  void Refuse(const postgres::QueuedMessage& queued, const Error& why) {
    if (!told_.insert(queued.id).second) return;
    options_.refused.Add();
    Report(Prefixed(
        "outbox of " + options_.schema + ", event " + queued.message.event_id + " stays: ", why));
  }

  void Report(const Error& error) const {
    if (options_.on_problem) options_.on_problem(error);
  }

  postgres::Pool& pool_;
  Broker& broker_;
  const OutboxRelayOptions options_;
  const postgres::Outbox outbox_;
  std::unique_ptr<Publisher> publisher_;  // The relay thread's own, as is told_.
  std::set<std::int64_t> told_;
  std::chrono::steady_clock::time_point next_count_{};
  Pause pause_;
  Worker relay_;
  Worker listen_;
};

OutboxRelay::OutboxRelay(postgres::Pool& pool, Broker& broker, OutboxRelayOptions options)
    : loop_(std::make_unique<Loop>(pool, broker, std::move(options))) {}

OutboxRelay::~OutboxRelay() = default;

void OutboxRelay::RequestStop() { loop_->RequestStop(); }

}  // namespace tidewheel::bus
