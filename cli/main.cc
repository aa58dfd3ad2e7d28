#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "tidewheel/cli/analyze/analyze.h"
#include "tidewheel/cli/commands/command.h"

int main(int argc, char** argv) {
  // A reader of ours that goes away (`tidewheel samples | head`) must not look like a crash.
  std::signal(SIGPIPE, SIG_DFL);
  CLI::App app("Tidewheel: from pictures to a served model that can be traced back", "tidewheel");
  tidewheel::cli::CommandLine line(app);
  tidewheel::cli::AddStatusCommands(line);
  tidewheel::cli::AddTaskCommands(line);
  tidewheel::cli::AddPushCommand(line);
  tidewheel::cli::AddSampleCommands(line);
  tidewheel::cli::AddLabelCommands(line);
  tidewheel::cli::AddDatasetCommands(line);
  tidewheel::cli::AddRunCommands(line);
  tidewheel::cli::AddModelCommands(line);
  tidewheel::cli::AddPredictCommands(line);
  tidewheel::cli::AddExplainCommand(line);
  tidewheel::cli::AddMonitorCommands(line);
  tidewheel::cli::AddCycleCommands(line);
  tidewheel::cli::AddTraceCommands(line);
  tidewheel::cli::AddAuditCommands(line);
  tidewheel::cli::AddAnalyzeCommands(line);
  tidewheel::cli::AddCompletionCommand(line);
  // CLI11 speaks in exceptions; they end here.
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wish) {
    return app.exit(wish);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "tidewheel: INVALID_ARGUMENT: %s\n", error.what());
    std::fprintf(stderr, "Run with --help for more.\n");
    return static_cast<int>(tidewheel::cli::ExitStatus::kUsage);
  }
  return line.Run();
}
