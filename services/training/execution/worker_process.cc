#include "tidewheel/training/execution/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <utility>

namespace tidewheel::training {
namespace {

constexpr int kReportDescriptor = 3;

Error SystemError(const std::string& what) {
  return {ErrorCode::kUnavailable, what + ": " + std::strerror(errno)};
}

/// In the child, between fork and exec: only what is safe there.
[[noreturn]] void BecomeWorker(char* const* arguments, char* const* environment, int report,
                               int log, pid_t parent) {
  // It must not outlive the service that waits for it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  setpgid(0, 0);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  if (report == kReportDescriptor) {
    fcntl(report, F_SETFD, 0);
  } else {
    dup2(report, kReportDescriptor);
  }
  close_range(kReportDescriptor + 1, ~0U, 0);
  execve(arguments[0], arguments, environment);
  _exit(127);
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Result<WorkerProcess> WorkerProcess::Start(const std::vector<std::string>& arguments,
                                           const std::vector<std::string>& environment,
                                           const std::filesystem::path& log) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return SystemError("no pipe to a worker");
  const int log_file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (log_file < 0) {
    const Error error = SystemError(log.string());
    close(ends[0]);
    close(ends[1]);
    return error;
  }
  std::vector<std::string> words = arguments;
  std::vector<std::string> variables = environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const std::string_view name = text.substr(0, text.find('=') + 1);
    bool replaced = false;
    for (const auto& given : environment) replaced = replaced || given.starts_with(name);
    // Secrets of the service are none of the worker's business.
    if (!replaced && !name.starts_with("TIDEWHEEL_")) variables.emplace_back(text);
  }
  const std::vector<char*> argv = Pointers(words);
  const std::vector<char*> envp = Pointers(variables);

  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) BecomeWorker(argv.data(), envp.data(), ends[1], log_file, parent);
  const Error failure = SystemError("no process for a worker");
  close(ends[1]);
  close(log_file);
  if (pid < 0) {
    close(ends[0]);
    return failure;
  }
  return WorkerProcess(pid, ends[0]);
}

WorkerProcess::WorkerProcess(WorkerProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pipe_(std::exchange(other.pipe_, -1)),
      status_(other.status_) {}

WorkerProcess::~WorkerProcess() {
  if (pipe_ >= 0) close(pipe_);
  if (pid_ > 0 && !status_) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

std::optional<std::string> WorkerProcess::Read(std::chrono::milliseconds wait) {
  if (pipe_ < 0) return std::nullopt;
  pollfd poll_for{pipe_, POLLIN, 0};
  if (poll(&poll_for, 1, static_cast<int>(wait.count())) <= 0) return std::string();
  std::array<char, 4'096> buffer{};
  const ssize_t count = read(pipe_, buffer.data(), buffer.size());
  if (count > 0) return std::string(buffer.data(), static_cast<std::size_t>(count));
  if (count < 0 && errno == EINTR) return std::string();
  close(pipe_);
  pipe_ = -1;
  return std::nullopt;
}

void WorkerProcess::Signal(int signal) const {
  if (pid_ > 0 && !status_) kill(pid_, signal);
}

std::optional<int> WorkerProcess::Ended() {
  if (status_ || pid_ <= 0) return status_;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return status_;
}

std::string DescribeEnd(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    return "was ended by signal " + std::to_string(signal) + " (" + strsignal(signal) + ")";
  }
  return "ended with status " + std::to_string(WEXITSTATUS(wait_status));
}

}  // namespace tidewheel::training
