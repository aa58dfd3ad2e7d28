#include "tidewheel/blob/store.h"

#include <gtest/gtest.h>

#include "tidewheel/base/ids.h"
#include "tidewheel/blob/sha256.h"

namespace tidewheel::blob {
namespace {

TEST(RefTest, ReadsBackItsText) {
  const Ref object = Ref::Object(Sha256("a"));
  const Ref part = Ref::InSegment(NewUuid(), 4096, 0, Sha256(""));

  EXPECT_EQ(*Ref::Parse(object.text()), object);
  EXPECT_EQ(*Ref::Parse(part.text()), part);
}

TEST(RefTest, RefusesWhatItNeverWrote) {
  const std::string hex = Sha256("a").Hex();
  const std::string uuid = NewUuid();
  const std::string bad[] = {"",
                             "obj:",
                             "obj:" + hex.substr(1),
                             "obj:" + hex + ":",
                             "obj:../../../../etc/passwd",
                             "file:" + hex,
                             "seg:" + uuid + ":0:1",
                             "seg:../../x:0:1:" + hex,
                             "seg:" + uuid + ":-1:1:" + hex,
                             "seg:" + uuid + ":01:1:" + hex,
                             "seg:" + uuid + ":0: 1:" + hex,
                             "seg:" + uuid + ":0:99999999999999999999:" + hex,
                             "seg:" + uuid + ":18446744073709551615:1:" + hex,
                             "seg:" + uuid + ":0:1:" + hex + " ",
                             "seg:" + uuid + ":0:1:1:" + hex,
                             "obj:" + std::string(64, 'A')};
  for (const std::string& text : bad) {
    const auto ref = Ref::Parse(text);
    ASSERT_FALSE(ref.ok()) << text;
    EXPECT_EQ(ref.error().code, ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace tidewheel::blob
