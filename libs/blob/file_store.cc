#include "tidewheel/blob/file_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "tidewheel/base/ids.h"
#include "tidewheel/blob/sha256.h"

namespace tidewheel::blob {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunkBytes = 1 << 20;
constexpr char kSegments[] = "segments";
constexpr char kObjects[] = "objects";
constexpr char kTemporary[] = "tmp";

Result<void> EnsureFolder(const fs::path& folder) {
  if (mkdir(folder.c_str(), 0700) == 0)
    return SyncFolder(folder.parent_path().empty() ? "." : folder.parent_path());
  if (errno == EEXIST && fs::is_directory(folder)) return {};
  return FileError("making the folder " + folder.string(), errno);
}

Result<std::uint64_t> SizeOf(const FileDescriptor& file) {
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return FileError("asking a payload's size", errno);
  return static_cast<std::uint64_t>(status.st_size);
}

/// A temporary file that is removed unless it was given its name.
class Temporary {
 public:
  explicit Temporary(fs::path path) : path_(std::move(path)) {}
  ~Temporary() { unlink(path_.c_str()); }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  const fs::path& path() const { return path_; }

 private:
  const fs::path path_;
};

void RemoveOldTemporaries(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const auto age = fs::file_time_type::clock::now() - entry.last_write_time(ignored);
    // A writer that has been at it for a day is gone.
    if (!ignored && age > std::chrono::hours(24)) fs::remove(entry.path(), ignored);
  }
}

Error Lost(const Ref& ref) {
  return {ErrorCode::kDataLoss,
          "payload " + ref.text() + " is damaged: its bytes have another digest"};
}

Error Missing(const Ref& ref) {
  return {ErrorCode::kNotFound, "there is no payload " + ref.text()};
}

}  // namespace

FileStore::FileStore(fs::path root, const FileStoreOptions& options)
    : root_(std::move(root)), options_(options), segments_(root_ / kSegments, options) {}

Result<std::unique_ptr<FileStore>> FileStore::Open(const fs::path& root,
                                                   const FileStoreOptions& options) {
  if (root.has_parent_path()) {
    std::error_code problem;
    fs::create_directories(root.parent_path(), problem);
    if (problem) return FileError("making " + root.parent_path().string(), problem.value());
  }
  for (const fs::path& folder : {root, root / kSegments, root / kObjects, root / kTemporary}) {
    if (auto made = EnsureFolder(folder); !made) return made.error();
  }
  RemoveOldTemporaries(root / kTemporary);
  return std::unique_ptr<FileStore>(new FileStore(root, options));
}

Result<std::unique_ptr<Store>> OpenFileStore(const fs::path& root,
                                             const FileStoreOptions& options) {
  auto opened = FileStore::Open(root, options);
  if (!opened) return opened.error();
  return std::unique_ptr<Store>(std::move(*opened));
}

fs::path FileStore::ObjectPath(const Digest& digest) const {
  const std::string hex = digest.Hex();
  return root_ / kObjects / hex.substr(0, 2) / hex;
}

fs::path FileStore::NewTemporary() const { return root_ / kTemporary / NewUuid(); }

bool FileStore::HasObject(const Digest& digest, std::uint64_t length) const {
  struct stat status {};
  return stat(ObjectPath(digest).c_str(), &status) == 0 &&
         static_cast<std::uint64_t>(status.st_size) == length;
}

Result<std::vector<Ref>> FileStore::PutHashed(std::span<const HashedPayload> payloads) {
  std::vector<HashedPayload> small;
  small.reserve(payloads.size());
  for (const HashedPayload& payload : payloads) {
    if (payload.bytes.size() <= options_.small_bytes) {
      small.push_back(payload);
    } else if (auto put = PutObject(payload); !put) {
      return put.error();
    }
  }
  std::vector<Ref> small_refs;
  if (!small.empty()) {
    auto appended = segments_.Append(small);
    if (!appended) return appended.error();
    small_refs = std::move(*appended);
  }
  if (small.size() == payloads.size()) return small_refs;

  std::vector<Ref> refs;
  refs.reserve(payloads.size());
  auto next_small = small_refs.begin();
  for (const HashedPayload& payload : payloads) {
    const bool is_small = payload.bytes.size() <= options_.small_bytes;
    refs.push_back(is_small ? std::move(*next_small++) : Ref::Object(payload.digest));
  }
  return refs;
}

Result<void> FileStore::PutObject(const HashedPayload& payload) {
  if (HasObject(payload.digest, payload.bytes.size())) {
    // Whoever named it may not have made the name durable yet.
    return SyncFolder(ObjectPath(payload.digest).parent_path());
  }
  const Temporary temporary(NewTemporary());
  auto file = FileDescriptor::Open(temporary.path(), O_WRONLY | O_CREAT | O_EXCL);
  if (!file) return file.error();
  if (auto wrote = file->WriteAll(payload.bytes); !wrote) return wrote;
  if (auto durable = file->Sync(); !durable) return durable;
  return Publish(temporary.path(), payload.digest);
}

