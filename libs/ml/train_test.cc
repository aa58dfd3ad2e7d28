#include "tidewheel/ml/train.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/stat.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <thread>

#include "tidewheel/ml/testing/bar_pictures.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::ml {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

double Accuracy(const Model& model, const TensorDataset& dataset) {
  const auto probabilities = model.Predict(dataset).value();
  const std::size_t classes = probabilities.size() / dataset.rows();
  std::size_t right = 0;
  for (std::size_t row = 0; row < dataset.rows(); ++row) {
    const auto first = probabilities.begin() + static_cast<std::ptrdiff_t>(row * classes);
    const auto best = std::max_element(first, first + static_cast<std::ptrdiff_t>(classes));
    if (best - first == dataset.labels[row]) ++right;
  }
  return static_cast<double>(right) / static_cast<double>(dataset.rows());
}

/// Remembers what was reported, and asks to stop when told to.
class RecordingSink final : public ProgressSink {
 public:
  void Report(const TrainingProgress& progress) override {
    reports.push_back(progress);
    if (progress.finished_epoch && progress.epoch == stop_after_epoch) stop.request_stop();
  }

  std::vector<TrainingProgress> reports;
  std::stop_source stop;
  int stop_after_epoch = 0;
};

class TrainTest : public ::testing::Test {
 protected:
  Result<TrainedModel> Run(std::string_view recipe, const TrainOptions& options) {
    return Train(MakeArchitecture(recipe, training_.shape, 4).value(), options, training_.View(),
                 validation_.View(), sink_, sink_.stop.get_token());
  }
  TrainedModel RunWell(std::string_view recipe, const TrainOptions& options) {
    auto trained = Run(recipe, options);
    EXPECT_TRUE(trained.ok()) << (trained ? "" : trained.error().message);
    return std::move(*trained);
  }

  const BarPictures training_{400, 1};
  const BarPictures validation_{100, 2};
  const BarPictures test_{200, 3};
  RecordingSink sink_;
  const TrainOptions quick_{.seed = 1, .epochs = 6, .batch_size = 20, .learning_rate = 3e-3};
};

TEST_F(TrainTest, EveryRecipeLearns) {
  for (const auto recipe : RecipeNames()) {
    const auto trained = RunWell(recipe, quick_);

    EXPECT_GE(Accuracy(trained.model, test_.View()), 0.97) << recipe;
    EXPECT_LT(trained.epochs.back().training_loss, trained.epochs.front().training_loss);
  }
}

TEST_F(TrainTest, EveryWayToTrainLearns) {
  TrainOptions momentum = quick_;
  momentum.optimizer = Optimizer::kSgd;
  momentum.learning_rate = 0.02;
  momentum.weight_decay = 1e-4;
  momentum.schedule = Schedule::kStep;
  momentum.step_epochs = 3;
  TrainOptions focal = quick_;
  focal.loss = Loss::kFocal;
  focal.schedule = Schedule::kConstant;
  for (const auto& options : {momentum, focal}) {
    EXPECT_GE(Accuracy(RunWell("image-cnn", options).model, test_.View()), 0.97);
  }
}

TEST_F(TrainTest, RepeatedItGivesTheSameBits) {
  for (const int threads : {1, 2}) {
    TrainOptions options = quick_;
    options.epochs = 3;
    options.threads = threads;
    const auto once = RunWell("image-cnn", options);
    const auto again = RunWell("image-cnn", options);

    EXPECT_EQ(once.model.Weights(), again.model.Weights()) << threads;
    EXPECT_EQ(once.model.Predict(test_.View()).value(), again.model.Predict(test_.View()).value());
    ASSERT_EQ(once.epochs.size(), again.epochs.size());
    EXPECT_EQ(once.epochs.back().validation->loss, again.epochs.back().validation->loss);

    options.seed = 2;
    EXPECT_NE(RunWell("image-cnn", options).model.Weights(), once.model.Weights());
  }
}

TEST_F(TrainTest, TheBestEpochsWeightsAreKept) {
  // Wrong labels are learned by heart in time, and the validation rows suffer.
  BarPictures lied = training_;
  for (std::size_t row = 0; row < 400; row += 3) lied.labels[row] = (lied.labels[row] + 1) % 4;
  TrainOptions options = quick_;
  options.schedule = Schedule::kConstant;
  options.epochs = 20;
  const auto trained = Train(MakeArchitecture("image-cnn", lied.shape, 4).value(), options,
                             lied.View(), validation_.View(), sink_, {})
                           .value();

  double best = INFINITY;
  int best_epoch = 0;
  for (const EpochRecord& record : trained.epochs) {
    if (record.validation->loss < best) {
      best = record.validation->loss;
      best_epoch = record.epoch;
    }
  }
  EXPECT_EQ(trained.best_epoch, best_epoch);
  EXPECT_LT(best_epoch, 20) << "the last epoch was the best: nothing was restored";
  // The loss of the kept weights, worked out from what the model answers.
  const auto probabilities = trained.model.Predict(validation_.View()).value();
  double loss = 0;
  for (std::size_t row = 0; row < 100; ++row) {
    loss -= std::log(double{
                probabilities[row * 4 + static_cast<std::size_t>(validation_.labels[row])]}) /
            100;
  }
  EXPECT_NEAR(loss, best, 1e-4);
}

