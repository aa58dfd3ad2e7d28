#include "tidewheel/bus/spill_log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "tidewheel/bus/message_frame.h"

namespace tidewheel::bus {
namespace {

// Segments count up from here, and down for what is put in front.
constexpr std::int64_t kFirstSegment = 1'000'000'000;
constexpr std::string_view kSegmentEnding = ".spill";
constexpr std::size_t kReadBytes = 1u << 20;

Error DiskError(const std::filesystem::path& path, const char* what) {
  return Error{ErrorCode::kUnavailable,
               "spill " + path.string() + ": cannot " + what + ": " + std::strerror(errno)};
}

Result<void> WriteAll(int file, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return DiskError(path, "write");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

/// So that a new, renamed or removed name survives a power cut.
Result<void> SyncFolder(const std::filesystem::path& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return DiskError(folder, "open");
  const int synced = ::fsync(file);
  ::close(file);
  if (synced != 0) return DiskError(folder, "sync");
  return {};
}

std::optional<std::int64_t> SegmentNumber(const std::filesystem::path& path) {
  if (path.extension() != kSegmentEnding) return std::nullopt;
  const std::string stem = path.stem().string();
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(stem.data(), stem.data() + stem.size(), number);
  if (error != std::errc{} || end != stem.data() + stem.size()) return std::nullopt;
  return number;
}

std::filesystem::path SegmentPath(const std::filesystem::path& folder, std::int64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "%012lld", static_cast<long long>(number));
  return folder / (std::string(name) + std::string(kSegmentEnding));
}

}  // namespace

struct SpillLog::Segment {
  std::int64_t number = 0;
  std::filesystem::path path;
  int file = -1;
  std::uint64_t size = 0;  // What is acknowledged; bytes behind it are not looked at.
  bool writable = false;   // Made by this process, and nothing went wrong in it.
};

SpillLog::SpillLog(Options options) : options_(std::move(options)) {}

Result<std::unique_ptr<SpillLog>> SpillLog::Open(Options options) {
  std::unique_ptr<SpillLog> log(new SpillLog(std::move(options)));
  if (const auto recovered = log->Recover(); !recovered) return recovered.error();
  return log;
}

SpillLog::~SpillLog() {
  for (const auto& segment : segments_) ::close(segment->file);
  if (lock_file_ >= 0) ::close(lock_file_);
}

Result<void> SpillLog::Recover() {
  std::error_code failed;
  std::filesystem::create_directories(options_.folder, failed);
  if (failed) {
    return Error{ErrorCode::kUnavailable,
                 "spill " + options_.folder.string() + ": " + failed.message()};
  }
  const auto lock_path = options_.folder / "lock";
  lock_file_ = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_file_ < 0) return DiskError(lock_path, "open");
  if (::flock(lock_file_, LOCK_EX | LOCK_NB) != 0) {
    return Error{ErrorCode::kFailedPrecondition,
                 "spill " + options_.folder.string() + ": another process has it"};
  }

  std::int64_t cursor_segment = 0;
  std::uint64_t cursor = 0;
  if (std::FILE* file = std::fopen((options_.folder / "cursor").c_str(), "re")) {
    long long segment = 0;
    unsigned long long offset = 0;
    unsigned check = 0;
    const bool read = std::fscanf(file, "%lld %llu %x", &segment, &offset, &check) == 3;
    std::fclose(file);
    // A cursor that is not whole only makes us publish again what consumers recognise.
    if (read && Crc32c(std::to_string(segment) + " " + std::to_string(offset)) == check) {
      cursor_segment = segment;
      cursor = offset;
      last_number_ = segment;
    }
  }

