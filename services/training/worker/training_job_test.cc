#include "tidewheel/training/worker/training_job.h"

#include <gmock/gmock.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "tidewheel/base/random.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/ml/package/file.h"
#include "tidewheel/ml/package/manifest.h"
#include "tidewheel/ml/package_writer.h"
#include "tidewheel/serving/engine.h"
#include "tidewheel/stats/moments.h"
#include "tidewheel/testing/temp_folder.h"
#include "tidewheel/training/v1/profile.pb.h"
#include "tidewheel/training/worker/prepared_data.h"
#include "tidewheel/vision/encode.h"
#include "tidewheel/vision/measure.h"
#include "tidewheel/vision/preprocess_entries.h"

namespace tidewheel::training {
namespace {

using ::testing::HasSubstr;
namespace registry = model_registry::v1;

constexpr int kSide = 16;

/// Noise with a bright bar in the quarter that its class says.
vision::Image BarPicture(std::uint32_t label, Random& random) {
  vision::Image image = vision::Image::Filled(kSide, kSide, 1, 0);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const std::uint64_t bar = y / 4 == static_cast<int>(label) ? 110 : 20;
      image.pixels[image.Offset(x, y)] = static_cast<std::uint8_t>(bar + random.Below(100));
    }
  }
  return image;
}

vision::PreprocessSpec Spec(int side) {
  return {.width = side, .height = side, .channels = 1, .mean = {0.5}, .std = {0.25}};
}

struct Ran {
  v1::WorkerResult result;
  std::vector<v1::WorkerPrediction> predictions;
  std::filesystem::path package;
};

class TrainingJobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = blob::OpenFileStore(folder_.path() / "payloads").value();
    job_.set_run_id("run-1");
    job_.set_task("bars");
    for (const char* name : {"a", "b", "c", "d"}) job_.add_classes(name);
    job_.set_recipe("image-linear");
    job_.set_seed(3);
    job_.mutable_hyperparameters()->set_epochs(30);
    job_.set_dataset_digest(std::string(64, '1'));
    const auto entries = vision::ToEntries(Spec(8));
    job_.mutable_preprocessing()->insert(entries.begin(), entries.end());
    job_.set_payloads_root((folder_.path() / "payloads").string());
    job_.set_items_file((folder_.path() / "items.pb").string());
    job_.set_threads(1);
    WriteItems();
  }

  void WriteItems() {
    Random random(1);
    std::ofstream file(job_.items_file(), std::ios::binary);
    for (std::uint32_t i = 0; i < 260; ++i) {
      const std::uint32_t label = i % 4;
      const auto picture = vision::EncodePgm(BarPicture(label, random)).value();
      v1::WorkerItem item;
      item.set_payload_ref(store_->Put(picture).value().text());
      item.set_class_index(label);
      item.set_split(i % 13 == 0 ? "validation" : i % 13 == 1 ? "test" : "training");
      item.set_weight(1);
      (*item.mutable_metadata())["lamp"] = i % 2 == 0 ? "led" : "bulb";
      google::protobuf::util::SerializeDelimitedToOstream(item, &file);
      items_.push_back(item);
    }
    job_.set_items(items_.size());
  }

  Result<v1::WorkerResult> TryRun(const std::string& name) {
    std::filesystem::create_directories(folder_.path() / name);
    ReportPipe nobody(-1);
    return RunJob(job_, folder_.path() / name, nobody, {});
  }

  Ran Run(const std::string& name) {
    auto result = TryRun(name);
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
    Ran ran{result.ok() ? *result : v1::WorkerResult(), {}, folder_.path() / name / "package"};
    std::ifstream file(folder_.path() / name / "predictions.pb", std::ios::binary);
    google::protobuf::io::IstreamInputStream stream(&file);
    v1::WorkerPrediction prediction;
    while (
        google::protobuf::util::ParseDelimitedFromZeroCopyStream(&prediction, &stream, nullptr)) {
      ran.predictions.push_back(prediction);
      prediction.Clear();
    }
    EXPECT_EQ(ran.predictions.size(), 40U);
    return ran;
  }

  /// The serving version is from now on the package in this folder, without these files.
  void Serve(const std::filesystem::path& package, const std::vector<std::string>& without = {}) {
    job_.clear_baseline_files();
    for (const auto& entry : std::filesystem::directory_iterator(package)) {
      const std::string name = entry.path().filename().string();
      if (std::find(without.begin(), without.end(), name) != without.end()) continue;
      auto* file = job_.add_baseline_files();
      file->set_name(name);
      file->set_payload_ref(store_->PutFile(entry.path()).value().text());
    }
  }

  v1::ReferenceProfile ProfileIn(const std::filesystem::path& package) {
    v1::ReferenceProfile profile;
    EXPECT_TRUE(
        profile.ParseFromString(ml::ReadPackageFile(package / "profile.pb", 1 << 24).value()));
    return profile;
  }

  registry::ModelTest& AddTest(const std::string& name, registry::ModelTestKind kind,
                               const std::string& transform = "", double amount = 0) {
    registry::ModelTest& test = *job_.add_tests();
    test.set_name(name);
    test.set_kind(kind);
    test.set_transform(transform);
    test.set_amount(amount);
    return test;
  }

  tidewheel::testing::TempFolder folder_;
  std::unique_ptr<blob::Store> store_;
  v1::WorkerJob job_;
  std::vector<v1::WorkerItem> items_;
};

