#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::testing {

struct SubprocessOptions {
  std::map<std::string, std::string> environment{};  // Added to, or replacing, this process's.
  std::filesystem::path folder{};                    // To run in; empty: this process's.
  std::filesystem::path
      stdout_file{};  // Empty: this process's, unless pipe_stdout. "/dev/null" drops it.
  std::filesystem::path stderr_file{};  // Empty: this process's. May be the same as stdout_file.
  bool pipe_stdout = false;             // For ReadLine.
  std::optional<uid_t> user{};          // When this process is root: run as this user and group.
  std::optional<gid_t> group{};
  int signal_at_parent_death = SIGKILL;
};

/// Another program, killed when its owner goes. The kernel also signals it when the thread that
/// started it ends, however that ends: start it from the test's main thread. Standard input is
/// /dev/null. One thread at a time.
class Subprocess {
 public:
  /// Runs argv[0], looked up in PATH when it has no slash. kNotFound: no such program. kInternal:
  /// no process.
  static Result<Subprocess> Start(const std::vector<std::string>& argv,
                                  const SubprocessOptions& options = {});

  /// Runs `body` in a copy of this process (fork), which exits with what it returns. `body` may
  /// write to descriptor 1 and must not rely on other threads.
  static Result<Subprocess> Fork(const std::function<int()>& body,
                                 const SubprocessOptions& options = {});

  ~Subprocess();
  Subprocess(Subprocess&& other) noexcept;
  Subprocess& operator=(Subprocess&& other) noexcept;

  pid_t pid() const { return pid_; }
  bool Running();

  /// Sends the signal; nothing when it has ended.
  void Kill(int signal = SIGKILL);

  /// Its exit status, or 128 + the signal that ended it, as shells say; nothing when it still runs
  /// after `at_most`.
  std::optional<int> Wait(std::chrono::milliseconds at_most);

  /// The next line of its standard output without the line break; nothing at the end or after
  /// `at_most`.
  std::optional<std::string> ReadLine(std::chrono::milliseconds at_most);

 private:
  Subprocess(pid_t pid, int stdout_fd) : pid_(pid), stdout_fd_(stdout_fd) {}
  static Result<Subprocess> Launch(const std::function<int()>& in_child,
                                   const SubprocessOptions& options);
  void Reset();

  pid_t pid_ = -1;
  int stdout_fd_ = -1;
  std::optional<int> status_;
  std::string buffered_;
};

}  // namespace tidewheel::testing