TEST_F(TrainTest, TheLastEpochsWeightsAreKeptWhereThatIsAskedFor) {
  TrainOptions options = quick_;
  options.epochs = 12;
  options.patience = 1;
  options.learning_rate = 1e-2;
  options.keep_last = true;
  const auto trained = RunWell("image-cnn", options);
  EXPECT_FALSE(trained.stopped_early);
  EXPECT_EQ(trained.epochs.size(), 12U);
  EXPECT_EQ(trained.best_epoch, 12);
  EXPECT_DOUBLE_EQ(Accuracy(trained.model, validation_.View()),
                   trained.epochs.back().validation->accuracy);
}

TEST_F(TrainTest, StopsEarlyWhenNothingGetsBetter) {
  TrainOptions options = quick_;
  options.epochs = 200;
  options.patience = 2;
  options.stopping_metric = StoppingMetric::kAccuracy;
  const auto trained = RunWell("image-cnn", options);

  EXPECT_TRUE(trained.stopped_early);
  EXPECT_EQ(trained.epochs.back().epoch, trained.best_epoch + 2);
}

TEST_F(TrainTest, WithoutValidationTheLastWeightsAreKept) {
  const auto trained = Train(MakeArchitecture("image-linear", training_.shape, 4).value(), quick_,
                             training_.View(), {}, ProgressSink::None(), {});

  ASSERT_TRUE(trained.ok()) << trained.error().message;
  EXPECT_EQ(trained->best_epoch, 6);
  EXPECT_FALSE(trained->epochs[0].validation.has_value());
}

TEST_F(TrainTest, ProgressCountsUpToTheEnd) {
  RunWell("image-cnn", quick_);

  int finished = 0;
  int last_epoch = 0;
  for (const TrainingProgress& report : sink_.reports) {
    EXPECT_EQ(report.epochs, 6);
    EXPECT_EQ(report.steps, 20);
    EXPECT_GE(report.epoch, last_epoch);
    EXPECT_LE(report.step, report.steps);
    EXPECT_GT(report.samples_per_second, 0);
    EXPECT_GE(report.remaining.count(), 0);
    last_epoch = report.epoch;
    if (report.finished_epoch) {
      EXPECT_EQ(report.finished_epoch->epoch, ++finished);
      EXPECT_EQ(report.step, report.steps);
    }
  }
  EXPECT_EQ(finished, 6);
  EXPECT_EQ(sink_.reports.back().remaining.count(), 0);
}