TEST_F(TrainingJobTest, AHeavyItemBecomesVariedCopiesThatShareItsWeight) {
  {
    std::ofstream file(job_.items_file(), std::ios::binary);
    for (std::size_t i = 0; i < items_.size(); ++i) {
      // Of class a one weighs 16, and one of class b 2.5 times as much as the others of its class.
      v1::WorkerItem item = items_[i];
      item.set_weight(item.class_index() == 1 ? 4 : 1);
      if (i == 4) item.set_weight(16);
      if (i == 5) item.set_weight(10);
      google::protobuf::util::SerializeDelimitedToOstream(item, &file);
    }
  }
  ASSERT_EQ(items_[4].split(), "training");
  ASSERT_EQ(items_[5].split(), "training");
  const auto prepare = [&](const char* name) {
    std::filesystem::create_directories(folder_.path() / name);
    ReportPipe nobody(-1);
    return PrepareData(job_, Spec(8), folder_.path() / name, nobody, {});
  };
  const auto data = prepare("once");
  ASSERT_TRUE(data.ok()) << data.error().message;
  const auto rows = data->training.rows();
  const std::size_t items = data->training.ordinals.size();
  EXPECT_EQ(items, 220U);
  EXPECT_EQ(data->training.measures.size(), items * data->measures.size());
  ASSERT_EQ(rows.rows(), items + kMostCopies - 1 + 1);
  double weights = 0;
  for (std::size_t row = 0; row < rows.rows(); ++row) {
    if (rows.labels[row] == 0 && rows.weights[row] != 1) weights += double{rows.weights[row]};
    if (row >= items) {
      const bool heaviest = row < items + kMostCopies - 1;
      EXPECT_EQ(rows.labels[row], heaviest ? 0 : 1);
      EXPECT_FLOAT_EQ(rows.weights[row], heaviest ? 16.0F / kMostCopies : 5.0F);
    }
  }
  EXPECT_NEAR(weights, 16, 1e-5);
  EXPECT_EQ(data->validation.rows().rows(), data->validation.ordinals.size());
  // The same for the same job.
  const auto again = prepare("again");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(std::ranges::equal(rows.elements, again->training.rows().elements));
  // Where weights do not count there is nothing to share.
  job_.mutable_hyperparameters()->set_class_weights(false);
  EXPECT_EQ(prepare("plain")->training.rows().rows(), items);
}

TEST_F(TrainingJobTest, BesideAServingVersionTheLastEpochIsKept) {
  const auto first = Run("first");
  EXPECT_GT(first.result.hyperparameters().patience(), 0U);
  Serve(first.package);
  const auto second = Run("second");
  EXPECT_EQ(second.result.hyperparameters().patience(), 0U);
  EXPECT_EQ(second.result.best_epoch(), 30U);
}

TEST_F(TrainingJobTest, TheTasksGateDecidesWhichVariantsAreOffered) {
  job_.set_recipe("image-cnn");
  job_.mutable_hyperparameters()->set_epochs(1);
  const auto offers_int8 = [](const Ran& ran) {
    const auto yaml = ml::ReadPackageFile(ran.package / "model.yaml", 1 << 20).value();
    return ml::OfferedVariant(ml::ParsePackageManifest(yaml).value(), "int8") != nullptr;
  };
  // So few rows exclude no small loss, and every one that is allowed.
  EXPECT_FALSE(offers_int8(Run("strict")));
  job_.set_max_loss(1);
  job_.set_alpha(1e-6);
  EXPECT_TRUE(offers_int8(Run("lenient")));
}

