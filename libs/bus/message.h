#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "tidewheel/base/clock.h"

namespace tidewheel::bus {

/// One fact on a topic.
///
/// On the wire (Kafka headers; columns of the same meaning in PostgreSQL) it is a CloudEvents 1.0
/// event in binary mode: `ce_specversion` "1.0", `ce_id` event_id, `ce_type` type, `ce_source` the
/// publishing service, `ce_time` time in RFC 3339, `ce_subject` key, `ce_dataschemaversion`
/// schema_version, `content-type` "application/protobuf", then `traceparent` (W3C, left out when
/// empty) and everything in `headers` under its own name.
struct Message {
  std::string topic{};  // "tidewheel.samples".
  /// The entity's id: order holds among messages of one key. Empty: no order asked for.
  std::string key{};
  /// Unique, and the same when the message is sent again. Empty: Publish makes a UUID.
  std::string event_id{};
  std::string type{};         // "tidewheel.events.v1.SampleAccepted".
  std::string source{};       // `ce_source`: who says so. Empty: BrokerOptions::source.
  std::string traceparent{};  // W3C trace context of what caused it.
  Timestamp time{};           // When the fact became true. Zero: Publish sets now.
  int schema_version = 1;     // Of the payload.
  std::string payload{};      // Serialized protobuf.
  /// Anything else; names with `ce_` in front are reserved.
  std::map<std::string, std::string> headers{};

  friend bool operator==(const Message&, const Message&) = default;
};

/// A message as a subscription got it.
struct Delivery {
  Message message{};
  int partition = 0;
  std::int64_t offset = 0;  // Counts within topic and partition, rising; not always by one (Kafka).
};

/// Where a group is in one partition: `offset` is the next one to read.
struct Position {
  std::string topic{};
  int partition = 0;
  std::int64_t offset = 0;

  friend auto operator<=>(const Position&, const Position&) = default;
};

/// The position once `delivery` is dealt with.
Position After(const Delivery& delivery);

/// A place in a partition to (re)start from.
struct StartFrom {
  enum class Kind { kBeginning, kEnd, kOffset, kTime };
  Kind kind = Kind::kBeginning;
  std::int64_t offset = 0;  // With kOffset.
  Timestamp time{};         // With kTime: the first message published at this time or later.

  static StartFrom Beginning() { return {}; }
  static StartFrom End() { return {Kind::kEnd, 0, {}}; }
  static StartFrom Offset(std::int64_t offset) { return {Kind::kOffset, offset, {}}; }
  static StartFrom Time(Timestamp time) { return {Kind::kTime, 0, time}; }
};

/// "tidewheel.samples" -> "tidewheel.samples.dlq".
std::string DeadLetterTopic(std::string_view topic);

}  // namespace tidewheel::bus
