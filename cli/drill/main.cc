#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "tidewheel/cli/drill/story.h"
#include "tidewheel/cli/output/exit_status.h"

namespace tidewheel::cli::drill {
namespace {

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

std::string Shown(const demo::Figure& figure) {
  if (!figure.value) return "not measured";
  if (figure.unit == "seconds") return demo::FormatSeconds(*figure.value);
  if (figure.unit == "count") return FormatNumber(*figure.value, 0);
  return FormatNumber(*figure.value, 3);
}

void ShowFigures(Progress& progress, const demo::Report& report) {
  Table table({"figure", ">measured", "goal", ""});
  for (const auto& figure : report.figures()) {
    std::string goal;
    if (figure.at_least) goal = ">= " + FormatNumber(*figure.at_least, 3);
    if (figure.at_most) {
      goal += (goal.empty() ? "<= " : ", <= ") + FormatNumber(*figure.at_most, 3);
    }
    table.Add({figure.name, Shown(figure), goal,
               goal.empty()   ? ""
               : figure.met() ? "met"
                              : "MISSED"});
  }
  progress.Title("Measured");
  progress.Show(table);
}

int Fail(const Error& error) {
  std::fprintf(stderr, "tidewheel: %s: %s\n", std::string(Name(error.code)).c_str(),
               error.message.c_str());
  return static_cast<int>(ExitStatus::kFailed);
}

int Run(const Options& options, std::vector<std::string> arguments) {
  const auto file = FindPlatformFile(options.platform_file);
  if (!file) return Fail(file.error());
  // Before a thousand pictures are made ready for a platform that is not there.
  if (const auto addresses = ReadPlatformFile(*file); !addresses) return Fail(addresses.error());
  demo::Report report("drill", std::move(arguments), options.seed);
  demo::Account account;
  Progress progress(account);
  auto collection = LoadCollection(options);
  if (!collection) return Fail(collection.error());
  ExpectFigures(report, options);
  progress.Title("Tidewheel drill: " + Name(options.scenario) + ", " + collection->traits.title +
                 ", seed " + std::to_string(options.seed) + ", bus " + options.bus +
                 (options.random_acquisition ? ", labels asked for at random" : "") +
                 (options.kill ? ", a process killed every 5 s" : ""));
  Platform::Options connection;
  connection.file = options.platform_file;
  // Short: an outage is met by asking again.
  connection.deadline = std::chrono::seconds(options.kill ? 20 : 60);
  connection.file = *file;

  Result<void> told;
  {
    Story story(options, report, progress, connection, *std::move(collection));
    told = TellScenario(story);
  }
  const auto path = options.report_file.empty() ? report.DefaultPath()
                                                : std::filesystem::path(options.report_file);
  const auto written = report.Write(path);
  ShowFigures(progress, report);
  if (!told) return Fail(told.error());
  if (!written) return Fail(written.error());
  progress.Title("Done in " + demo::FormatSeconds(report.seconds()) + "; figures in " +
                 path.string());
  return static_cast<int>(report.AllGoalsMet() ? ExitStatus::kOk : ExitStatus::kPartly);
}

}  // namespace
}  // namespace tidewheel::cli::drill

int main(int argc, char** argv) {
  namespace drill = tidewheel::cli::drill;
  std::signal(SIGPIPE, SIG_DFL);
  drill::Options options;
  std::string scenario;
  std::string policy = "active";
  bool no_oracle = false;
  CLI::App app("Tells one scenario of the closed loop against a running platform and measures it",
               "tidewheel-drill");
  app.add_option("scenario", scenario, "What happens")
      ->required()
      ->check(CLI::IsMember(drill::ScenarioNames()));
  app.add_option("--platform", options.platform_file, "The running platform's file");
  app.add_option("--data", options.data, "Folder of real traffic lights; without, they are drawn");
  app.add_option("--seed", options.seed, "Decides pictures, traffic, votes and training");
  app.add_option("--count", options.count, "How many drawn pictures the first model learns from")
      ->check(CLI::Range(300, 100'000));
  app.add_option("--requests", options.requests,
                 "calm: requests in all (50000); else those before the change (600)");
  app.add_option("--rate", options.rate, "Requests a second; 0: the scenario's own");
  app.add_option("--labels", options.labels, "Most labels that a cycle asks for; 0: 100")
      ->check(CLI::Range(0, 10'000));
  app.add_option("--epochs", options.epochs, "Of a cycle's training; 0: the recipe's own")
      ->check(CLI::Range(0, 1'000));
  app.add_option("--new-weight", options.new_weight,
                 "What a picture that a cycle adds weighs, in pictures of the first set")
      ->check(CLI::Range(1.0, 1'000.0));
  app.add_option("--annotator-error", options.annotator_error, "Share of wrong votes")
      ->check(CLI::Range(0.0, 0.5));
  app.add_option("--policy", policy, "How the labels are chosen: active or random")
      ->check(CLI::IsMember(std::vector<std::string>{"active", "random"}));
  app.add_option("--rounds", options.rounds, "aa: canaries")->check(CLI::Range(1, 1'000));
  app.add_flag("--kill", options.kill, "kill -9 of a random process every 5 s after the change");
  app.add_flag("--no-oracle", no_oracle, "Leaves out the model that gets every label at once");
  app.add_option("--bus", options.bus, "Which bus the platform runs on, for the account");
  app.add_option("--report", options.report_file,
                 "Where the figures go; else var/reports/drill-<time>.json");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wish) {
    return app.exit(wish);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "tidewheel: INVALID_ARGUMENT: %s\n", error.what());
    return static_cast<int>(tidewheel::cli::ExitStatus::kUsage);
  }
  options.scenario = *drill::ParseScenario(scenario);
  options.random_acquisition = policy == "random";
  options.oracle = !no_oracle;
  return drill::Run(options, drill::TypedArguments(argc, argv));
}