TEST_F(TrainingJobTest, ThePackageSaysWhatItsInputsAndAnswersLookedLike) {
  const Ran ran = Run("one");
  EXPECT_THAT(ran.result.package_files(), ::testing::Contains("profile.pb"));
  const auto profile = ProfileIn(ran.package);

  // The measures that inference tells, by the same names.
  ASSERT_EQ(profile.features_size(), static_cast<int>(vision::kMeasureNames.size()));
  for (int i = 0; i < profile.features_size(); ++i) {
    EXPECT_EQ(profile.features(i).name(), vision::kMeasureNames[static_cast<std::size_t>(i)]);
  }
  EXPECT_EQ(profile.training_rows(), 220U);
  EXPECT_EQ(profile.held_out_rows(), 40U);
  ASSERT_EQ(profile.rows_size(), 260);
  EXPECT_EQ(profile.features(0).min(), kSide);

  // The rows are what the models of the package answer to the items.
  const auto engine = serving::Engine::Create({}).value();
  const auto model = engine->Load(ran.package / "model.onnx").value();
  ASSERT_EQ(model->signature().embedding, (serving::TensorInfo{"embedding", {-1, 16}}));
  int row = 0;
  for (const char* split : {"validation", "test"}) {
    for (const auto& item : items_) {
      if (item.split() != split) continue;
      const auto image = ReadPicture(*store_, item).value();
      std::vector<float> input(64);
      ASSERT_TRUE(vision::Preprocess(image, Spec(8), input).ok());
      std::vector<float> answer(4);
      std::vector<float> embedding(16);
      ASSERT_TRUE(model->Infer(input, 1, answer, embedding).ok());
      const auto& kept = profile.rows(row);
      EXPECT_EQ(kept.split(), split);
      EXPECT_EQ(kept.given_class(), item.class_index());
      for (int i = 0; i < 4; ++i) {
        EXPECT_NEAR(kept.probabilities(i), answer[static_cast<std::size_t>(i)], 1e-5);
        EXPECT_EQ(kept.probabilities(i),
                  ran.predictions[static_cast<std::size_t>(row)].probabilities(i));
      }
      for (int i = 0; i < 16; ++i) {
        EXPECT_NEAR(kept.embedding(i), embedding[static_cast<std::size_t>(i)], 1e-4);
      }
      const auto measured = vision::ToArray(vision::Measure(image));
      for (int i = 0; i < kept.features_size(); ++i) {
        EXPECT_EQ(kept.features(i), measured[static_cast<std::size_t>(i)]);
      }
      ++row;
    }
  }
  EXPECT_EQ(row, 40);
}

TEST_F(TrainingJobTest, TheSameJobGivesTheSamePackageAndNumbersAgain) {
  AddTest("noise", registry::MODEL_TEST_KIND_INVARIANCE, "noise", 0.1);
  const Ran one = Run("one");
  const Ran two = Run("two");

  for (const auto& file : one.result.package_files()) {
    EXPECT_EQ(ml::ReadPackageFile(one.package / file, 1 << 24).value(),
              ml::ReadPackageFile(two.package / file, 1 << 24).value())
        << file;
  }
  v1::WorkerResult left = one.result;
  v1::WorkerResult right = two.result;
  for (auto* result : {&left, &right}) {
    result->clear_training_seconds();
    std::sort(result->mutable_package_files()->begin(), result->mutable_package_files()->end());
  }
  EXPECT_EQ(left.SerializeAsString(), right.SerializeAsString());
}

TEST_F(TrainingJobTest, TheServingVersionIsAskedAboutTheSameItems) {
  const Ran serving = Run("serving");
  for (const auto& prediction : serving.predictions) {
    EXPECT_EQ(prediction.baseline_probabilities_size(), 0);
  }
  Serve(serving.package);
  job_.set_seed(4);
  const Ran candidate = Run("candidate");
  for (std::size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(candidate.predictions[i].ordinal(), serving.predictions[i].ordinal());
    for (int k = 0; k < 4; ++k) {
      EXPECT_EQ(candidate.predictions[i].baseline_probabilities(k),
                serving.predictions[i].probabilities(k));
    }
  }

  // By the other engine where there is no module.
  Serve(serving.package, {"model.ts"});
  const Ran other = Run("other");
  for (std::size_t i = 0; i < 40; ++i) {
    for (int k = 0; k < 4; ++k) {
      EXPECT_NEAR(other.predictions[i].baseline_probabilities(k),
                  serving.predictions[i].probabilities(k), 1e-5);
    }
  }
}

