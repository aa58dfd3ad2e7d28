#include "tidewheel/vision/testing/real_pictures.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>

namespace tidewheel::vision::testing {
namespace {

Error Damaged(const std::filesystem::path& file) {
  return {ErrorCode::kInvalidArgument, file.string() + " is damaged"};
}

Result<std::string> ReadFile(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return Error{ErrorCode::kNotFound, "no file " + file.string()};
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::uint32_t Number(std::string_view bytes, std::size_t at, std::size_t size, bool big_endian) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + (big_endian ? i : size - 1 - i)]);
  }
  return value;
}

// window_bits as zlib has them: -15 raw deflate, 31 gzip. Stops at `size` bytes.
std::optional<std::string> Inflate(std::string_view packed, std::size_t size, int window_bits) {
  z_stream stream{};
  if (inflateInit2(&stream, window_bits) != Z_OK) return std::nullopt;
  std::string out(size, '\0');
  stream.next_in =
      reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));  // zlib only reads it.
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  inflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  inflateEnd(&stream);
  return out;
}

}  // namespace

std::optional<std::filesystem::path> FindDataFolder() {
  std::filesystem::path folder;
  if (const char* data = std::getenv("TIDEWHEEL_DATA"); data != nullptr && *data != '\0') {
    folder = data;
  } else if (const char* source = std::getenv("TIDEWHEEL_SOURCE_DIR"); source != nullptr) {
    folder = std::filesystem::path(source).parent_path() / "shared" / "data";
  }
  std::error_code ignored;
  if (folder.empty() || !std::filesystem::is_directory(folder, ignored)) return std::nullopt;
  return folder;
}

Result<std::vector<EncodedPicture>> TrafficLights(const std::filesystem::path& data_folder) {
  const auto file = data_folder / "traffic_lights" / "traffic_light_images.zip";
  const auto read = ReadFile(file);
  if (!read) return read.error();
  const std::string_view zip = *read;

  // The central directory, found from its end record.
  const std::size_t end = zip.rfind("PK\5\6");
  if (end == std::string_view::npos || end + 22 > zip.size()) return Damaged(file);
  const std::size_t entries = Number(zip, end + 10, 2, false);
  std::size_t at = Number(zip, end + 16, 4, false);
  std::vector<EncodedPicture> pictures;
  for (std::size_t i = 0; i < entries; ++i) {
    if (at + 46 > zip.size() || zip.substr(at, 4) != "PK\1\2") return Damaged(file);
    const std::uint32_t method = Number(zip, at + 10, 2, false);
    const std::size_t packed_size = Number(zip, at + 20, 4, false);
    const std::size_t size = Number(zip, at + 24, 4, false);
    const std::size_t name_size = Number(zip, at + 28, 2, false);
    const std::size_t local = Number(zip, at + 42, 4, false);
    const std::string path(zip.substr(at + 46, name_size));
    at += 46 + name_size + Number(zip, at + 30, 2, false) + Number(zip, at + 32, 2, false);
    if (!path.ends_with(".jpg")) continue;

    const std::size_t start =
        local + 30 + Number(zip, local + 26, 2, false) + Number(zip, local + 28, 2, false);
    const std::string_view packed = zip.substr(start, packed_size);
    const auto bytes =
        method == 0 ? std::optional<std::string>(packed) : Inflate(packed, size, -15);
    if (!bytes || bytes->size() != size) return Damaged(file);
    const std::filesystem::path parts(path);
    pictures.push_back({path, parts.parent_path().parent_path().filename().string(),
                        parts.parent_path().filename().string(), *bytes});
  }
  return pictures;
}

Result<std::vector<Image>> IdxPictures(const std::filesystem::path& file, std::size_t limit) {
  constexpr std::size_t kHeader = 16;
  const auto packed = ReadFile(file);
  if (!packed) return packed.error();
  const auto header = Inflate(*packed, kHeader, 31);
  if (!header || header->size() != kHeader || Number(*header, 0, 4, true) != 0x803)
    return Damaged(file);
  const std::size_t count = std::min<std::size_t>(limit, Number(*header, 4, 4, true));
  const int height = static_cast<int>(Number(*header, 8, 4, true));
  const int width = static_cast<int>(Number(*header, 12, 4, true));
  const std::size_t size = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  const auto bytes = Inflate(*packed, kHeader + count * size, 31);
  if (!bytes || bytes->size() != kHeader + count * size) return Damaged(file);

  std::vector<Image> pictures;
  pictures.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto begin = bytes->begin() + static_cast<std::ptrdiff_t>(kHeader + i * size);
    pictures.push_back({width, height, 1, {begin, begin + static_cast<std::ptrdiff_t>(size)}});
  }
  return pictures;
}

}  // namespace tidewheel::vision::testing
