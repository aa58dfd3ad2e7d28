#pragma once

#include <CLI/CLI.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/cli/connection/platform.h"
#include "tidewheel/cli/output/exit_status.h"
#include "tidewheel/cli/output/json.h"
#include "tidewheel/cli/output/table.h"

namespace tidewheel::cli {

/// What all commands share: the global options, and which action belongs to which command.
class CommandLine {
 public:
  /// An error is printed as `tidewheel: CODE: message`; its code decides the exit status.
  using Action = std::function<Result<ExitStatus>()>;

  explicit CommandLine(CLI::App& app);

  CLI::App& app() { return app_; }
  /// Adds a command that does something. `parent` is the app or a group.
  CLI::App* AddCommand(CLI::App* parent, const std::string& name, const std::string& description);
  /// Adds a command that only holds others.
  CLI::App* AddGroup(const std::string& name, const std::string& description);
  void OnRun(CLI::App* command, Action action) { actions_[command] = std::move(action); }

  /// Runs the command that was parsed; 2 when none was.
  int Run();

  bool json() const { return json_; }
  const std::string& actor() const { return actor_; }
  /// Made on first use, from the parsed options.
  Platform& platform();

 private:
  CLI::App& app_;
  std::map<const CLI::App*, Action> actions_;
  bool json_ = false;
  std::string actor_;
  std::string platform_file_;
  std::vector<std::string> addresses_;
  double timeout_seconds_ = 30;
  std::optional<Platform> platform_;
};

/// Adds `--limit`, "0: all".
void AddLimit(CLI::App* command, std::uint64_t* limit);
/// Adds the required `--task`.
void AddTask(CLI::App* command, std::string* task);

void Print(const std::string& text);
/// A remark on standard error, after `tidewheel: `.
void Remark(const std::string& text);
/// Tells that a list was cut by --limit.
void RemarkOnRest(const std::string& next_page_token);

/// "name@3" -> {"name", 3}; without `@` the version is 0. kInvalidArgument: no number after `@`.
struct VersionedName {
  std::string name;
  std::uint32_t version = 0;
};
Result<VersionedName> ParseVersionedName(const std::string& text);

// One function a file; each adds its group of commands.
void AddAuditCommands(CommandLine& line);
void AddCompletionCommand(CommandLine& line);
void AddCycleCommands(CommandLine& line);
void AddDatasetCommands(CommandLine& line);
void AddExplainCommand(CommandLine& line);
void AddLabelCommands(CommandLine& line);
void AddModelCommands(CommandLine& line);
void AddMonitorCommands(CommandLine& line);
void AddPredictCommands(CommandLine& line);
void AddPushCommand(CommandLine& line);
void AddRunCommands(CommandLine& line);
void AddSampleCommands(CommandLine& line);
void AddStatusCommands(CommandLine& line);
void AddTaskCommands(CommandLine& line);
void AddTraceCommands(CommandLine& line);

}  // namespace tidewheel::cli
