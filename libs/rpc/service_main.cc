#include "tidewheel/rpc/service_main.h"

#include <fcntl.h>
#include <grpc/support/log.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "tidewheel/base/build_identity.h"

namespace tidewheel::rpc {
namespace {

constexpr char kUsage[] =
    "  --config FILE      settings in YAML; %s_... variables go before them\n"
    "  --set KEY=VALUE    one setting, before both; may be repeated\n"
    "  --ready-file PATH  written when the service serves, taken away when it stops\n"
    "  --migrate          bring the schema up to date and end\n"
    "  --check-config     report every problem of the settings, or print what holds, and end\n"
    "  --version          print which code this is and end\n"
    "  --help             print this and end\n";

std::string Prefix(std::string_view service) {
  std::string prefix = "TIDEWHEEL_";
  for (const char c : service) {
    prefix += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return prefix;
}

/// gRPC's own lines, as lines of our log.
void LogOfGrpc(gpr_log_func_args* line) {
  const auto level =
      line->severity == GPR_LOG_SEVERITY_ERROR ? log::Level::kWarning : log::Level::kDebug;
  const std::vector<log::Field> fields{{"text", line->message}};
  log::Write(level, "grpc says", fields);
}

/// A connection is an open file, and the limit that a shell hands on (1,024) is for programs that
/// wait by select(2). What the machine's owner allows is left as it is.
void TakeOpenFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    log::Warning("limit of open files not raised", {{"problem", std::strerror(errno)}});
  }
}

std::string AsJson(std::string_view service, const Addresses& addresses) {
  std::string json = "{\"ready\":true,\"service\":" + log::JsonQuoted(service) +
                     ",\"pid\":" + std::to_string(getpid());
  for (const auto& [name, address] : addresses) {
    json += "," + log::JsonQuoted(name) + ":" + log::JsonQuoted(address);
  }
  return json + "}\n";
}

/// Whole or not at all: a reader never sees half of it.
Result<void> WriteInOneStep(const std::string& path, const std::string& text) {
  const std::string draft = path + "." + std::to_string(getpid());
  const auto failed = [&](const char* what) {
    const int reason = errno;
    (void)unlink(draft.c_str());
    return Error{ErrorCode::kUnavailable,
                 "ready file " + path + " cannot be " + what + ": " + std::strerror(reason)};
  };
  const int file = open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return failed("made");
  const auto written = write(file, text.data(), text.size());
  const bool whole = written >= 0 && static_cast<std::size_t>(written) == text.size();
  if (close(file) != 0 || !whole) return failed("written");
  if (rename(draft.c_str(), path.c_str()) != 0) return failed("moved into place");
  return {};
}

}  // namespace

ServiceLaunch::ServiceLaunch(std::string_view service, int argc, char** argv) : service_(service) {
  for (int i = 1; i < argc; ++i) arguments_.emplace_back(argv[i]);
}

std::optional<int> ServiceLaunch::Configure(const std::function<void(config::Reader&)>& read) {
  const std::string prefix = Prefix(service_);
  std::string file;
  bool check = false;
  std::vector<std::pair<std::string, std::string>> overrides;
  const auto misused = [&](const std::string& problem) {
    std::fprintf(stderr, "%s: %s; --help lists the words\n", service_.c_str(), problem.c_str());
    return 2;
  };
  for (std::size_t i = 0; i < arguments_.size(); ++i) {
    const std::string& word = arguments_[i];
    const bool takes_value = word == "--config" || word == "--set" || word == "--ready-file";
    if (takes_value && i + 1 == arguments_.size()) return misused(word + " needs a value");
    if (word == "--config") {
      file = arguments_[++i];
      if (file.empty()) return misused("--config needs a file");
    } else if (word == "--ready-file") {
      ready_file_ = arguments_[++i];
    } else if (word == "--set") {
      const std::string& setting = arguments_[++i];
      const auto equals = setting.find('=');
      if (equals == std::string::npos || equals == 0) {
        return misused("--set needs KEY=VALUE, not \"" + setting + "\"");
      }
      overrides.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
    } else if (word == "--migrate") {
      migrate_ = true;
    } else if (word == "--check-config") {
      check = true;
    } else if (word == "--version") {
      const BuildIdentity build = CurrentBuild();
      std::printf("tidewheel %s %s, commit %s%s, %s\n", service_.c_str(),
                  std::string(build.version).c_str(), std::string(build.commit).c_str(),
                  build.clean ? "" : " with changes", std::string(build.build_type).c_str());
      return 0;
    } else if (word == "--help") {
      std::printf("tidewheel %s: one service of the platform\n\n", service_.c_str());
      std::printf(kUsage, prefix.c_str());
      return 0;
    } else {
      return misused("unknown word \"" + word + "\"");
    }
  }

  auto reader = config::Reader::FromFile(file, prefix);
  for (const auto& [key, value] : overrides) reader.Override(key, value);
  auto level = log::Level::kInfo;
  reader.ReadEnum("log.level", &level,
                  {{"debug", log::Level::kDebug},
                   {"info", log::Level::kInfo},
                   {"warning", log::Level::kWarning},
                   {"error", log::Level::kError}});
  read(reader);
  log::Initialise(service_, level);
  gpr_set_log_function(LogOfGrpc);

  if (const auto finished = reader.Finish(); !finished) {
    std::string_view problems = finished.error().message;
    while (!problems.empty()) {
      const auto end = problems.find('\n');
      const std::string problem(problems.substr(0, end));
      if (check) {
        std::fprintf(stderr, "%s\n", problem.c_str());
      } else {
        log::Error("setting refused", {{"problem", problem}});
      }
      problems = end == std::string_view::npos ? "" : problems.substr(end + 1);
    }
    return 1;
  }
  if (check) {
    for (const auto& [key, value] : reader.Effective()) {
      std::printf("%s: %s\n", key.c_str(), value.c_str());
    }
    return 0;
  }

  const BuildIdentity build = CurrentBuild();
  std::vector<log::Field> fields{{"version", build.version}, {"commit", build.commit}};
  for (const auto& [key, value] : reader.Effective()) fields.emplace_back(key, value);
  log::Write(log::Level::kInfo, "service starts", fields);
  for (const auto& name : reader.UnknownEnvironment()) {
    log::Warning("variable is not a setting", {{"variable", name}});
  }
  TakeOpenFiles();
  // One left by a process that was killed would speak of ports that are gone.
  if (!ready_file_.empty()) (void)unlink(ready_file_.c_str());
  return std::nullopt;
}

int ServiceLaunch::Migrated(const Result<void>& outcome) const {
  if (!outcome) return log::Fatal(outcome.error());
  log::Info("schema is up to date");
  return 0;
}

Result<void> ServiceLaunch::Ready(const Addresses& addresses) const {
  const std::string json = AsJson(service_, addresses);
  if (!ready_file_.empty()) {
    if (const auto written = WriteInOneStep(ready_file_, json); !written) return written;
  }
  std::fputs(json.c_str(), stdout);
  std::fflush(stdout);
  std::vector<log::Field> fields;
  for (const auto& [name, address] : addresses) fields.emplace_back(name, address);
  log::Write(log::Level::kInfo, "service is ready", fields);
  return {};
}

void ServiceLaunch::Stopping(int signal) const {
  log::Info("service stops", {{"signal", signal}});
  if (!ready_file_.empty()) (void)unlink(ready_file_.c_str());
}

}  // namespace tidewheel::rpc
