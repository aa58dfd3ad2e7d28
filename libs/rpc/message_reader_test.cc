#include "tidewheel/rpc/internal/message_reader.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <string>

namespace tidewheel::rpc {
namespace {

std::string Framed(const std::string& bytes, char flags = 0) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::string framed{flags, static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                     static_cast<char>(size >> 8), static_cast<char>(size)};
  return framed + bytes;
}

std::string Packed(const std::string& bytes) {
  uLongf size = compressBound(static_cast<uLong>(bytes.size()));
  std::string packed(size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &size,
           reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uLong>(bytes.size()));
  packed.resize(size);
  return packed;
}

std::size_t AlignAtThree(std::string_view /*beginning*/) { return 3; }

TEST(MessageReaderTest, MessagesComeInPiecesOfAnySize) {
  const std::string first(3'000, 'a');
  const std::string all = Framed(first) + Framed("") + Framed("b");
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{2'999}, all.size()}) {
    MessageReader reader(10'000, nullptr);
    std::vector<std::string> messages;
    for (std::size_t at = 0; at < all.size(); at += piece) {
      std::string_view data = std::string_view(all).substr(at, piece);
      while (!data.empty()) {
        ASSERT_TRUE(reader.Read(data).ok());
        if (reader.complete()) messages.emplace_back(reader.Take("")->view());
      }
    }
    EXPECT_FALSE(reader.within());
    ASSERT_EQ(messages, (std::vector<std::string>{first, "", "b"})) << piece;
  }
}

TEST(MessageReaderTest, WhatShallLieWellDoes) {
  MessageReader reader(1'000, &AlignAtThree);
  const std::string framed = Framed("xyzTENSOR");
  std::string_view data = framed;
  ASSERT_TRUE(reader.Read(data).ok());
  const auto message = reader.Take("");
  EXPECT_EQ(message->view(), "xyzTENSOR");
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(message->view().data() + 3) % 64, 0U);
}

TEST(MessageReaderTest, AnAnnouncementAloneTakesNoMemory) {
  MessageReader reader(std::size_t{1} << 30, nullptr);
  const std::string prefix{0, 0x3F, 0, 0, 0, 'x'};
  std::string_view data = prefix;
  ASSERT_TRUE(reader.Read(data).ok());
  EXPECT_LE(reader.held(), std::size_t{2} << 20);
}

TEST(MessageReaderTest, TooLargeAndUnknownFlagsAreRefused) {
  MessageReader reader(10, nullptr);
  const std::string large = Framed("01234567890");
  std::string_view data = large;
  const auto refused = reader.Read(data);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(refused.error_message(), "Received message larger than max (11 vs. 10)");
  MessageReader other(10, nullptr);
  const std::string flagged = Framed("x", 2);
  data = flagged;
  EXPECT_EQ(other.Read(data).error_code(), grpc::StatusCode::INTERNAL);
}

TEST(MessageReaderTest, PackedMessagesAreUnpackedWithinTheLimit) {
  const auto taken = [](const std::string& framed, std::string_view coding, std::size_t most) {
    MessageReader reader(most, &AlignAtThree);
    std::string_view data = framed;
    EXPECT_TRUE(reader.Read(data).ok());
    return reader.Take(coding);
  };
  const std::string words(50'000, 'w');
  const std::string framed = Framed(Packed(words), 1);
  EXPECT_EQ(taken(framed, "deflate", 50'000)->view(), words);
  EXPECT_EQ(taken(framed, "deflate", 49'999).error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(taken(framed, "", 50'000).error().code, ErrorCode::kInternal);
  EXPECT_EQ(taken(Framed("not packed", 1), "gzip", 1'000).error().code, ErrorCode::kInternal);
  const std::string cut = Packed(words);
  EXPECT_EQ(taken(Framed(cut.substr(0, cut.size() / 2), 1), "deflate", 50'000).error().code,
            ErrorCode::kInternal);
}

}  // namespace
}  // namespace tidewheel::rpc
