#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/bus/message.h"

namespace tidewheel::bus {

/// A queue of messages on disk: append-only segment files of frames and a cursor.
///
/// A frame is its length (4 bytes, little-endian), the CRC-32C of its body (4 bytes) and the body.
/// What Append or Prepend acknowledged survives kill -9 and, with `sync`, a power cut. A torn tail
/// (a crash while appending) is passed over; a frame that does not match its checksum is
/// skipped and counted. Thread-safe.
class SpillLog {
 public:
  struct Options {
    std::filesystem::path folder{};
    std::uint64_t limit_bytes = 1u << 30;
    std::uint64_t segment_bytes = 16u << 20;
    bool sync = true;                    // fdatasync before an acknowledgement.
    Counter& damaged = Counter::None();  // Frames found broken on disk; a torn tail counts as one.
  };

  /// Makes the folder, locks it, finds what an earlier process left.
  /// kFailedPrecondition: another process has it. kUnavailable: the disk refused.
  static Result<std::unique_ptr<SpillLog>> Open(Options options);
  ~SpillLog();
  SpillLog(const SpillLog&) = delete;
  SpillLog& operator=(const SpillLog&) = delete;

  /// kResourceExhausted: the limit is reached, nothing was written. kUnavailable: the disk refused;
  /// nothing counts as written.
  Result<void> Append(std::span<const Message> messages);

  /// Puts messages before all others; only while nothing was read since the log was last empty or
  /// opened (kFailedPrecondition). May pass the limit.
  Result<void> Prepend(std::span<const Message> messages);

  /// The next messages, not yet removed: the same ones until Advance. Empty: nothing is left.
  Result<std::vector<Message>> Peek(std::size_t at_most);

  /// Removes what the last Peek returned.
  Result<void> Advance();

  bool empty() const;
  /// On disk and still to read.
  std::uint64_t bytes() const;

 private:
  struct Segment;
  explicit SpillLog(Options options);
  Result<void> Recover();
  Result<std::vector<Message>> PeekLocked(std::size_t at_most);
  Result<void> AdvanceLocked();
  Result<void> NewSegment(std::int64_t number, bool at_front);
  Result<void> Write(Segment& segment, std::string_view frames);
  Result<void> SaveCursor(bool durable);
  void RemoveFront();
  void CountDamage(std::int64_t segment, std::uint64_t offset);

  const Options options_;
  mutable std::mutex mutex_;  // Guards the files and all below: held across I/O, because the files
                              // are what it guards.
  int lock_file_ = -1;
  std::vector<std::unique_ptr<Segment>> segments_;  // Oldest first.
  std::uint64_t cursor_ = 0;                        // Byte in the oldest segment.
  std::uint64_t peeked_ = 0;                        // Where Advance will put the cursor,
  std::size_t peeked_segments_ = 0;                 // after this many whole segments.
  std::uint64_t bytes_ = 0;                         // Of all segments, behind the cursor.
  std::int64_t last_number_ = 0;                    // The highest segment ever, as far as known.
  std::int64_t damage_segment_ = 0;                 // Up to where damage was counted:
  std::uint64_t damage_counted_ = 0;
};

}  // namespace tidewheel::bus
