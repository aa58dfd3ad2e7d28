#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {

/// The same bytes with a check sum that fits, as somebody who means harm would send them.
inline std::string Resealed(std::string bytes) {
  const std::size_t body = bytes.size() - 8;
  const std::uint64_t seal = StableHash(std::string_view(bytes).substr(0, body));
  for (std::size_t i = 0; i < 8; ++i) bytes[body + i] = static_cast<char>(seal >> (8 * i));
  return bytes;
}

/// What every summary's bytes hold: they come back equal, whatever is cut off or changed is an
/// error that names the kind, and no bytes under a good check sum end the process: they are
/// refused, or they give a summary that `use` may use and that has bytes of its own.
template <typename Summary, typename Use>
void ExpectBytesHold(const Summary& summary, const std::string& name, Use use) {
  const std::string bytes = summary.ToBytes();
  const auto back = Summary::FromBytes(bytes);
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(*back, summary);
  EXPECT_EQ(back->ToBytes(), bytes);

  const auto expect_refused = [&](const std::string& broken) {
    const auto read = Summary::FromBytes(broken);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(read.error().message.rfind(name + ": ", 0), 0) << read.error().message;
  };
  const std::size_t step = bytes.size() / 300 + 1;
  for (std::size_t size = 0; size < bytes.size(); size += step) {
    expect_refused(bytes.substr(0, size));
    if (size >= 13) {
      // A shorter body under its own check sum.
      const auto read = Summary::FromBytes(Resealed(bytes.substr(0, size)));
      EXPECT_FALSE(read.ok()) << size;
    }
  }
  expect_refused(bytes + "x");
  EXPECT_FALSE(Summary::FromBytes(Resealed(bytes + "x")).ok());

  Random random(7);
  for (int round = 0; round < 400; ++round) {
    std::string broken = bytes;
    const std::size_t place = random.Below(broken.size());
    broken[place] = static_cast<char>(broken[place] ^ static_cast<char>(1 + random.Below(255)));
    expect_refused(broken);
  }
  for (int round = 0; round < 2'000; ++round) {
    std::string broken = bytes;
    const std::uint64_t changes = 1 + random.Below(4);
    for (std::uint64_t change = 0; change < changes; ++change) {
      // The first bytes say what and how many; they deserve most of the attempts.
      const std::size_t reach =
          random.Below(2) == 0 ? broken.size() - 8 : std::min<std::size_t>(100, broken.size() - 8);
      const std::size_t place = random.Below(reach);
      constexpr std::uint8_t kEdges[] = {0, 1, 0x7F, 0x80, 0xFF};
      broken[place] = random.Below(2) == 0 ? static_cast<char>(kEdges[random.Below(5)])
                                           : static_cast<char>(random.Below(256));
    }
    auto read = Summary::FromBytes(Resealed(broken));
    if (!read.ok()) {
      EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument);
      continue;
    }
    use(*read);
    EXPECT_TRUE(Summary::FromBytes(read->ToBytes()).ok());
  }
}

}  // namespace tidewheel::stats
