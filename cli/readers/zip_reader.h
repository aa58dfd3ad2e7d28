#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/cli/readers/picture_source.h"

namespace tidewheel::cli {

/// Whether the file begins as a ZIP archive does.
bool IsZip(const std::filesystem::path& path);

/// A ZIP archive (stored or deflated members). Nothing is written to disk. Not thread-safe.
class ZipArchive {
 public:
  /// kInvalidArgument: no archive, or its directory contradicts itself.
  static Result<ZipArchive> Open(const std::filesystem::path& path);

  ZipArchive(ZipArchive&&) noexcept;
  ZipArchive& operator=(ZipArchive&&) noexcept;
  ~ZipArchive();

  std::uint64_t size() const;
  /// Empty when it cannot be told. A name that ends in `/` is a folder.
  std::string NameAt(std::uint64_t index) const;
  /// kNotFound.
  Result<std::uint64_t> Find(const std::string& name) const;
  /// kOutOfRange: the member is larger than `limit`, by its header or by what unpacks from it;
  /// kDataLoss: damaged; kUnimplemented: encrypted, or another method.
  Result<std::string> Read(std::uint64_t index, std::uint64_t limit) const;

 private:
  struct Handle;
  explicit ZipArchive(std::unique_ptr<Handle> handle);
  std::unique_ptr<Handle> handle_;
};

/// The pictures of an archive, in its order, named as its members are.
Result<std::unique_ptr<PictureSource>> OpenZipPictures(const std::filesystem::path& path,
                                                       const ReadOptions& options);

}  // namespace tidewheel::cli
