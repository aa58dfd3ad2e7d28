#include "tidewheel/ml/package_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/ml/package/file.h"
#include "tidewheel/ml/package/golden.h"
#include "tidewheel/ml/testing/bar_pictures.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::ml {
namespace {

using ::testing::HasSubstr;

class PackageWriterTest : public ::testing::Test {
 protected:
  PackageWriterTest()
      : folder_(std::filesystem::path(::testing::TempDir()) /
                ("package_" +
                 std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    std::filesystem::remove_all(folder_);
  }
  ~PackageWriterTest() override { std::filesystem::remove_all(folder_); }

  static Model FreshModel(std::uint64_t seed = 1) {
    return Model::Create(MakeArchitecture("image-cnn", {1, 8, 8}, 4).value(), seed).value();
  }
  PackageContents Contents() const {
    return {.manifest = {.task = "bars",
                         .recipe = "image-cnn",
                         .input = {},
                         .output = {},
                         .classes = {"a", "b", "c", "d"},
                         .preprocessing = {{"kind", "none"}},
                         .calibration = {},
                         .run_id = "run-1",
                         .dataset_digest = std::string(64, '0'),
                         .code_version = "abc",
                         .seed = 1},
            .evaluation_json = "{}",
            .card_markdown = "# Bars\n",
            .samples = pictures_.View()};
  }

  const BarPictures pictures_{50, 1};
  const std::filesystem::path folder_;
};

TEST_F(PackageWriterTest, APackageCanBeServedAndAnswersItsGoldenRows) {
  const auto report = WritePackage(folder_ / "new", FreshModel(), Contents());
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->compared_rows, 50u);
  EXPECT_LE(report->largest_difference, kEngineTolerance);
  EXPECT_LE(report->largest_embedding_difference, kEngineTolerance);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "new" / kProfileFile));

  for (const auto file : RequiredPackageFiles()) {
    EXPECT_TRUE(std::filesystem::exists(folder_ / "new" / file)) << file;
  }
  const auto manifest = ReadPackageManifest(folder_ / "new").value();
  EXPECT_EQ(manifest, report->manifest);
  const auto golden = ReadGoldenSamples(folder_ / "new").value();
  const auto engine = serving::Engine::Create({}).value();
  const auto served = engine->Load(folder_ / "new" / kOnnxFile).value();
  EXPECT_EQ(served->signature().input.name, manifest.input.name);
  EXPECT_EQ(served->signature().input.shape, manifest.input.shape);
  EXPECT_EQ(served->signature().output.name, manifest.output.name);
  EXPECT_EQ(served->signature().output.shape, manifest.output.shape);
  EXPECT_TRUE(served->VerifyGolden(golden.inputs, golden.rows, golden.probabilities, 1e-5).ok());
}

TEST_F(PackageWriterTest, TheSameModelGivesTheSameBytes) {
  ASSERT_TRUE(WritePackage(folder_ / "one", FreshModel(), Contents()).ok());
  ASSERT_TRUE(WritePackage(folder_ / "two", FreshModel(), Contents()).ok());

  for (const auto file : RequiredPackageFiles()) {
    EXPECT_EQ(ReadPackageFile(folder_ / "one" / file, 1 << 24).value(),
              ReadPackageFile(folder_ / "two" / file, 1 << 24).value())
        << file;
  }
}

TEST_F(PackageWriterTest, TheProfileIsAFileOfThePackage) {
  auto contents = Contents();
  contents.profile = std::string("\x08\x01\0x", 4);
  ASSERT_TRUE(WritePackage(folder_, FreshModel(), contents).ok());
  EXPECT_EQ(ReadPackageFile(folder_ / kProfileFile, 100).value(), contents.profile);
}

TEST_F(PackageWriterTest, AModelWithoutEmbeddingIsWrittenToo) {
  const auto model =
      Model::Create(MakeArchitecture("image-cnn", {1, 8, 8}, 4, 0).value(), 1).value();
  const auto report = WritePackage(folder_, model, Contents());
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->largest_embedding_difference, 0);
  const auto engine = serving::Engine::Create({}).value();
  EXPECT_FALSE(engine->Load(folder_ / kOnnxFile).value()->signature().embedding.has_value());
}

TEST_F(PackageWriterTest, TheCalibrationIsTheModelsOwn) {
  Model model = FreshModel();
  ASSERT_TRUE(model.SetTemperature(0.5).ok());

  ASSERT_TRUE(WritePackage(folder_, model, Contents()).ok());

  const auto manifest = ReadPackageManifest(folder_).value();
  EXPECT_EQ(manifest.calibration.method, Calibration::Method::kTemperature);
  EXPECT_EQ(manifest.calibration.temperature, 0.5);
}

TEST_F(PackageWriterTest, WrongContentsAreRefused) {
  auto contents = Contents();
  contents.manifest.classes = {"a", "b"};
  EXPECT_THAT(WritePackage(folder_, FreshModel(), contents).error().message,
              HasSubstr("2 classes"));

  contents = Contents();
  contents.samples = {};
  EXPECT_THAT(WritePackage(folder_, FreshModel(), contents).error().message,
              HasSubstr("at least one"));

  ASSERT_TRUE(WritePackage(folder_, FreshModel(), Contents()).ok());
  EXPECT_THAT(WritePackage(folder_, FreshModel(), Contents()).error().message,
              HasSubstr("not empty"));
}

}  // namespace
}  // namespace tidewheel::ml
