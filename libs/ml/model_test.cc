#include "tidewheel/ml/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "tidewheel/ml/graph/onnx_graph.h"
#include "tidewheel/ml/package/file.h"
#include "tidewheel/ml/testing/bar_pictures.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::ml {
namespace {

using ::testing::HasSubstr;

double LargestDifference(const std::vector<float>& left, const std::vector<float>& right) {
  EXPECT_EQ(left.size(), right.size());
  double largest = 0;
  for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    largest = std::max(largest, std::abs(double{left[i]} - double{right[i]}));
  }
  return largest;
}

Model Fresh(std::string_view recipe, const ImageShape& shape, int classes = 4,
            std::uint64_t seed = 3) {
  return Model::Create(MakeArchitecture(recipe, shape, classes).value(), seed).value();
}

class ModelTest : public ::testing::Test {
 protected:
  ModelTest()
      : folder_(std::filesystem::path(::testing::TempDir()) /
                ("model_" +
                 std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    std::filesystem::create_directories(folder_);
  }
  ~ModelTest() override { std::filesystem::remove_all(folder_); }

  const std::filesystem::path folder_;
};

TEST_F(ModelTest, BothEnginesAgreeOnEveryRecipe) {
  const auto engine = serving::Engine::Create({}).value();
  for (const auto recipe : RecipeNames()) {
    for (const ImageShape shape :
         {ImageShape{1, 28, 28}, ImageShape{3, 32, 32}, ImageShape{3, 9, 13}}) {
      for (const double temperature : {1.0, 0.6, 2.5}) {
        const BarPictures pictures(65, 1, shape);
        Model model = Fresh(recipe, shape);
        ASSERT_TRUE(model.SetTemperature(temperature).ok());
        const auto trained = model.Predict(pictures.View()).value();

        const auto loaded = engine->LoadBytes(model.Onnx().value());
        ASSERT_TRUE(loaded.ok()) << loaded.error().message;
        std::vector<float> served(trained.size());
        ASSERT_TRUE((*loaded)->Infer(pictures.elements, 65, served).ok());

        EXPECT_LE(LargestDifference(trained, served), 1e-5) << recipe << " at " << temperature;
      }
    }
  }
}

TEST_F(ModelTest, EveryKindOfLayerMeansTheSameToBothEngines) {
  const auto engine = serving::Engine::Create({}).value();
  const ImageShape shape{2, 11, 9};
  const Architecture architecture{
      shape,
      3,
      {Conv2d{5, 3, 2}, Relu{}, MaxPool{3}, Dropout{0.9}, Conv2d{6, 2, 0}, Relu{},
       GlobalAveragePool{}, Flatten{}, Dropout{0}, Linear{7}, Relu{}, Linear{3}}};
  const BarPictures pictures(20, 1, shape);
  const Model model = Model::Create(architecture, 1).value();
  const auto trained = model.Predict(pictures.View()).value();

  const auto loaded = engine->LoadBytes(model.Onnx().value());
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  std::vector<float> served(trained.size());
  ASSERT_TRUE((*loaded)->Infer(pictures.elements, 20, served).ok());

  EXPECT_LE(LargestDifference(trained, served), 1e-5);
}

TEST_F(ModelTest, BothEnginesEmbedAlike) {
  const auto engine = serving::Engine::Create({}).value();
  for (const auto recipe : RecipeNames()) {
    const BarPictures pictures(65, 1, {3, 16, 12});
    Model model = Fresh(recipe, pictures.shape);
    ASSERT_TRUE(model.SetTemperature(2.5).ok());
    const auto trained = model.Embed(pictures.View()).value();
    ASSERT_EQ(trained.size(), 65u * 16);
    double scale = 0;
    for (const float number : trained) scale = std::max(scale, std::abs(double{number}));
    EXPECT_GT(scale, 0.01);

    const auto loaded = engine->LoadBytes(model.Onnx().value()).value();
    std::vector<float> answers(65 * 4);
    std::vector<float> served(trained.size());
    ASSERT_TRUE(loaded->Infer(pictures.elements, 65, answers, served).ok());
    EXPECT_LE(LargestDifference(trained, served), 1e-5 * std::max(1.0, scale)) << recipe;

    ASSERT_TRUE(model.Save(folder_ / "model.ts").ok());
    EXPECT_EQ(Model::Load(folder_ / "model.ts").value().Embed(pictures.View()).value(), trained);
  }
}

TEST_F(ModelTest, TheEmbeddingChangesNoAnswer) {
  const BarPictures pictures(65, 1);
  const auto with = MakeArchitecture("image-cnn", pictures.shape, 4).value();
  const auto without = MakeArchitecture("image-cnn", pictures.shape, 4, 0).value();
  EXPECT_EQ(Model::Create(with, 3).value().Predict(pictures.View()).value(),
            Model::Create(without, 3).value().Predict(pictures.View()).value());
}

TEST_F(ModelTest, AModelOfBeforeThereWereEmbeddingsIsLoadedAndHasNone) {
  const BarPictures pictures(5, 1);
  const Model model =
      Model::Create(MakeArchitecture("image-linear", pictures.shape, 4, 0).value(), 1).value();
  ASSERT_TRUE(model.Save(folder_ / "old.ts").ok());
  const auto loaded = Model::Load(folder_ / "old.ts").value();
  EXPECT_EQ(loaded.Predict(pictures.View()).value(), model.Predict(pictures.View()).value());
  EXPECT_EQ(loaded.Embed(pictures.View()).error().code, ErrorCode::kFailedPrecondition);
}

TEST_F(ModelTest, PredictGivesAProbabilityForEachClass) {
  const BarPictures pictures(300, 1);
  const Model model = Fresh("image-cnn", pictures.shape);

  const auto probabilities = model.Predict(pictures.View()).value();

  ASSERT_EQ(probabilities.size(), 300u * 4);
  for (std::size_t row = 0; row < 300; ++row) {
    double sum = 0;
    for (std::size_t i = 0; i < 4; ++i) sum += double{probabilities[row * 4 + i]};
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

TEST_F(ModelTest, PredictIsTheSameAgainAndNearlySoInOtherBatches) {
  const BarPictures pictures(100, 1);
  const Model model = Fresh("image-cnn", pictures.shape);
  const auto once = model.Predict(pictures.View()).value();

  EXPECT_EQ(model.Predict(pictures.View()).value(), once);
  EXPECT_LE(LargestDifference(model.Predict(pictures.View(), {.batch_size = 7}).value(), once),
            1e-6);
}

TEST_F(ModelTest, SavedAndLoadedItIsTheSameModel) {
  const BarPictures pictures(50, 1);
  Model model = Fresh("image-cnn", pictures.shape);
  ASSERT_TRUE(model.SetTemperature(1.75).ok());
  ASSERT_TRUE(model.Save(folder_ / "model.ts").ok());

  const auto loaded = Model::Load(folder_ / "model.ts");

  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->architecture(), model.architecture());
  EXPECT_EQ(loaded->temperature(), 1.75);
  EXPECT_EQ(loaded->Weights(), model.Weights());
  EXPECT_EQ(loaded->Onnx().value(), model.Onnx().value());
  EXPECT_EQ(loaded->Predict(pictures.View()).value(), model.Predict(pictures.View()).value());
}

TEST_F(ModelTest, TheSameModelIsSavedAsTheSameBytes) {
  const ImageShape shape{1, 8, 8};
  ASSERT_TRUE(Fresh("image-cnn", shape).Save(folder_ / "one.ts").ok());
  std::filesystem::create_directories(folder_ / "elsewhere");
  ASSERT_TRUE(Fresh("image-cnn", shape).Save(folder_ / "elsewhere" / "one.ts").ok());

  EXPECT_EQ(ReadPackageFile(folder_ / "one.ts", 1 << 24).value(),
            ReadPackageFile(folder_ / "elsewhere" / "one.ts", 1 << 24).value());
}

TEST_F(ModelTest, FilesThatAreNoModuleAreAnError) {
  EXPECT_EQ(Model::Load(folder_ / "absent.ts").error().code, ErrorCode::kNotFound);

  ASSERT_TRUE(Fresh("image-linear", {1, 4, 4}).Save(folder_ / "good.ts").ok());
  const std::string good = ReadPackageFile(folder_ / "good.ts", 1 << 24).value();
  for (const std::string& bytes :
       {std::string(), std::string("PK\x03\x04 no archive"), good.substr(0, good.size() / 2)}) {
    ASSERT_TRUE(WritePackageFile(folder_ / "bad.ts", bytes).ok());
    const auto loaded = Model::Load(folder_ / "bad.ts");
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(loaded.error().message, HasSubstr("bad.ts"));
  }
}

TEST_F(ModelTest, WrongArgumentsAreRefused) {
  const BarPictures pictures(4, 1);
  Model model = Fresh("image-linear", {3, 8, 8});

  EXPECT_EQ(model.Predict(pictures.View()).error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(model.SetTemperature(0).ok());
  EXPECT_FALSE(Model::Create({{1, 2, 2}, 3, {Flatten{}}}, 1).ok());
  EXPECT_FALSE(Fresh("image-linear", {1, 8, 8}).Predict(pictures.View(), {.batch_size = 0}).ok());
}

TEST_F(ModelTest, PredictStopsWhenAsked) {
  const BarPictures pictures(4, 1);
  std::stop_source stop;
  stop.request_stop();

  const auto answer =
      Fresh("image-linear", pictures.shape).Predict(pictures.View(), {}, stop.get_token());

  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace tidewheel::ml
