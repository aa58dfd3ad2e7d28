#include "tidewheel/bus/memory_journal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

#include "tidewheel/bus/message_frame.h"

namespace tidewheel::bus {
namespace {

constexpr std::string_view kEnding = ".journal";
constexpr std::size_t kHead = sizeof(std::uint64_t);
constexpr std::size_t kLength = sizeof(std::uint32_t);

Error DiskError(const std::filesystem::path& path, const char* what, int why) {
  return Error{ErrorCode::kUnavailable,
               "journal " + path.string() + ": cannot " + what + ": " + std::strerror(why)};
}

std::vector<std::filesystem::path> FilesIn(const std::filesystem::path& folder,
                                           std::error_code& failed) {
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    if (entry->path().extension() == kEnding) files.push_back(entry->path());
  }
  return files;
}

}  // namespace

struct MemoryJournal::Segment {
  Segment(std::filesystem::path where, char* bytes, std::size_t length)
      : path(std::move(where)), mapped(bytes), size(length) {}
  ~Segment() { ::munmap(mapped, size); }
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  void Restart(std::uint64_t as) {
    // Empty first: whenever the process ends, no old message is found under the new number.
    std::memset(mapped + kHead, 0, kLength);
    std::atomic_thread_fence(std::memory_order_release);
    std::memcpy(mapped, &as, kHead);
    number = as;
    end = kHead;
  }
  bool Fits(std::size_t frame) const { return end + frame + kLength <= size; }
  void Add(std::string_view frame) {
    char* const at = mapped + end;
    // The length last: until it stands there, nothing does.
    std::memset(at + frame.size(), 0, kLength);
    std::memcpy(at + kLength, frame.data() + kLength, frame.size() - kLength);
    std::atomic_thread_fence(std::memory_order_release);
    std::memcpy(at, frame.data(), kLength);
    end += frame.size();
    ++open;
  }

  const std::filesystem::path path;
  char* const mapped;
  const std::size_t size;
  std::uint64_t number = 0;
  std::size_t end = kHead;  // Where the next frame goes.
  std::size_t open = 0;     // Messages that are not done.
};

Result<std::vector<Message>> MemoryJournal::Left(const std::filesystem::path& folder,
                                                 std::size_t& damaged) {
  std::error_code failed;
  std::vector<std::pair<std::uint64_t, std::string>> segments;
  for (const auto& path : FilesIn(folder, failed)) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    std::string bytes = std::move(text).str();
    if (bytes.size() < kHead) continue;  // Its process ended while it was made.
    std::uint64_t number = 0;
    std::memcpy(&number, bytes.data(), kHead);
    segments.emplace_back(number, std::move(bytes));
  }
  if (failed) return DiskError(folder, "list", failed.value());
  std::sort(segments.begin(), segments.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Message> left;
  damaged = 0;
  for (const auto& [number, bytes] : segments) {
    std::string_view rest = std::string_view(bytes).substr(kHead);
    for (FrameView frame = NextFrame(rest); frame.state != FrameView::State::kTorn;
         frame = NextFrame(rest)) {
      auto message = frame.state == FrameView::State::kWhole
                         ? DecodeBody(frame.body)
                         : Result<Message>(Error{ErrorCode::kDataLoss, "wrong checksum"});
      if (message) {
        left.push_back(*std::move(message));
      } else {
        ++damaged;
      }
      rest.remove_prefix(frame.size);
    }
  }
  return left;
}

void MemoryJournal::Remove(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const auto& path : FilesIn(folder, ignored)) std::filesystem::remove(path, ignored);
}

MemoryJournal::MemoryJournal(std::filesystem::path folder, std::size_t segment_bytes)
    : folder_(std::move(folder)), segment_bytes_(segment_bytes) {}

MemoryJournal::~MemoryJournal() {
  const bool done = std::all_of(segments_.begin(), segments_.end(),
                                [](const auto& segment) { return segment->open == 0; });
  if (!done) return;
  for (const auto& segment : segments_) ::unlink(segment->path.c_str());
}

Result<void> MemoryJournal::Begin(std::size_t bytes) {
  const auto path = folder_ / (std::to_string(next_number_) + std::string(kEnding));
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return DiskError(path, "create", errno);
  // All of it now: a page that finds no room later would end the process.
  const int failed = ::posix_fallocate(file, 0, static_cast<off_t>(bytes));
  void* const mapped = failed != 0
                           ? MAP_FAILED
                           : ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  const int why = failed != 0 ? failed : errno;
  ::close(file);
  if (mapped == MAP_FAILED) {
    ::unlink(path.c_str());
    return DiskError(path, "make", why);
  }
  segments_.push_back(std::make_unique<Segment>(path, static_cast<char*>(mapped), bytes));
  segments_.back()->Restart(next_number_++);
  return {};
}

Result<MemoryJournal::Place> MemoryJournal::Add(std::string_view frame) {
  if (segments_.empty() || !segments_.back()->Fits(frame.size())) {
    const auto bytes = std::max(segment_bytes_, kHead + frame.size() + kLength);
    if (const auto begun = Begin(bytes); !begun) return begun.error();
  }
  Segment& segment = *segments_.back();
  segment.Add(frame);
  return segment.number;
}

void MemoryJournal::Done(Place place) {
  const auto found = std::find_if(segments_.begin(), segments_.end(),
                                  [&](const auto& segment) { return segment->number == place; });
  if (found == segments_.end() || --(*found)->open > 0) return;
  if (std::next(found) == segments_.end()) {
    (*found)->Restart(next_number_++);
    return;
  }
  ::unlink((*found)->path.c_str());
  segments_.erase(found);
}

}  // namespace tidewheel::bus