Result<void> FileStore::Publish(const fs::path& temporary, const Digest& digest) {
  const fs::path path = ObjectPath(digest);
  if (auto made = EnsureFolder(path.parent_path()); !made) return made;
  if (rename(temporary.c_str(), path.c_str()) != 0)
    return FileError("naming " + path.string(), errno);
  return SyncFolder(path.parent_path());
}

Result<Ref> FileStore::PutFile(const fs::path& path) {
  const auto source = FileDescriptor::Open(path, O_RDONLY);
  if (!source) return source.error();
  const Temporary temporary(NewTemporary());
  auto file = FileDescriptor::Open(temporary.path(), O_WRONLY | O_CREAT | O_EXCL);
  if (!file) return file.error();

  Sha256Hasher hasher;
  std::string chunk(kChunkBytes, '\0');
  for (std::uint64_t offset = 0;;) {
    const auto got = source->ReadAt(chunk.data(), chunk.size(), offset);
    if (!got) return Prefixed(path.string() + ": ", got.error());
    if (*got == 0) break;
    const std::string_view bytes(chunk.data(), *got);
    hasher.Add(bytes);
    if (auto wrote = file->WriteAll(bytes); !wrote) return wrote.error();
    offset += *got;
  }
  if (auto durable = file->Sync(); !durable) return durable.error();
  const Digest digest = hasher.Finish();
  if (auto named = Publish(temporary.path(), digest); !named) return named.error();
  return Ref::Object(digest);
}

Result<FileStore::Located> FileStore::Locate(const Ref& ref) const {
  const bool object = ref.kind() == Ref::Kind::kObject;
  auto file = FileDescriptor::Open(
      object ? ObjectPath(ref.digest()) : SegmentPath(root_ / kSegments, ref.segment()), O_RDONLY);
  if (!file) return file.error().code == ErrorCode::kNotFound ? Missing(ref) : file.error();
  const auto size = SizeOf(*file);
  if (!size) return size.error();
  if (object) return Located{std::move(*file), 0, *size};

  char mark[kRecordMark.size()];
  const std::uint64_t end = ref.offset() + kRecordMark.size() + ref.length();
  if (end > *size) return Missing(ref);
  if (auto read = file->ReadAt(mark, sizeof mark, ref.offset()); !read) return read.error();
  if (std::all_of(mark, mark + sizeof mark, [](char c) { return c == '\0'; })) return Missing(ref);
  if (std::string_view(mark, sizeof mark) != kRecordMark) return Lost(ref);
  return Located{std::move(*file), ref.offset() + kRecordMark.size(), ref.length()};
}

Result<std::string> FileStore::Get(const Ref& ref) const {
  auto located = Locate(ref);
  if (!located) return located.error();
  std::string bytes(located->length, '\0');
  const auto read = located->file.ReadAt(bytes.data(), bytes.size(), located->offset);
  if (!read) return read.error();
  if (*read != bytes.size() || Sha256(bytes) != ref.digest()) return Lost(ref);
  return bytes;
}

Result<void> FileStore::GetFile(const Ref& ref, const fs::path& path) const {
  auto located = Locate(ref);
  if (!located) return located.error();
  auto file = FileDescriptor::Open(path, O_WRONLY | O_CREAT | O_EXCL);
  if (!file) return file.error();

  const auto copy = [&]() -> Result<void> {
    Sha256Hasher hasher;
    std::string chunk(kChunkBytes, '\0');
    for (std::uint64_t done = 0; done < located->length;) {
      const auto wanted =
          static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), located->length - done));
      const auto got = located->file.ReadAt(chunk.data(), wanted, located->offset + done);
      if (!got) return got.error();
      if (*got == 0) break;
      const std::string_view bytes(chunk.data(), *got);
      hasher.Add(bytes);
      if (auto wrote = file->WriteAll(bytes); !wrote) return wrote;
      done += *got;
    }
    if (hasher.Finish() != ref.digest()) return Lost(ref);
    return {};
  };
  auto copied = copy();
  if (!copied) unlink(path.c_str());
  return copied;
}

Result<void> FileStore::Erase(const Ref& ref) {
  if (ref.kind() == Ref::Kind::kObject) {
    const fs::path path = ObjectPath(ref.digest());
    if (unlink(path.c_str()) == 0) return SyncFolder(path.parent_path());
    if (errno == ENOENT) return {};
    return FileError("erasing " + path.string(), errno);
  }
  const auto there = Locate(ref);
  if (!there && there.error().code == ErrorCode::kNotFound) return {};

  auto file = FileDescriptor::Open(SegmentPath(root_ / kSegments, ref.segment()), O_RDWR);
  if (!file) return file.error();
  // A hole reads as zeros, and the whole blocks in it go back to the file system.
  const auto length = static_cast<off_t>(kRecordMark.size() + ref.length());
  if (fallocate(file->get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                static_cast<off_t>(ref.offset()), length) != 0) {
    if (errno != EOPNOTSUPP) return FileError("erasing " + ref.text(), errno);
    if (lseek(file->get(), static_cast<off_t>(ref.offset()), SEEK_SET) < 0) {
      return FileError("erasing " + ref.text(), errno);
    }
    if (auto zeroed = file->WriteAll(std::string(static_cast<std::size_t>(length), '\0')); !zeroed)
      return zeroed;
  }
  return file->Sync();
}

}  // namespace tidewheel::blob
