#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::inference {

/// A torch-runner with its control socket and its standard error. Killed when its owner goes; the
/// kernel kills it, too, when the thread that started it ends, however that ends. Its environment
/// is `environment` and little else.
class RunnerProcess {
 public:
  /// kFailedPrecondition: there is no such program; kUnavailable: no process.
  static Result<RunnerProcess> Start(const std::filesystem::path& program,
                                     const std::vector<std::string>& environment);
  RunnerProcess(RunnerProcess&& other) noexcept;
  RunnerProcess& operator=(RunnerProcess&&) = delete;
  ~RunnerProcess();

  pid_t pid() const { return pid_; }
  int control() const { return control_; }
  /// Readable when it has said something; does not block.
  int complaints() const { return complaints_; }

  /// Nothing once it has been waited for. Not together with Reap or the destructor.
  void Kill() const;
  /// Kills what still runs and gives the wait status.
  int Reap();

 private:
  RunnerProcess(pid_t pid, int control, int complaints)
      : pid_(pid), control_(control), complaints_(complaints) {}

  pid_t pid_ = -1;
  int control_ = -1;
  int complaints_ = -1;
  std::optional<int> status_;
};

/// "ended with status 3", "was ended by signal 9 (Killed)".
std::string DescribeRunnerEnd(int wait_status);

}  // namespace tidewheel::inference