TEST_F(TrainingJobTest, AServingVersionOfOtherClassesAndPreprocessingIsMappedByName) {
  const auto model =
      ml::Model::Create(ml::MakeArchitecture("image-linear", {1, 4, 4}, 3, 0).value(), 5).value();
  const std::vector<float> rows(16, 0.5F);
  const std::vector<std::int32_t> labels = {0};
  ml::PackageContents contents;
  contents.manifest.task = "bars";
  contents.manifest.recipe = "image-linear";
  contents.manifest.classes = {"c", "gone", "a"};
  contents.manifest.preprocessing = vision::ToEntries(Spec(4));
  contents.manifest.dataset_digest = std::string(64, '2');
  contents.samples = ml::ViewOf({1, 4, 4}, rows, labels);
  const auto written = ml::WritePackage(folder_.path() / "old", model, contents);
  ASSERT_TRUE(written.ok()) << written.error().message;
  Serve(folder_.path() / "old");

  const Ran ran = Run("candidate");
  for (const auto& prediction : ran.predictions) {
    const auto image = ReadPicture(*store_, items_[prediction.ordinal()]).value();
    std::vector<float> input(16);
    ASSERT_TRUE(vision::Preprocess(image, Spec(4), input).ok());
    const auto own = model.Predict(ml::ViewOf({1, 4, 4}, input, labels)).value();
    ASSERT_EQ(prediction.baseline_probabilities_size(), 4);
    EXPECT_NEAR(prediction.baseline_probabilities(0), own[2], 1e-6);
    EXPECT_EQ(prediction.baseline_probabilities(1), 0);
    EXPECT_NEAR(prediction.baseline_probabilities(2), own[0], 1e-6);
    EXPECT_EQ(prediction.baseline_probabilities(3), 0);
  }
}

TEST_F(TrainingJobTest, AServingVersionThatCannotBeAskedIsAReasonToFail) {
  const Ran serving = Run("serving");
  Serve(serving.package, {"model.ts", "model.onnx"});
  EXPECT_THAT(TryRun("without_model").error().message,
              HasSubstr("the serving version: the package has neither model.ts nor model.onnx"));
  Serve(serving.package);
  for (auto& file : *job_.mutable_baseline_files()) {
    if (file.name() == "model.ts") {
      file.set_payload_ref(blob::Ref::Object(Digest{}).text());
    }
  }
  const auto lost = TryRun("lost");
  EXPECT_EQ(lost.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(lost.error().message, HasSubstr("the serving version: model.ts"));
}

TEST_F(TrainingJobTest, BehaviourIsTestedOnTheTestSplit) {
  auto& led = AddTest("led", registry::MODEL_TEST_KIND_MINIMUM_FUNCTION);
  led.set_metadata_key("lamp");
  led.set_metadata_value("led");
  AddTest("same", registry::MODEL_TEST_KIND_INVARIANCE, "brighten", 0);
  AddTest("black", registry::MODEL_TEST_KIND_INVARIANCE, "darken", 1);
  AddTest("shorter", registry::MODEL_TEST_KIND_DIRECTION, "blur", 6);
  AddTest("surer", registry::MODEL_TEST_KIND_DIRECTION, "noise", 0);
  auto& fog = AddTest("fog", registry::MODEL_TEST_KIND_INVARIANCE, "blur", 1);
  fog.set_metadata_key("weather");
  fog.set_metadata_value("fog");
  AddTest("turn", registry::MODEL_TEST_KIND_INVARIANCE, "rotate", 1);

  const Ran ran = Run("one");
  std::map<std::string, v1::WorkerTestResult> results;
  for (const auto& test : ran.result.tests()) results[test.name()] = test;
  ASSERT_EQ(results.size(), 7U);

  std::uint64_t leds = 0;
  std::uint64_t right = 0;
  std::map<std::uint32_t, std::uint64_t> answers;
  for (const auto& prediction : ran.predictions) {
    const auto& item = items_[prediction.ordinal()];
    if (item.split() != "test") continue;
    ++answers[prediction.predicted_class_index()];
    if (item.metadata().at("lamp") != "led") continue;
    ++leds;
    right += prediction.predicted_class_index() == item.class_index() ? 1U : 0U;
  }
  EXPECT_EQ(results["led"].samples(), leds);
  EXPECT_EQ(results["led"].passed(), right);
  EXPECT_GT(right, leds / 2);
  EXPECT_EQ(results["same"].samples(), 20U);
  EXPECT_EQ(results["same"].passed(), 20U);
  EXPECT_EQ(results["surer"].passed(), 20U);
  // All pictures are black then and get one answer.
  EXPECT_TRUE(std::any_of(answers.begin(), answers.end(), [&](const auto& answer) {
    return answer.second == results["black"].passed();
  })) << results["black"].passed();
  EXPECT_GE(results["shorter"].passed(), 15U);
  EXPECT_EQ(results["fog"].not_evaluated(), "no test sample has weather = fog");
  EXPECT_EQ(results["fog"].samples(), 0U);
  EXPECT_THAT(results["turn"].not_evaluated(), HasSubstr("rotate"));
  EXPECT_THAT(ml::ReadPackageFile(ran.package / "card.md", 1 << 20).value(),
              HasSubstr("| same | 20 of 20 |"));
}

}  // namespace
}  // namespace tidewheel::training
