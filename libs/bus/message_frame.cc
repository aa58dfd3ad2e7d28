#include "tidewheel/bus/message_frame.h"

#include <array>
#include <chrono>
#include <utility>

namespace tidewheel::bus {
namespace {

constexpr std::size_t kHead = 8;
constexpr std::uint8_t kVersion = 1;

constexpr std::array<std::uint32_t, 256> MakeTable() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78u : 0u);
    table[i] = value;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kTable = MakeTable();

template <typename Integer>
void PutInteger(Integer value, std::string& out) {
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    out.push_back(static_cast<char>((static_cast<std::uint64_t>(value) >> (8 * i)) & 0xFF));
  }
}

template <typename Integer>
Integer GetInteger(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[i])) << (8 * i);
  }
  return static_cast<Integer>(value);
}

void PutText(std::string_view text, std::string& out) {
  PutInteger(static_cast<std::uint32_t>(text.size()), out);
  out.append(text);
}

/// Reads a body from front to back; after a field that does not fit, `ok` stays false.
struct BodyReader {
  std::string_view rest;
  bool ok = true;

  template <typename Integer>
  Integer TakeInteger() {
    if (!ok || rest.size() < sizeof(Integer)) {
      ok = false;
      return 0;
    }
    const auto value = GetInteger<Integer>(rest);
    rest.remove_prefix(sizeof(Integer));
    return value;
  }

  std::string TakeText() {
    const auto size = TakeInteger<std::uint32_t>();
    if (!ok || rest.size() < size) {
      ok = false;
      return {};
    }
    std::string text(rest.substr(0, size));
    rest.remove_prefix(size);
    return text;
  }
};

}  // namespace

std::uint32_t Crc32c(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<std::uint8_t>(c)) & 0xFF];
  return ~crc;
}

void AppendFrame(const Message& message, std::string& out) {
  const std::size_t start = out.size();
  out.append(kHead, '\0');
  PutInteger(kVersion, out);
  PutText(message.topic, out);
  PutText(message.key, out);
  PutText(message.event_id, out);
  PutText(message.type, out);
  PutText(message.source, out);
  PutText(message.traceparent, out);
  PutInteger(static_cast<std::int64_t>(message.time.time_since_epoch().count()), out);
  PutInteger(static_cast<std::int32_t>(message.schema_version), out);
  PutText(message.payload, out);
  PutInteger(static_cast<std::uint32_t>(message.headers.size()), out);
  for (const auto& [name, value] : message.headers) {
    PutText(name, out);
    PutText(value, out);
  }

  const std::string_view body = std::string_view(out).substr(start + kHead);
  std::string head;
  PutInteger(static_cast<std::uint32_t>(body.size()), head);
  PutInteger(Crc32c(body), head);
  out.replace(start, kHead, head);
}

FrameView NextFrame(std::string_view bytes) {
  if (bytes.size() < kHead) return {};
  const std::size_t length = GetInteger<std::uint32_t>(bytes);
  // No body is empty: zeros are what a file system leaves where a write never arrived.
  if (length == 0 || bytes.size() - kHead < length) return {};
  const std::string_view body = bytes.substr(kHead, length);
  const bool whole = Crc32c(body) == GetInteger<std::uint32_t>(bytes.substr(4));
  return {whole ? FrameView::State::kWhole : FrameView::State::kDamaged, body, kHead + length};
}

Result<Message> DecodeBody(std::string_view body) {
  BodyReader reader{body};
  Message message;
  if (reader.TakeInteger<std::uint8_t>() != kVersion) {
    return Error{ErrorCode::kDataLoss, "a spilled message has an unknown version"};
  }
  message.topic = reader.TakeText();
  message.key = reader.TakeText();
  message.event_id = reader.TakeText();
  message.type = reader.TakeText();
  message.source = reader.TakeText();
  message.traceparent = reader.TakeText();
  message.time = Timestamp{std::chrono::microseconds{reader.TakeInteger<std::int64_t>()}};
  message.schema_version = reader.TakeInteger<std::int32_t>();
  message.payload = reader.TakeText();
  const auto headers = reader.TakeInteger<std::uint32_t>();
  for (std::uint32_t i = 0; i < headers && reader.ok; ++i) {
    std::string name = reader.TakeText();
    message.headers[std::move(name)] = reader.TakeText();
  }
  if (!reader.ok || !reader.rest.empty()) {
    return Error{ErrorCode::kDataLoss, "a spilled message is not whole"};
  }
  return message;
}

}  // namespace tidewheel::bus
