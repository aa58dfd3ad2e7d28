#include <png.h>

#include <csetjmp>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "tidewheel/vision/encode.h"
#include "tidewheel/vision/formats/format.h"

namespace tidewheel::vision {
namespace {

constexpr std::string_view kSignature("\x89PNG\r\n\x1a\n", 8);
constexpr std::size_t kMaxChunkBytes =
    1U << 20;  // Text and profiles are skipped, palettes are far smaller.

// libpng leaves by longjmp. Everything between setjmp and the jump is therefore trivial: no
// destructor can be skipped.
struct Reading {
  std::jmp_buf escape;
  char message[128];
  const unsigned char* next;
  std::size_t left;
};
static_assert(std::is_trivially_destructible_v<Reading>);

[[noreturn]] void Escape(png_structp png, png_const_charp message) {
  auto* reading = static_cast<Reading*>(png_get_error_ptr(png));
  std::strncpy(reading->message, message, sizeof reading->message - 1);
  std::longjmp(reading->escape, 1);
}

void IgnoreWarning(png_structp /*png*/, png_const_charp /*message*/) {}

void ReadBytes(png_structp png, png_bytep out, std::size_t size) {
  auto* reading = static_cast<Reading*>(png_get_io_ptr(png));
  if (size > reading->left) png_error(png, "it ends early");
  std::memcpy(out, reading->next, size);
  reading->next += size;
  reading->left -= size;
}

struct Reader {
  explicit Reader(std::string_view bytes) {
    reading.next = reinterpret_cast<const unsigned char*>(bytes.data());
    reading.left = bytes.size();
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reading, Escape, IgnoreWarning);
    if (png != nullptr) info = png_create_info_struct(png);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Error Damaged() const {
    return {ErrorCode::kInvalidArgument, std::string("PNG is damaged: ") + reading.message};
  }

  Reading reading{};
  png_structp png = nullptr;
  png_infop info = nullptr;
};

// Raw channels (1: grey, 2: grey and alpha, 3: RGB, 4: RGB and alpha), or 0 with a message.
int ReadHeader(Reader& reader) noexcept {
  if (setjmp(reader.reading.escape) != 0) return 0;
  png_structp png = reader.png;
  png_set_read_fn(png, &reader.reading, ReadBytes);
  png_set_chunk_malloc_max(png, kMaxChunkBytes);
  png_set_user_limits(png, PNG_UINT_31_MAX,
                      PNG_UINT_31_MAX);  // Ours are checked between header and pixels.
  // Colours are taken as stored, so every chunk but size, palette, transparency and pixels is
  // skipped.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(png, reader.info);
  png_set_expand(png);
  png_set_scale_16(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, reader.info);
  return png_get_channels(png, reader.info);
}

bool ReadRows(Reader& reader, unsigned char** rows) noexcept {
  if (setjmp(reader.reading.escape) != 0) return false;
  png_read_image(reader.png, rows);
  png_read_end(reader.png, nullptr);
  return true;
}

std::uint32_t BigEndian(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

namespace formats {

bool IsPng(std::string_view bytes) { return bytes.substr(0, kSignature.size()) == kSignature; }

Result<ImageHeader> ProbePng(std::string_view bytes) {
  // Signature, length, "IHDR", width, height, depth, colour type: read here so that a bomb costs
  // nothing at all.
  if (bytes.size() < 33 || bytes.substr(12, 4) != "IHDR") {
    return Error{ErrorCode::kInvalidArgument, "PNG is damaged: it has no header"};
  }
  const std::uint32_t width = BigEndian(bytes.data() + 16);
  const std::uint32_t height = BigEndian(bytes.data() + 20);
  if (width == 0 || height == 0 || width > PNG_UINT_31_MAX || height > PNG_UINT_31_MAX) {
    return Error{ErrorCode::kInvalidArgument, "PNG is damaged: its size is " +
                                                  std::to_string(width) + " x " +
                                                  std::to_string(height) + " pixels"};
  }
  const bool coloured = (static_cast<unsigned char>(bytes[25]) & PNG_COLOR_MASK_COLOR) != 0;
  return ImageHeader{ImageFormat::kPng, static_cast<int>(width), static_cast<int>(height),
                     coloured ? 3 : 1};
}

Result<Image> ReadPng(std::string_view bytes, const ImageHeader& header) {
  Reader reader(bytes);
  if (reader.info == nullptr)
    return Error{ErrorCode::kResourceExhausted, "no memory for a PNG reader"};
  const int channels = ReadHeader(reader);
  if (channels == 0) return reader.Damaged();

  const auto width = static_cast<std::size_t>(header.width);
  const auto height = static_cast<std::size_t>(header.height);
  const auto raw_channels = static_cast<std::size_t>(channels);
  std::vector<std::uint8_t> raw(width * height * raw_channels);
  std::vector<unsigned char*> rows(height);
  for (std::size_t y = 0; y < height; ++y) rows[y] = raw.data() + y * width * raw_channels;
  if (!ReadRows(reader, rows.data())) return reader.Damaged();

  Image image{header.width, header.height, header.channels, std::move(raw)};
  if (raw_channels == static_cast<std::size_t>(header.channels)) return image;
  // In place: the result is shorter than what it is made of.
  const std::size_t colours = raw_channels - 1;
  const std::uint8_t* from = image.pixels.data();
  std::uint8_t* to = image.pixels.data();
  for (std::size_t i = 0; i < width * height; ++i, from += raw_channels) {
    const unsigned alpha = from[colours];
    for (std::size_t c = 0; c < colours; ++c) *to++ = OverBackground(from[c], alpha);
  }
  image.pixels.resize(width * height * colours);
  return image;
}

}  // namespace formats

Result<std::string> EncodePng(const Image& image) {
  if (!IsWellFormed(image))
    return Error{ErrorCode::kInvalidArgument, "picture to encode is not well formed"};
  // libpng's simplified interface catches its own longjmp.
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = image.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(png), '\0');
  png_alloc_size_t size = bytes.size();
  if (png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr) ==
      0) {
    return Error{ErrorCode::kInvalidArgument, std::string("PNG cannot be written: ") + png.message};
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace tidewheel::vision
