#include "tidewheel/blob/segment_writer.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "tidewheel/base/ids.h"

namespace tidewheel::blob {
namespace {

/// What one write and sync takes at most; larger requests go alone.
constexpr std::uint64_t kBatchBytes = 32 << 20;

std::uint64_t RecordBytes(std::span<const HashedPayload> payloads) {
  std::uint64_t bytes = 0;
  for (const HashedPayload& payload : payloads) bytes += kRecordMark.size() + payload.bytes.size();
  return bytes;
}

iovec Part(std::string_view bytes) { return {const_cast<char*>(bytes.data()), bytes.size()}; }

/// Writes all parts at `offset`, whatever share of them each call takes.
Result<void> WriteParts(int fd, std::span<iovec> parts, std::uint64_t offset) {
  while (!parts.empty()) {
    const int count = static_cast<int>(std::min<std::size_t>(parts.size(), IOV_MAX));
    const ssize_t written = pwritev(fd, parts.data(), count, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError("writing payloads", errno);
    offset += static_cast<std::uint64_t>(written);
    auto left = static_cast<std::size_t>(written);
    while (!parts.empty() && left >= parts.front().iov_len) {
      left -= parts.front().iov_len;
      parts = parts.subspan(1);
    }
    if (!parts.empty()) {
      if (written == 0) return FileError("writing payloads", ENOSPC);
      parts.front().iov_base = static_cast<char*>(parts.front().iov_base) + left;
      parts.front().iov_len -= left;
    }
  }
  return {};
}

}  // namespace

std::filesystem::path SegmentPath(const std::filesystem::path& folder, const std::string& segment) {
  return folder / (segment + ".seg");
}

SegmentWriter::SegmentWriter(std::filesystem::path folder, const FileStoreOptions& options)
    : folder_(std::move(folder)), options_(options) {}

SegmentWriter::~SegmentWriter() { CloseSegment(); }

Result<std::vector<Ref>> SegmentWriter::Append(std::span<const HashedPayload> payloads) {
  Request request{.payloads = payloads};
  std::unique_lock lock(mutex_);
  waiting_.push_back(&request);
  written_.wait(lock, [&] { return request.done || !writing_; });
  if (!request.done) {
    // Nobody writes: this caller does it, for all that wait.
    writing_ = true;
    while (!request.done) {
      std::vector<Request*> batch;
      std::uint64_t bytes = 0;
      for (Request* waiting : waiting_) {
        bytes += RecordBytes(waiting->payloads);
        if (!batch.empty() && bytes > kBatchBytes) break;
        batch.push_back(waiting);
      }
      waiting_.erase(waiting_.begin(),
                     waiting_.begin() + static_cast<std::ptrdiff_t>(batch.size()));

      lock.unlock();
      const Result<void> wrote = WriteBatch(batch);
      lock.lock();

      for (Request* written : batch) {
        if (!wrote) written->failure = wrote.error();
        written->done = true;
      }
      written_.notify_all();
    }
    writing_ = false;
    // One of those that came meanwhile goes on.
    written_.notify_all();
  }
  if (request.failure) return *request.failure;
  return std::move(request.refs);
}

Result<void> SegmentWriter::WriteBatch(std::span<Request* const> batch) {
  std::uint64_t bytes = 0;
  for (const Request* request : batch) bytes += RecordBytes(request->payloads);
  if (auto ready = EnsureSegment(bytes); !ready) return ready;

  if (auto wrote = WriteRecords(batch, end_); !wrote)
    return wrote;  // The next batch writes over it.
  if (auto durable = segment_.Sync(); !durable) {
    // After a failed sync nobody knows what of the file is on the disk: never append to it again.
    CloseSegment();
    return durable;
  }

  std::uint64_t offset = end_;
  for (Request* request : batch) {
    request->refs.reserve(request->payloads.size());
    for (const HashedPayload& payload : request->payloads) {
      request->refs.push_back(Ref::InSegment(name_, offset, payload.bytes.size(), payload.digest));
      offset += kRecordMark.size() + payload.bytes.size();
    }
  }
  end_ = offset;
  if (end_ >= options_.segment_bytes) CloseSegment();
  return {};
}

Result<void> SegmentWriter::WriteRecords(std::span<Request* const> batch, std::uint64_t offset) {
  std::vector<iovec> parts;
  for (const Request* request : batch) {
    for (const HashedPayload& payload : request->payloads) {
      parts.push_back(Part(kRecordMark));
      if (!payload.bytes.empty()) parts.push_back(Part(payload.bytes));
    }
  }
  return WriteParts(segment_.get(), parts, offset);
}

Result<void> SegmentWriter::EnsureSegment(std::uint64_t bytes) {
  if (segment_.is_open() && end_ > 0 && end_ + bytes > options_.segment_bytes) CloseSegment();
  if (!segment_.is_open()) {
    std::string name = NewUuid();
    auto opened = FileDescriptor::Open(SegmentPath(folder_, name), O_RDWR | O_CREAT | O_EXCL);
    if (!opened) return opened.error();
    if (auto durable = SyncFolder(folder_); !durable) return durable;
    segment_ = std::move(*opened);
    name_ = std::move(name);
    end_ = 0;
    allocated_ = 0;
  }
  Preallocate(end_ + bytes);
  return {};
}

void SegmentWriter::Preallocate(std::uint64_t end) {
  if (end <= allocated_ || options_.preallocated_bytes == 0) return;
  const std::uint64_t step = options_.preallocated_bytes;
  const std::uint64_t wanted =
      std::max(end, std::min((end / step + 1) * step, options_.segment_bytes));
  // Only makes the sync cheaper (the size no longer changes with every append): when it fails, the
  // write says why.
  if (fallocate(segment_.get(), 0, 0, static_cast<off_t>(wanted)) == 0) allocated_ = wanted;
}

void SegmentWriter::CloseSegment() {
  if (!segment_.is_open()) return;
  if (allocated_ > end_) {
    // Unused space given back; a crash before leaves zeros nobody refers to.
    [[maybe_unused]] const int trimmed = ftruncate(segment_.get(), static_cast<off_t>(end_));
  }
  segment_ = FileDescriptor();
}

}  // namespace tidewheel::blob
