#include "tidewheel/postgres/outbox.h"

#include <cstdio>

#include "tidewheel/base/ids.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::postgres {
namespace {

void AppendJsonText(std::string& json, std::string_view text) {
  json.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json.push_back('\\');
      json.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      json += escaped;
    } else {
      json.push_back(c);
    }
  }
  json.push_back('"');
}

std::string ToJson(const std::map<std::string, std::string>& headers) {
  std::string json = "{";
  for (const auto& [name, value] : headers) {
    if (json.size() > 1) json.push_back(',');
    AppendJsonText(json, name);
    json.push_back(':');
    AppendJsonText(json, value);
  }
  return json + "}";
}

/// Reads what PostgreSQL prints for an object of texts: `{"a": "b", ...}` with JSON's short
/// escapes.
std::map<std::string, std::string> FromJson(std::string_view json) {
  std::map<std::string, std::string> headers;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (json[i] != '"') continue;
    std::string text;
    for (++i; i < json.size() && json[i] != '"'; ++i) {
      if (json[i] != '\\' || i + 1 == json.size()) {
        text.push_back(json[i]);
        continue;
      }
      switch (json[++i]) {
        case 'b':
          text.push_back('\b');
          break;
        case 'f':
          text.push_back('\f');
          break;
        case 'n':
          text.push_back('\n');
          break;
        case 'r':
          text.push_back('\r');
          break;
        case 't':
          text.push_back('\t');
          break;
        case 'u':  // Only control characters are printed so.
          text.push_back(
              static_cast<char>(std::stoi(std::string(json.substr(i + 1, 4)), nullptr, 16)));
          i += 4;
          break;
        default:
          text.push_back(json[i]);
      }
    }
    texts.push_back(std::move(text));
  }
  for (std::size_t i = 0; i + 1 < texts.size(); i += 2) {
    headers[std::move(texts[i])] = std::move(texts[i + 1]);
  }
  return headers;
}

Result<void> Check(const OutboxMessage& message) {
  if (!IsUuid(message.event_id)) {
    return Error{ErrorCode::kInvalidArgument, "event id \"" + message.event_id + "\" is no UUID"};
  }
  if (message.topic.empty() || message.type.empty()) {
    return Error{ErrorCode::kInvalidArgument, "event " + message.event_id + " has no " +
                                                  (message.topic.empty() ? "topic" : "type")};
  }
  return {};
}

}  // namespace

Result<void> Outbox::Enqueue(pqxx::transaction_base& tx, const OutboxMessage& message) const {
  return Enqueue(tx, std::span(&message, 1));
}

Result<void> Outbox::Enqueue(pqxx::transaction_base& tx,
                             std::span<const OutboxMessage> messages) const {
  if (messages.empty()) return {};
  TextArray event_ids;
  TextArray topics;
  TextArray keys;
  TextArray types;
  TextArray headers;
  ByteaArray payloads;
  TextArray traceparents;
  for (const OutboxMessage& message : messages) {
    if (auto good = Check(message); !good) return good;
    event_ids.Add(message.event_id);
    topics.Add(message.topic);
    keys.Add(message.key);
    types.Add(message.type);
    headers.Add(ToJson(message.headers));
    payloads.Add(message.payload);
    traceparents.Add(message.traceparent);
  }
  tx.exec_params(
      "INSERT INTO " + schema_ +
          ".outbox (event_id, topic, key, type, headers, payload, traceparent)"
          " SELECT event_id::uuid, topic, key, type, headers::jsonb, payload, traceparent"
          " FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[],"
          " $7::text[]) WITH ORDINALITY"
          " AS m (event_id, topic, key, type, headers, payload, traceparent, position)"
          " ORDER BY position",
      event_ids.Parameter(), topics.Parameter(), keys.Parameter(), types.Parameter(),
      headers.Parameter(), payloads.Parameter(), traceparents.Parameter());
  tx.exec("NOTIFY " + channel());
  return {};
}

std::optional<std::vector<QueuedMessage>> Outbox::TakeBatch(pqxx::transaction_base& tx,
                                                            std::size_t limit) const {
  const auto lock = tx.exec_params1(
      "SELECT pg_try_advisory_xact_lock(hashtextextended('tidewheel.outbox.' || $1, 0))", schema_);
  if (!lock[0].as<bool>()) return std::nullopt;

  const auto rows = tx.exec_params(
      "SELECT id, event_id, topic, key, type, headers, payload, traceparent, created_at FROM " +
          schema_ + ".outbox ORDER BY id LIMIT $1",
      limit);
  std::vector<QueuedMessage> batch;
  batch.reserve(rows.size());
  for (const auto& row : rows) {
    batch.push_back({.id = row[0].as<std::int64_t>(),
                     .message = {.event_id = row[1].as<std::string>(),
                                 .topic = row[2].as<std::string>(),
                                 .key = row[3].as<std::string>(),
                                 .type = row[4].as<std::string>(),
                                 .headers = FromJson(row[5].c_str()),
                                 .payload = BytesOf(row[6]),
                                 .traceparent = row[7].as<std::string>()},
                     .created_at = row[8].as<Timestamp>()});
  }
  return batch;
}

void Outbox::Delete(pqxx::transaction_base& tx, std::span<const std::int64_t> ids) const {
  if (ids.empty()) return;
  BigintArray array;
  for (const std::int64_t id : ids) array.Add(id);
  tx.exec_params("DELETE FROM " + schema_ + ".outbox WHERE id = ANY ($1::bigint[])",
                 array.Parameter());
}

OutboxBacklog Outbox::Backlog(pqxx::transaction_base& tx) const {
  const auto row = tx.exec1("SELECT count(*), min(created_at) FROM " + schema_ + ".outbox");
  return {.messages = row[0].as<std::int64_t>(), .oldest = row[1].as<std::optional<Timestamp>>()};
}

}  // namespace tidewheel::postgres
