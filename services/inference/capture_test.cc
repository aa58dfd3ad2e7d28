#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/blob/sha256.h"
#include "tidewheel/inference/testing/inference_suite.h"
#include "tidewheel/ml/package/manifest.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/training/v1/profile.pb.h"

/// What is told of an input, and which inputs are kept.
namespace tidewheel::inference {
namespace {

using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// A payload store whose writes a test holds back.
class GatedStore final : public blob::Store {
 public:
  GatedStore(blob::Store& store, Gate& gate) : store_(store), gate_(gate) {}
  Result<std::vector<blob::Ref>> PutHashed(std::span<const blob::HashedPayload> payloads) override {
    gate_.Pass();
    return store_.PutHashed(payloads);
  }
  Result<blob::Ref> PutFile(const std::filesystem::path& path) override {
    return store_.PutFile(path);
  }
  Result<std::string> Get(const blob::Ref& ref) const override { return store_.Get(ref); }
  Result<void> GetFile(const blob::Ref& ref, const std::filesystem::path& path) const override {
    return store_.GetFile(ref, path);
  }
  Result<void> Erase(const blob::Ref& ref) override { return store_.Erase(ref); }

 private:
  blob::Store& store_;
  Gate& gate_;
};

class CaptureTest : public InferenceTest {
 protected:
  /// A profile whose held-out embeddings lay `spread` around zero.
  ModelPackage WithProfile(std::uint32_t version, double spread) {
    return Package(version, [&](std::map<std::string, std::string>& files) {
      training::v1::ReferenceProfile profile;
      auto* embedding = profile.mutable_embedding();
      constexpr int kNumbers = 16;
      embedding->set_numbers(kNumbers);
      for (int i = 0; i < kNumbers; ++i) {
        embedding->add_mean(0);
        for (int j = 0; j < kNumbers; ++j) embedding->add_covariance(i == j ? spread * spread : 0);
      }
      for (int i = 0; i <= 100; ++i) embedding->add_distance_quantiles(i * 0.4);
      files[std::string(ml::kProfileFile)] = profile.SerializeAsString();
    });
  }
};

TEST_F(CaptureTest, TheEventTellsTheEmbeddingOfPicturesAndRowsAlike) {
  Deploy(Package(1));
  auto rows = v1::PredictRequest();
  rows.set_task(kTask);
  rows.set_request_id("row");
  for (const std::int64_t size : {1, 1, kSide, kSide}) rows.mutable_tensor()->add_shape(size);
  std::vector<float> row(kSide * kSide);
  ASSERT_TRUE(vision::Preprocess(Picture(4), Preprocessing(), row).ok());
  rows.mutable_tensor()->set_data(row.data(), row.size() * sizeof(float));
  v1::PredictResponse response;
  ASSERT_TRUE(Predict(rows, &response).ok());
  ASSERT_TRUE(Predict(Request("picture", 4), &response).ok());
  ASSERT_TRUE(Predict(Request("another", 5), &response).ok());

  const auto embedding = sink_.Of("picture").answers.at(0).embedding;
  EXPECT_THAT(embedding, SizeIs(16));
  EXPECT_EQ(sink_.Of("row").answers.at(0).embedding, embedding);
  EXPECT_NE(sink_.Of("another").answers.at(0).embedding, embedding);
}

TEST_F(CaptureTest, TheEventTellsWhichRulesAnInputBreaks) {
  QualityRules rules;
  rules.min_mean_luminance = 0.1;
  rules.max_pixels = 100;
  Deploy(Package(1), {}, {}, rules);
  auto request = Request("r-1", 1);
  request.mutable_pictures()->add_payloads(
      vision::EncodePng(vision::Image::Filled(kSide, kSide, 1, 2)).value());
  request.mutable_pictures()->add_payloads(
      vision::EncodePng(vision::Image::Filled(4 * kSide, kSide, 1, 2)).value());
  v1::PredictResponse response;
  ASSERT_TRUE(Predict(request, &response).ok());

  const auto told = sink_.Of("r-1");
  ASSERT_THAT(told.answers, SizeIs(3));
  EXPECT_THAT(told.answers[0].quality_problems, IsEmpty());
  EXPECT_THAT(told.answers[1].quality_problems, ElementsAre("underexposed"));
  EXPECT_THAT(told.answers[2].quality_problems, ElementsAre("too_large"));
}

TEST_F(CaptureTest, TheRandomShareIsKeptExactlyAndDurableBeforeItIsTold) {
  constexpr int kRequests = 300;
  Deploy(Package(1), {}, {.random_share = 0.3, .max_per_minute = 1'000'000});
  std::set<std::string> expected;
  for (int i = 0; i < kRequests; ++i) {
    const std::string id = "r-" + std::to_string(i);
    auto request = Request(id, static_cast<std::uint64_t>(i));
    *request.mutable_pictures()->add_payloads() = vision::EncodePng(Picture(1'000)).value();
    (*request.mutable_metadata())["group"] = "crossing-" + std::to_string(i);
    v1::PredictResponse response;
    ASSERT_TRUE(Predict(request, &response).ok());
    for (const std::uint64_t index : {0U, 1U}) {
      const auto place = static_cast<double>(StableHash(id, index) >> 11) * 0x1.0p-53;
      if (place < 0.3) expected.insert(id + "#" + std::to_string(index));
    }
  }
  ASSERT_TRUE(
      testing::Eventually(seconds(20), [&] { return sink_.captures().size() >= expected.size(); }));

  std::set<std::string> kept;
  for (const auto& [captured, ref] : sink_.captures()) {
    kept.insert(captured.request_id + "#" + std::to_string(captured.index));
    EXPECT_EQ(blob::Sha256(captured.payload).Hex(), captured.sha256);
    EXPECT_EQ(captured.decision.because, CaptureReason::kRandom);
    EXPECT_EQ(captured.decision.inclusion_probability, 0.3);
    EXPECT_EQ(captured.metadata.at("group"), "crossing-" + captured.request_id.substr(2));
  }
  EXPECT_EQ(kept, expected);
  EXPECT_EQ(sink_.captures().size(), expected.size());
  EXPECT_TRUE(sink_.durable());
  EXPECT_EQ(capture_drops_.total(), 0);
}

TEST_F(CaptureTest, WhatLiesOutsideTheReferenceIsKept) {
  const CapturePolicy policy{.out_of_distribution_quantile = 0.99, .max_per_minute = 100};
  v1::PredictResponse response;
  Deploy(WithProfile(1, 1e6), {}, policy);
  ASSERT_TRUE(Predict(Request("near", 1), &response).ok());
  Deploy(WithProfile(2, 1e-6), {}, policy);
  ASSERT_TRUE(Predict(Request("far", 1), &response).ok());

  ASSERT_TRUE(testing::Eventually(seconds(20), [&] { return !sink_.captures().empty(); }));
  const auto captures = sink_.captures();
  ASSERT_THAT(captures, SizeIs(1));
  EXPECT_EQ(captures[0].captured.request_id, "far");
  EXPECT_EQ(captures[0].captured.decision.because, CaptureReason::kOutOfDistribution);
  EXPECT_EQ(captures[0].captured.model_version_id, "id-2");
}

TEST_F(CaptureTest, APackageWithADamagedProfileIsRefused) {
  const auto damaged =
      Package(1, [](auto& files) { files[std::string(ml::kProfileFile)] = "\xFF\xFF\xFF"; });
  EXPECT_EQ(Deploy(damaged).failed, 1U);
  EXPECT_THAT(Loaded()[0].problem(), HasSubstr("profile.pb"));

  const auto other = Package(2, [](auto& files) {
    training::v1::ReferenceProfile profile;
    profile.mutable_embedding()->set_numbers(3);
    files[std::string(ml::kProfileFile)] = profile.SerializeAsString();
  });
  EXPECT_EQ(Deploy(other).failed, 1U);
  EXPECT_THAT(Loaded()[0].problem(), HasSubstr("3 numbers"));
}

TEST_F(CaptureTest, AStoreThatHangsHoldsNoAnswerBack) {
  constexpr int kRequests = 100;
  constexpr std::size_t kRoom = 8;
  Gate gate;
  GatedStore store(*store_, gate);
  CountingCounter kept, dropped;
  CaptureKeeper keeper(store, sink_, BackgroundLimits{kRoom, 1 << 20},
                       CaptureCounters{.random = kept, .dropped_by_queue = dropped}, nullptr);
  Predictor predictor(table_, sink_, shadows_, keeper, clock_, {});
  Door door(predictor, table_, *explainable_, clock_, InferenceHandler::Options{2, 1'024},
            metrics_);
  Deploy(Package(1), {}, {.random_share = 1, .max_per_minute = 1'000'000});

  for (int i = 0; i < kRequests; ++i) {
    rpc::ClientContextWithDeadline context(seconds(20));
    v1::PredictResponse response;
    ASSERT_TRUE(
        door.stub().Predict(&context, Request("r-" + std::to_string(i), 1), &response).ok());
  }
  // Every answer is there, and nothing was written.
  EXPECT_EQ(gate.passed(), 0);
  EXPECT_THAT(sink_.captures(), IsEmpty());
  // Besides the queue, at most a queue's worth is in work.
  EXPECT_GE(dropped.total(), kRequests - 2 * static_cast<int>(kRoom));

  gate.Open();
  EXPECT_TRUE(testing::Eventually(seconds(20),
                                  [&] { return kept.total() + dropped.total() == kRequests; }));
  EXPECT_TRUE(sink_.durable());
}

}  // namespace
}  // namespace tidewheel::inference
