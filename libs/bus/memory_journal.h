#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/bus/message.h"

namespace tidewheel::bus {

/// What is in memory, once more in mapped files: the pages are the kernel's, so they outlive a
/// process that is killed. Nothing is synced: a machine that stops without warning may lose them.
///
/// A segment is a number (8 bytes: the order of segments), frames as in message_frame.h, and a
/// length of zero behind the last. A segment all of whose messages are done begins anew in its
/// place. For one thread at a time.
class MemoryJournal {
 public:
  /// Whose messages a place belongs to; 0: of none.
  using Place = std::uint64_t;

  /// The messages that an earlier process left in `folder`, oldest first. `damaged`: how many
  /// frames could not be read. The files stay; see Remove.
  static Result<std::vector<Message>> Left(const std::filesystem::path& folder,
                                           std::size_t& damaged);
  /// Removes what an earlier process left.
  static void Remove(const std::filesystem::path& folder);

  /// Makes files in `folder`, which exists, when they are first needed.
  explicit MemoryJournal(std::filesystem::path folder, std::size_t segment_bytes = 4u << 20);
  /// Removes its files when every message is done, and leaves them otherwise.
  ~MemoryJournal();
  MemoryJournal(const MemoryJournal&) = delete;
  MemoryJournal& operator=(const MemoryJournal&) = delete;

  /// Takes one frame. A copy in memory, but for a new segment (one in megabytes).
  /// kUnavailable: the disk has no room for a segment.
  Result<Place> Add(std::string_view frame);
  /// One message of this place is not needed any more.
  void Done(Place place);

 private:
  struct Segment;

  Result<void> Begin(std::size_t bytes);

  const std::filesystem::path folder_;
  const std::size_t segment_bytes_;
  std::vector<std::unique_ptr<Segment>> segments_;  // The last one is written to.
  std::uint64_t next_number_ = 1;
};

}  // namespace tidewheel::bus
