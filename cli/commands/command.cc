#include "tidewheel/cli/commands/command.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "tidewheel/base/build_identity.h"
#include "tidewheel/cli/readers/text_rules.h"

namespace tidewheel::cli {
namespace {

std::string DefaultActor() {
  const char* user = std::getenv("USER");
  return user != nullptr && *user != '\0' ? user : "cli";
}

}  // namespace

CommandLine::CommandLine(CLI::App& app) : app_(app), actor_(DefaultActor()) {
  app_.fallthrough();
  app_.require_subcommand(1);
  const auto build = CurrentBuild();
  app_.set_version_flag("--version", "tidewheel " + std::string(build.version) + " " +
                                         std::string(build.commit) +
                                         (build.clean ? "" : " (changed tree)"));
  app_.add_flag("--json", json_, "Answer in JSON on standard output");
  app_.add_option("--platform", platform_file_,
                  "The running platform's platform.json (default: $TIDEWHEEL_PLATFORM, else "
                  "var/run/platform.json here or above)");
  app_.add_option("--address", addresses_, "SERVICE=HOST:PORT, goes before the platform file")
      ->expected(1)
      ->take_all();
  app_.add_option("--timeout", timeout_seconds_, "Deadline of each call, in seconds")
      ->check(CLI::Range(0.001, 86'400.0))
      ->capture_default_str();
  app_.add_option("--actor", actor_, "Who asks, for the audit log (default: $USER)");
  app_.footer(
      "Exit status: 0 done, 1 failed, 2 wrong usage, 3 done in part (something refused, a gate "
      "missed), 4 a service is unavailable.");
}

CLI::App* CommandLine::AddCommand(CLI::App* parent, const std::string& name,
                                  const std::string& description) {
  return parent->add_subcommand(name, description)->fallthrough();
}

CLI::App* CommandLine::AddGroup(const std::string& name, const std::string& description) {
  return app_.add_subcommand(name, description)->fallthrough()->require_subcommand(1);
}

int CommandLine::Run() {
  const CLI::App* command = &app_;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  const auto action = actions_.find(command);
  if (action == actions_.end()) return static_cast<int>(ExitStatus::kUsage);
  const auto status = action->second();
  std::fflush(stdout);
  if (status) return static_cast<int>(*status);
  std::fprintf(stderr, "tidewheel: %s: %s\n", std::string(Name(status.error().code)).c_str(),
               Printable(status.error().message, 16 * 1024).c_str());
  return static_cast<int>(ExitStatusOf(status.error()));
}

Platform& CommandLine::platform() {
  if (!platform_) {
    platform_.emplace(Platform::Options{
        platform_file_, addresses_,
        std::chrono::milliseconds(static_cast<std::int64_t>(timeout_seconds_ * 1'000))});
  }
  return *platform_;
}

void AddLimit(CLI::App* command, std::uint64_t* limit) {
  command->add_option("--limit", *limit, "How many at most; 0: all")->capture_default_str();
}

void AddTask(CLI::App* command, std::string* task) {
  command->add_option("--task", *task, "The task's name")->required();
}

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void Remark(const std::string& text) {
  std::fprintf(stderr, "tidewheel: %s\n", Printable(text, 4'096).c_str());
}

void RemarkOnRest(const std::string& next_page_token) {
  if (!next_page_token.empty()) Remark("there are more: --limit N shows them, --limit 0 all");
}

Result<VersionedName> ParseVersionedName(const std::string& text) {
  const auto at = text.find('@');
  VersionedName name{text.substr(0, at), 0};
  if (at == std::string::npos) return name;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + at + 1, end, name.version);
  if (parsed.ec != std::errc() || parsed.ptr != end || name.version == 0 || name.name.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 "\"" + text + "\": must be an id, TASK or TASK@VERSION"};
  }
  return name;
}

}  // namespace tidewheel::cli
