#include "tidewheel/inference/engine/torch/runner_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "tidewheel/inference/torch_runner/wire/control.h"

namespace tidewheel::inference {
namespace {

// What the service's environment may say to a foreign model's process.
constexpr std::array<std::string_view, 8> kPassedOn = {
    "LD_LIBRARY_PATH=", "LANG=",         "LC_ALL=",        "TZ=",
    "ASAN_OPTIONS=",    "TSAN_OPTIONS=", "UBSAN_OPTIONS=", "CUDA_VISIBLE_DEVICES="};

Error SystemError(const std::string& what) {
  return {ErrorCode::kUnavailable, what + ": " + std::strerror(errno)};
}

/// In the child, between fork and exec: only what is safe there.
[[noreturn]] void BecomeRunner(char* const* arguments, char* const* environment, int control,
                               int complaints, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  setpgid(0, 0);
  // Signals that the service ignores or keeps for one thread are the runner's own affair.
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &usual, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nothing = open("/dev/null", O_RDWR);
  // The ends were made above the descriptors that they go to.
  dup2(nothing, STDIN_FILENO);
  dup2(nothing, STDOUT_FILENO);
  dup2(complaints, STDERR_FILENO);
  dup2(control, torch_runner::kControlDescriptor);
  close_range(torch_runner::kControlDescriptor + 1, ~0U, 0);
  execve(arguments[0], arguments, environment);
  _exit(127);
}

/// Above the descriptors that the child is given.
int Raised(int descriptor) {
  const int raised = fcntl(descriptor, F_DUPFD_CLOEXEC, torch_runner::kControlDescriptor + 1);
  close(descriptor);
  return raised;
}

}  // namespace

Result<RunnerProcess> RunnerProcess::Start(const std::filesystem::path& program,
                                           const std::vector<std::string>& environment) {
  if (access(program.c_str(), X_OK) != 0) {
    return Error{ErrorCode::kFailedPrecondition,
                 "there is no program " + program.string() +
                     ", which runs TorchScript and AOTInductor models"};
  }
  std::array<int, 2> control{-1, -1};
  std::array<int, 2> complaints{-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control.data()) != 0) {
    return SystemError("no socket to a runner");
  }
  if (pipe2(complaints.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    const Error error = SystemError("no pipe to a runner");
    for (const int each : control) close(each);
    return error;
  }
  control[1] = Raised(control[1]);
  complaints[1] = Raised(complaints[1]);
  std::vector<std::string> words{program.string()};
  std::vector<std::string> variables = environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const bool passed = std::any_of(kPassedOn.begin(), kPassedOn.end(),
                                    [&](std::string_view name) { return text.starts_with(name); });
    if (passed) variables.emplace_back(text);
  }
  std::vector<char*> argv{words[0].data(), nullptr};
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);

  const pid_t parent = getpid();
  const bool whole = control[1] >= 0 && complaints[1] >= 0;
  const pid_t pid = whole ? fork() : -1;
  if (pid == 0) BecomeRunner(argv.data(), envp.data(), control[1], complaints[1], parent);
  const Error failure = SystemError("no process for a runner");
  for (const int each : {control[1], complaints[1]}) {
    if (each >= 0) close(each);
  }
  if (pid < 0) {
    close(control[0]);
    close(complaints[0]);
    return failure;
  }
  return RunnerProcess(pid, control[0], complaints[0]);
}

RunnerProcess::RunnerProcess(RunnerProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      control_(std::exchange(other.control_, -1)),
      complaints_(std::exchange(other.complaints_, -1)),
      status_(other.status_) {}

RunnerProcess::~RunnerProcess() {
  if (pid_ > 0) Reap();
  if (control_ >= 0) close(control_);
  if (complaints_ >= 0) close(complaints_);
}

void RunnerProcess::Kill() const {
  if (pid_ <= 0 || status_) return;
  kill(pid_, SIGKILL);
  kill(-pid_, SIGKILL);  // Where there is no filter of system calls it may have children.
}

int RunnerProcess::Reap() {
  if (status_) return *status_;
  Kill();
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  status_ = status;
  return status;
}

std::string DescribeRunnerEnd(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    return "was ended by signal " + std::to_string(signal) + " (" + strsignal(signal) + ")";
  }
  return "ended with status " + std::to_string(WEXITSTATUS(wait_status));
}

}  // namespace tidewheel::inference
