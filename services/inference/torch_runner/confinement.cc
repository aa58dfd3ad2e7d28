#include "tidewheel/inference/torch_runner/confinement.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace tidewheel::inference {
namespace {

// Later than the kernel headers of Debian 12.
constexpr std::uint64_t kLandlockTruncate = std::uint64_t{1} << 14;
constexpr std::uint64_t kLandlockIoctl = std::uint64_t{1} << 15;
constexpr rlim_t kMostFileBytes = rlim_t{16} << 30;
constexpr rlim_t kMostDescriptors = 256;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // Its shadow memory is larger than any limit.
#else
constexpr bool kSanitized = false;
#endif

Error SystemError(const std::string& what) {
  return {ErrorCode::kFailedPrecondition, what + ": " + std::strerror(errno)};
}

bool Limit(int resource, rlim_t value) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) return false;
  limit.rlim_cur = std::min(value, limit.rlim_max);
  limit.rlim_max = limit.rlim_cur;
  return setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) == 0;
}

/// Bytes of private writable memory, as RLIMIT_DATA counts them.
rlim_t PrivateBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmData:")) {
      return static_cast<rlim_t>(std::strtoull(line.c_str() + 7, nullptr, 10)) << 10;
    }
  }
  return 0;
}

// ---- files -------------------------------------------------------------------------------------

constexpr std::uint64_t kReadRights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kWriteRights =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | kLandlockTruncate;
constexpr std::uint64_t kFileRights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                      kLandlockTruncate | kLandlockIoctl;

class FileRules {
 public:
  FileRules() {
    version_ = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version_ < 1) return;
    rights_ = (std::uint64_t{1} << 13) - 1;
    if (version_ >= 2) rights_ |= std::uint64_t{1} << 13;
    if (version_ >= 3) rights_ |= kLandlockTruncate;
    if (version_ >= 5) rights_ |= kLandlockIoctl;
    const landlock_ruleset_attr attributes{.handled_access_fs = rights_};
    ruleset_ =
        static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0));
  }
  ~FileRules() {
    if (ruleset_ >= 0) close(ruleset_);
  }
  FileRules(const FileRules&) = delete;
  FileRules& operator=(const FileRules&) = delete;

  /// What is not there needs no rule.
  void Allow(const std::string& path, std::uint64_t rights) {
    const int parent = ruleset_ < 0 ? -1 : open(path.c_str(), O_PATH | O_CLOEXEC);
    if (parent < 0) return;
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) rights &= kFileRights;
    const landlock_path_beneath_attr rule{.allowed_access = rights & rights_, .parent_fd = parent};
    syscall(SYS_landlock_add_rule, ruleset_, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(parent);
  }
  bool Enforce() const {
    return ruleset_ >= 0 && syscall(SYS_landlock_restrict_self, ruleset_, 0) == 0;
  }

 private:
  long version_ = 0;
  std::uint64_t rights_ = 0;
  int ruleset_ = -1;
};

/// Folders that libraries of this process come from.
std::vector<std::string> LibraryFolders() {
  std::vector<std::string> folders;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::size_t path = line.find('/');
    if (path == std::string::npos || line.find(".so") == std::string::npos) continue;
    folders.push_back(std::filesystem::path(line.substr(path)).parent_path().string());
  }
  std::sort(folders.begin(), folders.end());
  folders.erase(std::unique(folders.begin(), folders.end()), folders.end());
  return folders;
}

bool ConfineFiles(const Confinement& confinement) {
  FileRules rules;
  for (const std::string& folder : LibraryFolders()) rules.Allow(folder, kReadRights);
  for (const char* path :
       {"/usr/lib", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime",
        "/proc/cpuinfo", "/proc/meminfo", "/proc/self", "/sys/devices/system", "/dev/urandom"}) {
    rules.Allow(path, kReadRights);
  }
  rules.Allow("/dev/null", kReadRights | kWriteRights);
  if (!confinement.scratch.empty()) {
    rules.Allow(confinement.scratch.string(), kReadRights | kWriteRights);
  }
  if (confinement.cuda) {
    rules.Allow("/dev", kReadRights | kWriteRights | kLandlockIoctl);
    rules.Allow("/proc", kReadRights);
    rules.Allow("/sys", kReadRights);
    rules.Allow("/etc", kReadRights);
  }
  return rules.Enforce();
}

// ---- system calls ------------------------------------------------------------------------------

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the filter of system calls knows x86-64 and aarch64"
#endif

