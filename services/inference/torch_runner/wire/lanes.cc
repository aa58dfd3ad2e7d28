#include "tidewheel/inference/torch_runner/wire/lanes.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>
#include <new>
#include <string>
#include <utility>

namespace tidewheel::inference::torch_runner {
namespace {

constexpr std::size_t kWordsBytes = std::size_t{16} << 10;
static_assert(SharedLanes::kMostLanes * sizeof(LaneWords) <= kWordsBytes);
constexpr std::size_t kMostLaneBytes = std::size_t{1} << 36;
constexpr std::size_t kPage = 4'096;

std::size_t TotalBytes(std::size_t lanes, std::size_t lane_bytes) {
  return kWordsBytes + lanes * 2 * lane_bytes;
}

Error SystemError(const std::string& what) {
  return {ErrorCode::kResourceExhausted, what + ": " + std::strerror(errno)};
}

}  // namespace

Result<SharedLanes> SharedLanes::MapAll(int descriptor, std::size_t lanes, std::size_t lane_bytes) {
  void* memory = mmap(nullptr, TotalBytes(lanes, lane_bytes), PROT_READ | PROT_WRITE, MAP_SHARED,
                      descriptor, 0);
  if (memory == MAP_FAILED) {
    const Error error = SystemError("memory for tensors cannot be mapped");
    close(descriptor);
    return error;
  }
  return SharedLanes(descriptor, static_cast<char*>(memory), lanes, lane_bytes);
}

Result<SharedLanes> SharedLanes::Create(std::size_t lanes, std::size_t lane_bytes) {
  if (lanes < 1 || lanes > kMostLanes || lane_bytes < kPage || lane_bytes > kMostLaneBytes ||
      lane_bytes % kPage != 0) {
    return Error{ErrorCode::kInvalidArgument, "a runner has 1 to " + std::to_string(kMostLanes) +
                                                  " lanes of whole pages up to " +
                                                  std::to_string(kMostLaneBytes) + " bytes"};
  }
  const int descriptor = memfd_create("tidewheel-tensors", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) return SystemError("no memory for tensors");
  const auto size = static_cast<off_t>(TotalBytes(lanes, lane_bytes));
  if (ftruncate(descriptor, size) != 0 ||
      fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    const Error error = SystemError("no memory for tensors");
    close(descriptor);
    return error;
  }
  auto mapped = MapAll(descriptor, lanes, lane_bytes);
  if (mapped) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      new (&mapped->words(lane)) LaneWords{0, 0};
    }
  }
  return mapped;
}

Result<SharedLanes> SharedLanes::Map(int descriptor, std::size_t lanes, std::size_t lane_bytes) {
  struct stat state {};
  const bool sizes = lanes >= 1 && lanes <= kMostLanes && lane_bytes <= kMostLaneBytes;
  const int seals = fcntl(descriptor, F_GET_SEALS);
  if (!sizes || fstat(descriptor, &state) != 0 || seals < 0 || (seals & F_SEAL_SHRINK) == 0 ||
      state.st_size != static_cast<off_t>(TotalBytes(lanes, lane_bytes))) {
    close(descriptor);
    return Error{ErrorCode::kInvalidArgument, "the shared memory is not what the order says"};
  }
  return MapAll(descriptor, lanes, lane_bytes);
}

SharedLanes::SharedLanes(SharedLanes&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      memory_(std::exchange(other.memory_, nullptr)),
      lanes_(other.lanes_),
      lane_bytes_(other.lane_bytes_) {}

SharedLanes::~SharedLanes() {
  if (memory_ != nullptr) munmap(memory_, TotalBytes(lanes_, lane_bytes_));
  CloseDescriptor();
}

void SharedLanes::CloseDescriptor() {
  if (descriptor_ >= 0) close(std::exchange(descriptor_, -1));
}

LaneWords& SharedLanes::words(std::size_t lane) const {
  return *std::launder(reinterpret_cast<LaneWords*>(memory_) + lane);
}

std::span<char> SharedLanes::request(std::size_t lane) const {
  return {memory_ + kWordsBytes + lane * 2 * lane_bytes_, lane_bytes_};
}

std::span<char> SharedLanes::answer(std::size_t lane) const {
  return {memory_ + kWordsBytes + (lane * 2 + 1) * lane_bytes_, lane_bytes_};
}

void SharedLanes::Release(std::size_t lane) const {
  madvise(request(lane).data(), 2 * lane_bytes_, MADV_REMOVE);
}

void WaitWhile(std::atomic<std::uint32_t>& word, std::uint32_t value,
               std::chrono::nanoseconds at_most, std::chrono::nanoseconds spin) {
  if (spin.count() > 0) {
    const auto until = std::chrono::steady_clock::now() + spin;
    do {
      for (int i = 0; i < 32; ++i) {
        if (word.load(std::memory_order_acquire) != value) return;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
      }
    } while (std::chrono::steady_clock::now() < until);
  }
  if (word.load(std::memory_order_acquire) != value || at_most.count() <= 0) return;
  timespec limit{};
  limit.tv_sec = static_cast<time_t>(at_most.count() / 1'000'000'000);
  limit.tv_nsec = static_cast<long>(at_most.count() % 1'000'000'000);
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAIT, value, &limit, nullptr,
          0);
}

void WakeAll(std::atomic<std::uint32_t>& word) {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAKE, INT_MAX, nullptr, nullptr,
          0);
}

}  // namespace tidewheel::inference::torch_runner
