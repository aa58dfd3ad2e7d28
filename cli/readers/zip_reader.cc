#include "tidewheel/cli/readers/zip_reader.h"

#include <zip.h>

#include <array>
#include <utility>

#include "tidewheel/cli/readers/input_file.h"
#include "tidewheel/cli/readers/text_rules.h"

namespace tidewheel::cli {
namespace {

// Hidden files, and what macOS adds to archives.
bool IsNoise(std::string_view name) {
  const auto slash = name.find_last_of('/');
  const std::string_view file = slash == std::string_view::npos ? name : name.substr(slash + 1);
  return file.starts_with('.') || name.starts_with("__MACOSX/");
}

class ZipPictures final : public PictureSource {
 public:
  ZipPictures(ZipArchive archive, ReadOptions options)
      : archive_(std::move(archive)), options_(std::move(options)) {
    for (std::uint64_t i = 0; i < archive_.size(); ++i) {
      if (IsTaken(archive_.NameAt(i))) ++expected_;
    }
  }

  std::optional<std::uint64_t> expected() const override { return expected_; }
  std::uint64_t skipped() const override { return skipped_; }

  Result<std::optional<ReadPicture>> Next() override {
    for (; next_ < archive_.size(); ++next_) {
      const std::string name = archive_.NameAt(next_);
      if (name.ends_with('/')) continue;
      if (!IsTaken(name)) {
        ++skipped_;
        continue;
      }
      return std::optional<ReadPicture>(ReadMember(next_++, name));
    }
    return std::optional<ReadPicture>();
  }

 private:
  bool IsTaken(const std::string& name) const {
    if (name.ends_with('/')) return false;
    return options_.all_files || (!IsNoise(name) && LooksLikePicture(name));
  }

  ReadPicture ReadMember(std::uint64_t index, const std::string& name) const {
    if (const auto problem = ProblemOfName(name); !problem.empty()) {
      return RefusedPicture{Printable(name), problem};
    }
    auto payload = archive_.Read(index, options_.max_payload_bytes);
    if (!payload) return RefusedPicture{name, payload.error().message};
    Picture picture{name, *std::move(payload), {}, {}, {}};
    if (options_.split_from_path) {
      if (const auto split = SplitOfPath(name)) picture.metadata[options_.split_key] = *split;
    }
    return picture;
  }

  ZipArchive archive_;
  const ReadOptions options_;
  std::uint64_t expected_ = 0;
  std::uint64_t skipped_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace

struct ZipArchive::Handle {
  explicit Handle(zip_t* opened) : archive(opened) {}
  ~Handle() { zip_discard(archive); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  zip_t* archive;
};

ZipArchive::ZipArchive(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
ZipArchive::ZipArchive(ZipArchive&&) noexcept = default;
ZipArchive& ZipArchive::operator=(ZipArchive&&) noexcept = default;
ZipArchive::~ZipArchive() = default;

bool IsZip(const std::filesystem::path& path) {
  auto file = InputFile::Open(path);
  if (!file) return false;
  std::array<char, 4> magic{};
  const auto read = file->Read(magic.data(), magic.size());
  if (!read || *read < magic.size()) return false;
  const std::string_view begin(magic.data(), magic.size());
  return begin == std::string_view("PK\x03\x04", 4) || begin == std::string_view("PK\x05\x06", 4);
}

Result<ZipArchive> ZipArchive::Open(const std::filesystem::path& path) {
  int code = 0;
  zip_t* archive = zip_open(path.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code);
  if (archive == nullptr) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string message = Printable(path.string()) + ": " + zip_error_strerror(&error);
    zip_error_fini(&error);
    return Error{code == ZIP_ER_NOENT ? ErrorCode::kNotFound : ErrorCode::kInvalidArgument,
                 message};
  }
  return ZipArchive(std::make_unique<Handle>(archive));
}

std::uint64_t ZipArchive::size() const {
  const auto entries = zip_get_num_entries(handle_->archive, 0);
  return entries < 0 ? 0 : static_cast<std::uint64_t>(entries);
}

std::string ZipArchive::NameAt(std::uint64_t index) const {
  const char* name = zip_get_name(handle_->archive, index, ZIP_FL_ENC_GUESS);
  return name == nullptr ? std::string() : std::string(name);
}

Result<std::uint64_t> ZipArchive::Find(const std::string& name) const {
  const auto index = zip_name_locate(handle_->archive, name.c_str(), ZIP_FL_ENC_GUESS);
  if (index < 0) {
    return Error{ErrorCode::kNotFound, "no member \"" + Printable(name) + "\" in the archive"};
  }
  return static_cast<std::uint64_t>(index);
}

Result<std::string> ZipArchive::Read(std::uint64_t index, std::uint64_t limit) const {
  zip_stat_t status;
  zip_stat_init(&status);
  if (zip_stat_index(handle_->archive, index, 0, &status) != 0) {
    return Error{ErrorCode::kDataLoss, zip_strerror(handle_->archive)};
  }
  if ((status.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && status.encryption_method != ZIP_EM_NONE) {
    return Error{ErrorCode::kUnimplemented, "the member is encrypted"};
  }
  if ((status.valid & ZIP_STAT_SIZE) != 0 && status.size > limit) {
    return Error{ErrorCode::kOutOfRange, OverLimit(status.size, limit)};
  }
  zip_file_t* member = zip_fopen_index(handle_->archive, index, 0);
  if (member == nullptr) {
    const int code = zip_error_code_zip(zip_get_error(handle_->archive));
    return Error{code == ZIP_ER_COMPNOTSUPP ? ErrorCode::kUnimplemented : ErrorCode::kDataLoss,
                 zip_strerror(handle_->archive)};
  }
  std::string bytes;
  std::array<char, 64 * 1024> chunk;
  Result<std::string> result = std::string();
  // The header's size is only a claim: what unpacks is counted.
  while (true) {
    const auto read = zip_fread(member, chunk.data(), chunk.size());
    if (read < 0) {
      result = Error{ErrorCode::kDataLoss, std::string("damaged: ") + zip_file_strerror(member)};
      break;
    }
    if (read == 0) {
      result = std::move(bytes);
      break;
    }
    if (bytes.size() + static_cast<std::size_t>(read) > limit) {
      result =
          Error{ErrorCode::kOutOfRange, "unpacks to more than the limit of " + FormatBytes(limit)};
      break;
    }
    bytes.append(chunk.data(), static_cast<std::size_t>(read));
  }
  zip_fclose(member);
  return result;
}

Result<std::unique_ptr<PictureSource>> OpenZipPictures(const std::filesystem::path& path,
                                                       const ReadOptions& options) {
  auto archive = ZipArchive::Open(path);
  if (!archive) return archive.error();
  return std::unique_ptr<PictureSource>(
      std::make_unique<ZipPictures>(*std::move(archive), options));
}

}  // namespace tidewheel::cli
