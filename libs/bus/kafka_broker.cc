#include "tidewheel/bus/kafka_broker.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/bus/cloud_event.h"

namespace tidewheel::bus {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using TopicPartition = std::pair<std::string, int>;

// How soon a blocked Poll sees a stop.
constexpr milliseconds kSlice{50};
constexpr int kAskMs = 5'000;
constexpr int kPingMs = 2'000;
constexpr int kAdminMs = 20'000;

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* thing) const {
    if (thing != nullptr) Free(thing);
  }
};
using Handle = std::unique_ptr<rd_kafka_t, Freed<rd_kafka_destroy>>;
using Configuration = std::unique_ptr<rd_kafka_conf_t, Freed<rd_kafka_conf_destroy>>;
using PartitionList =
    std::unique_ptr<rd_kafka_topic_partition_list_t, Freed<rd_kafka_topic_partition_list_destroy>>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Freed<rd_kafka_queue_destroy>>;
using Event = std::unique_ptr<rd_kafka_event_t, Freed<rd_kafka_event_destroy>>;
using AdminOptions = std::unique_ptr<rd_kafka_AdminOptions_t, Freed<rd_kafka_AdminOptions_destroy>>;
using Metadata = std::unique_ptr<const rd_kafka_metadata_t, Freed<rd_kafka_metadata_destroy>>;
using RdMessage = std::unique_ptr<rd_kafka_message_t, Freed<rd_kafka_message_destroy>>;
using RdError = std::unique_ptr<rd_kafka_error_t, Freed<rd_kafka_error_destroy>>;

PartitionList NewList(std::size_t size) {
  return PartitionList(rd_kafka_topic_partition_list_new(static_cast<int>(size)));
}

/// The one place where librdkafka's codes become ours.
ErrorCode ToCode(rd_kafka_resp_err_t code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__WAIT_CACHE:
    case RD_KAFKA_RESP_ERR__RETRY:
    case RD_KAFKA_RESP_ERR__IN_PROGRESS:
    case RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR__STATE:
    case RD_KAFKA_RESP_ERR__INTR:
    case RD_KAFKA_RESP_ERR__DESTROY:
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE:
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
    case RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
    case RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
    case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
      return ErrorCode::kUnavailable;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
    case RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED:
      return ErrorCode::kResourceExhausted;
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
      return ErrorCode::kAborted;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_GROUP:
      return ErrorCode::kNotFound;
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
      return ErrorCode::kAlreadyExists;
    case RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP:
      return ErrorCode::kFailedPrecondition;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return ErrorCode::kPermissionDenied;
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
      return ErrorCode::kUnauthenticated;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
      return ErrorCode::kInvalidArgument;
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
      return ErrorCode::kUnimplemented;
    default:
      return ErrorCode::kInternal;
  }
}

Error KafkaError(const std::string& what, rd_kafka_resp_err_t code) {
  return Error{ToCode(code), "kafka: " + what + ": " + rd_kafka_err2str(code)};
}

Result<Configuration> Configure(const std::vector<std::pair<std::string, std::string>>& settings) {
  Configuration configuration(rd_kafka_conf_new());
  std::array<char, 512> why{};
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(configuration.get(), name.c_str(), value.c_str(), why.data(),
                          why.size()) != RD_KAFKA_CONF_OK) {
      return Error{ErrorCode::kInvalidArgument, std::string("kafka: ") + why.data()};
    }
  }
  return configuration;
}

Result<Handle> Open(rd_kafka_type_t type, Configuration configuration) {
  std::array<char, 512> why{};
  rd_kafka_t* handle = rd_kafka_new(type, configuration.get(), why.data(), why.size());
  if (handle == nullptr) {
    return Error{ErrorCode::kInvalidArgument, std::string("kafka: ") + why.data()};
  }
  configuration.release();  // The handle owns it now.
  return Handle(handle);
}

/// What every client of one broker has in common.
std::vector<std::pair<std::string, std::string>> CommonSettings(const BrokerOptions& options) {
  std::vector<std::pair<std::string, std::string>> settings = {
      {"bootstrap.servers", options.address},
      {"client.id", options.source},
      // Nagle and delayed acknowledgements together cost 44 ms a commit.
      {"socket.nagle.disable", "true"},
      // A broker that comes back is found at once, not after ten seconds.
      {"reconnect.backoff.ms", "50"},
      {"reconnect.backoff.max.ms", "500"},
      {"retry.backoff.ms", "50"},
      {"log_level", "3"},
  };
  return settings;
}

