#include "tidewheel/rpc/internal/message_writer.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace tidewheel::rpc {
namespace {

/// "head", then memory of another's, then "tail".
MessageParts InParts(const std::string& middle) {
  auto owned = std::make_shared<std::string>(middle);
  MessageParts message{.text = "headtail"};
  message.parts.push_back({.at = 0, .size = 4});
  message.parts.push_back({.size = owned->size(), .data = *owned, .owner = owned});
  message.parts.push_back({.at = 4, .size = 4});
  return message;
}

TEST(MessageWriterTest, MessagesGoOutInPiecesOfAnySize) {
  const std::string expected = std::string("\0\0\0\0\x0Dhead", 9) + "12345tail" +
                               std::string("\0\0\0\0\0", 5) + std::string("\0\0\0\0\x02ok", 7) +
                               std::string("\0\0\0\0\x08headtail", 13);
  for (const std::size_t room : {1U, 2U, 5U, 9U, 18U, 100U}) {
    MessageWriter writer;
    writer.Add(InParts("12345"));
    writer.Add({});
    writer.Add(MessageParts::Of("ok"));
    writer.Add(InParts(""));
    std::string all;
    std::size_t messages = 0;
    while (!writer.empty()) {
      std::string piece(room, '?');
      const auto written = writer.Write(piece.data(), room);
      ASSERT_LE(written.bytes, room);
      // Room is only left over when there is nothing more.
      ASSERT_TRUE(written.bytes == room || writer.empty());
      all += piece.substr(0, written.bytes);
      messages += written.messages;
    }
    EXPECT_EQ(all, expected) << room;
    EXPECT_EQ(messages, 4U);
  }
  MessageWriter nothing;
  EXPECT_EQ(nothing.Write(nullptr, 0).bytes, 0U);
}

TEST(MessageWriterTest, WhatIsOutIsLetGo) {
  auto owned = std::make_shared<std::string>("long lived");
  MessageParts message;
  message.parts.push_back({.size = owned->size(), .data = *owned, .owner = owned});
  MessageWriter writer;
  writer.Add(std::move(message));
  EXPECT_EQ(owned.use_count(), 2);
  std::string room(100, ' ');
  EXPECT_EQ(writer.Write(room.data(), room.size()).messages, 1U);
  EXPECT_EQ(owned.use_count(), 1);
}

}  // namespace
}  // namespace tidewheel::rpc
