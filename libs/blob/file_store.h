#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/blob/file_descriptor.h"
#include "tidewheel/blob/segment_writer.h"
#include "tidewheel/blob/store.h"

namespace tidewheel::blob {

/// Files: `segments/<uuid>.seg` hold small payloads one after the other, `objects/<ab>/<sha256>`
/// the large ones. Thread-safe; each process appends to segments of its own, and all may read and
/// erase everything.
class FileStore final : public Store {
 public:
  /// Makes the folders (mode 0700) and removes half-written files a day old.
  static Result<std::unique_ptr<FileStore>> Open(const std::filesystem::path& root,
                                                 const FileStoreOptions& options = {});

  Result<std::vector<Ref>> PutHashed(std::span<const HashedPayload> payloads) override;
  Result<Ref> PutFile(const std::filesystem::path& path) override;
  Result<std::string> Get(const Ref& ref) const override;
  Result<void> GetFile(const Ref& ref, const std::filesystem::path& path) const override;
  Result<void> Erase(const Ref& ref) override;

 private:
  /// A payload's bytes in an open file.
  struct Located {
    FileDescriptor file;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };

  FileStore(std::filesystem::path root, const FileStoreOptions& options);

  Result<Located> Locate(const Ref& ref) const;
  Result<void> PutObject(const HashedPayload& payload);
  /// Gives a synced temporary file its name.
  Result<void> Publish(const std::filesystem::path& temporary, const Digest& digest);
  bool HasObject(const Digest& digest, std::uint64_t length) const;
  std::filesystem::path ObjectPath(const Digest& digest) const;
  std::filesystem::path NewTemporary() const;

  const std::filesystem::path root_;
  const FileStoreOptions options_;
  SegmentWriter segments_;
};

}  // namespace tidewheel::blob