void AddOwnSettings(const BrokerOptions& options,
                    std::vector<std::pair<std::string, std::string>>& settings) {
  for (const auto& setting : options.settings) settings.push_back(setting);
}

// Broker addresses that refuse a connection are no news to a person: callers get an Error.
void DropLog(const rd_kafka_t* /*handle*/, int /*level*/, const char* /*facility*/,
             const char* /*text*/) {}

/// Which messages of one Publish are still to be answered.
class Batch {
 public:
  void Expect() {
    const std::lock_guard lock(mutex_);
    ++open_;
  }
  void Answer(rd_kafka_resp_err_t code) {
    const std::lock_guard lock(mutex_);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && failure_ == RD_KAFKA_RESP_ERR_NO_ERROR) {
      failure_ = code;
    }
    // Under the lock: the waiting thread destroys this as soon as it sees zero.
    if (--open_ == 0) answered_.notify_all();
  }
  rd_kafka_resp_err_t Wait() {
    std::unique_lock lock(mutex_);
    answered_.wait(lock, [this] { return open_ == 0; });
    return failure_;
  }

 private:
  std::mutex mutex_;  // Guards the rest.
  std::condition_variable answered_;
  std::size_t open_ = 0;
  rd_kafka_resp_err_t failure_ = RD_KAFKA_RESP_ERR_NO_ERROR;
};

/// One librdkafka producer and the thread that hears its acknowledgements.
class Producer {
 public:
  static Result<std::shared_ptr<Producer>> Open(const BrokerOptions& options,
                                                milliseconds timeout) {
    auto settings = CommonSettings(options);
    settings.insert(settings.end(),
                    {{"enable.idempotence", "true"},
                     {"acks", "all"},
                     // A message that failed must not be overtaken by one behind it.
                     {"enable.gapless.guarantee", "true"},
                     {"linger.ms", "0"},
                     {"message.timeout.ms", std::to_string(timeout.count())},
                     {"partitioner", "murmur2_random"},
                     {"queue.buffering.max.kbytes", "65536"},
                     {"topic.metadata.propagation.max.ms", "3000"},
                     {"allow.auto.create.topics", "false"}});
    AddOwnSettings(options, settings);
    auto configuration = Configure(settings);
    if (!configuration) return configuration.error();
    rd_kafka_conf_set_dr_msg_cb(configuration->get(),
                                [](rd_kafka_t*, const rd_kafka_message_t* message, void*) {
                                  static_cast<Batch*>(message->_private)->Answer(message->err);
                                });
    rd_kafka_conf_set_log_cb(configuration->get(), DropLog);
    auto handle = bus::Open(RD_KAFKA_PRODUCER, std::move(*configuration));
    if (!handle) return handle.error();
    return std::shared_ptr<Producer>(new Producer(std::move(*handle)));
  }

  ~Producer() {
    // Nobody waits for an answer any more, so nothing is queued.
    worker_.reset();
  }

  rd_kafka_t* get() const { return handle_.get(); }

 private:
  explicit Producer(Handle handle)
      : handle_(std::move(handle)),
        worker_(std::make_unique<Worker>("bus-kafka", [this](std::stop_token stop) {
          while (!stop.stop_requested()) {
            rd_kafka_poll(handle_.get(), static_cast<int>(kSlice.count()));
          }
        })) {}

  const Handle handle_;
  std::unique_ptr<Worker> worker_;
};

class KafkaPublisher final : public Publisher {
 public:
  KafkaPublisher(const BrokerOptions& options, milliseconds timeout,
                 std::shared_ptr<Producer> producer)
      : options_(options), timeout_(timeout), producer_(std::move(producer)) {}

  Result<void> Publish(std::span<const Message> messages) override {
    auto producer = Current();
    if (!producer) return producer.error();
    const auto deadline = steady_clock::now() + timeout_;
    Batch batch;
    Result<void> outcome;
    for (const Message& message : messages) {
      outcome = Send((*producer)->get(), message, batch, deadline);
      if (!outcome) break;
    }
    const rd_kafka_resp_err_t failure = batch.Wait();
    if (outcome.ok() && failure != RD_KAFKA_RESP_ERR_NO_ERROR) {
      outcome = KafkaError("publish", failure);
    }
    if (!outcome) ReplaceIfBroken(*producer);
    return outcome;
  }

