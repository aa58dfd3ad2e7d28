#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <thread>

#include "tidewheel/cli/demo/story.h"
#include "tidewheel/cli/output/exit_status.h"

namespace tidewheel::cli::demo {
namespace {

struct Options {
  std::string platform_file;
  std::string data;
  std::string report_file;
  std::string bus = "postgres";
  std::uint64_t seed = 1;
  std::uint64_t count = 1'500;
  std::uint64_t limit = 0;
  std::uint32_t predictions = 1'000;
};

/// What was typed, without what the launcher adds.
std::vector<std::string> TypedArguments(int argc, char** argv) {
  std::vector<std::string> typed;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--platform") {
      ++i;
    } else if (!word.starts_with("--platform=")) {
      typed.push_back(word);
    }
  }
  return typed;
}

Result<std::unique_ptr<PictureSupply>> OpenSupply(const Options& options) {
  if (options.data.empty()) return RenderPictures(options.count, options.seed);
  return OpenRealPictures(options.data, options.limit == 0
                                            ? std::nullopt
                                            : std::optional<std::uint64_t>(options.limit));
}

void SetGoals(Report& report, const SupplyTraits& traits) {
  const Goals& goals = traits.goals;
  if (goals.cnn_accuracy) report.SetGoal("demo.cnn.test.accuracy", *goals.cnn_accuracy);
  if (goals.rarest_recall) {
    report.SetGoal("demo.cnn.test.recall." + traits.classes[traits.rarest_class],
                   *goals.rarest_recall);
  }
  if (goals.pushed_per_second) {
    report.SetGoal("demo.stage.push.per_second", *goals.pushed_per_second);
  }
}

Result<void> Tell(Story& story) {
  for (const auto stage : {ApplyTask, PushPictures, LabelPictures, BuildDataset, TrainModels,
                           PromoteModel, PredictPictures, TracePrediction}) {
    if (auto told = stage(story); !told) return told;
  }
  return {};
}

/// A table of the goals, when there are any.
void ShowGoals(Account& account, const Report& report) {
  Table table({"goal", ">at least", ">measured", ""});
  for (const auto& figure : report.figures()) {
    if (!figure.at_least) continue;
    table.Add({figure.name, FormatNumber(*figure.at_least, 3),
               figure.value ? FormatNumber(*figure.value, 3) : "-",
               figure.met() ? "met" : "MISSED"});
  }
  if (table.empty()) return;
  account.Title("Goals");
  account.Show(table);
}

int Fail(const Error& error) {
  std::fprintf(stderr, "tidewheel: %s: %s\n", std::string(Name(error.code)).c_str(),
               error.message.c_str());
  return static_cast<int>(ExitStatus::kFailed);
}

int Run(const Options& options, std::vector<std::string> arguments) {
  Report report("demo", std::move(arguments), options.seed);
  Account account;
  auto supply = OpenSupply(options);
  if (!supply) return Fail(supply.error());
  const SupplyTraits& traits = (*supply)->traits();
  ExpectFigures(report, traits);
  SetGoals(report, traits);

  Platform::Options connection;
  connection.file = options.platform_file;
  connection.deadline = std::chrono::minutes(10);
  Platform platform(connection);
  Story story{platform, account, report, **supply, options.seed, options.predictions};
  account.Title("Tidewheel demo: " + FormatCount(traits.expected) + " pictures, " + traits.title +
                ", seed " + std::to_string(options.seed) + ", bus " + options.bus);
  const auto told = Tell(story);

  const auto path = options.report_file.empty() ? report.DefaultPath()
                                                : std::filesystem::path(options.report_file);
  const auto written = report.Write(path);
  if (!told) return Fail(told.error());
  if (!written) return Fail(written.error());
  ShowGoals(account, report);
  account.Title("Done in " + FormatSeconds(report.seconds()) + "; figures in " + path.string());
  return static_cast<int>(report.AllGoalsMet() ? ExitStatus::kOk : ExitStatus::kPartly);
}

}  // namespace

void ExpectFigures(Report& report, const SupplyTraits& traits) {
  for (const char* name :
       {"demo.samples.pushed", "demo.samples.accepted", "demo.samples.quarantined"}) {
    report.Expect(name, "count");
  }
  for (const char* name :
       {"demo.consensus.majority.accuracy", "demo.consensus.dawid_skene.accuracy",
        "demo.dataset.imbalance", "demo.linear.test.accuracy", "demo.cnn.test.accuracy"}) {
    report.Expect(name, "ratio");
  }
  for (const auto& name : traits.classes) report.Expect("demo.cnn.test.recall." + name, "ratio");
  report.Expect("demo.predict.p50", "seconds");
  report.Expect("demo.predict.p99", "seconds");
  report.Expect("demo.trace.votes", "count");
  for (const char* stage : {"push", "label", "dataset", "train", "promote", "predict", "trace"}) {
    report.Expect("demo.stage." + std::string(stage) + ".seconds", "seconds");
    report.Expect("demo.stage." + std::string(stage) + ".per_second", "per_second");
  }
}

}  // namespace tidewheel::cli::demo

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);
  tidewheel::cli::demo::Options options;
  CLI::App app("Tells the whole story once against a running platform", "tidewheel-demo");
  app.add_option("--platform", options.platform_file, "The running platform's file");
  app.add_option(
      "--data", options.data,
      "Folder of real pictures: traffic lights or Fashion-MNIST; without, they are drawn");
  app.add_option("--seed", options.seed, "Decides pictures, votes and training");
  app.add_option("--count", options.count, "How many pictures are drawn")
      ->check(CLI::Range(200, 1'000'000));
  app.add_option("--limit", options.limit, "Take at most so many pictures of --data; 0: all");
  app.add_option("--predictions", options.predictions, "How many predictions are asked for")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--bus", options.bus, "Which bus the platform runs on, for the account");
  app.add_option("--report", options.report_file,
                 "Where the figures go; else var/reports/demo-<time>.json");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wish) {
    return app.exit(wish);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "tidewheel: INVALID_ARGUMENT: %s\n", error.what());
    return static_cast<int>(tidewheel::cli::ExitStatus::kUsage);
  }
  return tidewheel::cli::demo::Run(options, tidewheel::cli::demo::TypedArguments(argc, argv));
}
