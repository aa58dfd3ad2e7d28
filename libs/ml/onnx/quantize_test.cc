#include "tidewheel/ml/onnx/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tidewheel/ml/onnx/check.h"
#include "tidewheel/ml/onnx/testing/onnx_maker.h"

namespace tidewheel::ml {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
namespace type = onnx_type;
using Ints = std::vector<std::int64_t>;

/// conv, relu, pool, conv, flatten, a large product, a last one.
OnnxMaker Net(std::int64_t opset = 13) {
  OnnxMaker maker(opset);
  maker.Input("x", type::kFloat, {"n", 1, 8, 8})
      .Output("y", type::kFloat, {"n", 100})
      .Weights("first", {4, 1, 1, 1}, {1, -2, 3, 0})
      .Weights("second", {256, 4, 1, 1}, std::vector<float>(1024, 0.5F))
      .Weights("large", {4096, 100}, std::vector<float>(409'600, 0.1F))
      .Weights("last", {100, 100}, std::vector<float>(10'000, 0.1F))
      .Node("Conv", {"x", "first"}, {"c1"})
      .Node("Relu", {"c1"}, {"r1"})
      .Node("MaxPool", {"r1"}, {"p1"}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}})
      .Node("Conv", {"p1", "second"}, {"c2"})
      .Node("Flatten", {"c2"}, {"f"})
      .Node("MatMul", {"f", "large"}, {"m"})
      .Node("Relu", {"m"}, {"r2"})
      .Node("Gemm", {"r2", "last"}, {"y"});
  return maker;
}

TEST(QuantizeOnnxTest, WhatIsObservedLiesBeforePoolsAndTheLastProductStays) {
  const auto tensors = TensorsToObserve(Net().Bytes());
  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  EXPECT_THAT(*tensors, ElementsAre("x", "r1", "c2"));
}

TEST(QuantizeOnnxTest, TheGraphIsStillOne) {
  const auto bytes = QuantizeOnnx(Net().Bytes(), {{"x", {0, 1}}, {"r1", {0, 6}}, {"c2", {-3, 3}}});
  ASSERT_TRUE(bytes.ok()) << bytes.error().message;

  const auto checked = CheckOnnx(*bytes, {});
  ASSERT_TRUE(checked.ok()) << checked.error().message;
  EXPECT_THAT(checked->operators, Contains("QuantizeLinear"));
  EXPECT_THAT(checked->operators, Contains("DequantizeLinear"));
  // A quarter of the weights in float32: only the last product's are left.
  EXPECT_LT(bytes->size(), Net().Bytes().size() / 3);
  EXPECT_EQ(*bytes, *QuantizeOnnx(Net().Bytes(), {{"x", {0, 1}}, {"r1", {0, 6}}, {"c2", {-3, 3}}}));
}

TEST(QuantizeOnnxTest, RangesThatAreMissingOrNoneAreNamed) {
  const auto missing = QuantizeOnnx(Net().Bytes(), {{"x", {0, 1}}, {"r1", {0, 6}}});
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.error().message, HasSubstr("\"c2\""));
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(
      QuantizeOnnx(Net().Bytes(), {{"x", {0, infinity}}, {"r1", {0, 6}}, {"c2", {-3, 3}}}).ok());
}

TEST(QuantizeOnnxTest, WeightsThatAreNoNumbersAreRefusedAndTinyOnesAreZeros) {
  const auto quantized = [](float odd) {
    return QuantizeOnnx(OnnxMaker(13)
                            .Input("x", type::kFloat, {1, 1, 8, 8})
                            .Output("y", type::kFloat, {1, 2, 8, 8})
                            .Weights("w", {2, 1, 1, 1}, {odd, 0})
                            .Node("Conv", {"x", "w"}, {"y"})
                            .Bytes(),
                        {{"x", {0, 1}}});
  };
  for (const float odd :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto refused = quantized(odd);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
    EXPECT_THAT(refused.error().message, HasSubstr("weight \"w\""));
  }
  const auto tiny = quantized(std::numeric_limits<float>::denorm_min());
  ASSERT_TRUE(tiny.ok()) << tiny.error().message;
  EXPECT_TRUE(CheckOnnx(*tiny, {}).ok());
}

TEST(QuantizeOnnxTest, ANodeThatTakesNothingIsAsFarAsRoundingGoes) {
  const auto tensors = TensorsToObserve(OnnxMaker(13)
                                            .Input("x", type::kFloat, {1, 1, 8, 8})
                                            .Output("y", type::kFloat, {1, 2, 8, 8})
                                            .Weights("w", {2, 1, 1, 1}, {1, 2})
                                            .Node("MaxPool", {}, {"p"})
                                            .Node("Conv", {"p", "w"}, {"y"})
                                            .Bytes());
  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  EXPECT_THAT(*tensors, ElementsAre("p"));
}

TEST(QuantizeOnnxTest, OldOpsetsAndGraphsWithoutWorkAreRefused) {
  EXPECT_EQ(TensorsToObserve(Net(12).Bytes()).error().code, ErrorCode::kFailedPrecondition);
  const std::string empty = OnnxMaker(13)
                                .Input("x", type::kFloat, {"n", 4})
                                .Output("y", type::kFloat, {"n", 4})
                                .Node("Relu", {"x"}, {"y"})
                                .Bytes();
  EXPECT_TRUE(TensorsToObserve(empty)->empty());
  EXPECT_EQ(QuantizeOnnx(empty, {}).error().code, ErrorCode::kFailedPrecondition);
}

TEST(QuantizeOnnxTest, WeightsThatTheGraphGivesAwayStay) {
  OnnxMaker net = Net();
  net.Output("large", type::kFloat, {4096, 100}).Integers("spare", {1}, {7});
  const auto bytes = QuantizeOnnx(net.Bytes(), {{"x", {0, 1}}, {"r1", {0, 6}}, {"c2", {-3, 3}}});
  ASSERT_TRUE(bytes.ok()) << bytes.error().message;
  EXPECT_TRUE(CheckOnnx(*bytes, {}).ok());
  EXPECT_THAT(*bytes, HasSubstr("spare"));  // What was not rewritten is left alone.
}

TEST(QuantizeOnnxTest, ObservedTensorsComeAfterTheGraphsOwnOutputs) {
  const auto observed = WithObservedOutputs(Net().Bytes(), {"x", "r1"});
  ASSERT_TRUE(observed.ok()) << observed.error().message;
  EXPECT_TRUE(CheckOnnx(*observed, {}).ok());
  EXPECT_THAT(WithObservedOutputs(Net().Bytes(), {"nowhere"}).error().message,
              HasSubstr("\"nowhere\""));
}

}  // namespace
}  // namespace tidewheel::ml
