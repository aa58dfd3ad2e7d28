#include "tidewheel/inference/core/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

namespace tidewheel::inference {
namespace {

std::string Quoted(const std::string& name) { return "\"" + name.substr(0, 80) + "\""; }

Error Refusal(const std::string& name, const std::string& what) {
  return {ErrorCode::kInvalidArgument, "shared memory region " + Quoted(name) + " " + what};
}

bool Contains(std::uint64_t size, std::uint64_t offset, std::uint64_t byte_size) {
  return offset <= size && byte_size <= size - offset;
}

// Reads or writes all of it; false when the object ends before.
template <typename Transfer>
bool TransferAll(std::size_t size, std::uint64_t offset, Transfer transfer) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t moved = transfer(done, size - done, static_cast<off_t>(offset + done));
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) return false;
    done += static_cast<std::size_t>(moved);
  }
  return true;
}

}  // namespace

struct SharedMemoryTable::Open {
  SharedMemoryRegion region;
  int file = -1;

  ~Open() {
    if (file >= 0) ::close(file);
  }
  // What the object holds now: its owner may have made it smaller.
  std::uint64_t size() const {
    struct stat status {};
    return ::fstat(file, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
  }
};

SharedMemoryTable::SharedMemoryTable() : SharedMemoryTable(Options{}) {}
SharedMemoryTable::SharedMemoryTable(Options options) : options_(std::move(options)) {}

Result<void> SharedMemoryTable::Register(const SharedMemoryRegion& region) {
  if (region.name.empty()) return Refusal(region.name, "needs a name");
  if (region.byte_size == 0) return Refusal(region.name, "must have at least one byte");
  const std::string_view key =
      std::string_view(region.key).substr(region.key.starts_with('/') ? 1 : 0);
  if (key.empty() || key.find('/') != std::string_view::npos ||
      key.find('\0') != std::string_view::npos || key == "." || key == "..") {
    return Refusal(region.name, "has the key " + Quoted(region.key) +
                                    ", which is not the name of a shared memory object");
  }
  for (const std::string& reserved : options_.reserved) {
    if (key.starts_with(reserved)) {
      return Refusal(region.name, "has the key " + Quoted(region.key) +
                                      ", which begins as those of other programs here do");
    }
  }
  auto open = std::make_shared<Open>();
  open->region = region;
  open->file = ::shm_open(("/" + std::string(key)).c_str(), O_RDWR | O_CLOEXEC, 0);
  if (open->file < 0) {
    return Refusal(region.name,
                   "cannot open the key " + Quoted(region.key) + ": " + std::strerror(errno));
  }
  if (!Contains(open->size(), region.offset, region.byte_size)) {
    return Refusal(region.name, "asks for " + std::to_string(region.byte_size) + " bytes from " +
                                    std::to_string(region.offset) + " of an object that has " +
                                    std::to_string(open->size()));
  }
  const std::unique_lock lock(mutex_);
  if (regions_.contains(region.name)) {
    return Error{ErrorCode::kAlreadyExists,
                 "shared memory region " + Quoted(region.name) + " is registered already"};
  }
  if (regions_.size() >= options_.most_regions) {
    return Error{ErrorCode::kResourceExhausted,
                 "more than " + std::to_string(options_.most_regions) + " shared memory regions"};
  }
  regions_.emplace(region.name, std::move(open));
  return {};
}

void SharedMemoryTable::Unregister(const std::string& name) {
  const std::unique_lock lock(mutex_);
  if (name.empty()) {
    regions_.clear();
  } else {
    regions_.erase(name);
  }
}

Result<std::vector<SharedMemoryRegion>> SharedMemoryTable::Status(const std::string& name) const {
  const std::shared_lock lock(mutex_);
  std::vector<SharedMemoryRegion> regions;
  for (const auto& [its_name, open] : regions_) {
    if (name.empty() || name == its_name) regions.push_back(open->region);
  }
  if (regions.empty() && !name.empty()) {
    return Error{ErrorCode::kNotFound, "there is no shared memory region " + Quoted(name)};
  }
  return regions;
}

Result<std::shared_ptr<const SharedMemoryTable::Open>> SharedMemoryTable::Find(
    const std::string& name, std::uint64_t offset, std::uint64_t byte_size) const {
  std::shared_ptr<const Open> open;
  {
    const std::shared_lock lock(mutex_);
    const auto found = regions_.find(name);
    if (found != regions_.end()) open = found->second;
  }
  if (!open) {
    return Error{ErrorCode::kNotFound, "there is no shared memory region " + Quoted(name)};
  }
  if (!Contains(open->region.byte_size, offset, byte_size)) {
    return Refusal(name, "has " + std::to_string(open->region.byte_size) + " bytes, not " +
                             std::to_string(byte_size) + " from " + std::to_string(offset));
  }
  if (!Contains(open->size(), open->region.offset + offset, byte_size)) {
    return Refusal(name, "has become smaller since it was registered");
  }
  return open;
}

Result<std::string> SharedMemoryTable::Read(const std::string& name, std::uint64_t offset,
                                            std::uint64_t byte_size) const {
  const auto open = Find(name, offset, byte_size);
  if (!open) return open.error();
  std::string bytes(byte_size, '\0');
  const int file = (*open)->file;
  if (!TransferAll(bytes.size(), (*open)->region.offset + offset,
                   [&](std::size_t done, std::size_t left, off_t at) {
                     return ::pread(file, bytes.data() + done, left, at);
                   })) {
    return Refusal(name, "has become smaller since it was registered");
  }
  return bytes;
}

Result<void> SharedMemoryTable::Write(const std::string& name, std::uint64_t offset,
                                      std::uint64_t byte_size, std::string_view bytes) const {
  if (bytes.size() > byte_size) {
    return Refusal(name, "is given " + std::to_string(byte_size) + " bytes for an output of " +
                             std::to_string(bytes.size()));
  }
  const auto open = Find(name, offset, byte_size);
  if (!open) return open.error();
  const int file = (*open)->file;
  if (!TransferAll(bytes.size(), (*open)->region.offset + offset,
                   [&](std::size_t done, std::size_t left, off_t at) {
                     return ::pwrite(file, bytes.data() + done, left, at);
                   })) {
    return Refusal(name, "cannot be written");
  }
  return {};
}

}  // namespace tidewheel::inference
