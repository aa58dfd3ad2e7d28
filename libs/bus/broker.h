#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/bus/message.h"

namespace tidewheel::bus {

/// Sends messages. Thread-safe. Two calls of one thread keep their order per key.
class Publisher {
 public:
  virtual ~Publisher() = default;

  /// Returns when every message is durable, or with the first failure: then some may be on the
  /// topic all the same, so send all of them again with the same event ids. Blocks up to
  /// BrokerOptions::publish_timeout. kUnavailable: not reached in time. kNotFound: no such topic.
  /// kInvalidArgument: a message the bus refuses (too large).
  virtual Result<void> Publish(std::span<const Message> messages) = 0;
};

/// One member of a consumer group. The partitions of its topics are shared among the group's
/// members. One thread at a time. Leaves the group when it goes.
class Subscription {
 public:
  virtual ~Subscription() = default;

  /// Waits up to `wait` for a first message, then takes up to `at_most` of what is there; in order
  /// within each partition. Empty: nothing came, or stopped. Members hand partitions over inside
  /// this call, so commit what was handled before it. kUnavailable: the bus is away; ask again.
  virtual Result<std::vector<Delivery>> Poll(std::size_t at_most, std::chrono::milliseconds wait,
                                             std::stop_token stop = {}) = 0;

  /// Moves the group's positions. All or none of one topic and partition; the highest wins where
  /// one is named twice. kAborted: a partition is no longer this member's (a rebalance gave it to
  /// another, who reads again from the last commit); what was committed for the others stands.
  virtual Result<void> Commit(std::span<const Position> positions) = 0;

  /// Commits everything in `deliveries`.
  Result<void> CommitAfter(std::span<const Delivery> deliveries);

  /// The next Poll reads this partition from there; the group's position follows with the next
  /// Commit. kFailedPrecondition: the partition is not this member's.
  virtual Result<void> Seek(const std::string& topic, int partition, StartFrom from) = 0;

  /// Tells the group that a slow handler is alive. Reads nothing, but partitions may go to others
  /// meanwhile: see Assignment().
  virtual void KeepAlive() = 0;

  /// What is this member's now; changes inside Poll. Sorted; `offset` is the next one to read, -1
  /// where not known yet.
  virtual std::vector<Position> Assignment() const = 0;
};

/// The offsets a partition holds: from `begin` up to, not including, `end`.
struct PartitionExtent {
  int partition = 0;
  std::int64_t begin = 0;
  std::int64_t end = 0;  // What the next message will get.
};

/// How far a group is behind in one partition.
struct PartitionLag {
  std::string topic{};
  int partition = 0;
  std::int64_t position = 0;  // The next to read.
  std::int64_t end = 0;       // What the next message will get.
  std::int64_t lag = 0;       // Messages between the two that still exist.
};

/// A bus: makes topics, publishers and subscriptions. Thread-safe. Outlives what it makes.
class Broker {
 public:
  virtual ~Broker() = default;

  /// Makes what is missing, each with its dead-letter topic (`<topic>.dlq`, one partition). A topic
  /// that exists keeps its partitions. Idempotent, also when several services do it at once.
  virtual Result<void> EnsureTopics(std::span<const std::string> topics, int partitions) = 0;

  /// `timeout` stands in for BrokerOptions::publish_timeout.
  virtual Result<std::unique_ptr<Publisher>> NewPublisher(
      std::optional<std::chrono::milliseconds> timeout = std::nullopt) = 0;

  /// Joins `group`. A group that has no position in a partition starts at its beginning.
  virtual Result<std::unique_ptr<Subscription>> Subscribe(const std::string& group,
                                                          std::span<const std::string> topics) = 0;

  /// OK when the bus answers now; for health. Waits at most two seconds.
  virtual Result<void> Ping() = 0;

  /// What each partition of a topic holds, by partition. kNotFound: no such topic.
  virtual Result<std::vector<PartitionExtent>> Extent(const std::string& topic) = 0;

  /// One row for each partition the group has a position in.
  virtual Result<std::vector<PartitionLag>> Lag(const std::string& group) = 0;

  /// Moves a group in every partition of `topic`, to read again or to skip.
  /// kFailedPrecondition: the group has members now; stop them, or use Subscription::Seek.
  virtual Result<void> Replay(const std::string& group, const std::string& topic,
                              StartFrom from) = 0;

  /// Removes messages published before `time` (never one that a PostgreSQL group's position has not
  /// passed, unless `also_unread`). Returns how many; Kafka removes them by itself as the topic's
  /// retention says: kUnimplemented.
  virtual Result<std::int64_t> RemoveBefore(const std::string& topic, Timestamp time,
                                            bool also_unread = false) = 0;
};

struct BrokerOptions {
  std::string driver = "postgres";   // Or "kafka".
  std::string address{};             // libpq's connection string; or "host:port,host:port".
  std::string source = "tidewheel";  // `ce_source` of what is published: the service's name.

  /// How long Publish keeps trying.
  std::chrono::milliseconds publish_timeout{30'000};
  /// A member unheard of for so long loses its partitions.
  std::chrono::milliseconds session_timeout{10'000};
  /// So does one that neither polls nor keeps alive for so long.
  std::chrono::milliseconds max_handling{300'000};
  /// PostgreSQL: looks this often even when no notification came.
  std::chrono::milliseconds poll_interval{500};

  int replication_factor = 1;  // Kafka, of topics that EnsureTopics makes.
  /// Kafka: librdkafka's own settings (security.protocol, sasl.*), for every client.
  std::map<std::string, std::string> settings{};
};

/// Does no I/O for `kafka` and none before the first call for `postgres`.
/// kInvalidArgument names an unknown driver or setting.
Result<std::unique_ptr<Broker>> OpenBroker(const BrokerOptions& options);

}  // namespace tidewheel::bus
