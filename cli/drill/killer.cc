#include "tidewheel/cli/drill/killer.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "tidewheel/base/random.h"
#include "tidewheel/base/worker.h"

namespace tidewheel::cli::drill {
namespace {

/// Name -> process id, as the launcher wrote it last; empty while it writes.
std::map<std::string, pid_t> ProcessesOf(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  google::protobuf::Struct document;
  std::map<std::string, pid_t> processes;
  if (!google::protobuf::util::JsonStringToMessage(text.str(), &document).ok()) return processes;
  const auto pid_in = [](const google::protobuf::Value& value) {
    const auto found = value.struct_value().fields().find("pid");
    return found == value.struct_value().fields().end()
               ? 0
               : static_cast<pid_t>(found->second.number_value());
  };
  for (const auto& [key, value] : document.fields()) {
    if (key == "services") {
      for (const auto& [name, service] : value.struct_value().fields()) {
        processes[name] = pid_in(service);
      }
    } else if (key == "postgres" || key == "kafka") {
      processes[key] = pid_in(value);
    }
  }
  std::erase_if(processes, [](const auto& each) { return each.second <= 1; });
  return processes;
}

/// The program is still the one that the file speaks of: process ids are used again.
bool Runs(pid_t pid, const std::string& name) {
  std::string command;
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline", std::ios::binary);
  std::getline(file, command, '\0');
  const std::string program = std::filesystem::path(command).filename();
  return program == "tidewheel-" + name || program == name ||
         (name == "kafka" && program == "java");
}

}  // namespace

Killer::Killer(std::filesystem::path platform_file, std::uint64_t seed,
               std::chrono::milliseconds every, Progress& progress)
    : platform_file_(std::move(platform_file)),
      seed_(seed),
      every_(every),
      progress_(progress),
      worker_([this](std::stop_token stop) { Work(stop); }) {}

Killer::~Killer() { Stop(); }

void Killer::Stop() {
  worker_.request_stop();
  if (worker_.joinable()) worker_.join();
}

std::map<std::string, std::uint64_t> Killer::kills() const {
  const std::lock_guard lock(mutex_);
  return kills_;
}

void Killer::Work(std::stop_token stop) {
  Random random(StableHash("kill", seed_));
  while (tidewheel::Pause().Wait(stop, every_)) {
    const auto processes = ProcessesOf(platform_file_);
    if (processes.empty()) continue;
    const auto chosen =
        std::next(processes.begin(), static_cast<std::ptrdiff_t>(random.Below(processes.size())));
    if (!Runs(chosen->second, chosen->first) || ::kill(chosen->second, SIGKILL) != 0) continue;
    progress_.Say("kill -9 " + chosen->first);
    const std::lock_guard lock(mutex_);
    ++kills_[chosen->first];
  }
}

}  // namespace tidewheel::cli::drill
