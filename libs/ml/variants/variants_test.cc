#include "tidewheel/ml/variants/variants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "tidewheel/base/random.h"
#include "tidewheel/ml/graph/onnx_graph.h"
#include "tidewheel/ml/onnx/quantize.h"
#include "tidewheel/ml/onnx/testing/onnx_maker.h"
#include "tidewheel/ml/package/file.h"
#include "tidewheel/ml/package/golden.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::ml {
namespace {

using ::testing::HasSubstr;

constexpr ImageShape kShape{1, 12, 12};
constexpr std::size_t kElements = 144;
constexpr std::size_t kClasses = 4;

std::string OnnxOf(std::string_view recipe) {
  const auto architecture = MakeArchitecture(recipe, kShape, kClasses).value();
  const auto plan = PlanArchitecture(architecture).value();
  return PrintOnnx(architecture, InitialWeights(plan, 7)).value();
}

std::vector<float> Noise(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> floats(count);
  for (float& number : floats) number = static_cast<float>(random.Uniform());
  return floats;
}

std::vector<float> Probabilities(std::string_view onnx, std::span<const float> rows) {
  const auto engine = serving::Engine::Create({}).value();
  const auto model = engine->LoadBytes(onnx).value();
  const std::size_t count = rows.size() / kElements;
  std::vector<float> answers(count * kClasses);
  EXPECT_TRUE(model->Infer(rows, count, answers).ok());
  return answers;
}

class VariantsTest : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// A package of a model with random weights, and rows whose class is clear to it.
  void MakePackage(std::string_view recipe) {
    std::filesystem::create_directories(folder_);
    onnx_ = OnnxOf(recipe);
    training_ = Noise(200 * kElements, 1);
    const auto noise = Noise(3'000 * kElements, 2);
    const auto answers = Probabilities(onnx_, noise);
    std::vector<std::pair<float, std::size_t>> margins;
    for (std::size_t row = 0; row < 3'000; ++row) {
      std::vector<float> sorted(
          answers.begin() + static_cast<std::ptrdiff_t>(row * kClasses),
          answers.begin() + static_cast<std::ptrdiff_t>((row + 1) * kClasses));
      std::sort(sorted.rbegin(), sorted.rend());
      margins.emplace_back(sorted[0] - sorted[1], row);
    }
    std::sort(margins.rbegin(), margins.rend());
    for (std::size_t i = 0; i < 1'000; ++i) {
      const std::size_t row = margins[i].second;
      held_out_.insert(held_out_.end(),
                       noise.begin() + static_cast<std::ptrdiff_t>(row * kElements),
                       noise.begin() + static_cast<std::ptrdiff_t>((row + 1) * kElements));
      const auto first = answers.begin() + static_cast<std::ptrdiff_t>(row * kClasses);
      labels_.push_back(
          static_cast<std::int32_t>(std::max_element(first, first + kClasses) - first));
    }
    const auto golden = Noise(4 * kElements, 3);
    const PackageManifest manifest{
        .task = "test",
        .recipe = std::string(recipe),
        .input = {.name = kInputName, .shape = {-1, 1, 12, 12}},
        .output = {.name = kOutputName, .shape = {-1, static_cast<std::int64_t>(kClasses)}},
        .classes = {"a", "b", "c", "d"}};
    ASSERT_TRUE(WritePackageFile(folder_ / kOnnxFile, onnx_).ok());
    ASSERT_TRUE(WritePackageFile(folder_ / kGoldenFile,
                                 PrintGoldenSamples({.rows = 4,
                                                     .input_elements = kElements,
                                                     .output_elements = kClasses,
                                                     .inputs = golden,
                                                     .probabilities = Probabilities(onnx_, golden)})
                                     .value())
                    .ok());
    ASSERT_TRUE(WritePackageFile(folder_ / kManifestFile, PrintPackageManifest(manifest)).ok());
  }

  std::map<std::string, Variant> Add(std::size_t rows, std::span<const std::int32_t> labels,
                                     std::span<const std::int32_t> answers = {}) {
    const auto added =
        AddVariants(folder_, RowsIn(training_, kElements),
                    {.rows = RowsIn(std::span(held_out_).first(rows * kElements), kElements),
                     .labels = labels.first(rows),
                     .answers = answers});
    EXPECT_TRUE(added.ok()) << (added ? "" : added.error().message);
    std::map<std::string, Variant> by_name;
    if (!added) return by_name;
    EXPECT_EQ(ReadPackageManifest(folder_)->variants, *added);
    for (const Variant& variant : *added) by_name[variant.name] = variant;
    return by_name;
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) / ("variants_test" + std::to_string(::getpid()));
  std::string onnx_;
  std::vector<float> training_;
  std::vector<float> held_out_;
  std::vector<std::int32_t> labels_;
};

TEST_F(VariantsTest, EightBitsThatAnswerTheSameAreOffered) {
  MakePackage("image-cnn");

  const auto variants = Add(1'000, labels_);

  const Variant& int8 = variants.at("int8");
  EXPECT_TRUE(int8.offered) << int8.reason;
  EXPECT_EQ(int8.file, kInt8OnnxFile);
  EXPECT_EQ(int8.samples, 1'000u);
  EXPECT_GT(int8.low, -0.01);
  EXPECT_LE(int8.low, int8.difference);
  EXPECT_LT(int8.largest_difference, 0.05);
  EXPECT_GT(int8.largest_difference, 0);
  EXPECT_THAT(int8.calibration, HasSubstr("of 200 rows"));

  const auto bytes = ReadPackageFile(folder_ / kInt8OnnxFile, 1 << 24);
  ASSERT_TRUE(bytes.ok());
  // The large product's weights are a quarter of what they were.
  EXPECT_LT(bytes->size(), onnx_.size() / 2);
  // The same ports, so it serves wherever the other does.
  const auto engine = serving::Engine::Create({}).value();
  EXPECT_EQ(engine->LoadBytes(*bytes).value()->signature(),
            engine->LoadBytes(onnx_).value()->signature());

  const Variant& bf16 = variants.at("bf16");
  EXPECT_EQ(bf16.offered, engine->HasBf16()) << bf16.reason;
}

TEST_F(VariantsTest, FewRowsOfferNothing) {
  MakePackage("image-cnn");

  const Variant int8 = Add(30, labels_).at("int8");

  EXPECT_FALSE(int8.offered);
  EXPECT_THAT(int8.reason, HasSubstr("too few rows"));
  EXPECT_LT(int8.low, -0.01);
  EXPECT_TRUE(int8.file.empty());
  EXPECT_FALSE(std::filesystem::exists(folder_ / kInt8OnnxFile));
}

TEST_F(VariantsTest, WhatIsWorseThanTheStoredPredictionsIsNotOffered) {
  MakePackage("image-cnn");
  // As if the model in float32 had been right about other classes.
  std::vector<std::int32_t> others = labels_;
  for (std::int32_t& label : others) label = (label + 1) % static_cast<std::int32_t>(kClasses);

  const auto variants = Add(1'000, others, others);

  EXPECT_FALSE(variants.at("int8").offered);
  EXPECT_THAT(variants.at("int8").reason, HasSubstr("worse than the gate allows"));
  EXPECT_FALSE(variants.at("bf16").offered);
  EXPECT_FALSE(std::filesystem::exists(folder_ / kInt8OnnxFile));
}

TEST_F(VariantsTest, AModelOfOneProductHasNothingToGain) {
  MakePackage("image-linear");

  const Variant int8 = Add(1'000, labels_).at("int8");

  EXPECT_FALSE(int8.offered);
  EXPECT_THAT(int8.reason, HasSubstr("nothing"));
}

TEST_F(VariantsTest, TheSameRowsGiveTheSameBytes) {
  MakePackage("image-cnn");
  Add(1'000, labels_);
  const auto once = ReadPackageFile(folder_ / kInt8OnnxFile, 1 << 24);

  Add(1'000, labels_);

  EXPECT_EQ(*ReadPackageFile(folder_ / kInt8OnnxFile, 1 << 24), *once);
}

TEST(MakeInt8Test, ModelsWithoutRowsOfFloatsAreRefused) {
  namespace type = onnx_type;
  const std::string two = OnnxMaker(13)
                              .Input("a", type::kFloat, {"n", 64})
                              .Input("b", type::kFloat, {"n", 64})
                              .Output("y", type::kFloat, {"n", 64})
                              .Weights("w", {64, 64}, std::vector<float>(4'096, 0.1F))
                              .Weights("v", {64, 64}, std::vector<float>(4'096, 0.1F))
                              .Node("MatMul", {"a", "w"}, {"m"})
                              .Node("Add", {"m", "b"}, {"s"})
                              .Node("MatMul", {"s", "v"}, {"y"})
                              .Bytes();
  const std::vector<float> rows(640, 0.5F);

  EXPECT_EQ(MakeInt8(two, RowsIn(rows, 64), 10).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(MakeInt8(OnnxOf("image-cnn"), RowsIn({}, kElements), 10).error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tidewheel::ml
