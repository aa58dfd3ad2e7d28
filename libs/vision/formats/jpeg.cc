#include <turbojpeg.h>

#include <memory>
#include <string>
#include <type_traits>

#include "tidewheel/vision/encode.h"
#include "tidewheel/vision/formats/format.h"

namespace tidewheel::vision {
namespace {

struct DestroyCodec {
  void operator()(void* codec) const { tjDestroy(codec); }
};
// TurboJPEG catches libjpeg's longjmp inside itself, so none crosses our frames.
using Codec = std::unique_ptr<void, DestroyCodec>;

Error JpegError(const Codec& codec) {
  return {ErrorCode::kInvalidArgument,
          std::string("JPEG is damaged: ") + tjGetErrorStr2(codec.get())};
}

Error NoCodec() { return {ErrorCode::kResourceExhausted, "no memory for a JPEG codec"}; }

const unsigned char* Bytes(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

// Some cameras pad the end; nothing can follow the end marker (d9), so every pixel came before this
// complaint.
bool IsHarmless(std::string_view warning) {
  return warning.ends_with("extraneous bytes before marker 0xd9");
}

}  // namespace

namespace formats {

bool IsJpeg(std::string_view bytes) { return bytes.substr(0, 3) == "\xFF\xD8\xFF"; }

Result<ImageHeader> ProbeJpeg(std::string_view bytes) {
  const Codec codec(tjInitDecompress());
  if (!codec) return NoCodec();
  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colours = 0;
  if (tjDecompressHeader3(codec.get(), Bytes(bytes), bytes.size(), &width, &height, &subsampling,
                          &colours) != 0) {
    return JpegError(codec);
  }
  if (colours == TJCS_CMYK || colours == TJCS_YCCK) {
    return Error{ErrorCode::kUnimplemented,
                 "JPEG in CMYK colours is not read; save it in RGB or grey"};
  }
  return ImageHeader{ImageFormat::kJpeg, width, height, colours == TJCS_GRAY ? 1 : 3};
}

Result<Image> ReadJpeg(std::string_view bytes, const ImageHeader& header) {
  const Codec codec(tjInitDecompress());
  if (!codec) return NoCodec();
  Image image = Image::Filled(header.width, header.height, header.channels, 0);
  // The scan limit stops small progressive files that take minutes. The accurate transform is the
  // same on every machine.
  const int flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS;
  const int format = header.channels == 1 ? TJPF_GRAY : TJPF_RGB;
  const auto decode = [&](int more_flags) {
    return tjDecompress2(codec.get(), Bytes(bytes), bytes.size(), image.pixels.data(), header.width,
                         header.width * header.channels, header.height, format, flags | more_flags);
  };
  if (decode(TJFLAG_STOPONWARNING) == 0) return image;
  if (!IsHarmless(tjGetErrorStr2(codec.get()))) return JpegError(codec);
  if (decode(0) != 0 && tjGetErrorCode(codec.get()) != TJERR_WARNING) return JpegError(codec);
  return image;
}

}  // namespace formats

Result<std::string> EncodeJpeg(const Image& image, int quality) {
  if (!IsWellFormed(image))
    return Error{ErrorCode::kInvalidArgument, "picture to encode is not well formed"};
  if (quality < 1 || quality > 100) {
    return Error{ErrorCode::kInvalidArgument,
                 "JPEG quality " + std::to_string(quality) + " is not in 1..100"};
  }
  const Codec codec(tjInitCompress());
  if (!codec) return NoCodec();
  const int subsampling = image.channels == 1 ? TJSAMP_GRAY : TJSAMP_420;
  std::string bytes(tjBufSize(image.width, image.height, subsampling), '\0');
  auto* out = reinterpret_cast<unsigned char*>(bytes.data());
  unsigned long size = bytes.size();  // NOLINT(google-runtime-int): TurboJPEG's type.
  if (tjCompress2(codec.get(), image.pixels.data(), image.width, image.width * image.channels,
                  image.height, image.channels == 1 ? TJPF_GRAY : TJPF_RGB, &out, &size,
                  subsampling, quality, TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT) != 0) {
    return Error{ErrorCode::kInvalidArgument,
                 std::string("JPEG cannot be written: ") + tjGetErrorStr2(codec.get())};
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace tidewheel::vision
