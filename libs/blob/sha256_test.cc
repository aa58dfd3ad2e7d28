#include "tidewheel/blob/sha256.h"

#include <gtest/gtest.h>

#include <string>

#include "tidewheel/base/random.h"

namespace tidewheel::blob {
namespace {

TEST(Sha256Test, GivesThePublishedValues) {
  EXPECT_EQ(Sha256("").Hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256("abc").Hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256(std::string(1'000'000, 'a')).Hex(),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Test, PartsGiveWhatTheWholeGives) {
  Random random(1);
  Sha256Hasher hasher;
  for (int round = 0; round < 50; ++round) {
    std::string whole;
    while (random.Below(10) != 0) {
      const std::string part(random.Below(200), static_cast<char>(random.Below(256)));
      whole += part;
      hasher.Add(part);
    }
    EXPECT_EQ(hasher.Finish(), Sha256(whole));
  }
}

}  // namespace
}  // namespace tidewheel::blob
