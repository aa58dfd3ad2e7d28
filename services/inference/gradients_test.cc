#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numeric>

#include "tidewheel/inference/testing/inference_suite.h"

namespace tidewheel::inference {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kNumbers = kSide * kSide;
constexpr std::size_t kClasses = 4;
constexpr std::array<std::int64_t, 3> kRowShape{1, kSide, kSide};

/// Gradients of real packages in a real torch-runner.
class GradientsTest : public InferenceTest {
 protected:
  static std::vector<float> Row(std::uint64_t seed) {
    std::vector<float> row(kNumbers);
    EXPECT_TRUE(vision::Preprocess(Picture(seed), Preprocessing(), row).ok());
    return row;
  }

  /// Probabilities of one class as the serving engine gives them, for rows one behind the other.
  std::vector<double> Served(const ServedModel& model, std::span<const float> rows,
                             std::size_t class_index) {
    const auto count = rows.size() / kNumbers;
    const std::vector<std::int64_t> shape{static_cast<std::int64_t>(count), 1, kSide, kSide};
    const auto answers = model.PredictRows(shape, rows);
    EXPECT_TRUE(answers.ok()) << answers.error().message;
    std::vector<double> probabilities(count, NAN);
    for (std::size_t i = 0; answers.ok() && i < count; ++i) {
      probabilities[i] = static_cast<double>((*answers)[i].probabilities[class_index]);
    }
    return probabilities;
  }
};

TEST_F(GradientsTest, AgreeWithFiniteDifferencesOfTheServedModel) {
  for (const char* recipe : {"image-linear", "image-cnn"}) {
    SCOPED_TRACE(recipe);
    recipe_ = recipe;
    const auto package = Package(recipe_ == "image-cnn" ? 2 : 1);
    const auto served = loader_->Load(package);
    ASSERT_TRUE(served.ok()) << served.error().message;
    const auto engine = gradients_(package);
    ASSERT_TRUE(engine.ok()) << engine.error().message;
    std::vector<float> rows = Row(1);
    const auto second = Row(2);
    rows.insert(rows.end(), second.begin(), second.end());
    for (std::size_t wanted = 0; wanted < kClasses; ++wanted) {
      std::array<double, 2> answers{};
      std::vector<float> slopes(rows.size());
      const auto asked = (*engine)->Gradients(kRowShape, rows, 2, wanted, answers, slopes);
      ASSERT_TRUE(asked.ok()) << asked.error().message;
      const auto expected = Served(**served, rows, wanted);
      EXPECT_NEAR(answers[0], expected[0], 1e-5);
      EXPECT_NEAR(answers[1], expected[1], 1e-5);

      // Both ways from the first row, all numbers at once. Where a rectifier or a maximum turns
      // between the row and one of the two, the gradient is the slope of the other side.
      constexpr float kStep = 1e-2F;
      std::vector<float> moved;
      for (std::size_t i = 0; i < kNumbers; ++i) {
        for (const float by : {kStep, -kStep}) {
          moved.insert(moved.end(), rows.begin(), rows.begin() + kNumbers);
          moved[moved.size() - kNumbers + i] += by;
        }
      }
      const auto around = Served(**served, moved, wanted);
      double largest = 0;
      for (std::size_t i = 0; i < kNumbers; ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(slopes[i])));
      }
      ASSERT_GT(largest, 1e-4);
      std::size_t off = 0;
      for (std::size_t i = 0; i < kNumbers; ++i) {
        const auto is_slope = [&](double difference, double over) {
          return std::abs(difference / over - static_cast<double>(slopes[i])) <=
                 0.02 * largest + 2e-5;
        };
        const double up = around[2 * i];
        const double down = around[2 * i + 1];
        const double step = static_cast<double>(kStep);
        const bool right = is_slope(up - down, 2 * step) || is_slope(up - expected[0], step) ||
                           is_slope(expected[0] - down, step);
        if (!right) ++off;
      }
      EXPECT_LE(off, recipe_ == "image-cnn" ? 2U : 0U);  // Something may turn on both sides.
    }
  }
}

TEST_F(GradientsTest, AttributionsAddUpToWhatTheInputAdds) {
  ASSERT_EQ(Deploy(Package(3)).loaded, 1U);
  const auto served = loader_->Load(source_.list.deployments[0].production);
  ASSERT_TRUE(served.ok());
  v1::ExplainRequest request;
  request.set_task(kTask);
  request.set_picture(vision::EncodePng(Picture(5)).value());
  request.set_method(v1::EXPLANATION_METHOD_INTEGRATED_GRADIENTS);
  request.set_time_seconds(30);
  for (std::size_t wanted = 0; wanted < kClasses; ++wanted) {
    request.set_class_name(std::string(1, static_cast<char>('a' + wanted)));
    v1::ExplainResponse explained;
    rpc::ClientContextWithDeadline context(std::chrono::seconds(120));
    const auto status = stub_->Explain(&context, request, &explained);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(explained.method(), v1::EXPLANATION_METHOD_INTEGRATED_GRADIENTS);
    EXPECT_EQ(explained.height(), static_cast<std::uint32_t>(kSide));
    ASSERT_EQ(explained.map_size(), static_cast<int>(kNumbers));
    ASSERT_TRUE(explained.has_gap());
    // Completeness (Sundararajan, Taly, Yan 2017, proposition 1): from a row of zeros.
    const double added = Served(**served, Row(5), wanted)[0] -
                         Served(**served, std::vector<float>(kNumbers, 0), wanted)[0];
    const double sum = std::accumulate(explained.map().begin(), explained.map().end(), 0.0);
    EXPECT_NEAR(sum, added + explained.gap(), 1e-4);
    EXPECT_TRUE(explained.complete());
    EXPECT_LE(std::abs(explained.gap()), 0.01);
  }
}

TEST_F(GradientsTest, AfterASwapTheNewVersionsGradientsAreGiven) {
  v1::ExplainRequest request;
  request.set_task(kTask);
  request.set_picture(vision::EncodePng(Picture(5)).value());
  request.set_method(v1::EXPLANATION_METHOD_INTEGRATED_GRADIENTS);
  request.set_class_name("a");
  request.set_time_seconds(30);
  std::vector<std::vector<double>> maps;
  for (const std::uint32_t version : {1U, 2U}) {
    ASSERT_EQ(Deploy(Package(version)).loaded, 1U);
    v1::ExplainResponse explained;
    rpc::ClientContextWithDeadline context(std::chrono::seconds(120));
    const auto status = stub_->Explain(&context, request, &explained);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(explained.model_version(), version);
    maps.emplace_back(explained.map().begin(), explained.map().end());
  }
  EXPECT_NE(maps[0], maps[1]);
}

TEST_F(GradientsTest, APackageWithoutTorchScriptSaysSo) {
  const auto package = Package(1, [](auto& files) { files.erase("model.ts"); });
  const auto engine = gradients_(package);
  ASSERT_FALSE(engine.ok());
  EXPECT_THAT(engine.error().message, HasSubstr("model.ts"));
}

}  // namespace
}  // namespace tidewheel::inference
