#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/inference/engine/scheduled_packages.h"
#include "tidewheel/inference/testing/inference_suite.h"
#include "tidewheel/ml/graph/onnx_graph.h"
#include "tidewheel/testing/eventually.h"

namespace tidewheel::inference {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::SizeIs;

class NoFiles final : public ExecutorLoader {
 public:
  Result<std::unique_ptr<Executor>> Load(const ModelSource& source) override {
    return Error{ErrorCode::kNotFound, "there are no files of " + source.name};
  }
};

/// Packages that are loaded into a server of models.
class PlatformModelsTest : public InferenceTest {
 protected:
  void SetUp() override {
    InferenceTest::SetUp();
    ASSERT_TRUE(models_.Start().ok());
  }
  std::shared_ptr<const ServedModel> Load(const ModelPackage& package) {
    auto loaded = hosted_loader_->Load(package);
    EXPECT_TRUE(loaded.ok()) << (loaded ? "" : loaded.error().message);
    return *loaded;
  }
  /// As a client of the Open Inference Protocol asks.
  Result<InferResponse> Infer(const std::string& version, const std::vector<float>& values) {
    InferRequest request{.model_name = kTask, .model_version = version};
    Tensor& input = request.inputs.emplace_back();
    input.name = ml::kInputName;
    input.shape = {static_cast<std::int64_t>(values.size()) / (kSide * kSide), 1, kSide, kSide};
    input.data = {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
    std::promise<Result<InferResponse>> answered;
    models_.Infer(std::move(request),
                  [&](Result<InferResponse> answer) { answered.set_value(std::move(answer)); });
    return answered.get_future().get();
  }

  NoFiles none_;
  RepositoryServer models_{{.mode = RepositoryServer::Mode::kExplicit}, none_};
  ScheduledPackages packages_{models_, 2};
  std::optional<PackageLoader> hosted_loader_;
};

TEST_F(PlatformModelsTest, APackageIsAModelOfTheServerAsLongAsItIsHeld) {
  hosted_loader_.emplace(*store_, *engine_, &packages_);
  const auto package = Package(1);
  auto served = Load(package);
  const std::vector<float> rows(std::size_t{200} * kSide * kSide, 0.25F);

  // More rows than one call takes.
  const std::vector<std::int64_t> shape = {200, 1, kSide, kSide};
  const auto answers = served->PredictRows(shape, rows);
  ASSERT_TRUE(answers.ok()) << answers.error().message;
  ASSERT_THAT(*answers, SizeIs(200));
  const auto direct = loader_->Load(package).value()->PredictRows(shape, rows).value();
  for (std::size_t i = 0; i < direct.size(); ++i) {
    EXPECT_EQ((*answers)[i].class_index, direct[i].class_index);
    for (std::size_t k = 0; k < direct[i].probabilities.size(); ++k) {
      EXPECT_NEAR((*answers)[i].probabilities[k], direct[i].probabilities[k], 1e-5);
    }
  }
  const auto statistics = models_.Statistics(kTask, "1").value();
  EXPECT_EQ(statistics.at(0).inference_count, 200U);

  const auto asked = Infer("", {rows.begin(), rows.begin() + kSide * kSide});
  ASSERT_TRUE(asked.ok()) << asked.error().message;
  EXPECT_EQ(asked->model_version, "1");
  ASSERT_FALSE(asked->outputs.empty());
  float first = 0;
  std::memcpy(&first, asked->outputs[0].data.data(), sizeof first);
  EXPECT_NEAR(first, direct[0].probabilities[0], 1e-5);

  served.reset();
  EXPECT_TRUE(
      tidewheel::testing::Eventually(seconds(20), [&] { return models_.Index(true).empty(); }));
  EXPECT_FALSE(Infer("", {rows.begin(), rows.begin() + kSide * kSide}).ok());
}

TEST_F(PlatformModelsTest, ACandidateGetsNoRequestsWithoutAVersionUntilItIsPreferred) {
  hosted_loader_.emplace(*store_, *engine_, &packages_);
  const std::vector<float> row(std::size_t{kSide} * kSide, 0.5F);
  const auto second = Package(2);
  auto production = Load(Package(1));
  auto candidate = Load(second);
  EXPECT_EQ(Infer("", row)->model_version, "1");
  EXPECT_EQ(Infer("2", row)->model_version, "2");
  EXPECT_THAT(models_.Describe(kTask, "").value().versions, ElementsAre("1", "2"));
  ASSERT_TRUE(models_.Prefer(kTask, 2).ok());
  EXPECT_EQ(Infer("", row)->model_version, "2");
  // The same version loaded once more takes the place, and the first holder leaves it alone.
  auto again = Load(second);
  candidate.reset();
  EXPECT_EQ(Infer("2", row)->model_version, "2");
  again.reset();
  EXPECT_TRUE(tidewheel::testing::Eventually(seconds(20),
                                             [&] { return Infer("", row)->model_version == "1"; }));
}

}  // namespace
}  // namespace tidewheel::inference
