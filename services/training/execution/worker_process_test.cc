#include "tidewheel/training/execution/worker_process.h"

#include <gmock/gmock.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <sstream>

#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/temp_folder.h"
#include "tidewheel/training/domain/fake_run_store.h"
#include "tidewheel/training/execution/process_launcher.h"
#include "tidewheel/training/execution/worker_files.h"

namespace tidewheel::training {
namespace {

using ::testing::HasSubstr;

class WorkerProcessTest : public ::testing::Test {
 protected:
  Result<WorkerProcess> Shell(const std::string& script) {
    return WorkerProcess::Start({"/bin/sh", "-c", script}, {"GREETING=hello"}, Log());
  }
  std::filesystem::path Log() const { return folder_.path() / "log"; }
  static int StatusOf(WorkerProcess& process) {
    std::optional<int> status;
    EXPECT_TRUE(tidewheel::testing::Eventually(std::chrono::seconds(10), [&] {
      status = process.Ended();
      return status.has_value();
    }));
    return status.value_or(-1);
  }

  tidewheel::testing::TempFolder folder_;
};

TEST_F(WorkerProcessTest, ReportsComeOnTheThirdDescriptorTheRestGoesToTheLog) {
  auto process = Shell("echo $GREETING >&3; echo out; echo err >&2; exit 3");
  ASSERT_TRUE(process.ok()) << process.error().message;
  std::string reports;
  while (const auto bytes = process->Read(std::chrono::seconds(5))) reports += *bytes;
  EXPECT_EQ(reports, "hello\n");
  EXPECT_EQ(DescribeEnd(StatusOf(*process)), "ended with status 3");
  std::stringstream log;
  log << std::ifstream(Log()).rdbuf();
  EXPECT_EQ(log.str(), "out\nerr\n");
}

TEST_F(WorkerProcessTest, SaysWhichSignalEndedIt) {
  auto process = Shell("kill -SEGV $$");
  ASSERT_TRUE(process.ok());
  EXPECT_THAT(DescribeEnd(StatusOf(*process)), HasSubstr("signal 11"));
}

TEST_F(WorkerProcessTest, SecretsOfTheServiceStayWithTheService) {
  setenv("TIDEWHEEL_TRAINING_POSTGRES_DSN", "secret", 1);
  auto process = Shell("echo \"dsn=$TIDEWHEEL_TRAINING_POSTGRES_DSN\" >&3");
  ASSERT_TRUE(process.ok());
  std::string reports;
  while (const auto bytes = process->Read(std::chrono::seconds(5))) reports += *bytes;
  EXPECT_EQ(reports, "dsn=\n");
}

TEST_F(WorkerProcessTest, GoesWithItsOwner) {
  pid_t pid = 0;
  {
    auto process = Shell("echo $$ >&3; exec sleep 1000");
    ASSERT_TRUE(process.ok());
    pid = static_cast<pid_t>(std::stol(*process->Read(std::chrono::seconds(5))));
    EXPECT_EQ(kill(pid, 0), 0);
  }
  EXPECT_NE(kill(pid, 0), 0);
}

class FixedTask final : public PreprocessingSource {
 public:
  Result<std::map<std::string, std::string>> Find(const std::string& /*task*/) override {
    return std::map<std::string, std::string>{{"width", "8"}};
  }
  Result<WorkerGate> FindGate(const std::string& /*task*/) override {
    return WorkerGate{.tests = {{.name = "night",
                                 .kind = BehaviourTest::Kind::kDirection,
                                 .metadata_key = "light",
                                 .metadata_value = "night",
                                 .transform = "blur",
                                 .amount = 2,
                                 .min_share = 0.9}},
                      .max_loss = 0.03,
                      .alpha = 0.1};
  }
};

/// A worker that ends at once and leaves nothing.
ProcessOptions OptionsIn(const std::filesystem::path& folder) {
  return {.program = "/bin/true", .work_folder = folder, .payloads_root = folder.string()};
}

TEST(ProcessLauncherTest, TheJobNamesTheServingPackageAndTheGate) {
  const tidewheel::testing::TempFolder folder;
  FakeRunStore store;
  store.items = {{.payload_ref = "obj:1", .split = "test", .metadata = {{"light", "night"}}}};
  FixedTask task;
  ProcessLauncher launcher(store, task, OptionsIn(folder.path()));
  training::Run run;
  run.id = "run-1";
  run.dataset.items = 1;
  run.request.baseline =
      BaselinePackage{.model_version_id = "mv-1", .files = {{"model.ts", "obj:2"}}};
  const auto end = launcher.Launch(run, [](const Progress& /*progress*/) { return true; });
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_THAT(end->failure, HasSubstr("without a result"));

  v1::WorkerJob job;
  std::ifstream job_file(folder.path() / "run-1" / kJobFile, std::ios::binary);
  ASSERT_TRUE(job.ParseFromIstream(&job_file));
  ASSERT_EQ(job.baseline_files_size(), 1);
  EXPECT_EQ(job.baseline_files(0).name(), "model.ts");
  EXPECT_EQ(job.baseline_files(0).payload_ref(), "obj:2");
  ASSERT_EQ(job.tests_size(), 1);
  EXPECT_EQ(job.tests(0).kind(), model_registry::v1::MODEL_TEST_KIND_DIRECTION);
  EXPECT_EQ(job.tests(0).metadata_value(), "night");
  EXPECT_EQ(job.tests(0).amount(), 2);
  EXPECT_EQ(job.max_loss(), 0.03);
  EXPECT_EQ(job.alpha(), 0.1);

  std::ifstream items(folder.path() / "run-1" / kItemsFile, std::ios::binary);
  google::protobuf::io::IstreamInputStream stream(&items);
  v1::WorkerItem item;
  ASSERT_TRUE(google::protobuf::util::ParseDelimitedFromZeroCopyStream(&item, &stream, nullptr));
  EXPECT_EQ(item.metadata().at("light"), "night");
}

TEST(ProcessLauncherTest, OfAWorkerThatWasEndedOnlyTheCheckpointIsLeft) {
  const tidewheel::testing::TempFolder folder;
  const auto run_folder = folder.path() / "run-1";
  std::filesystem::create_directories(run_folder / kPackageFolder);
  for (const char* name : {kCheckpointFile, kPredictionsFile, kResultFile}) {
    std::ofstream(run_folder / name) << "half";
  }
  std::ofstream(run_folder / kPackageFolder / "model.ts") << "half";
  FakeRunStore store;
  FixedTask task;
  ProcessLauncher launcher(store, task, OptionsIn(folder.path()));
  training::Run run;
  run.id = "run-1";
  const auto end = launcher.Launch(run, [](const Progress& /*progress*/) { return true; });
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_THAT(end->failure, HasSubstr("without a result"));
  EXPECT_TRUE(std::filesystem::exists(run_folder / kCheckpointFile));
  EXPECT_TRUE(std::filesystem::exists(run_folder / kJobFile));
  EXPECT_FALSE(std::filesystem::exists(run_folder / kPredictionsFile));
  EXPECT_FALSE(std::filesystem::exists(run_folder / kPackageFolder));
}

TEST(ReportReaderTest, TakesWholeMessagesOnlyAndTheNewest) {
  std::stringstream stream;
  for (const std::uint64_t step : {1, 2, 3}) {
    v1::WorkerReport report;
    report.mutable_progress()->set_phase("training");
    report.mutable_progress()->set_steps_done(step);
    ASSERT_TRUE(google::protobuf::util::SerializeDelimitedToOstream(report, &stream));
  }
  const std::string bytes = stream.str();
  const std::string most = bytes.substr(0, bytes.size() - 1);
  ReportReader reader;
  EXPECT_EQ(reader.Add(most)->steps_done, 2U);
  EXPECT_FALSE(reader.Add("").has_value());
  EXPECT_EQ(reader.Add(bytes.substr(bytes.size() - 1))->steps_done, 3U);
}

TEST(ReadOutcomeTest, ZerosAreReadAsZeros) {
  const tidewheel::testing::TempFolder folder;
  v1::WorkerResult result;
  result.set_best_epoch(4);
  std::ofstream result_file(folder.path() / kResultFile, std::ios::binary);
  result.SerializeToOstream(&result_file);
  result_file.close();
  std::ofstream predictions(folder.path() / kPredictionsFile, std::ios::binary);
  for (const std::uint32_t predicted : {2U, 0U}) {
    v1::WorkerPrediction prediction;
    prediction.set_ordinal(predicted);
    prediction.set_predicted_class_index(predicted);
    prediction.add_probabilities(0.5F);
    ASSERT_TRUE(google::protobuf::util::SerializeDelimitedToOstream(prediction, &predictions));
  }
  predictions.close();

  const auto outcome = ReadOutcome(folder.path());
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  ASSERT_EQ(outcome->predictions.size(), 2U);
  EXPECT_EQ(outcome->predictions[1].predicted_class, 0U);
  EXPECT_EQ(outcome->predictions[1].probabilities.size(), 1U);
}

TEST(ReadOutcomeTest, TheBaselinesAnswersTestsAndCostComeAlong) {
  const tidewheel::testing::TempFolder folder;
  v1::WorkerResult result;
  result.set_cpu_seconds(12.5);
  auto* test = result.add_tests();
  test->set_name("lit");
  test->set_samples(4);
  test->set_passed(3);
  result.add_tests()->set_not_evaluated("no samples");
  std::ofstream result_file(folder.path() / kResultFile, std::ios::binary);
  result.SerializeToOstream(&result_file);
  result_file.close();
  v1::WorkerPrediction prediction;
  prediction.add_probabilities(1);
  prediction.add_baseline_probabilities(0.25F);
  prediction.add_baseline_probabilities(0.75F);
  std::ofstream predictions(folder.path() / kPredictionsFile, std::ios::binary);
  ASSERT_TRUE(google::protobuf::util::SerializeDelimitedToOstream(prediction, &predictions));
  predictions.close();

  const auto outcome = ReadOutcome(folder.path());
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_EQ(outcome->cpu_seconds, 12.5);
  EXPECT_EQ(outcome->predictions.at(0).baseline_probabilities, (std::vector<float>{0.25F, 0.75F}));
  EXPECT_EQ(outcome->tests, (std::vector<TestResult>{{.name = "lit", .samples = 4, .passed = 3},
                                                     {.name = "", .not_evaluated = "no samples"}}));
}

TEST(ReadOutcomeTest, AWorkersOwnReasonIsKept) {
  const tidewheel::testing::TempFolder folder;
  EXPECT_EQ(ReadOutcome(folder.path()).error().code, ErrorCode::kNotFound);
  v1::WorkerResult result;
  result.set_failure("item 7: JPEG ends early");
  std::ofstream file(folder.path() / kResultFile, std::ios::binary);
  result.SerializeToOstream(&file);
  file.close();
  EXPECT_EQ(ReadOutcome(folder.path()).error(),
            (Error{ErrorCode::kFailedPrecondition, "item 7: JPEG ends early"}));
}

}  // namespace
}  // namespace tidewheel::training
