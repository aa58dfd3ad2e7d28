#include "tidewheel/cli/readers/idx_reader.h"

#include <algorithm>
#include <array>
#include <utility>

#include "tidewheel/cli/readers/text_rules.h"

namespace tidewheel::cli {
namespace {

constexpr std::uint32_t kPicturesMagic = 0x00000803;
constexpr std::uint32_t kLabelsMagic = 0x00000801;
constexpr std::uint32_t kMaxSide = 16'384;

std::uint32_t BigEndian(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

Error Problem(const std::filesystem::path& path, ErrorCode code, const std::string& what) {
  return {code, Printable(path.string()) + ": " + what};
}

// After the last item nothing may follow: else the header lied, and so may have the items.
Result<void> ExpectEnd(InputFile& file, const std::string& items) {
  char beyond = 0;
  const auto read = file.Read(&beyond, 1);
  if (!read) return read.error();
  if (*read != 0) {
    return Problem(file.path(), ErrorCode::kDataLoss, "bytes after the last of " + items);
  }
  return {};
}

class IdxPictures final : public PictureSource {
 public:
  IdxPictures(InputFile file, std::uint32_t count, std::uint32_t rows, std::uint32_t columns,
              const ReadOptions& options)
      : file_(std::move(file)),
        count_(count),
        header_("P5\n" + std::to_string(columns) + " " + std::to_string(rows) + "\n255\n"),
        pixels_(static_cast<std::size_t>(rows) * columns),
        max_payload_bytes_(options.max_payload_bytes) {
    if (options.split_from_path) {
      if (const auto split = SplitOfPath(file_.path().filename().string())) {
        metadata_[options.split_key] = *split;
      }
    }
  }

  std::optional<std::uint64_t> expected() const override { return count_; }

  Result<std::optional<ReadPicture>> Next() override {
    if (next_ == count_) {
      if (auto ended = ExpectEnd(file_, std::to_string(count_) + " pictures"); !ended) {
        return ended.error();
      }
      return std::optional<ReadPicture>();
    }
    const std::string name = IdxPictureName(file_.path(), next_);
    std::string payload = header_;
    payload.resize(header_.size() + pixels_);
    const auto read = file_.Read(payload.data() + header_.size(), pixels_);
    if (!read) return read.error();
    if (*read < pixels_) {
      return Problem(
          file_.path(), ErrorCode::kDataLoss,
          "ends inside picture " + std::to_string(next_) + " of " + std::to_string(count_));
    }
    ++next_;
    if (payload.size() > max_payload_bytes_) {
      return std::optional<ReadPicture>(
          RefusedPicture{name, OverLimit(payload.size(), max_payload_bytes_)});
    }
    return std::optional<ReadPicture>(Picture{name, std::move(payload), metadata_, {}, {}});
  }

 private:
  InputFile file_;
  const std::uint32_t count_;
  const std::string header_;
  const std::size_t pixels_;
  const std::uint64_t max_payload_bytes_;
  std::map<std::string, std::string> metadata_;
  std::uint32_t next_ = 0;
};

}  // namespace

bool IsIdxPictures(const std::filesystem::path& path) {
  auto file = InputFile::Open(path);
  if (!file) return false;
  std::array<char, 4> magic{};
  const auto read = file->Read(magic.data(), magic.size());
  return read && *read == magic.size() && BigEndian(magic.data()) == kPicturesMagic;
}

Result<std::unique_ptr<PictureSource>> OpenIdxPictures(const std::filesystem::path& path,
                                                       const ReadOptions& options) {
  auto file = InputFile::Open(path);
  if (!file) return file.error();
  std::array<char, 16> header{};
  const auto read = file->Read(header.data(), header.size());
  if (!read) return read.error();
  if (*read < header.size() || BigEndian(header.data()) != kPicturesMagic) {
    return Problem(path, ErrorCode::kInvalidArgument,
                   "not an IDX file of pictures (unsigned bytes, three dimensions)");
  }
  const std::uint32_t count = BigEndian(&header[4]);
  const std::uint32_t rows = BigEndian(&header[8]);
  const std::uint32_t columns = BigEndian(&header[12]);
  if (rows == 0 || columns == 0 || rows > kMaxSide || columns > kMaxSide) {
    return Problem(path, ErrorCode::kInvalidArgument,
                   "pictures of " + std::to_string(columns) + " x " + std::to_string(rows) +
                       " pixels; each side must be 1 to " + std::to_string(kMaxSide));
  }
  if (const auto problem = ProblemOfName(IdxPictureName(path, count)); !problem.empty()) {
    return Problem(path, ErrorCode::kInvalidArgument, problem);
  }
  return std::unique_ptr<PictureSource>(
      std::make_unique<IdxPictures>(*std::move(file), count, rows, columns, options));
}

std::string IdxPictureName(const std::filesystem::path& path, std::uint64_t index) {
  return path.filename().string() + "#" + std::to_string(index);
}

IdxLabels::IdxLabels(InputFile file, std::uint64_t size) : file_(std::move(file)), size_(size) {}

Result<IdxLabels> IdxLabels::Open(const std::filesystem::path& path) {
  auto file = InputFile::Open(path);
  if (!file) return file.error();
  std::array<char, 8> header{};
  const auto read = file->Read(header.data(), header.size());
  if (!read) return read.error();
  if (*read < header.size() || BigEndian(header.data()) != kLabelsMagic) {
    return Problem(path, ErrorCode::kInvalidArgument,
                   "not an IDX file of labels (unsigned bytes, one dimension)");
  }
  return IdxLabels(*std::move(file), BigEndian(&header[4]));
}

Result<std::optional<std::uint8_t>> IdxLabels::Next() {
  if (next_ == size_) {
    if (auto ended = ExpectEnd(file_, std::to_string(size_) + " labels"); !ended) {
      return ended.error();
    }
    return std::optional<std::uint8_t>();
  }
  if (position_ == buffer_.size()) {
    buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(size_ - next_, 64 * 1024)));
    position_ = 0;
    const auto read = file_.Read(buffer_.data(), buffer_.size());
    if (!read) return read.error();
    if (*read < buffer_.size()) {
      return Problem(file_.path(), ErrorCode::kDataLoss,
                     "ends after " + std::to_string(next_ + *read) + " of " +
                         std::to_string(size_) + " labels");
    }
  }
  ++next_;
  return std::optional<std::uint8_t>(static_cast<std::uint8_t>(buffer_[position_++]));
}

}  // namespace tidewheel::cli
