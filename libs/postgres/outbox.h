#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <pqxx/pqxx>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"

namespace tidewheel::postgres {

/// An event to be published once its transaction is committed.
struct OutboxMessage {
  std::string event_id;  // A UUID (NewUuid()).
  std::string topic;     // "tidewheel.samples".
  std::string key;       // The entity's id: order holds per key.
  std::string type;      // "tidewheel.events.v1.SampleAdded".
  std::map<std::string, std::string> headers;
  std::string payload;  // Any bytes.
  std::string traceparent;
};

/// A message that waits.
struct QueuedMessage {
  std::int64_t id = 0;  // Rises in the order of enqueuing.
  OutboxMessage message;
  Timestamp created_at;
};

struct OutboxBacklog {
  std::int64_t messages = 0;
  std::optional<Timestamp> oldest;
};

/// The table `outbox` of one schema: a state change and its event are one transaction; a relay
/// moves the event on and deletes it. Functions throw what libpqxx throws, to be caught by Pool.
/// Holds no state; thread-safe.
///
/// Nothing is skipped: a relay remembers no position, it takes the lowest ids it can see, so a row
/// that commits late is simply taken later. Order holds per key where writers of one entity lock
/// its row before they enqueue: then the second one's id is higher and becomes visible after the
/// first one's.
class Outbox {
 public:
  /// `schema` as in "ingestion".
  explicit Outbox(std::string schema) : schema_(std::move(schema)) {}

  /// "outbox_<schema>": notified when a transaction that enqueued commits.
  std::string channel() const { return "outbox_" + schema_; }

  /// kInvalidArgument: an event id is no UUID, no topic, no type.
  Result<void> Enqueue(pqxx::transaction_base& tx, const OutboxMessage& message) const;

  /// All in one statement, in the order given; made for thousands.
  Result<void> Enqueue(pqxx::transaction_base& tx, std::span<const OutboxMessage> messages) const;

  /// The next messages in the order of their ids, at most `limit`. Holds the schema's relay lock
  /// until `tx` ends, so that one relay at a time keeps the order; nothing when another relay holds
  /// it. Publish them, Delete them, commit.
  std::optional<std::vector<QueuedMessage>> TakeBatch(pqxx::transaction_base& tx,
                                                      std::size_t limit) const;

  void Delete(pqxx::transaction_base& tx, std::span<const std::int64_t> ids) const;

  /// Counts every row: for a metric now and then.
  OutboxBacklog Backlog(pqxx::transaction_base& tx) const;

 private:
  std::string schema_;
};

}  // namespace tidewheel::postgres
