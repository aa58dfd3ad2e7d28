#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::training {

/// A child process with a pipe from its file descriptor 3. Killed when its owner goes, also by
/// SIGKILL.
class WorkerProcess {
 public:
  /// `environment` is added to this process's own; standard output and error go to `log`.
  static Result<WorkerProcess> Start(const std::vector<std::string>& arguments,
                                     const std::vector<std::string>& environment,
                                     const std::filesystem::path& log);
  WorkerProcess(WorkerProcess&& other) noexcept;
  WorkerProcess& operator=(WorkerProcess&&) = delete;
  ~WorkerProcess();

  /// What came on the pipe within `wait`; empty: nothing. None: the pipe is closed.
  std::optional<std::string> Read(std::chrono::milliseconds wait);

  void Signal(int signal) const;
  /// The wait status, once it has ended.
  std::optional<int> Ended();

 private:
  WorkerProcess(pid_t pid, int pipe) : pid_(pid), pipe_(pipe) {}

  pid_t pid_ = -1;
  int pipe_ = -1;
  std::optional<int> status_;
};

/// "ended with status 3", "was ended by signal 9 (Killed)".
std::string DescribeEnd(int wait_status);

}  // namespace tidewheel::training