  std::filesystem::directory_iterator entries(options_.folder, failed);
  if (failed) {
    return Error{ErrorCode::kUnavailable,
                 "spill " + options_.folder.string() + ": " + failed.message()};
  }
  for (const auto& entry : entries) {
    const auto number = SegmentNumber(entry.path());
    if (!number) continue;
    auto segment = std::make_unique<Segment>();
    segment->number = *number;
    segment->path = entry.path();
    segments_.push_back(std::move(segment));
  }
  std::sort(segments_.begin(), segments_.end(),
            [](const auto& a, const auto& b) { return a->number < b->number; });
  // What lies before the cursor was read, or is a Prepend that was never acknowledged.
  while (!segments_.empty() && segments_.front()->number < cursor_segment) {
    ::unlink(segments_.front()->path.c_str());
    segments_.erase(segments_.begin());
  }
  for (const auto& segment : segments_) {
    segment->file = ::open(segment->path.c_str(), O_RDONLY | O_CLOEXEC);
    if (segment->file < 0) return DiskError(segment->path, "open");
    struct stat status {};
    if (::fstat(segment->file, &status) != 0) return DiskError(segment->path, "measure");
    segment->size = static_cast<std::uint64_t>(status.st_size);
    bytes_ += segment->size;
    last_number_ = std::max(last_number_, segment->number);
  }
  if (!segments_.empty() && segments_.front()->number == cursor_segment) {
    cursor_ = std::min(cursor, segments_.front()->size);
    bytes_ -= cursor_;
  }
  // Torn tails are all that may be left: look, so that empty() tells the truth.
  if (const auto peeked = PeekLocked(1); !peeked) return peeked.error();
  return {};
}

