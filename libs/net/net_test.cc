#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <zlib.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/net/aligned_bytes.h"
#include "tidewheel/net/inflate.h"
#include "tidewheel/net/mailbox.h"
#include "tidewheel/net/socket.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::net {
namespace {

using ::testing::HasSubstr;

TEST(AlignedBytesTest, WhatShallLieOnABoundaryDoes) {
  for (const std::size_t place : {0U, 1U, 63U, 64U, 100U}) {
    AlignedBytes bytes;
    bytes.AlignAt(place);
    bytes.Append(std::string(place, 'j'));
    for (int i = 0; i < 100; ++i) bytes.Append("0123456789");
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data() + place) % AlignedBytes::kAlignment,
              0U);
    EXPECT_EQ(bytes.size(), place + 1'000);
    EXPECT_EQ(bytes.view().substr(place, 10), "0123456789");
    // Parsers may look behind the end.
    const std::string behind(bytes.data() + bytes.capacity(), AlignedBytes::kPadding);
    EXPECT_EQ(behind, std::string(AlignedBytes::kPadding, '\0'));
  }
}

TEST(AlignedBytesTest, WithoutMemoryAllIsAsItWas) {
  AlignedBytes bytes;
  bytes.Append("kept");
  EXPECT_FALSE(bytes.TryReserve(std::numeric_limits<std::size_t>::max()));
  EXPECT_THROW(bytes.Reserve(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
  EXPECT_EQ(bytes.view(), "kept");
  AlignedBytes moved = std::move(bytes);
  EXPECT_EQ(moved.view(), "kept");
}

/// As zlib packs it: `window` as of deflateInit2.
std::string Packed(const std::string& bytes, int window) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}
std::string Gzip(const std::string& bytes) { return Packed(bytes, 15 + 16); }

TEST(InflateTest, EachFormatIsRead) {
  const std::string words(100'000, 'w');
  const auto unpacked = [](Packing packing, const std::string& packed) {
    AlignedBytes bytes;
    const auto done = Inflate(packing, packed, 1 << 20, &bytes);
    return done ? std::string(bytes.view()) : std::string(Name(done.error().code));
  };
  EXPECT_EQ(unpacked(Packing::kGzip, Gzip(words)), words);
  EXPECT_EQ(unpacked(Packing::kGzip, Gzip("one ") + Gzip("two")), "one two");
  EXPECT_EQ(unpacked(Packing::kDeflate, Packed(words, 15)), words);
  EXPECT_EQ(unpacked(Packing::kDeflate, Packed(words, -15)), words);
  EXPECT_EQ(unpacked(Packing::kDeflate, Packed("", 15)), "");
  for (const std::string& broken :
       {Gzip(words).substr(0, 50), Gzip(words) + "x", std::string("not packed"), std::string()}) {
    EXPECT_EQ(unpacked(Packing::kGzip, broken), "INVALID_ARGUMENT") << broken.size();
  }
  EXPECT_EQ(unpacked(Packing::kDeflate, Packed("one", 15) + Packed("two", 15)), "INVALID_ARGUMENT");
}

TEST(InflateTest, ABombIsStoppedAtTheLimit) {
  const std::string packed = Gzip(std::string(std::size_t{50} << 20, '\0'));
  AlignedBytes bytes;
  const auto refused = Inflate(Packing::kGzip, packed, 1 << 20, &bytes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfRange);
  EXPECT_THAT(refused.error().message, HasSubstr("1048576 bytes"));
  EXPECT_LE(bytes.capacity(), std::size_t{2} << 20);
}

bool Connects(int family, const sockaddr* name, socklen_t length) {
  const Socket socket(::socket(family, SOCK_STREAM, 0));
  return ::connect(socket.file(), name, length) == 0;
}

bool ConnectsTo(const std::string& address) {
  const auto colon = address.rfind(':');
  const auto port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  if (address.starts_with("[")) {
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = port;
    name.sin6_addr = in6addr_loopback;
    return Connects(AF_INET6, reinterpret_cast<const sockaddr*>(&name), sizeof name);
  }
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = port;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return Connects(AF_INET, reinterpret_cast<const sockaddr*>(&name), sizeof name);
}

TEST(ListenTest, AnAddressIsANumberANameOrAPath) {
  for (const std::string address : {"127.0.0.1:0", "localhost:0", "0.0.0.0:0"}) {
    const auto listener = Listen(address);
    ASSERT_TRUE(listener.ok()) << listener.error().message;
    EXPECT_TRUE(listener->address.starts_with(address.substr(0, address.size() - 1)));
    EXPECT_TRUE(ConnectsTo(listener->address)) << listener->address;
  }
  const testing::TempFolder folder;
  const std::string path = folder.path() / "door.sock";
  const auto name = [&] {
    sockaddr_un made{};
    made.sun_family = AF_UNIX;
    std::memcpy(made.sun_path, path.data(), path.size());
    return made;
  }();
  for (int i = 0; i < 2; ++i) {
    // The second finds what the first left behind, as a server that was killed would.
    const auto listener = Listen("unix:" + path);
    ASSERT_TRUE(listener.ok()) << listener.error().message;
    EXPECT_EQ(listener->address, "unix:" + path);
    EXPECT_TRUE(Connects(AF_UNIX, reinterpret_cast<const sockaddr*>(&name), sizeof name));
  }
}

TEST(ListenTest, RefusesWithTheAddress) {
  const auto first = Listen("127.0.0.1:0").value();
  const auto refused = [](const std::string& address) {
    const auto listener = Listen(address);
    EXPECT_FALSE(listener.ok()) << address;
    EXPECT_THAT(listener.error().message, HasSubstr(address));
    return listener.error().code;
  };
  EXPECT_EQ(refused(first.address), ErrorCode::kUnavailable);
  EXPECT_EQ(refused("no.such.host.invalid:0"), ErrorCode::kUnavailable);
  EXPECT_EQ(refused("unix:/nonexistent/folder/x.sock"), ErrorCode::kUnavailable);
  for (const std::string wrong :
       {"127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", ":80", "::1:80", "unix:"}) {
    EXPECT_EQ(refused(wrong), ErrorCode::kInvalidArgument) << wrong;
  }
  EXPECT_EQ(refused("unix:" + std::string(200, 'p')), ErrorCode::kInvalidArgument);
}

bool Rings(const Mailbox<int>& mailbox) {
  pollfd event{mailbox.event(), POLLIN, 0};
  return ::poll(&event, 1, 0) == 1;
}

TEST(MailboxTest, OnlyWhoSleepsIsWokenAndOnlyOnce) {
  Mailbox<int> mailbox;
  mailbox.Put(1);
  EXPECT_FALSE(Rings(mailbox));
  EXPECT_FALSE(mailbox.PrepareToSleep());  // There is one already.
  std::vector<int> letters;
  mailbox.Take(&letters);
  EXPECT_EQ(letters, std::vector<int>{1});
  EXPECT_TRUE(mailbox.PrepareToSleep());
  mailbox.Put(2);
  EXPECT_TRUE(Rings(mailbox));
  mailbox.Quiet();
  mailbox.Put(3);
  EXPECT_FALSE(Rings(mailbox));
  letters.clear();
  mailbox.Take(&letters);
  EXPECT_EQ(letters, (std::vector<int>{2, 3}));
}

TEST(MailboxTest, NothingIsLostHoweverManyWrite) {
  constexpr int kWriters = 4;
  constexpr int kEach = 20'000;
  Mailbox<int> mailbox;
  std::vector<std::jthread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&mailbox, writer] {
      for (int i = 0; i < kEach; ++i) mailbox.Put(writer * kEach + i);
    });
  }
  std::array<int, kWriters> next{};
  int got = 0;
  std::vector<int> letters;
  while (got < kWriters * kEach) {
    if (mailbox.PrepareToSleep()) {
      pollfd event{mailbox.event(), POLLIN, 0};
      // A letter that rings for nobody would leave this waiting.
      ASSERT_EQ(::poll(&event, 1, 60'000), 1);
      mailbox.Quiet();
    }
    mailbox.Awake();
    letters.clear();
    mailbox.Take(&letters);
    for (const int letter : letters) {
      EXPECT_EQ(letter % kEach, next[static_cast<std::size_t>(letter / kEach)]++);
      ++got;
    }
  }
}

TEST(MailboxTest, OnesOwnLettersLieAtHandAndLateOnesAreDropped) {
  auto mailbox = std::make_shared<Mailbox<Socket>>();
  mailbox->MoveHere();
  mailbox->Put(Socket());
  EXPECT_EQ(mailbox->local().size(), 1U);
  mailbox->Close();
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()), 0);
  const Socket kept(pair[0]);
  std::jthread([&] { mailbox->Put(Socket(pair[1])); }).join();
  // What a dropped letter held is closed with it.
  EXPECT_EQ(::fcntl(pair[1], F_GETFD), -1);
  std::vector<Socket> letters;
  mailbox->Take(&letters);
  EXPECT_TRUE(letters.empty());
}

}  // namespace
}  // namespace tidewheel::net
