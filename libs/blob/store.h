#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/digest.h"
#include "tidewheel/base/result.h"

namespace tidewheel::blob {

/// Where a payload lies: a small text for a database row. Either `obj:<sha256>`, an object of its
/// own, or `seg:<segment>:<offset>:<length>:<sha256>`, a part of a segment. Never names anything
/// outside its store.
class Ref {
 public:
  enum class Kind { kObject, kSegment };

  static Ref Object(const Digest& digest);
  static Ref InSegment(std::string segment, std::uint64_t offset, std::uint64_t length,
                       const Digest& digest);

  /// Accepts exactly what text() gives. kInvalidArgument: anything else.
  static Result<Ref> Parse(std::string_view text);

  std::string text() const;
  Kind kind() const { return kind_; }
  const Digest& digest() const { return digest_; }

  /// Of a part of a segment: the segment's UUID, the first byte of the record, the payload's bytes.
  const std::string& segment() const { return segment_; }
  std::uint64_t offset() const { return offset_; }
  std::uint64_t length() const { return length_; }

  friend bool operator==(const Ref&, const Ref&) = default;

 private:
  Ref() = default;

  Kind kind_ = Kind::kObject;
  std::string segment_;
  std::uint64_t offset_ = 0;
  std::uint64_t length_ = 0;
  Digest digest_;
};

/// A payload whose digest the caller knows already.
struct HashedPayload {
  std::string_view bytes;
  Digest digest;  // Sha256(bytes).
};

/// Payloads by their content. Thread-safe; several processes may use the same store.
class Store {
 public:
  virtual ~Store() = default;

  /// Durable on return, one Ref per payload in their order. All or none: an error acknowledges
  /// nothing. kResourceExhausted: no space left. kInternal: the disk failed.
  virtual Result<std::vector<Ref>> PutHashed(std::span<const HashedPayload> payloads) = 0;

  /// The same for payloads that are not hashed yet.
  Result<std::vector<Ref>> PutMany(std::span<const std::string_view> payloads);
  Result<Ref> Put(std::string_view payload);

  /// Puts a file's content as an object without holding it in memory. kNotFound: no such file.
  virtual Result<Ref> PutFile(const std::filesystem::path& path) = 0;

  /// kNotFound: erased, or never there. kDataLoss: the bytes are not those of the digest.
  virtual Result<std::string> Get(const Ref& ref) const = 0;

  /// Writes the payload to a new file without holding it in memory; leaves no file behind an error.
  /// kAlreadyExists: there is a file of that name. Else as Get.
  virtual Result<void> GetFile(const Ref& ref, const std::filesystem::path& path) const = 0;

  /// Removes the bytes for good; a Get afterwards is kNotFound. OK when they are gone already. An
  /// object is shared by all rows with the same content.
  virtual Result<void> Erase(const Ref& ref) = 0;
};

struct FileStoreOptions {
  std::size_t small_bytes =
      1 << 20;  // Payloads up to here go into segments, larger ones become objects.
  std::uint64_t segment_bytes = 256ULL << 20;   // A segment that has reached this is closed.
  std::uint64_t preallocated_bytes = 16 << 20;  // Steps in which a segment grows.
};

/// A store of files below `root`, which is made (mode 0700) when it is missing.
Result<std::unique_ptr<Store>> OpenFileStore(const std::filesystem::path& root,
                                             const FileStoreOptions& options = {});

}  // namespace tidewheel::blob
