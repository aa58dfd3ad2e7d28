#include "tidewheel/ml/onnx/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/base/random.h"
#include "tidewheel/ml/onnx/testing/onnx_maker.h"

namespace tidewheel::ml {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace type = onnx_type;

OnnxMaker Small() {
  OnnxMaker maker(13);
  maker.Input("x", type::kFloat, {"batch", 2}).Output("y", type::kFloat, {"batch", 2});
  return maker;
}

std::string Refusal(const OnnxMaker& maker) {
  const auto checked = CheckOnnx(maker.Bytes(), {});
  EXPECT_FALSE(checked.ok());
  if (checked) return {};
  EXPECT_EQ(checked.error().code, ErrorCode::kInvalidArgument);
  return checked.error().message;
}

TEST(CheckOnnxTest, SaysWhichOperatorsThereAreAndWhetherRowsAreNamed) {
  const auto checked = CheckOnnx(
      Small().Node("Relu", {"x"}, {"r"}).Node("Gelu", {"r"}, {"y"}, {}, "com.x").Bytes(), {});
  ASSERT_TRUE(checked.ok()) << checked.error().message;
  EXPECT_THAT(checked->operators, ElementsAre("Relu", "com.x::Gelu"));
  EXPECT_TRUE(checked->names_a_batch);
  EXPECT_FALSE(checked->joined.has_value());
}

TEST(CheckOnnxTest, TensorsHoldWhatTheirShapesAskFor) {
  EXPECT_THAT(Refusal(Small().Weights("w", {2, 2}, {1, 2, 3})), HasSubstr("\"w\""));
  EXPECT_THAT(Refusal(Small().Weights("w", {-2, -2}, {1, 2, 3, 4})), HasSubstr("negative"));
  EXPECT_THAT(Refusal(Small().Weights("w", {1 << 30, 1 << 30}, {1})), HasSubstr("elements"));
  EXPECT_THAT(Refusal(Small().Weights("w", std::vector<std::int64_t>(17, 1), {1})),
              HasSubstr("sizes"));
  EXPECT_THAT(Refusal(Small().Raw("w", 99, {1}, "abcd")), HasSubstr("unknown datatype 99"));
  EXPECT_THAT(Refusal(Small().Integers("w", {3}, {1, 2})), HasSubstr("\"w\""));
  EXPECT_THAT(Refusal(Small().External("w", {1}, "other.bin", 0, 4)), HasSubstr("other files"));
}

TEST(CheckOnnxTest, NodesTakeWhatIsThere) {
  EXPECT_THAT(Refusal(Small().Node("Add", {"x", "nowhere"}, {"y"})), HasSubstr("\"nowhere\""));
  EXPECT_THAT(Refusal(Small().Node("Relu", {"y"}, {"z"}).Node("Relu", {"x"}, {"y"})),
              HasSubstr("\"y\""));
  EXPECT_THAT(Refusal(Small().Node("Relu", {"x"}, {"y"}).Node("Relu", {"x"}, {"y"})),
              HasSubstr("there already"));
  EXPECT_THAT(Refusal(Small().Node("Relu", {"x"}, {"z"})), HasSubstr("output \"y\""));
}

TEST(CheckOnnxTest, NumbersThatWouldBeDividedByAreNotZero) {
  for (const char* name : {"strides", "dilations", "kernel_shape"}) {
    EXPECT_THAT(
        Refusal(Small().Node("MaxPool", {"x"}, {"y"}, {{name, std::vector<std::int64_t>{0, 1}}})),
        HasSubstr(name));
  }
  EXPECT_THAT(Refusal(Small().Node("Conv", {"x", "x"}, {"y"}, {{"group", std::int64_t{0}}})),
              HasSubstr("group"));
  EXPECT_THAT(
      Refusal(Small().Node("SpaceToDepth", {"x"}, {"y"}, {{"blocksize", std::int64_t{-3}}})),
      HasSubstr("blocksize"));
}

TEST(CheckOnnxTest, ANodeThatMustTakeSomethingDoes) {
  EXPECT_THAT(Refusal(Small().Node("Conv", {}, {"y"})), HasSubstr("takes nothing"));
  EXPECT_THAT(Refusal(Small().Node("Add", {"", "x"}, {"y"})), HasSubstr("as input 1 of 2"));
  EXPECT_THAT(Refusal(Small().Node("Conv", {"x"}, {"y"})), HasSubstr("as input 2 of 2"));
  // An input since version 11, an attribute before.
  EXPECT_THAT(Refusal(Small().Node("Pad", {"x"}, {"y"})), HasSubstr("as input 2 of 2"));
  EXPECT_TRUE(
      CheckOnnx(Small()
                    .Node("RandomNormal", {}, {"r"}, {{"shape", std::vector<std::int64_t>{1, 2}}})
                    .Node("Add", {"x", "r"}, {"y"})
                    .Bytes(),
                {})
          .ok());
}

TEST(CheckOnnxTest, LoopsThatOnlyCountDoNotCountForEver) {
  EXPECT_THAT(Refusal(Small().Integers("turns", {}, {INT64_MAX}).Loop("turns", false)),
              HasSubstr("never ends itself"));
  EXPECT_THAT(Refusal(Small().Loop("", false)), HasSubstr("never ends itself"));
  const auto taken = [](std::int64_t turns, bool ends_itself) {
    OnnxMaker maker = Small();
    maker.Integers("turns", {}, {turns}).Loop("turns", ends_itself);
    return CheckOnnx(maker.Bytes(), {});
  };
  EXPECT_TRUE(taken(1'000, false).ok());
  EXPECT_TRUE(taken(INT64_MAX, true).ok());  // As exporters write "while".
}

TEST(CheckOnnxTest, WhatAConstantAsksForIsBounded) {
  EXPECT_THAT(Refusal(Small()
                          .Integers("huge", {2}, {1 << 20, 1 << 20})
                          .Node("ConstantOfShape", {"huge"}, {"y"})),
              HasSubstr("makes more than"));
  EXPECT_THAT(
      Refusal(Small().Integers("huge", {2}, {INT64_MAX, 1}).Node("Tile", {"x", "huge"}, {"y"})),
      HasSubstr("makes more than"));
}

TEST(CheckOnnxTest, LimitsAreNamed) {
  const std::string bytes = Small().Node("Relu", {"x"}, {"z"}).Node("Relu", {"z"}, {"y"}).Bytes();
  const auto large = CheckOnnx(bytes, {}, {.bytes = 10});
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code, ErrorCode::kResourceExhausted);
  const auto many = CheckOnnx(bytes, {}, {.nodes = 1});
  ASSERT_FALSE(many.ok());
  EXPECT_EQ(many.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(many.error().message, HasSubstr("1 nodes"));
}

TEST(CheckOnnxTest, AnyDamagedFileIsAnErrorOrChecked) {
  const std::string good = Small()
                               .Weights("w", {2, 2}, {1, 2, 3, 4})
                               .Node("MatMul", {"x", "w"}, {"m"})
                               .Node("Relu", {"m"}, {"y"})
                               .Bytes();
  Random random(4);
  for (int turn = 0; turn < 3'000; ++turn) {
    std::string damaged = good;
    for (int i = 0; i < 3; ++i) {
      damaged[random.Below(damaged.size())] = static_cast<char>(random.Below(256));
    }
    if (const auto checked = CheckOnnx(damaged, {}); !checked) {
      EXPECT_FALSE(checked.error().message.empty());
    }
  }
}

}  // namespace
}  // namespace tidewheel::ml
