#include "tidewheel/inference/explaining/deployed_models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidewheel::inference {
namespace {

class FakeServed final : public ServedModel {
 public:
  explicit FakeServed(ModelIdentity identity) : identity_(std::move(identity)) {}
  const ModelIdentity& identity() const override { return identity_; }
  Result<std::vector<Answer>> PredictPictures(std::span<const std::string_view>,
                                              const QualityRules&) const override {
    return Error{ErrorCode::kUnimplemented, "not asked for"};
  }
  Result<std::vector<Answer>> PredictRows(std::span<const std::int64_t> shape,
                                          std::span<const float> values) const override {
    std::vector<Answer> answers(static_cast<std::size_t>(shape[0]));
    for (std::size_t i = 0; i < answers.size(); ++i) {
      answers[i].probabilities = {values[i], 1 - values[i]};
    }
    return answers;
  }

 private:
  const ModelIdentity identity_;
};

class FakeSource final : public DeploymentSource {
 public:
  Result<DeploymentList> List() override {
    if (away) return Error{ErrorCode::kUnavailable, "the registry is away"};
    return list;
  }
  void Deploy(const std::string& task, const std::string& version) {
    Deployment* found = nullptr;
    for (auto& each : list.deployments) {
      if (each.task == task) found = &each;
    }
    if (found == nullptr) found = &list.deployments.emplace_back();
    found->task = task;
    found->production.model.task = task;
    found->production.model.model_version_id = version;
    found->production.model.classes = {"a", "b"};
  }

  DeploymentList list;
  bool away = false;
};

class CountingLoader final : public ModelLoader {
 public:
  Result<std::shared_ptr<const ServedModel>> Load(const ModelPackage& package) override {
    loaded.push_back(package.model.model_version_id);
    return std::static_pointer_cast<const ServedModel>(std::make_shared<FakeServed>(package.model));
  }
  std::vector<std::string> loaded;
};

TEST(DeployedModelsTest, ACopyIsLoadedOnceAndAnewWhenAnotherVersionServes) {
  FakeSource source;
  CountingLoader loader;
  DeployedModels models(source, loader, {});
  source.Deploy("lights", "one");
  ASSERT_TRUE(models.For("lights").ok());
  ASSERT_TRUE(models.For("lights").ok());
  source.Deploy("lights", "two");
  EXPECT_EQ((*models.For("lights"))->identity().model_version_id, "two");
  EXPECT_THAT(loader.loaded, testing::ElementsAre("one", "two"));
}

TEST(DeployedModelsTest, TheLongestUnaskedCopyGoesFirst) {
  FakeSource source;
  CountingLoader loader;
  DeployedModels models(source, loader, {});
  for (const char* task : {"a", "b", "c"}) source.Deploy(task, task);
  ASSERT_TRUE(models.For("a").ok());
  ASSERT_TRUE(models.For("b").ok());
  ASSERT_TRUE(models.For("a").ok());
  ASSERT_TRUE(models.For("c").ok());
  ASSERT_TRUE(models.For("a").ok());
  EXPECT_THAT(loader.loaded, testing::ElementsAre("a", "b", "c"));
  ASSERT_TRUE(models.For("b").ok());
  EXPECT_THAT(loader.loaded, testing::ElementsAre("a", "b", "c", "b"));
}

TEST(DeployedModelsTest, WhileTheRegistryIsAwayWhatIsKeptGoesOn) {
  FakeSource source;
  CountingLoader loader;
  DeployedModels models(source, loader, {});
  source.Deploy("lights", "one");
  ASSERT_TRUE(models.For("lights").ok());
  source.away = true;
  EXPECT_TRUE(models.For("lights").ok());
  EXPECT_EQ(models.For("others").error().code, ErrorCode::kUnavailable);
  source.away = false;
  EXPECT_EQ(models.For("others").error().code, ErrorCode::kNotFound);
}

TEST(DeployedModelsTest, AsksTheCopyAndSaysWhatItCannotDo) {
  FakeSource source;
  CountingLoader loader;
  DeployedModels models(source, loader, {});
  source.Deploy("lights", "one");
  const auto model = *models.For("lights");
  std::vector<float> probabilities(4);
  const std::vector<std::int64_t> shape = {1};
  ASSERT_TRUE(model->Ask(shape, std::vector<float>{0.25F, 1}, 2, probabilities).ok());
  EXPECT_THAT(probabilities, testing::ElementsAre(0.25F, 0.75F, 1, 0));
  EXPECT_EQ(model->Prepare("picture").error().code, ErrorCode::kUnimplemented);
  std::vector<double> one(1);
  std::vector<float> slopes(1);
  EXPECT_EQ(model->Gradients(shape, std::vector<float>{1}, 1, 0, one, slopes).error().code,
            ErrorCode::kUnimplemented);
}

}  // namespace
}  // namespace tidewheel::inference
