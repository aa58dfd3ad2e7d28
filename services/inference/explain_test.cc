#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numeric>

#include "tidewheel/inference/testing/inference_suite.h"

namespace tidewheel::inference {
namespace {

using ::testing::HasSubstr;

class ExplainTest : public InferenceTest {
 protected:
  grpc::Status Explain(const v1::ExplainRequest& request, v1::ExplainResponse* response) {
    rpc::ClientContextWithDeadline context(std::chrono::seconds(120));
    response->Clear();
    return stub_->Explain(&context, request, response);
  }

  static v1::ExplainRequest PictureRequest(v1::ExplanationMethod method) {
    v1::ExplainRequest request;
    request.set_task(kTask);
    request.set_picture(vision::EncodePng(Picture(5)).value());
    request.set_method(method);
    request.set_time_seconds(30);
    return request;
  }
};

TEST_F(ExplainTest, APictureIsExplainedByItsSuperpixelsWithoutAPredictionEvent) {
  ASSERT_EQ(Deploy(Package(1)).loaded, 1U);
  v1::PredictResponse predicted;
  ASSERT_TRUE(Predict(Request("asked", 5), &predicted).ok());

  v1::ExplainResponse explained;
  const auto status = Explain(PictureRequest(v1::EXPLANATION_METHOD_UNSPECIFIED), &explained);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(explained.model_version_id(), "id-1");
  EXPECT_EQ(explained.model_version(), 1U);
  EXPECT_EQ(explained.class_name(), predicted.predictions(0).class_name());
  EXPECT_NEAR(explained.probability(), predicted.predictions(0).confidence(), 1e-6);
  EXPECT_EQ(explained.method(), v1::EXPLANATION_METHOD_LIME);
  ASSERT_EQ(explained.regions_size(), kSide * kSide);
  EXPECT_EQ(explained.height(), static_cast<std::uint32_t>(kSide));
  EXPECT_EQ(explained.asked(), 1'000U);
  EXPECT_TRUE(explained.complete());
  const auto parts = 1 + *std::max_element(explained.regions().begin(), explained.regions().end());
  EXPECT_EQ(static_cast<std::uint32_t>(explained.parts_size()), parts);
  EXPECT_TRUE(explained.has_r_squared());
  EXPECT_FALSE(explained.has_gap());
  for (const auto& part : explained.parts()) EXPECT_GT(part.standard_error(), 0);
  EXPECT_EQ(Loaded().at(0).predictions(), 1U);

  v1::ExplainResponse again;
  ASSERT_TRUE(Explain(PictureRequest(v1::EXPLANATION_METHOD_LIME), &again).ok());
  again.set_took_seconds(explained.took_seconds());
  EXPECT_EQ(again.SerializeAsString(), explained.SerializeAsString());
}

TEST_F(ExplainTest, OcclusionGivesAMapAndARowIsTakenForItsPicture) {
  ASSERT_EQ(Deploy(Package(1)).loaded, 1U);
  v1::ExplainResponse by_picture;
  ASSERT_TRUE(Explain(PictureRequest(v1::EXPLANATION_METHOD_OCCLUSION), &by_picture).ok());
  ASSERT_EQ(by_picture.map_size(), kSide * kSide);
  EXPECT_EQ(by_picture.asked(), by_picture.possible());

  auto request = PictureRequest(v1::EXPLANATION_METHOD_OCCLUSION);
  request.clear_picture();
  for (const std::int64_t size : {1, 1, kSide, kSide}) request.mutable_row()->add_shape(size);
  std::array<float, kSide * kSide> row{};
  ASSERT_TRUE(vision::Preprocess(Picture(5), Preprocessing(), row).ok());
  request.mutable_row()->set_data(reinterpret_cast<const char*>(row.data()), sizeof row);
  v1::ExplainResponse by_row;
  ASSERT_TRUE(Explain(request, &by_row).ok());
  for (int i = 0; i < by_row.map_size(); ++i) {
    EXPECT_DOUBLE_EQ(by_row.map(i), by_picture.map(i)) << i;
  }
}

TEST_F(ExplainTest, AfterASwapTheNewVersionIsExplained) {
  ASSERT_EQ(Deploy(Package(1)).loaded, 1U);
  auto request = PictureRequest(v1::EXPLANATION_METHOD_OCCLUSION);
  request.set_class_name("b");
  v1::ExplainResponse explained;
  ASSERT_TRUE(Explain(request, &explained).ok());
  EXPECT_EQ(explained.model_version(), 1U);
  EXPECT_EQ(explained.class_name(), "b");
  ASSERT_EQ(Deploy(Package(2)).loaded, 1U);
  ASSERT_TRUE(Explain(request, &explained).ok());
  EXPECT_EQ(explained.model_version(), 2U);
}

TEST_F(ExplainTest, RefusesWithTheReason) {
  ASSERT_EQ(Deploy(Package(1)).loaded, 1U);
  v1::ExplainResponse explained;
  const auto refused = [&](auto change) {
    auto request = PictureRequest(v1::EXPLANATION_METHOD_LIME);
    change(request);
    const auto status = Explain(request, &explained);
    return std::to_string(status.error_code()) + " " + status.error_message();
  };
  EXPECT_THAT(refused([](auto& request) { request.set_task("nothing"); }), HasSubstr("5 "));
  EXPECT_THAT(refused([](auto& request) { request.set_picture("no picture"); }), HasSubstr("3 "));
  EXPECT_THAT(refused([](auto& request) { request.set_class_name("z"); }), HasSubstr("class z"));
  EXPECT_THAT(refused([](auto& request) { request.set_time_seconds(31); }), HasSubstr("30 s"));
  EXPECT_THAT(refused([](auto& request) { request.set_time_seconds(NAN); }), HasSubstr("time"));
  EXPECT_THAT(
      refused([](auto& request) { request.set_method(static_cast<v1::ExplanationMethod>(9)); }),
      HasSubstr("method 9"));
  EXPECT_THAT(refused([](auto& request) { request.mutable_row()->set_data("12345"); }),
              HasSubstr("5 bytes"));
}

}  // namespace
}  // namespace tidewheel::inference
