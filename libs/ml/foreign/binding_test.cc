#include "tidewheel/ml/foreign/binding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidewheel::ml {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<std::string> kOwn{"x", "mask", "scale"};

TEST(BindingTest, NamesOfArgumentsAreFoundInAnyOrder) {
  EXPECT_THAT(*BindNames("input", kOwn, false, {"scale", "x"}), ElementsAre(2U, 0U));
}

TEST(BindingTest, NamesMaySayThePlace) {
  EXPECT_THAT(*BindNames("input", kOwn, false, {"INPUT__1", "INPUT__0"}), ElementsAre(1U, 0U));
  EXPECT_THAT(*BindNames("output", {}, true, {"OUTPUT__7"}), ElementsAre(7U));
}

TEST(BindingTest, OtherNamesAreInTheModelsOrder) {
  EXPECT_THAT(*BindNames("input", kOwn, false, {"picture", "weights"}), ElementsAre(0U, 1U));
}

TEST(BindingTest, WhatDoesNotFitIsNamed) {
  const auto far = BindNames("input", kOwn, false, {"INPUT__3"});
  ASSERT_FALSE(far.ok());
  EXPECT_THAT(far.error().message, HasSubstr("INPUT__3"));
  EXPECT_THAT(far.error().message, HasSubstr("\"x\", \"mask\", \"scale\""));
  EXPECT_FALSE(BindNames("input", kOwn, false, {"A__1", "B__1"}).ok());
  EXPECT_FALSE(BindNames("input", {"x"}, false, {"a", "b"}).ok());
}

TEST(BindingTest, APlaceIsDigitsBehindTwoUnderscores) {
  EXPECT_EQ(PlaceOf("INPUT__12"), 12U);
  EXPECT_EQ(PlaceOf("INPUT__"), std::nullopt);
  EXPECT_EQ(PlaceOf("__1"), std::nullopt);
  EXPECT_EQ(PlaceOf("INPUT__1a"), std::nullopt);
  EXPECT_EQ(PlaceOf("INPUT__99999999999999999999"), std::nullopt);
}

TEST(BindingTest, LeavesOfAPrintedTreeAreCounted) {
  EXPECT_EQ(CountLeaves(R"([1, {"type": "builtins.tuple", "context": "null", "children_spec": [)"
                        R"({"type": null, "context": null, "children_spec": []}, )"
                        R"({"type": null, "context": null, "children_spec": []}]}])"),
            2U);
  EXPECT_EQ(CountLeaves(""), 0U);
}

TEST(PointOfTest, FindsWhatHappenedInATraceback) {
  EXPECT_EQ(PointOf("The following operation failed in the TorchScript interpreter.\n"
                    "Traceback of TorchScript (most recent call last):\n  File \"x.py\", line 3\n"
                    "    return a @ b\n           ~~~~~ <--- HERE\n"
                    "RuntimeError: size mismatch\n"),
            "RuntimeError: size mismatch");
  EXPECT_EQ(PointOf("\nUnknown builtin op: a::b.\nCould not find any similar ops.\n  File ...\n"),
            "Unknown builtin op: a::b.");
  EXPECT_EQ(PointOf("one line only"), "one line only");
  EXPECT_EQ(PointOf(""), "");
}

}  // namespace
}  // namespace tidewheel::ml