 private:
  Result<std::shared_ptr<Producer>> Current() {
    const std::lock_guard lock(mutex_);
    if (producer_ == nullptr) {
      auto opened = Producer::Open(options_, timeout_);
      if (!opened) return opened.error();
      producer_ = std::move(*opened);
    }
    return producer_;
  }

  /// A producer that lost its sequence never sends again; the next call gets a new one.
  void ReplaceIfBroken(const std::shared_ptr<Producer>& producer) {
    std::array<char, 256> why{};
    if (rd_kafka_fatal_error(producer->get(), why.data(), why.size()) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
      return;
    }
    const std::lock_guard lock(mutex_);
    if (producer_ == producer) producer_ = nullptr;
  }

  Result<void> Send(rd_kafka_t* handle, const Message& message, Batch& batch,
                    steady_clock::time_point deadline) const {
    while (true) {
      batch.Expect();
      const rd_kafka_resp_err_t code = Enqueue(handle, message, batch);
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
      batch.Answer(RD_KAFKA_RESP_ERR_NO_ERROR);  // It will not be answered.
      if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || steady_clock::now() > deadline) {
        if (code == RD_KAFKA_RESP_ERR__FATAL) {
          // Those that are queued fail now instead of at their timeout.
          rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        }
        return KafkaError("publish to " + message.topic, code);
      }
      std::this_thread::sleep_for(milliseconds{1});  // Until the bus has taken some of ours.
    }
  }

  rd_kafka_resp_err_t Enqueue(rd_kafka_t* handle, const Message& message, Batch& batch) const {
    const auto names = CloudEventHeaders(message, options_.source);
    rd_kafka_headers_t* headers = rd_kafka_headers_new(names.size());
    for (const auto& [name, value] : names) {
      rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                          static_cast<ssize_t>(value.size()));
    }
    std::array<rd_kafka_vu_t, 6> parts{};
    parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
    parts[0].u.cstr = message.topic.c_str();
    parts[1].vtype = RD_KAFKA_VTYPE_VALUE;
    parts[1].u.mem.ptr = const_cast<char*>(message.payload.data());
    parts[1].u.mem.size = message.payload.size();
    parts[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    parts[2].u.i = RD_KAFKA_MSG_F_COPY;
    parts[3].vtype = RD_KAFKA_VTYPE_HEADERS;
    parts[3].u.headers = headers;
    parts[4].vtype = RD_KAFKA_VTYPE_OPAQUE;
    parts[4].u.ptr = &batch;
    std::size_t count = 5;
    // No key at all, not an empty one: that spreads over the partitions.
    if (!message.key.empty()) {
      parts[5].vtype = RD_KAFKA_VTYPE_KEY;
      parts[5].u.mem.ptr = const_cast<char*>(message.key.data());
      parts[5].u.mem.size = message.key.size();
      count = 6;
    }
    const RdError failed(rd_kafka_produceva(handle, parts.data(), count));
    if (failed == nullptr) return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_headers_destroy(headers);
    return rd_kafka_error_code(failed.get());
  }

  const BrokerOptions options_;
  const milliseconds timeout_;
  std::mutex mutex_;  // Guards producer_.
  std::shared_ptr<Producer> producer_;
};

/// What a partition holds. A new leader takes a moment until it knows that it is one.
rd_kafka_resp_err_t AskExtent(rd_kafka_t* handle, const std::string& topic, int partition,
                              std::int64_t& begin, std::int64_t& end) {
  const auto deadline = steady_clock::now() + milliseconds{kAskMs};
  while (true) {
    const auto code =
        rd_kafka_query_watermark_offsets(handle, topic.c_str(), partition, &begin, &end, kAskMs);
    const bool too_early = code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
                           code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    if (!too_early || steady_clock::now() > deadline) return code;
    std::this_thread::sleep_for(milliseconds{20});
  }
}

