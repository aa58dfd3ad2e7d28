#include "tidewheel/inference/explaining/explainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "fake_model.h"

namespace tidewheel::inference {
namespace {

using testing::HasSubstr;

/// 1 x 8 x 8; only the pixels of the right lower quarter count.
FakeExplainable QuarterModel() {
  std::vector<double> weights(64, 0);
  for (std::size_t y = 4; y < 8; ++y) {
    for (std::size_t x = 4; x < 8; ++x) weights[y * 8 + x] = 0.05;
  }
  return {{1, 8, 8}, weights};
}

/// Bright where the model looks, dark elsewhere.
std::string QuarterPicture() {
  std::string picture(64, '1');
  for (std::size_t y = 4; y < 8; ++y) {
    for (std::size_t x = 4; x < 8; ++x) picture[y * 8 + x] = '9';
  }
  picture[0] = '0';
  return picture;
}

ExplainRequest PictureRequest(ExplanationMethod method) {
  ExplainRequest request;
  request.task = "answers";
  request.picture = QuarterPicture();
  request.method = method;
  return request;
}

TEST(ExplainerTest, SuperpixelsOfAPictureAreWeighedWhereTheModelLooks) {
  auto model = QuarterModel();
  // The mean of a region is what hides it: the bright quarter has to be cut to be seen.
  auto request = PictureRequest(ExplanationMethod::kUsual);
  for (std::size_t y = 4; y < 8; ++y) request.picture[y * 8 + 4 + y % 4] = '5';
  const auto explained = Explain(model, request, {});
  ASSERT_TRUE(explained.ok()) << explained.error().message;
  EXPECT_EQ(explained->method, ExplanationMethod::kLime);
  EXPECT_EQ(explained->class_name, "yes");
  EXPECT_GT(explained->probability, 0.99);
  EXPECT_EQ(explained->model_version_id, "a-version");
  EXPECT_EQ(explained->model_version, 3U);
  ASSERT_EQ(explained->regions.size(), 64U);
  EXPECT_EQ(explained->height, 8U);
  EXPECT_EQ(explained->asked, 1'000U);
  EXPECT_TRUE(explained->complete);
  ASSERT_FALSE(explained->parts.empty());
  EXPECT_TRUE(explained->parts[0].standard_error.has_value());
  EXPECT_TRUE(explained->r_squared.has_value());
}

TEST(ExplainerTest, GradientsSumToTheDifferenceFromTheBaseline) {
  auto model = QuarterModel();
  const auto explained =
      Explain(model, PictureRequest(ExplanationMethod::kIntegratedGradients), {});
  ASSERT_TRUE(explained.ok()) << explained.error().message;
  const double sum = std::accumulate(explained->map.begin(), explained->map.end(), 0.0);
  // At 0 in all pixels the probability is one half.
  EXPECT_NEAR(sum, explained->probability - 0.5, 0.01);
  EXPECT_NEAR(*explained->gap, sum - (explained->probability - 0.5), 1e-6);
  EXPECT_DOUBLE_EQ(explained->map[0], 0);
  EXPECT_GT(explained->map[63], 0);
}

TEST(ExplainerTest, CoveringThePlaceThatCountsLowersTheAnswer) {
  auto model = QuarterModel();
  const auto explained = Explain(model, PictureRequest(ExplanationMethod::kOcclusion), {});
  ASSERT_TRUE(explained.ok()) << explained.error().message;
  ASSERT_EQ(explained->map.size(), 64U);
  EXPECT_GT(explained->map[63], explained->map[0]);
  EXPECT_EQ(explained->asked, explained->possible);
  EXPECT_EQ(explained->asked, 64U);
}

TEST(ExplainerTest, TheClassThatIsAskedForIsExplained) {
  auto model = QuarterModel();
  auto request = PictureRequest(ExplanationMethod::kOcclusion);
  request.class_name = "no";
  const auto explained = Explain(model, request, {});
  ASSERT_TRUE(explained.ok());
  EXPECT_EQ(explained->class_name, "no");
  EXPECT_LT(explained->probability, 0.01);
  EXPECT_LT(explained->map[63], explained->map[0]);
  request.class_name = "perhaps";
  EXPECT_THAT(Explain(model, request, {}).error().message, HasSubstr("perhaps"));
}

TEST(ExplainerTest, ARowOfATableIsExplainedAgainstItsBackground) {
  FakeExplainable model({3}, {0.4, -0.2, 0});
  ExplainRequest request;
  request.task = "answers";
  request.class_name = "yes";
  request.row = NumberRows{{1, 3}, {0.1F, 0.2F, 0.3F}};
  EXPECT_THAT(Explain(model, request, {}).error().message, HasSubstr("background"));
  NumberRows background{{200, 3}, {}};
  for (int i = 0; i < 600; ++i) {
    background.values.push_back(static_cast<float>(std::sin(1.7 * i) * 0.3));
  }
  request.background = background;
  const auto explained = Explain(model, request, {});
  ASSERT_TRUE(explained.ok()) << explained.error().message;
  ASSERT_EQ(explained->parts.size(), 3U);
  EXPECT_EQ(explained->parts[0].part, 0U);
  // The slope of the logistic near one half is a quarter.
  EXPECT_NEAR(explained->parts[0].weight, 0.1, 0.01);
  EXPECT_NEAR(explained->parts[1].weight, -0.05, 0.01);
  EXPECT_EQ(explained->asked, 5'000U);
  request.background->shape = {100, 6};
  EXPECT_THAT(Explain(model, request, {}).error().message, HasSubstr("6 numbers"));
}

TEST(ExplainerTest, AShortTimeGivesACoarserAnswerThatSaysSo) {
  auto model = QuarterModel();
  model.before_ask = [] { std::this_thread::sleep_for(std::chrono::milliseconds(3)); };
  auto request = PictureRequest(ExplanationMethod::kLime);
  request.time = std::chrono::milliseconds(30);
  const auto explained = Explain(model, request, {});
  ASSERT_TRUE(explained.ok()) << explained.error().message;
  EXPECT_FALSE(explained->complete);
  EXPECT_LT(explained->asked, explained->possible);
}

TEST(ExplainerTest, NamesWhatIsWrongWithARequest) {
  auto model = QuarterModel();
  const auto problem = [&](auto change) {
    auto request = PictureRequest(ExplanationMethod::kLime);
    change(request);
    const auto explained = Explain(model, request, {});
    return explained.ok() ? std::string("none") : explained.error().message;
  };
  EXPECT_THAT(problem([](auto& request) { request.task.clear(); }), HasSubstr("task"));
  EXPECT_THAT(problem([](auto& request) { request.picture = ""; }), HasSubstr("picture or a row"));
  EXPECT_THAT(problem([](auto& request) { request.picture = "12"; }), HasSubstr("decoded"));
  EXPECT_THAT(problem([](auto& request) { request.time = std::chrono::hours(1); }),
              HasSubstr("30 s"));
  EXPECT_THAT(problem([](auto& request) { request.samples = 30'000; }), HasSubstr("20000"));
  EXPECT_THAT(problem([](auto& request) {
                request.picture.clear();
                request.row = NumberRows{{2, 2}, {1, 2, 3, 4}};
              }),
              HasSubstr("at most 1"));
  EXPECT_THAT(problem([](auto& request) {
                request.picture.clear();
                request.row = NumberRows{{1, 3}, {1, 2}};
              }),
              HasSubstr("needs 3"));
  EXPECT_THAT(problem([](auto& request) {
                request.picture.clear();
                request.row = NumberRows{{1, 2}, {1, NAN}};
              }),
              HasSubstr("number 1"));
}

}  // namespace
}  // namespace tidewheel::inference