Result<void> SpillLog::NewSegment(std::int64_t number, bool at_front) {
  auto segment = std::make_unique<Segment>();
  segment->number = number;
  segment->path = SegmentPath(options_.folder, number);
  segment->file =
      ::open(segment->path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (segment->file < 0) return DiskError(segment->path, "create");
  segment->writable = true;
  if (options_.sync) {
    if (const auto synced = SyncFolder(options_.folder); !synced) {
      ::close(segment->file);
      return synced;
    }
  }
  last_number_ = std::max(last_number_, number);
  segments_.insert(at_front ? segments_.begin() : segments_.end(), std::move(segment));
  return {};
}

Result<void> SpillLog::Write(Segment& segment, std::string_view frames) {
  Result<void> written = WriteAll(segment.file, frames, segment.path);
  if (written.ok() && options_.sync && ::fdatasync(segment.file) != 0) {
    written = DiskError(segment.path, "sync");
  }
  if (!written) {
    // Whatever arrived is behind `size`. Cut it off; if even that fails, write no more here.
    segment.writable = ::ftruncate(segment.file, static_cast<off_t>(segment.size)) == 0;
    return written;
  }
  segment.size += frames.size();
  bytes_ += frames.size();
  return {};
}

Result<void> SpillLog::Append(std::span<const Message> messages) {
  std::string frames;
  for (const Message& message : messages) AppendFrame(message, frames);
  if (frames.empty()) return {};

  const std::lock_guard lock(mutex_);
  if (bytes_ + frames.size() > options_.limit_bytes) {
    return Error{ErrorCode::kResourceExhausted,
                 "spill " + options_.folder.string() + ": its limit of " +
                     std::to_string(options_.limit_bytes) + " bytes is reached"};
  }
  if (segments_.empty() || !segments_.back()->writable ||
      segments_.back()->size >= options_.segment_bytes) {
    const std::int64_t number = std::max(last_number_ + 1, kFirstSegment);
    if (const auto made = NewSegment(number, false); !made) return made;
  }
  return Write(*segments_.back(), frames);
}

Result<void> SpillLog::Prepend(std::span<const Message> messages) {
  std::string frames;
  for (const Message& message : messages) AppendFrame(message, frames);
  if (frames.empty()) return {};

  const std::lock_guard lock(mutex_);
  if (cursor_ != 0) {
    return Error{ErrorCode::kFailedPrecondition,
                 "spill " + options_.folder.string() + ": its front is read already"};
  }
  const std::int64_t number =
      segments_.empty() ? std::max(last_number_ + 1, kFirstSegment) : segments_.front()->number - 1;
  if (const auto made = NewSegment(number, true); !made) return made;
  Segment& front = *segments_.front();
  peeked_ = 0;
  peeked_segments_ = 0;
  Result<void> done = Write(front, frames);
  const std::uint64_t size = front.size;
  if (segments_.size() > 1) front.writable = false;  // What comes later belongs behind the others.
  // The cursor may stand at the segment behind: then recovery would take the new one for read.
  if (done.ok()) done = SaveCursor(options_.sync);
  if (!done) {
    bytes_ -= size;
    RemoveFront();
  }
  return done;
}

Result<std::vector<Message>> SpillLog::Peek(std::size_t at_most) {
  const std::lock_guard lock(mutex_);
  return PeekLocked(at_most);
}

Result<std::vector<Message>> SpillLog::PeekLocked(std::size_t at_most) {
  std::vector<Message> messages;
  std::size_t index = 0;
  std::uint64_t offset = cursor_;
  std::string buffer;
  while (index < segments_.size() && messages.size() < at_most) {
    const Segment& segment = *segments_[index];
    std::size_t wanted = kReadBytes;
    while (offset < segment.size && messages.size() < at_most) {
      const auto left = static_cast<std::size_t>(segment.size - offset);
      buffer.resize(std::min(wanted, left));
      const ssize_t got =
          ::pread(segment.file, buffer.data(), buffer.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return DiskError(segment.path, "read");
      std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
      const std::uint64_t buffer_offset = offset;
      while (messages.size() < at_most) {
        const FrameView frame = NextFrame(bytes);
        if (frame.state == FrameView::State::kTorn) break;
        auto message = frame.state == FrameView::State::kWhole
                           ? DecodeBody(frame.body)
                           : Result<Message>(Error{ErrorCode::kDataLoss, "wrong checksum"});
        if (message) {
          messages.push_back(std::move(*message));
        } else {
          CountDamage(segment.number, offset);
        }
        bytes.remove_prefix(frame.size);
        offset += frame.size;
      }
      if (offset == buffer_offset && messages.size() < at_most) {
        // Not one whole frame in the buffer: it is longer than that, or nothing whole follows.
        if (buffer.size() < left && got > 0) {
          wanted *= 4;
        } else {
          CountDamage(segment.number, offset);
          offset = segment.size;
        }
      }
    }
    // The last segment may grow until Advance is called.
    if (offset < segment.size || index + 1 == segments_.size()) break;
    ++index;
    offset = 0;
  }
  peeked_segments_ = index;
  peeked_ = offset;
  // Nothing but torn tails: they go now.
  if (messages.empty() && !segments_.empty()) {
    if (const auto advanced = AdvanceLocked(); !advanced) return advanced.error();
  }
  return messages;
}

void SpillLog::CountDamage(std::int64_t segment, std::uint64_t offset) {
  // Once: the same stretch may be looked at again before it is advanced over.
  if (segment == damage_segment_ && offset < damage_counted_) return;
  options_.damaged.Add();
  damage_segment_ = segment;
  damage_counted_ = offset + 1;
}

Result<void> SpillLog::Advance() {
  const std::lock_guard lock(mutex_);
  return AdvanceLocked();
}

Result<void> SpillLog::AdvanceLocked() {
  if (peeked_segments_ == 0 && peeked_ <= cursor_) return {};
  std::uint64_t passed = peeked_;
  for (std::size_t i = 0; i < peeked_segments_; ++i) passed += segments_[i]->size;
  bytes_ -= passed - cursor_;
  for (; peeked_segments_ > 0; --peeked_segments_) RemoveFront();
  cursor_ = peeked_;
  peeked_ = 0;
  while (!segments_.empty() && cursor_ >= segments_.front()->size) {
    RemoveFront();
    cursor_ = 0;
  }
  // Not synced: an older cursor only repeats.
  return SaveCursor(false);
}

void SpillLog::RemoveFront() {
  const Segment& front = *segments_.front();
  ::close(front.file);
  ::unlink(front.path.c_str());
  segments_.erase(segments_.begin());
}

Result<void> SpillLog::SaveCursor(bool durable) {
  const std::int64_t segment = segments_.empty() ? 0 : segments_.front()->number;
  const std::string place = std::to_string(segment) + " " + std::to_string(cursor_);
  char check[16];
  std::snprintf(check, sizeof check, " %08x\n", Crc32c(place));
  const auto path = options_.folder / "cursor";
  const auto fresh = options_.folder / "cursor.new";
  const int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return DiskError(fresh, "create");
  Result<void> written = WriteAll(file, place + check, fresh);
  if (written.ok() && durable && ::fsync(file) != 0) written = DiskError(fresh, "sync");
  ::close(file);
  if (!written) return written;
  if (::rename(fresh.c_str(), path.c_str()) != 0) return DiskError(fresh, "rename");
  if (durable) return SyncFolder(options_.folder);
  return {};
}

bool SpillLog::empty() const {
  const std::lock_guard lock(mutex_);
  return bytes_ == 0;
}

std::uint64_t SpillLog::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace tidewheel::bus