constexpr std::array kForbidden = {
    // The network.
    SYS_socket, SYS_socketpair, SYS_connect, SYS_bind, SYS_listen, SYS_accept, SYS_accept4,
    // Other programs and processes.
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kill,
    SYS_tkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_pidfd_open, SYS_pidfd_getfd,
    SYS_pidfd_send_signal, SYS_kcmp, SYS_setns, SYS_unshare,
#if defined(SYS_fork)
    SYS_fork, SYS_vfork,
#endif
    // Ways around filters and limits.
    SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, SYS_bpf, SYS_perf_event_open,
    SYS_userfaultfd, SYS_memfd_create, SYS_shmget, SYS_shmat, SYS_setrlimit, SYS_add_key,
    SYS_request_key, SYS_keyctl,
    // The machine.
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_reboot, SYS_swapon, SYS_swapoff,
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_settimeofday,
    SYS_clock_settime, SYS_sethostname, SYS_setuid, SYS_setgid, SYS_open_by_handle_at, SYS_mknodat};

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t Refuse(int error) {
  return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error);
}

class Filter {
 public:
  void Load(std::size_t offset) {
    Add(BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset));
  }
  void ReturnUnlessEqual(std::uint32_t value, std::uint32_t verdict) {
    Add(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, value);
    Return(verdict);
  }
  void ReturnIfEqual(std::uint32_t value, std::uint32_t verdict) {
    Add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, value);
    Return(verdict);
  }
  /// Of the call `number`: refused when the argument's bits, masked, are `value` (or are not).
  void RefuseByArgument(std::uint32_t number, std::size_t argument, std::uint32_t mask,
                        std::uint32_t value, bool equal, int error) {
    Add(BPF_JMP | BPF_JEQ | BPF_K, 0, 5, number);
    Load(offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t));
    Add(BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
    Add(BPF_JMP | BPF_JEQ | BPF_K, equal ? 0 : 1, equal ? 1 : 0, value);
    Return(Refuse(error));
    Load(offsetof(seccomp_data, nr));
  }
  void Return(std::uint32_t verdict) { Add(BPF_RET | BPF_K, 0, 0, verdict); }

  bool Install() {
    const sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
  }

 private:
  void Add(int code, int if_true, int if_false, std::uint32_t value) {
    code_.push_back({static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(if_true),
                     static_cast<std::uint8_t>(if_false), value});
  }

  std::vector<sock_filter> code_;
};

bool ConfineCalls(bool cuda) {
  Filter filter;
  filter.Load(offsetof(seccomp_data, arch));
  filter.ReturnUnlessEqual(kArchitecture, SECCOMP_RET_KILL_PROCESS);
  filter.Load(offsetof(seccomp_data, nr));
  for (const long number : kForbidden) {
    filter.ReturnIfEqual(static_cast<std::uint32_t>(number), Refuse(EPERM));
  }
  // The C library then starts its threads by clone, whose flags can be seen.
  filter.ReturnIfEqual(SYS_clone3, Refuse(ENOSYS));
  filter.RefuseByArgument(SYS_clone, 0, CLONE_THREAD, 0, true, EPERM);
  // Signals to itself are how a process aborts.
  filter.RefuseByArgument(SYS_tgkill, 0, ~0U, static_cast<std::uint32_t>(getpid()), false, EPERM);
  // Memory that is shared is not counted by the limit.
  if (!cuda) {
    filter.RefuseByArgument(SYS_mmap, 3, MAP_SHARED | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS,
                            true, EPERM);
  }
  // Limits may be read.
  filter.RefuseByArgument(SYS_prlimit64, 2, ~0U, 0, false, EPERM);
  filter.Return(kAllow);
  return filter.Install();
}

}  // namespace

Result<std::vector<std::string>> Confine(const Confinement& confinement) {
  std::vector<std::string> missing;
  if (prctl(PR_SET_DUMPABLE, 0) != 0 || !Limit(RLIMIT_CORE, 0)) {
    return SystemError("core dumps cannot be switched off");
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return SystemError("new privileges cannot be given up");
  }
  signal(SIGXFSZ, SIG_IGN);
  if (!Limit(RLIMIT_FSIZE, kMostFileBytes) || !Limit(RLIMIT_NOFILE, kMostDescriptors)) {
    return SystemError("the sizes of files cannot be limited");
  }
  if (confinement.memory_bytes > 0) {
    if (kSanitized || confinement.cuda) {
      missing.emplace_back("memory limit");
    } else if (!Limit(RLIMIT_DATA, PrivateBytes() + confinement.memory_bytes)) {
      return SystemError("memory cannot be limited");
    }
  }
  // When the machine has no memory left, it takes it here first. That may be refused.
  std::ofstream("/proc/self/oom_score_adj") << 500;
  if (!ConfineFiles(confinement)) missing.emplace_back("landlock");
  if (!ConfineCalls(confinement.cuda)) missing.emplace_back("seccomp");
  return missing;
}

}  // namespace tidewheel::inference
