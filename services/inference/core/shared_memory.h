#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::inference {

/// A part of a POSIX shared memory object under a name of the client's.
struct SharedMemoryRegion {
  std::string name{};
  std::string key{};  // As for shm_open: "/frames".
  std::uint64_t offset = 0;
  std::uint64_t byte_size = 0;
};

/// The regions of system shared memory that clients registered; both protocol fronts share one
/// table. What a client keeps in memory of its own it may change or cut off at any moment, so bytes
/// are copied through the file and never mapped: no fault, and nothing changes after its check.
/// Thread-safe.
class SharedMemoryTable {
 public:
  struct Options {
    std::size_t most_regions = 1'024;
    /// Objects whose keys begin so belong to others and are refused.
    std::vector<std::string> reserved = {"tidewheel", "PostgreSQL"};
  };

  SharedMemoryTable();
  explicit SharedMemoryTable(Options options);

  /// kInvalidArgument: no name, no such key, a range outside of the object. kAlreadyExists: the
  /// name is taken. kResourceExhausted: too many regions.
  Result<void> Register(const SharedMemoryRegion& region);
  /// Empty name: all. One that is not there is as asked already. Reads under way end well.
  void Unregister(const std::string& name);
  /// In the order of names; empty name: all. kNotFound.
  Result<std::vector<SharedMemoryRegion>> Status(const std::string& name) const;

  /// `byte_size` bytes from `offset` of the region. kNotFound; kInvalidArgument: outside of it, or
  /// the client has made its memory smaller.
  Result<std::string> Read(const std::string& name, std::uint64_t offset,
                           std::uint64_t byte_size) const;
  /// kInvalidArgument: more than `byte_size` bytes, or as with Read.
  Result<void> Write(const std::string& name, std::uint64_t offset, std::uint64_t byte_size,
                     std::string_view bytes) const;

 private:
  struct Open;
  Result<std::shared_ptr<const Open>> Find(const std::string& name, std::uint64_t offset,
                                           std::uint64_t byte_size) const;

  const Options options_;
  mutable std::shared_mutex mutex_;  // Guards regions_.
  std::map<std::string, std::shared_ptr<const Open>> regions_;
};

}  // namespace tidewheel::inference
