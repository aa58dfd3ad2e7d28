#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/inference/testing/inference_suite.h"
#include "tidewheel/ml/package/golden.h"
#include "tidewheel/ml/package/manifest.h"

namespace tidewheel::inference {
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST_F(InferenceTest, APictureAndItsPreprocessedRowGetTheSameAnswer) {
  ASSERT_EQ(Deploy(Package(1)).loaded, 1U);
  v1::PredictRequest pictures;
  pictures.set_task(kTask);
  pictures.set_request_id("pictures");
  v1::PredictRequest rows;
  rows.set_task(kTask);
  for (const std::int64_t size : {3, 1, kSide, kSide}) rows.mutable_tensor()->add_shape(size);
  for (std::uint64_t i = 0; i < 3; ++i) {
    const auto picture = Picture(i);
    pictures.mutable_pictures()->add_payloads(vision::EncodePng(picture).value());
    std::array<float, kSide * kSide> row{};
    ASSERT_TRUE(vision::Preprocess(picture, Preprocessing(), row).ok());
    rows.mutable_tensor()->mutable_data()->append(reinterpret_cast<const char*>(row.data()),
                                                  sizeof row);
  }

  v1::PredictResponse by_pictures;
  v1::PredictResponse by_rows;
  ASSERT_TRUE(Predict(pictures, &by_pictures).ok());
  ASSERT_TRUE(Predict(rows, &by_rows).ok());

  EXPECT_EQ(by_pictures.model_version_id(), "id-1");
  EXPECT_THAT(by_pictures.classes(), SizeIs(4));
  ASSERT_THAT(by_pictures.predictions(), SizeIs(3));
  ASSERT_THAT(by_rows.predictions(), SizeIs(3));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(by_pictures.predictions(i).SerializeAsString(),
              by_rows.predictions(i).SerializeAsString());
    float sum = 0;
    for (const float probability : by_rows.predictions(i).probabilities()) sum += probability;
    EXPECT_NEAR(sum, 1, 1e-5);
  }
  // What is told of it: the pictures' digests and measures, which rows do not have.
  const auto told = sink_.Of("pictures");
  EXPECT_EQ(told.answers.at(0).payload_sha256.size(), 64U);
  EXPECT_EQ(told.answers[0].measures.at("width"), kSide);
  EXPECT_EQ(told.role, Role::kProduction);
  EXPECT_GT(told.seconds, 0);
  EXPECT_EQ(by_pictures.role(), "production");
  EXPECT_EQ(sink_.Of(by_rows.request_id()).answers.at(0).payload_sha256, "");
}

TEST_F(InferenceTest, WhoAnsweredIsSaidDownToTheVariant) {
  // Of the manifest's word: float32's own graph under the other's name.
  const auto with_int8 = Package(1, [](std::map<std::string, std::string>& files) {
    auto& yaml = files.at(std::string(ml::kManifestFile));
    auto manifest = ml::ParsePackageManifest(yaml).value();
    manifest.variants = {{.name = "int8", .file = std::string(ml::kInt8OnnxFile), .offered = true}};
    yaml = ml::PrintPackageManifest(manifest);
    files[std::string(ml::kInt8OnnxFile)] = files.at(std::string(ml::kOnnxFile));
  });
  const auto variant_with = [&](Wanted wanted, const ModelPackage& package) {
    loader_.emplace(*store_, *engine_, nullptr, wanted);
    follower_.emplace(source_, *loader_, table_, clock_);
    table_.Remove(kTask);
    if (Deploy(package).failed > 0) return "refused: " + Loaded().at(0).problem();
    v1::PredictResponse response;
    EXPECT_TRUE(Predict(Request("", 1), &response).ok());
    EXPECT_EQ(Loaded().at(0).variant(), response.variant());
    EXPECT_EQ(sink_.Of(response.request_id()).variant, response.variant());
    return response.variant();
  };
  EXPECT_EQ(variant_with(Wanted::kFloat32, with_int8), "f32");
  EXPECT_EQ(variant_with(Wanted::kInt8, with_int8), "int8");
  EXPECT_EQ(variant_with(Wanted::kFastest, with_int8), "int8");
  const auto plain = Package(2);
  EXPECT_EQ(variant_with(Wanted::kFastest, plain), "f32");
  EXPECT_THAT(variant_with(Wanted::kInt8, plain), HasSubstr("does not offer it"));
}

