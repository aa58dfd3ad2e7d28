#include "tidewheel/ml/graph/onnx_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidewheel::ml {
namespace {

// What the graph computes is tested where an engine runs it: libs/serving, and model_test.cc
// against LibTorch.

Architecture Cnn() { return MakeArchitecture("image-cnn", {1, 12, 12}, 3).value(); }

std::vector<NamedTensor> WeightsOf(const Architecture& architecture, std::uint64_t seed) {
  return InitialWeights(PlanArchitecture(architecture).value(), seed);
}

TEST(OnnxGraphTest, TheSameModelGivesTheSameBytes) {
  EXPECT_EQ(PrintOnnx(Cnn(), WeightsOf(Cnn(), 1)).value(),
            PrintOnnx(Cnn(), WeightsOf(Cnn(), 1)).value());
  EXPECT_NE(PrintOnnx(Cnn(), WeightsOf(Cnn(), 1)).value(),
            PrintOnnx(Cnn(), WeightsOf(Cnn(), 2)).value());
  EXPECT_NE(PrintOnnx(Cnn(), WeightsOf(Cnn(), 1), 1.5).value(),
            PrintOnnx(Cnn(), WeightsOf(Cnn(), 1)).value());
}

TEST(OnnxGraphTest, WeightsOfAnotherArchitectureAreRefused) {
  const Architecture other{{1, 12, 12}, 3, {Flatten{}, Linear{3}}};
  EXPECT_FALSE(PrintOnnx(Cnn(), WeightsOf(other, 1)).ok());

  auto weights = WeightsOf(Cnn(), 1);
  std::swap(weights[0], weights[2]);
  const auto swapped = PrintOnnx(Cnn(), weights);
  ASSERT_FALSE(swapped.ok());
  EXPECT_THAT(swapped.error().message, ::testing::HasSubstr("layer0_weight"));

  weights = WeightsOf(Cnn(), 1);
  weights[1].elements.pop_back();
  EXPECT_FALSE(PrintOnnx(Cnn(), weights).ok());
}

TEST(OnnxGraphTest, TemperatureMustBePositive) {
  for (const double temperature : {0.0, -1.0, 0.0 / 0.0}) {
    EXPECT_FALSE(PrintOnnx(Cnn(), WeightsOf(Cnn(), 1), temperature).ok());
  }
}

}  // namespace
}  // namespace tidewheel::ml