/// A watermark or the offset of a time, as a number.
Result<std::int64_t> Resolve(rd_kafka_t* handle, const std::string& topic, int partition,
                             const StartFrom& from) {
  const std::string what = topic + "/" + std::to_string(partition);
  std::int64_t low = 0;
  std::int64_t high = 0;
  const auto asked = AskExtent(handle, topic, partition, low, high);
  if (asked != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError("offsets of " + what, asked);
  switch (from.kind) {
    case StartFrom::Kind::kBeginning:
      return low;
    case StartFrom::Kind::kEnd:
      return high;
    case StartFrom::Kind::kOffset:
      return std::clamp(from.offset, low, high);
    case StartFrom::Kind::kTime:
      break;
  }
  const PartitionList list = NewList(1);
  rd_kafka_topic_partition_t* entry =
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition);
  // Up to the next millisecond, which is what Kafka keeps.
  entry->offset = std::chrono::ceil<milliseconds>(from.time.time_since_epoch()).count();
  const auto found = rd_kafka_offsets_for_times(handle, list.get(), kAskMs);
  if (found != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError("times of " + what, found);
  if (entry->err != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError("times of " + what, entry->err);
  return entry->offset < 0 ? high : entry->offset;
}

class KafkaSubscription final : public Subscription {
 public:
  static Result<std::unique_ptr<Subscription>> Open(const BrokerOptions& options,
                                                    const std::string& group,
                                                    std::span<const std::string> topics) {
    auto subscription =
        std::unique_ptr<KafkaSubscription>(new KafkaSubscription(options.session_timeout));
    auto settings = CommonSettings(options);
    const auto session = options.session_timeout.count();
    settings.insert(
        settings.end(),
        {{"group.id", group},
         {"enable.auto.commit", "false"},
         {"enable.auto.offset.store", "false"},
         {"auto.offset.reset", "earliest"},
         // The sticky assignor of librdkafka before 2.3 aborts the process when a member goes that
         // has joined and was not told its partitions yet (its issue 4312), and the moment cannot
         // be told from outside. This one keeps nothing between two rebalances.
         {"partition.assignment.strategy", "roundrobin"},
         {"session.timeout.ms", std::to_string(session)},
         {"heartbeat.interval.ms", std::to_string(std::clamp<long>(session / 6, 100, 3000))},
         {"max.poll.interval.ms", std::to_string(std::max(session, options.max_handling.count()))},
         {"fetch.wait.max.ms", "100"},
         {"fetch.error.backoff.ms", "100"},
         {"queued.max.messages.kbytes", "16384"}});
    AddOwnSettings(options, settings);
    auto configuration = Configure(settings);
    if (!configuration) return configuration.error();
    rd_kafka_conf_set_opaque(configuration->get(), subscription.get());
    rd_kafka_conf_set_rebalance_cb(
        configuration->get(),
        [](rd_kafka_t*, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions,
           void* self) { static_cast<KafkaSubscription*>(self)->Rebalance(what, *partitions); });
    rd_kafka_conf_set_error_cb(configuration->get(),
                               [](rd_kafka_t*, int code, const char*, void* self) {
                                 static_cast<KafkaSubscription*>(self)->Hear(code);
                               });
    rd_kafka_conf_set_log_cb(configuration->get(), DropLog);
    auto handle = bus::Open(RD_KAFKA_CONSUMER, std::move(*configuration));
    if (!handle) return handle.error();
    subscription->handle_ = std::move(*handle);
    rd_kafka_poll_set_consumer(subscription->handle_.get());

    const PartitionList list = NewList(topics.size());
    for (const std::string& topic : topics) {
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
    }
    const auto joined = rd_kafka_subscribe(subscription->handle_.get(), list.get());
    if (joined != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError("subscribe " + group, joined);
    return std::unique_ptr<Subscription>(std::move(subscription));
  }

  ~KafkaSubscription() override {
    if (handle_ == nullptr) return;
    rd_kafka_consumer_close(handle_.get());
  }

  Result<std::vector<Delivery>> Poll(std::size_t at_most, milliseconds wait,
                                     std::stop_token stop) override {
    Resume();
    rd_kafka_resp_err_t failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    // Where a rebalance in the middle finds them: what it takes back comes again.
    gathered_.clear();
    while (!stashed_.empty() && gathered_.size() < at_most) {
      gathered_.push_back(std::move(stashed_.front()));
      stashed_.pop_front();
    }
    const auto deadline = steady_clock::now() + wait;
    while (gathered_.size() < at_most && !stop.stop_requested()) {
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
      const milliseconds slice =
          gathered_.empty() ? std::clamp(left, milliseconds{0}, kSlice) : milliseconds{0};
      const RdMessage message(
          rd_kafka_consumer_poll(handle_.get(), static_cast<int>(slice.count())));
      if (message == nullptr) {
        if (!gathered_.empty() || left.count() <= 0) break;
        continue;
      }
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) continue;
        // Polled again, so it joins again by itself.
        if (message->err == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED) continue;
        failure = message->err;
        break;
      }
      gathered_.push_back(ToDelivery(*message));
    }
    for (const Delivery& delivery : gathered_) {
      assigned_[{delivery.message.topic, delivery.partition}] = delivery.offset + 1;
    }
    if (!gathered_.empty()) {
      all_down_ = false;
      return std::exchange(gathered_, {});
    }
    if (failure != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError("poll", failure);
    if (all_down_.exchange(false)) return KafkaError("poll", RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN);
    return std::vector<Delivery>{};
  }

  Result<void> Commit(std::span<const Position> positions) override {
    std::map<TopicPartition, std::int64_t> wanted;
    for (const Position& position : positions) {
      std::int64_t& offset = wanted[{position.topic, position.partition}];
      offset = std::max(offset, position.offset);
    }
    // The broker checks the member, not what it was assigned.
    const bool lost = rd_kafka_assignment_lost(handle_.get()) != 0;
    std::string missing;
    std::erase_if(wanted, [&](const auto& entry) {
      if (!lost && assigned_.contains(entry.first)) return false;
      missing += " " + entry.first.first + "/" + std::to_string(entry.first.second);
      return true;
    });
    if (!wanted.empty()) {
      if (const auto committed = CommitOwned(wanted); !committed) return committed;
    }
    if (!missing.empty()) return LostError(missing);
    return {};
  }

  Result<void> Seek(const std::string& topic, int partition, StartFrom from) override {
    const TopicPartition where{topic, partition};
    if (!assigned_.contains(where)) {
      return Error{ErrorCode::kFailedPrecondition,
                   "kafka: " + topic + "/" + std::to_string(partition) + " is not this member's"};
    }
    const auto offset = Resolve(handle_.get(), topic, partition, from);
    if (!offset) return offset.error();
    const PartitionList list = NewList(1);
    rd_kafka_topic_partition_t* entry =
        rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition);
    const auto deadline = steady_clock::now() + milliseconds{kAskMs};
    while (true) {
      entry->offset = *offset;
      entry->err = RD_KAFKA_RESP_ERR_NO_ERROR;
      const RdError failed(rd_kafka_seek_partitions(handle_.get(), list.get(), kAskMs));
      const auto code = failed != nullptr ? rd_kafka_error_code(failed.get()) : entry->err;
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR) break;
      // Just assigned: its fetching has not begun.
      if (code != RD_KAFKA_RESP_ERR__STATE || steady_clock::now() > deadline) {
        return KafkaError("seek " + topic + "/" + std::to_string(partition), code);
      }
      std::this_thread::sleep_for(milliseconds{10});
    }
    std::erase_if(stashed_, [&](const Delivery& delivery) {
      return delivery.message.topic == topic && delivery.partition == partition;
    });
    assigned_[where] = *offset;
    return {};
  }

  void KeepAlive() override {
    if (!paused_ && !assigned_.empty()) {
      const PartitionList list = AssignedList();
      paused_ = rd_kafka_pause_partitions(handle_.get(), list.get()) == RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    const RdMessage message(rd_kafka_consumer_poll(handle_.get(), 0));
    if (message != nullptr && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      stashed_.push_back(ToDelivery(*message));
    }
  }

  std::vector<Position> Assignment() const override {
    std::vector<Position> positions;
    positions.reserve(assigned_.size());
    for (const auto& [where, offset] : assigned_) {
      positions.push_back({where.first, where.second, offset});
    }
    return positions;
  }

 private:
  explicit KafkaSubscription(milliseconds session) : session_(session) {}

  static Delivery ToDelivery(const rd_kafka_message_t& raw) {
    Delivery delivery;
    delivery.partition = raw.partition;
    delivery.offset = raw.offset;
    Message& message = delivery.message;
    message.topic = rd_kafka_topic_name(raw.rkt);
    if (raw.key != nullptr) message.key.assign(static_cast<const char*>(raw.key), raw.key_len);
    if (raw.payload != nullptr)
      message.payload.assign(static_cast<const char*>(raw.payload), raw.len);
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&raw, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      const char* name = nullptr;
      const void* value = nullptr;
      std::size_t size = 0;
      for (std::size_t i = 0;
           rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
           ++i) {
        ReadCloudEventHeader(name, std::string_view(static_cast<const char*>(value), size),
                             message);
      }
    }
    return delivery;
  }

  static Error LostError(const std::string& partitions) {
    return Error{ErrorCode::kAborted, "kafka: no longer this member's:" + partitions};
  }

  Result<void> CommitOwned(const std::map<TopicPartition, std::int64_t>& wanted) {
    const PartitionList list = NewList(wanted.size());
    std::string names;
    for (const auto& [where, offset] : wanted) {
      rd_kafka_topic_partition_list_add(list.get(), where.first.c_str(), where.second)->offset =
          offset;
      names += " " + where.first + "/" + std::to_string(where.second);
    }
    // While a rebalance runs behind our back the broker knows a newer generation for a moment; what
    // is lost for good shows within the session.
    const auto deadline = steady_clock::now() + session_;
    while (true) {
      const auto code = rd_kafka_commit(handle_.get(), list.get(), 0);
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
      if (code != RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS &&
          code != RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION) {
        if (ToCode(code) == ErrorCode::kAborted) return LostError(names);
        return KafkaError("commit", code);
      }
      if (rd_kafka_assignment_lost(handle_.get()) != 0 || steady_clock::now() > deadline) {
        return LostError(names);
      }
      std::this_thread::sleep_for(milliseconds{20});
    }
  }

  // Called inside Poll, KeepAlive and the destructor, on their thread. Every rebalance takes all
  // partitions first; those that come back are read from their last commit.
  void Rebalance(rd_kafka_resp_err_t what, const rd_kafka_topic_partition_list_t& partitions) {
    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS &&
        rd_kafka_assign(handle_.get(), &partitions) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      for (int i = 0; i < partitions.cnt; ++i) {
        assigned_[{partitions.elems[i].topic, partitions.elems[i].partition}] = -1;
      }
      if (paused_ && !assigned_.empty()) {
        const PartitionList list = AssignedList();
        rd_kafka_pause_partitions(handle_.get(), list.get());
      }
      return;
    }
    if (paused_ && !assigned_.empty()) {
      // Whoever gets one again later must not find it paused.
      const PartitionList list = AssignedList();
      rd_kafka_resume_partitions(handle_.get(), list.get());
    }
    assigned_.clear();
    gathered_.clear();
    stashed_.clear();
    rd_kafka_assign(handle_.get(), nullptr);
  }

  void Hear(int code) {
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) all_down_ = true;
  }

  void Resume() {
    if (!paused_) return;
    paused_ = false;
    if (assigned_.empty()) return;
    const PartitionList list = AssignedList();
    rd_kafka_resume_partitions(handle_.get(), list.get());
  }

  PartitionList AssignedList() const {
    PartitionList list = NewList(assigned_.size());
    for (const auto& [where, offset] : assigned_) {
      rd_kafka_topic_partition_list_add(list.get(), where.first.c_str(), where.second);
    }
    return list;
  }

  const milliseconds session_;
  std::map<TopicPartition, std::int64_t> assigned_;  // Next offset to read; -1: not known yet.
  std::vector<Delivery> gathered_;                   // By the Poll that runs.
  std::deque<Delivery> stashed_;                     // Came while keeping alive.
  bool paused_ = false;
  std::atomic<bool> all_down_ = false;
  Handle handle_;  // Last: its closing calls back into the above.
};

