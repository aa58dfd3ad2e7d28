#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/blob/file_descriptor.h"
#include "tidewheel/blob/store.h"

namespace tidewheel::blob {

/// Every record begins with these bytes, so that an erased record (zeros) is told from a damaged
/// one; the payload follows.
inline constexpr std::string_view kRecordMark = "TWrecord";

/// Appends payloads to segments, files that only this process writes. Callers that come while a
/// write is on its way share the next one and its sync (group commit, no timer). Thread-safe.
class SegmentWriter {
 public:
  /// Does no I/O; the first Append makes the first segment in `folder`.
  SegmentWriter(std::filesystem::path folder, const FileStoreOptions& options);
  /// Gives back what was preallocated and not used.
  ~SegmentWriter();

  /// Durable on return; all or none.
  Result<std::vector<Ref>> Append(std::span<const HashedPayload> payloads);

 private:
  /// One caller's payloads on their way.
  struct Request {
    std::span<const HashedPayload> payloads;
    std::vector<Ref> refs = {};
    bool done = false;
    std::optional<Error> failure = {};
  };

  // Only the one writing thread calls these.
  Result<void> WriteBatch(std::span<Request* const> batch);
  Result<void> EnsureSegment(std::uint64_t bytes);
  Result<void> WriteRecords(std::span<Request* const> batch, std::uint64_t offset);
  void Preallocate(std::uint64_t end);
  void CloseSegment();

  const std::filesystem::path folder_;
  const FileStoreOptions options_;

  std::mutex mutex_;  // Guards waiting_ and writing_.
  std::condition_variable written_;
  std::vector<Request*> waiting_;
  bool writing_ = false;

  // Belong to the thread that set writing_.
  FileDescriptor segment_;
  std::string name_;
  std::uint64_t end_ = 0;        // Of what was acknowledged.
  std::uint64_t allocated_ = 0;  // Of the file.
};

/// The file of a segment.
std::filesystem::path SegmentPath(const std::filesystem::path& folder, const std::string& segment);

}  // namespace tidewheel::blob
