#include "tidewheel/testing/subprocess.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tidewheel/testing/eventually.h"

extern char** environ;

namespace tidewheel::testing {
namespace {

constexpr int kCannotStart = 127;

bool Redirect(const std::filesystem::path& file, int descriptor) {
  if (file.empty()) return true;
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  return fd >= 0 && dup2(fd, descriptor) == descriptor;
}

/// In the child, before it becomes what it should be.
bool SetUpChild(const SubprocessOptions& options, pid_t parent, int stdout_fd) {
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0 || dup2(null, STDIN_FILENO) < 0) return false;
  if (stdout_fd >= 0 && dup2(stdout_fd, STDOUT_FILENO) < 0) return false;
  if (!Redirect(options.stdout_file, STDOUT_FILENO)) return false;
  if (!Redirect(options.stderr_file, STDERR_FILENO)) return false;
  if (options.group && (setgroups(0, nullptr) != 0 || setgid(*options.group) != 0)) return false;
  if (options.user && setuid(*options.user) != 0) return false;
  // After the change of user, which clears it.
  if (prctl(PR_SET_PDEATHSIG, options.signal_at_parent_death) != 0 || getppid() != parent)
    return false;
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  return options.folder.empty() || chdir(options.folder.c_str()) == 0;
}

}  // namespace

Result<Subprocess> Subprocess::Launch(const std::function<int()>& in_child,
                                      const SubprocessOptions& options) {
  int output[2] = {-1, -1};
  if (options.pipe_stdout && pipe2(output, O_CLOEXEC) != 0) {
    return Error{ErrorCode::kInternal, std::string("no pipe: ") + std::strerror(errno)};
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    _exit(SetUpChild(options, parent, output[1]) ? in_child() : kCannotStart);
  }
  const int failure = errno;
  if (output[1] >= 0) close(output[1]);
  if (pid < 0) {
    if (output[0] >= 0) close(output[0]);
    return Error{ErrorCode::kInternal, std::string("no process: ") + std::strerror(failure)};
  }
  return Subprocess(pid, output[0]);
}

Result<Subprocess> Subprocess::Start(const std::vector<std::string>& argv,
                                     const SubprocessOptions& options) {
  std::map<std::string, std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string::npos) environment[text.substr(0, equals)] = text.substr(equals + 1);
  }
  for (const auto& [name, value] : options.environment) environment[name] = value;
  std::vector<std::string> entries;
  for (const auto& [name, value] : environment) entries.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (std::string& entry : entries) envp.push_back(entry.data());
  envp.push_back(nullptr);
  std::vector<std::string> words = argv;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  // Empty when exec succeeds, which closes it; else the reason why not.
  int verdict[2];
  if (argv.empty() || pipe2(verdict, O_CLOEXEC) != 0) {
    return Error{ErrorCode::kInternal, "nothing to run, or no pipe"};
  }
  auto started = Launch(
      [&] {
        execvpe(arguments[0], arguments.data(), envp.data());
        const int reason = errno;
        [[maybe_unused]] const auto told = write(verdict[1], &reason, sizeof reason);
        return kCannotStart;
      },
      options);
  close(verdict[1]);
  int reason = 0;
  const bool failed = started.ok() && read(verdict[0], &reason, sizeof reason) == sizeof reason;
  close(verdict[0]);
  if (failed) {
    return Error{ErrorCode::kNotFound, "cannot run " + argv[0] + ": " + std::strerror(reason)};
  }
  return started;
}

Result<Subprocess> Subprocess::Fork(const std::function<int()>& body,
                                    const SubprocessOptions& options) {
  return Launch(body, options);
}

Subprocess::~Subprocess() { Reset(); }

Subprocess::Subprocess(Subprocess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      stdout_fd_(std::exchange(other.stdout_fd_, -1)),
      status_(other.status_),
      buffered_(std::move(other.buffered_)) {}

Subprocess& Subprocess::operator=(Subprocess&& other) noexcept {
  if (this != &other) {
    Reset();
    pid_ = std::exchange(other.pid_, -1);
    stdout_fd_ = std::exchange(other.stdout_fd_, -1);
    status_ = other.status_;
    buffered_ = std::move(other.buffered_);
  }
  return *this;
}

void Subprocess::Reset() {
  if (pid_ > 0 && Running()) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (stdout_fd_ >= 0) close(stdout_fd_);
  pid_ = -1;
  stdout_fd_ = -1;
}

bool Subprocess::Running() {
  if (status_ || pid_ <= 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return false;
}

void Subprocess::Kill(int signal) {
  if (Running()) kill(pid_, signal);
}

std::optional<int> Subprocess::Wait(std::chrono::milliseconds at_most) {
  Eventually(at_most, [&] { return !Running(); });
  return status_;
}

std::optional<std::string> Subprocess::ReadLine(std::chrono::milliseconds at_most) {
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  for (;;) {
    if (const auto end = buffered_.find('\n'); end != std::string::npos) {
      std::string line = buffered_.substr(0, end);
      buffered_.erase(0, end + 1);
      return line;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd waiting{stdout_fd_, POLLIN, 0};
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) <= 0)
      return std::nullopt;
    char chunk[4096];
    const auto got = read(stdout_fd_, chunk, sizeof chunk);
    if (got <= 0) return std::nullopt;
    buffered_.append(chunk, static_cast<std::size_t>(got));
  }
}

}  // namespace tidewheel::testing