class KafkaBroker final : public Broker {
 public:
  KafkaBroker(BrokerOptions options, Handle admin)
      : options_(std::move(options)), admin_(std::move(admin)) {}

  Result<void> EnsureTopics(std::span<const std::string> topics, int partitions) override {
    std::map<std::string, int> wanted;
    for (const std::string& topic : topics) {
      wanted[topic] = partitions;
      if (!topic.ends_with(".dlq")) wanted[DeadLetterTopic(topic)] = 1;
    }
    std::vector<std::unique_ptr<rd_kafka_NewTopic_t, Freed<rd_kafka_NewTopic_destroy>>> owned;
    std::vector<rd_kafka_NewTopic_t*> list;
    std::array<char, 256> why{};
    for (const auto& [topic, count] : wanted) {
      owned.emplace_back(rd_kafka_NewTopic_new(topic.c_str(), count, options_.replication_factor,
                                               why.data(), why.size()));
      if (owned.back() == nullptr) {
        return Error{ErrorCode::kInvalidArgument, "kafka: topic " + topic + ": " + why.data()};
      }
      list.push_back(owned.back().get());
    }
    const Queue queue(rd_kafka_queue_new(admin_.get()));
    rd_kafka_CreateTopics(admin_.get(), list.data(), list.size(), nullptr, queue.get());
    const auto event = Await(queue, "create topics");
    if (!event) return event.error();
    std::size_t count = 0;
    const rd_kafka_topic_result_t** results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event->get()), &count);
    for (std::size_t i = 0; i < count; ++i) {
      const auto code = rd_kafka_topic_result_error(results[i]);
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        return KafkaError(std::string("create topic ") + rd_kafka_topic_result_name(results[i]),
                          code);
      }
    }
    // Made is not ready: wait until each partition's leader answers.
    const auto deadline = steady_clock::now() + milliseconds{kAdminMs};
    for (const auto& [topic, ignored] : wanted) {
      while (true) {
        const auto ready = Extent(topic);
        if (ready) break;
        if (steady_clock::now() > deadline) return ready.error();
        std::this_thread::sleep_for(milliseconds{20});
      }
    }
    return {};
  }

  Result<std::unique_ptr<Publisher>> NewPublisher(std::optional<milliseconds> timeout) override {
    const milliseconds patience = timeout.value_or(options_.publish_timeout);
    auto producer = Producer::Open(options_, patience);
    if (!producer) return producer.error();
    return std::unique_ptr<Publisher>(
        std::make_unique<KafkaPublisher>(options_, patience, std::move(*producer)));
  }

  Result<std::unique_ptr<Subscription>> Subscribe(const std::string& group,
                                                  std::span<const std::string> topics) override {
    return KafkaSubscription::Open(options_, group, topics);
  }

  Result<void> Ping() override {
    const rd_kafka_metadata_t* raw = nullptr;
    const auto code = rd_kafka_metadata(admin_.get(), 0, nullptr, &raw, kPingMs);
    const Metadata metadata(raw);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError("ping " + options_.address, code);
    return {};
  }

  Result<std::vector<PartitionExtent>> Extent(const std::string& topic) override {
    const auto partitions = Partitions(topic);
    if (!partitions) return partitions.error();
    std::vector<PartitionExtent> extents;
    for (int partition = 0; partition < *partitions; ++partition) {
      PartitionExtent extent{partition, 0, 0};
      const auto code = AskExtent(admin_.get(), topic, partition, extent.begin, extent.end);
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError("offsets of " + topic, code);
      extents.push_back(extent);
    }
    return extents;
  }

  Result<std::vector<PartitionLag>> Lag(const std::string& group) override {
    // Who keeps a new group's positions takes a moment until it knows that it does.
    const auto deadline = steady_clock::now() + milliseconds{kAskMs};
    while (true) {
      auto lags = AskLag(group);
      if (lags || lags.error().code != ErrorCode::kUnavailable || steady_clock::now() > deadline) {
        return lags;
      }
      std::this_thread::sleep_for(milliseconds{50});
    }
  }

  Result<void> Replay(const std::string& group, const std::string& topic, StartFrom from) override {
    const auto partitions = Partitions(topic);
    if (!partitions) return partitions.error();
    const PartitionList list = NewList(static_cast<std::size_t>(*partitions));
    for (int partition = 0; partition < *partitions; ++partition) {
      const auto offset = Resolve(admin_.get(), topic, partition, from);
      if (!offset) return offset.error();
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = *offset;
    }
    std::unique_ptr<rd_kafka_AlterConsumerGroupOffsets_t,
                    Freed<rd_kafka_AlterConsumerGroupOffsets_destroy>>
        request(rd_kafka_AlterConsumerGroupOffsets_new(group.c_str(), list.get()));
    rd_kafka_AlterConsumerGroupOffsets_t* requests[] = {request.get()};
    const Queue queue(rd_kafka_queue_new(admin_.get()));
    rd_kafka_AlterConsumerGroupOffsets(admin_.get(), requests, 1, nullptr, queue.get());
    const auto event = Await(queue, "replay for " + group);
    if (!event) return event.error();
    std::size_t count = 0;
    const rd_kafka_group_result_t** groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(event->get()), &count);
    for (std::size_t i = 0; i < count; ++i) {
      if (const rd_kafka_error_t* failed = rd_kafka_group_result_error(groups[i])) {
        return ReplayError(group, rd_kafka_error_code(failed));
      }
      const rd_kafka_topic_partition_list_t* set = rd_kafka_group_result_partitions(groups[i]);
      for (int j = 0; set != nullptr && j < set->cnt; ++j) {
        if (set->elems[j].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
          return ReplayError(group, set->elems[j].err);
        }
      }
    }
    return {};
  }

  Result<std::int64_t> RemoveBefore(const std::string& topic, Timestamp /*time*/,
                                    bool /*also_unread*/) override {
    return Error{ErrorCode::kUnimplemented,
                 "kafka: " + topic + " is kept as long as its retention.ms says"};
  }

 private:
  Result<std::vector<PartitionLag>> AskLag(const std::string& group) {
    std::unique_ptr<rd_kafka_ListConsumerGroupOffsets_t,
                    Freed<rd_kafka_ListConsumerGroupOffsets_destroy>>
        request(rd_kafka_ListConsumerGroupOffsets_new(group.c_str(), nullptr));
    rd_kafka_ListConsumerGroupOffsets_t* requests[] = {request.get()};
    const Queue queue(rd_kafka_queue_new(admin_.get()));
    rd_kafka_ListConsumerGroupOffsets(admin_.get(), requests, 1, nullptr, queue.get());
    const auto event = Await(queue, "positions of " + group);
    if (!event) return event.error();
    std::size_t count = 0;
    const rd_kafka_group_result_t** groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event->get()), &count);
    std::vector<PartitionLag> lags;
    for (std::size_t i = 0; i < count; ++i) {
      if (const rd_kafka_error_t* failed = rd_kafka_group_result_error(groups[i])) {
        return KafkaError("positions of " + group, rd_kafka_error_code(failed));
      }
      const rd_kafka_topic_partition_list_t* positions =
          rd_kafka_group_result_partitions(groups[i]);
      for (int j = 0; positions != nullptr && j < positions->cnt; ++j) {
        const rd_kafka_topic_partition_t& position = positions->elems[j];
        if (position.offset < 0) continue;
        PartitionLag lag{position.topic, position.partition, position.offset, 0, 0};
        std::int64_t low = 0;
        const auto code = AskExtent(admin_.get(), lag.topic, lag.partition, low, lag.end);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError("offsets of " + lag.topic, code);
        lag.lag = std::max<std::int64_t>(0, lag.end - std::max(lag.position, low));
        lags.push_back(std::move(lag));
      }
    }
    return lags;
  }

  static Error ReplayError(const std::string& group, rd_kafka_resp_err_t code) {
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID || code == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP ||
        code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION) {
      return Error{ErrorCode::kFailedPrecondition, "kafka: group " + group + " has members now"};
    }
    return KafkaError("replay for " + group, code);
  }

  static Result<Event> Await(const Queue& queue, const std::string& what) {
    Event event(rd_kafka_queue_poll(queue.get(), kAdminMs));
    if (event == nullptr) return KafkaError(what, RD_KAFKA_RESP_ERR__TIMED_OUT);
    if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return KafkaError(what, code);
    }
    return event;
  }

  /// How many, once each of them has a leader.
  Result<int> Partitions(const std::string& topic) {
    const std::unique_ptr<rd_kafka_topic_t, Freed<rd_kafka_topic_destroy>> handle(
        rd_kafka_topic_new(admin_.get(), topic.c_str(), nullptr));
    const rd_kafka_metadata_t* raw = nullptr;
    const auto code = rd_kafka_metadata(admin_.get(), 0, handle.get(), &raw, kAskMs);
    const Metadata metadata(raw);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError("topic " + topic, code);
    if (metadata->topic_cnt != 1) {
      return KafkaError("topic " + topic, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    }
    const rd_kafka_metadata_topic_t& found = metadata->topics[0];
    if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError("topic " + topic, found.err);
    for (int i = 0; i < found.partition_cnt; ++i) {
      if (found.partitions[i].leader < 0) {
        return KafkaError("topic " + topic, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
      }
    }
    return found.partition_cnt;
  }

  const BrokerOptions options_;
  const Handle admin_;
};

}  // namespace

Result<std::unique_ptr<Broker>> OpenKafkaBroker(const BrokerOptions& options) {
  auto settings = CommonSettings(options);
  // It joins no group. But librdkafka (at least 2.0 to 2.10, its issue 5040) ends the process when
  // a client without one asks for a group's positions and the broker is not the one to know them.
  settings.emplace_back("group.id", options.source + ".admin");
  AddOwnSettings(options, settings);
  auto configuration = Configure(settings);
  if (!configuration) return configuration.error();
  rd_kafka_conf_set_log_cb(configuration->get(), DropLog);
  auto admin = Open(RD_KAFKA_CONSUMER, std::move(*configuration));
  if (!admin) return admin.error();
  return std::unique_ptr<Broker>(std::make_unique<KafkaBroker>(options, std::move(*admin)));
}

}  // namespace tidewheel::bus
