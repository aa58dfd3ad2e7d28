#include "tidewheel/cli/demo/report.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <thread>

#include "tidewheel/base/build_identity.h"
#include "tidewheel/log/log.h"

namespace tidewheel::cli::demo {
namespace {

std::string Number(double value) {
  if (!std::isfinite(value)) return "null";
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

/// The value of `key` in a file of lines "key<separator>value".
std::string ValueIn(const char* path, std::string_view key, char separator) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const auto at = line.find(separator);
    if (at == std::string::npos) continue;
    std::string value = line.substr(at + 1);
    std::erase(value, '"');
    value.erase(0, value.find_first_not_of(" \t"));
    return value;
  }
  return "unknown";
}

std::string MachineJson() {
  utsname name{};
  const bool named = ::uname(&name) == 0;
  const auto pages = static_cast<double>(::sysconf(_SC_PHYS_PAGES));
  const auto page_bytes = static_cast<double>(::sysconf(_SC_PAGESIZE));
  return "{\"cpu\": " + log::JsonQuoted(ValueIn("/proc/cpuinfo", "model name", ':')) +
         ", \"cores\": " + std::to_string(std::thread::hardware_concurrency()) +
         ", \"memory_bytes\": " + Number(pages * page_bytes) +
         ", \"os\": " + log::JsonQuoted(ValueIn("/etc/os-release", "PRETTY_NAME", '=')) +
         ", \"kernel\": " + log::JsonQuoted(named ? name.release : "unknown") + "}";
}

Timestamp Now() { return SystemClock().Now(); }

std::string ToTheSecond(Timestamp time) {
  std::string text = FormatUtc(time);
  text.resize(19);
  return text + "Z";
}

}  // namespace

Report::Report(std::string command, std::vector<std::string> arguments, std::uint64_t seed)
    : command_(std::move(command)),
      arguments_(std::move(arguments)),
      seed_(seed),
      started_at_(Now()) {}

Figure& Report::At(std::string_view name) {
  const auto found = std::find_if(figures_.begin(), figures_.end(),
                                  [&](const Figure& figure) { return figure.name == name; });
  if (found != figures_.end()) return *found;
  figures_.push_back({std::string(name), {}, {}, {}, {}, {}});
  return figures_.back();
}

void Report::Expect(std::string_view name, std::string_view unit) {
  SetUnknown(name, unit, "not reached: the command ended before");
}

void Report::Set(std::string_view name, double value, std::string_view unit, std::string_view how) {
  Figure& figure = At(name);
  figure.value = value;
  figure.unit = unit;
  figure.how = how;
}

void Report::SetUnknown(std::string_view name, std::string_view unit, std::string_view why) {
  Figure& figure = At(name);
  figure.value.reset();
  figure.unit = unit;
  figure.how = why;
}

void Report::SetGoal(std::string_view name, double at_least) { At(name).at_least = at_least; }

void Report::SetGoalAtMost(std::string_view name, double at_most) { At(name).at_most = at_most; }

std::optional<double> Report::Find(std::string_view name) const {
  for (const Figure& figure : figures_) {
    if (figure.name == name) return figure.value;
  }
  return std::nullopt;
}

bool Report::AllGoalsMet() const {
  return std::all_of(figures_.begin(), figures_.end(),
                     [](const Figure& figure) { return figure.met(); });
}

double Report::seconds() const {
  return std::chrono::duration<double>(Now() - started_at_).count();
}

std::string Report::Json() const {
  const BuildIdentity build = CurrentBuild();
  std::string json = "{\n  \"schema\": \"tidewheel.report.v1\",\n";
  json += "  \"command\": " + log::JsonQuoted(command_) + ", \"arguments\": [";
  for (std::size_t i = 0; i < arguments_.size(); ++i) {
    json += (i == 0 ? "" : ", ") + log::JsonQuoted(arguments_[i]);
  }
  json += "],\n  \"commit\": " + log::JsonQuoted(build.commit) +
          ", \"clean\": " + (build.clean ? "true" : "false") +
          ", \"seed\": " + std::to_string(seed_) + ",\n";
  json += "  \"machine\": " + MachineJson() + ",\n";
  json += "  \"started_at\": " + log::JsonQuoted(ToTheSecond(started_at_)) +
          ", \"seconds\": " + Number(seconds()) + ",\n  \"figures\": [";
  for (std::size_t i = 0; i < figures_.size(); ++i) {
    const Figure& figure = figures_[i];
    json += i == 0 ? "\n    {" : ",\n    {";
    json += "\"name\": " + log::JsonQuoted(figure.name) +
            ", \"value\": " + (figure.value ? Number(*figure.value) : "null") +
            ", \"unit\": " + log::JsonQuoted(figure.unit);
    if (figure.at_least || figure.at_most) {
      const std::string goal =
          figure.at_least ? ">= " + Number(*figure.at_least) : "<= " + Number(*figure.at_most);
      json += ", \"goal\": " + log::JsonQuoted(goal) +
              ", \"met\": " + (figure.met() ? "true" : "false");
    }
    json += ", \"how\": " + log::JsonQuoted(figure.how) + "}";
  }
  return json + "\n  ]\n}\n";
}

Result<void> Report::Write(const std::filesystem::path& path) const {
  std::error_code ignored;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << Json();
  file.flush();
  if (!file) {
    return Error{ErrorCode::kUnavailable, "report " + path.string() + " cannot be written"};
  }
  return {};
}

std::filesystem::path Report::DefaultPath() const {
  std::string time = ToTheSecond(started_at_);
  std::erase(time, '-');
  std::erase(time, ':');
  return std::filesystem::path("var") / "reports" / (command_ + "-" + time + ".json");
}

}  // namespace tidewheel::cli::demo