TEST_F(TrainTest, CancelledItSaysSo) {
  sink_.stop_after_epoch = 2;

  const auto trained = Run("image-cnn", quick_);

  ASSERT_FALSE(trained.ok());
  EXPECT_EQ(trained.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(sink_.reports.back().epoch, 2);
}

/// Asks to stop as soon as the file is another one than now.
class StopAtNextCheckpoint {
 public:
  explicit StopAtNextCheckpoint(std::filesystem::path file)
      : watcher_([this, now = NumberOf(file), file](const std::stop_token& done) {
          while (!done.stop_requested() && NumberOf(file) == now) std::this_thread::yield();
          stop_.request_stop();
        }) {}

  std::stop_token token() const { return stop_.get_token(); }

 private:
  static ino_t NumberOf(const std::filesystem::path& file) {
    struct stat status {};
    return ::stat(file.c_str(), &status) == 0 ? status.st_ino : 0;
  }

  std::stop_source stop_;
  std::jthread watcher_;
};

TEST_F(TrainTest, GoneOnWithFromCheckpointsItGivesTheSameBits) {
  TrainOptions momentum = quick_;
  momentum.optimizer = Optimizer::kSgd;
  momentum.learning_rate = 0.02;
  TrainOptions to_the_last = quick_;
  to_the_last.keep_last = true;
  for (TrainOptions options : {quick_, momentum, to_the_last}) {
    options.epochs = 3;
    const tidewheel::testing::TempFolder folder;
    const Checkpoint checkpoint{
        .file = folder.path() / "checkpoint", .identity = "run 1", .every = 0ms};
    const auto architecture = MakeArchitecture("image-cnn", training_.shape, 4).value();
    const auto whole =
        Train(architecture, options, training_.View(), validation_.View(), sink_, {});
    ASSERT_TRUE(whole.ok()) << whole.error().message;

    int interruptions = 0;
    std::uint64_t resumed_rows = 0;
    for (;;) {
      const StopAtNextCheckpoint stop(checkpoint.file);
      const auto part = Train(architecture, options, training_.View(), validation_.View(), sink_,
                              stop.token(), checkpoint);
      if (!part) {
        ASSERT_EQ(part.error().code, ErrorCode::kCancelled) << part.error().message;
        ASSERT_LT(++interruptions, 100) << "it does not get on";
        continue;
      }
      resumed_rows = part->resumed_rows;
      EXPECT_EQ(part->checkpoint_problem, "");
      EXPECT_EQ(part->model.Weights(), whole->model.Weights());
      EXPECT_EQ(part->best_epoch, whole->best_epoch);
      ASSERT_EQ(part->epochs.size(), whole->epochs.size());
      for (std::size_t i = 0; i < whole->epochs.size(); ++i) {
        EXPECT_EQ(part->epochs[i].training_loss, whole->epochs[i].training_loss);
        EXPECT_EQ(part->epochs[i].validation->loss, whole->epochs[i].validation->loss);
        EXPECT_EQ(part->epochs[i].learning_rate, whole->epochs[i].learning_rate);
      }
      EXPECT_GT(part->earlier_cpu_seconds, 0);
      break;
    }
    EXPECT_GT(interruptions, 1);
    EXPECT_GT(resumed_rows, 0U);

    // Once it is done, nothing is trained any more.
    const auto again =
        Train(architecture, options, training_.View(), validation_.View(), sink_, {}, checkpoint);
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(again->resumed_rows, 1'200U);
    EXPECT_EQ(again->model.Weights(), whole->model.Weights());
  }
}

TEST_F(TrainTest, ACheckpointOfAnotherTrainingOrADamagedOneIsNotGoneOnWith) {
  const tidewheel::testing::TempFolder folder;
  const auto architecture = MakeArchitecture("image-cnn", training_.shape, 4).value();
  const auto train = [&](const Checkpoint& checkpoint) {
    return Train(architecture, quick_, training_.View(), validation_.View(), sink_, {}, checkpoint)
        .value();
  };
  const Checkpoint first{.file = folder.path() / "checkpoint", .identity = "run 1"};
  const auto whole = train(first);
  EXPECT_EQ(train(first).resumed_rows, 2'400U);

  Checkpoint other = first;
  other.identity = "run 2";
  const auto anew = train(other);
  EXPECT_EQ(anew.resumed_rows, 0U);
  EXPECT_EQ(anew.checkpoint_problem, "");

  // Of the same name, but of other shapes.
  const auto linear = MakeArchitecture("image-linear", training_.shape, 4).value();
  const auto of_linear = Train(linear, quick_, training_.View(), {}, sink_, {}, other).value();
  EXPECT_EQ(of_linear.resumed_rows, 0U);
  EXPECT_THAT(of_linear.checkpoint_problem, HasSubstr("has another shape"));

  std::filesystem::resize_file(first.file, std::filesystem::file_size(first.file) / 2);
  const auto damaged = train(other);
  EXPECT_EQ(damaged.resumed_rows, 0U);
  EXPECT_THAT(damaged.checkpoint_problem, HasSubstr("checkpoint"));
  EXPECT_EQ(damaged.model.Weights(), whole.model.Weights());

  // No room: a limit on files' sizes stands for a full disk. Nothing half is left behind.
  Checkpoint no_room = first;
  no_room.file = folder.path() / "no_room";
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit little{1'000, before.rlim_max};
  const auto ignore_signal = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &little), 0);
  const auto without_room = train(no_room);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, ignore_signal);
  EXPECT_THAT(without_room.checkpoint_problem, HasSubstr("File too large"));
  EXPECT_EQ(without_room.model.Weights(), whole.model.Weights());
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "no_room.part"));

  // Neither to be read nor to be replaced.
  Checkpoint taken = first;
  taken.file = folder.path() / "taken";
  std::filesystem::create_directories(taken.file / "by");
  const auto without_reading = train(taken);
  EXPECT_THAT(without_reading.checkpoint_problem, HasSubstr("Is a directory"));
  EXPECT_EQ(without_reading.model.Weights(), whole.model.Weights());
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "taken.part"));

  Checkpoint nowhere = first;
  nowhere.file = folder.path() / "missing" / "checkpoint";
  EXPECT_THAT(train(nowhere).checkpoint_problem, HasSubstr("No such file"));
}