TEST_F(InferenceTest, RefusesWithThePlaceAndTheShape) {
  v1::PredictRequest request;
  request.set_task(kTask);
  request.mutable_pictures()->add_payloads(vision::EncodePng(Picture(1)).value());
  request.mutable_pictures()->add_payloads("no picture");
  v1::PredictResponse response;
  // The registry has not been heard yet.
  EXPECT_EQ(Predict(request, &response).error_code(), grpc::UNAVAILABLE);

  ASSERT_EQ(Deploy(Package(1)).loaded, 1U);
  const auto broken = Predict(request, &response);
  EXPECT_EQ(broken.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(broken.error_message(), HasSubstr("picture 1"));

  request.mutable_tensor()->add_shape(1);
  request.mutable_tensor()->add_shape(3);
  request.mutable_tensor()->set_data("12345678");
  EXPECT_THAT(Predict(request, &response).error_message(),
              AllOf(HasSubstr("[1, 3]"), HasSubstr("[N, 1, 8, 8]")));
  request.mutable_tensor()->set_data("123");
  EXPECT_THAT(Predict(request, &response).error_message(), HasSubstr("3 bytes"));
  EXPECT_TRUE(sink_.told().empty());
}

TEST_F(InferenceTest, APackageThatMissesItsGoldenAnswersIsRefusedAndTheOldOneGoesOn) {
  ASSERT_EQ(Deploy(Package(1)).loaded, 1U);
  const auto wrong = Package(2, [](std::map<std::string, std::string>& files) {
    auto& bytes = files.at(std::string(ml::kGoldenFile));
    auto golden = ml::ParseGoldenSamples(bytes).value();
    std::swap(golden.probabilities[0], golden.probabilities[1]);
    golden.probabilities[0] += 0.01F;
    bytes = ml::PrintGoldenSamples(golden).value();
  });

  EXPECT_EQ(Deploy(wrong).failed, 1U);

  const auto loaded = Loaded();
  ASSERT_THAT(loaded, SizeIs(1));
  EXPECT_EQ(loaded[0].model_version(), 1U);
  EXPECT_THAT(loaded[0].problem(), HasSubstr("golden samples"));
  v1::PredictRequest request;
  request.set_task(kTask);
  request.mutable_pictures()->add_payloads(vision::EncodePng(Picture(1)).value());
  v1::PredictResponse response;
  ASSERT_TRUE(Predict(request, &response).ok());
  EXPECT_EQ(response.model_version(), 1U);
}

TEST_F(InferenceTest, APackageThatIsDamagedOrOfAnotherTaskIsRefused) {
  const auto drop = [](std::string_view name) {
    return [name](std::map<std::string, std::string>& files) { files.erase(std::string(name)); };
  };
  EXPECT_EQ(Deploy(Package(1, drop(ml::kOnnxFile))).failed, 1U);
  EXPECT_THAT(Loaded()[0].problem(), HasSubstr("model.onnx"));
  EXPECT_EQ(Deploy(Package(2, [](auto& files) { files.at("model.onnx") = "no graph"; })).failed,
            1U);
  auto other = Package(3);
  other.model.classes = {"a", "b", "d", "c"};
  EXPECT_EQ(Deploy(other).failed, 1U);
  EXPECT_THAT(Loaded()[0].problem(), HasSubstr("classes"));
  EXPECT_EQ(Deploy(Package(4)).loaded, 1U);
  EXPECT_EQ(Loaded()[0].problem(), "");
}

TEST_F(InferenceTest, SwappingUnderLoadDropsNothing) {
  const std::vector<ModelPackage> versions = {Package(1), Package(2)};
  ASSERT_EQ(Deploy(versions[0]).loaded, 1U);
  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0;
  std::mutex mutex;
  std::set<std::string> failures;
  std::set<std::string> answers;
  std::vector<std::jthread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&] {
      v1::PredictRequest request;
      request.set_task(kTask);
      request.mutable_pictures()->add_payloads(vision::EncodePng(Picture(9)).value());
      while (!stop) {
        v1::PredictResponse response;
        const auto status = Predict(request, &response);
        ++answered;
        const std::lock_guard lock(mutex);
        if (!status.ok()) {
          failures.insert(status.error_message());
          continue;
        }
        answers.insert(response.model_version_id() + ":" +
                       response.predictions(0).SerializeAsString());
      }
    });
  }
  for (std::size_t swap = 1; swap <= 10; ++swap) {
    EXPECT_EQ(Deploy(versions[swap % 2]).loaded, 1U);
    // Some answers from each.
    const int before = answered;
    while (answered < before + 20) std::this_thread::yield();
  }
  stop = true;
  clients.clear();

  EXPECT_THAT(failures, ::testing::IsEmpty());
  // Each version answered, and always the same: no request saw half of each.
  EXPECT_THAT(answers, SizeIs(2));
  EXPECT_THAT(answered.load(), Ge(200));
}

TEST_F(InferenceTest, OutcomesAreTakenByTheRequestsId) {
  ASSERT_EQ(Deploy(Package(1)).loaded, 1U);
  v1::RecordOutcomesRequest request;
  request.set_task(kTask);
  auto* outcome = request.add_outcomes();
  outcome->set_request_id("r-1");
  outcome->set_class_name("b");
  outcome->set_source("inspection");
  rpc::ClientContextWithDeadline context(seconds(20));
  v1::RecordOutcomesResponse response;
  ASSERT_TRUE(stub_->RecordOutcomes(&context, request, &response).ok());
  EXPECT_EQ(response.accepted(), 1U);
  ASSERT_THAT(sink_.outcomes, SizeIs(1));
  EXPECT_EQ(sink_.outcomes[0].class_name, "b");

  outcome->set_class_name("z");
  rpc::ClientContextWithDeadline again(seconds(20));
  EXPECT_EQ(stub_->RecordOutcomes(&again, request, &response).error_code(), grpc::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tidewheel::inference