TEST_F(TrainTest, WeightlessRowsTeachNothing) {
  // Half the rows have a wrong label and weigh nothing; and a third class is hidden by its class
  // weight.
  BarPictures lied = training_;
  std::vector<float> weights(400, 1.0f);
  for (std::size_t row = 0; row < 400; row += 2) {
    lied.labels[row] = (lied.labels[row] + 1) % 4;
    weights[row] = 0;
  }
  TensorDataset weighted = lied.View();
  weighted.weights = weights;
  TrainOptions options = quick_;
  options.class_weights = {1, 1, 1, 0};
  const auto trained = Train(MakeArchitecture("image-cnn", lied.shape, 4).value(), options,
                             weighted, validation_.View(), sink_, {});
  ASSERT_TRUE(trained.ok()) << trained.error().message;

  const auto probabilities = trained->model.Predict(test_.View()).value();
  for (std::size_t row = 0; row < 200; ++row) {
    const auto label = static_cast<std::size_t>(test_.labels[row]);
    if (label == 3) {
      EXPECT_LT(probabilities[row * 4 + 3], 0.5f);
    } else {
      EXPECT_GT(probabilities[row * 4 + label], 0.5f);
    }
  }
}

TEST_F(TrainTest, ALossThatIsNoNumberEndsTheTraining) {
  BarPictures huge = training_;
  for (float& element : huge.elements) element *= 1e38f;
  const auto trained = Train(MakeArchitecture("image-linear", huge.shape, 4).value(), quick_,
                             huge.View(), {}, sink_, {});

  ASSERT_FALSE(trained.ok());
  EXPECT_EQ(trained.error().code, ErrorCode::kAborted);
  EXPECT_THAT(trained.error().message, HasSubstr("learning rate"));
}

TEST_F(TrainTest, WrongOptionsAndRowsAreNamed) {
  TrainOptions options = quick_;
  options.epochs = 0;
  options.learning_rate = -1;
  options.class_weights = {1, 2};
  const auto trained = Run("image-cnn", options);
  ASSERT_FALSE(trained.ok());
  EXPECT_THAT(trained.error().message, HasSubstr("epochs"));
  EXPECT_THAT(trained.error().message, HasSubstr("learning_rate"));
  EXPECT_THAT(trained.error().message, HasSubstr("class_weights"));

  const auto architecture = MakeArchitecture("image-linear", {1, 8, 8}, 3).value();
  const auto wrong_label = Train(architecture, quick_, training_.View(), {}, sink_, {});
  ASSERT_FALSE(wrong_label.ok());
  EXPECT_THAT(wrong_label.error().message, HasSubstr("label 3 of 3 classes"));
  EXPECT_FALSE(Train(architecture, quick_, {}, {}, sink_, {}).ok());
  const BarPictures other(4, 1, {1, 4, 8}, 2);
  EXPECT_FALSE(Train(architecture, quick_, other.View(), {}, sink_, {}).ok());
}

TEST(TrainOptionsTest, NamesAreReadBack) {
  for (const auto metric : {StoppingMetric::kLoss, StoppingMetric::kAccuracy,
                            StoppingMetric::kBalancedAccuracy, StoppingMetric::kMacroF1}) {
    EXPECT_EQ(ParseStoppingMetric(Name(metric)).value(), metric);
  }
  EXPECT_EQ(ParseOptimizer("sgd").value(), Optimizer::kSgd);
  EXPECT_EQ(ParseSchedule("step").value(), Schedule::kStep);
  EXPECT_EQ(ParseLoss("focal").value(), Loss::kFocal);
  EXPECT_THAT(ParseOptimizer("lion").error().message, HasSubstr("adam, sgd"));
}

TEST(TrainOptionsTest, EveryRecipeHasDefaultsThatAreSound) {
  for (const auto recipe : RecipeNames()) {
    for (const std::size_t rows : {std::size_t{0}, std::size_t{1'000}, std::size_t{60'000}}) {
      EXPECT_TRUE(CheckTrainOptions(RecipeDefaults(recipe, rows).value(), 3).ok());
    }
  }
  EXPECT_EQ(RecipeDefaults("image-vit", 1).error().code, ErrorCode::kNotFound);
}

TEST(TrainOptionsTest, InverseFrequencyGivesEveryClassTheSameSum) {
  const std::vector<std::int32_t> labels = {0, 0, 0, 0, 0, 0, 1, 1, 3};

  const auto weights = InverseFrequencyWeights(labels, 4);

  EXPECT_DOUBLE_EQ(weights[0] * 6, 3);
  EXPECT_DOUBLE_EQ(weights[1] * 2, 3);
  EXPECT_DOUBLE_EQ(weights[2], 0);
  EXPECT_DOUBLE_EQ(weights[3] * 1, 3);
}

}  // namespace
}  // namespace tidewheel::ml
