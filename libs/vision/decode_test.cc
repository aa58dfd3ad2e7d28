#include "tidewheel/vision/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>
#include <sys/resource.h>
#include <turbojpeg.h>
#include <webp/encode.h>

#include <cmath>
#include <cstring>
#include <functional>

#include "tidewheel/base/random.h"
#include "tidewheel/vision/encode.h"

namespace tidewheel::vision {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A smooth picture, which lossy formats keep.
Image Gradient(int width, int height, int channels) {
  Image image = Image::Filled(width, height, channels, 0);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        image.pixels[image.Offset(x, y) + static_cast<std::size_t>(c)] =
            static_cast<std::uint8_t>((x * 200 / width + y * 50 / height + c * 3) % 256);
      }
    }
  }
  return image;
}

double MeanDifference(const Image& a, const Image& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

void Append(png_structp png, png_bytep bytes, std::size_t size) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<char*>(bytes), size);
}

// A PNG of any kind, from rows as libpng wants them.
std::string WritePng(unsigned width, unsigned height, int depth, int colour, int interlace,
                     std::vector<std::uint8_t> raw,
                     const std::function<void(png_structp, png_infop)>& extra = {}) {
  std::string bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &bytes, Append, nullptr);
  png_set_IHDR(png, info, width, height, depth, colour, interlace, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (extra) extra(png, info);
  png_write_info(png, info);
  const std::size_t stride = raw.size() / height;
  std::vector<png_bytep> rows(height);
  for (std::size_t y = 0; y < height; ++y) rows[y] = raw.data() + y * stride;
  png_write_image(png, rows.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

std::string WriteWebp(const Image& rgb) {
  std::uint8_t* out = nullptr;
  const std::size_t size =
      WebPEncodeLosslessRGB(rgb.pixels.data(), rgb.width, rgb.height, rgb.width * 3, &out);
  std::string bytes(reinterpret_cast<char*>(out), size);
  WebPFree(out);
  return bytes;
}

TEST(DecodeTest, LosslessFormatsGiveBackThePixels) {
  const Image rgb = Gradient(37, 23, 3);
  const Image grey = Gradient(37, 23, 1);

  EXPECT_EQ(*Decode(*EncodePng(rgb)), rgb);
  EXPECT_EQ(*Decode(*EncodePng(grey)), grey);
  EXPECT_EQ(*Decode(*EncodePpm(rgb)), rgb);
  EXPECT_EQ(*Decode(*EncodePgm(grey)), grey);
  EXPECT_EQ(*Decode(WriteWebp(rgb)), rgb);
}

TEST(DecodeTest, JpegComesBackNearlyEqualInGreyAndColour) {
  for (const int channels : {1, 3}) {
    const Image image = Gradient(61, 40, channels);
    const auto decoded = Decode(*EncodeJpeg(image, 95));
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_EQ(decoded->channels, channels);
    EXPECT_LT(MeanDifference(image, *decoded), 3);
  }
}

TEST(DecodeTest, ProgressiveJpegIsRead) {
  const Image image = Gradient(64, 48, 3);
  tjhandle codec = tjInitCompress();
  unsigned char* out = nullptr;
  unsigned long size = 0;  // NOLINT(google-runtime-int): TurboJPEG's type.
  ASSERT_EQ(tjCompress2(codec, image.pixels.data(), 64, 0, 48, TJPF_RGB, &out, &size, TJSAMP_444,
                        95, TJFLAG_PROGRESSIVE),
            0);
  const std::string bytes(reinterpret_cast<char*>(out), size);
  tjFree(out);
  tjDestroy(codec);

  const auto decoded = Decode(bytes);

  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_LT(MeanDifference(image, *decoded), 3);
  EXPECT_FALSE(Decode(std::string_view(bytes).substr(0, size / 2)).ok());
}

TEST(DecodeTest, CmykJpegIsRefusedByName) {
  const std::vector<std::uint8_t> cmyk(16 * 16 * 4, 100);
  tjhandle codec = tjInitCompress();
  unsigned char* out = nullptr;
  unsigned long size = 0;  // NOLINT(google-runtime-int): TurboJPEG's type.
  ASSERT_EQ(tjCompress2(codec, cmyk.data(), 16, 0, 16, TJPF_CMYK, &out, &size, TJSAMP_444, 90, 0),
            0);
  const std::string bytes(reinterpret_cast<char*>(out), size);
  tjFree(out);
  tjDestroy(codec);

  const auto decoded = Decode(bytes);

  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().code, ErrorCode::kUnimplemented);
  EXPECT_EQ(decoded.error().message, "JPEG in CMYK colours is not read; save it in RGB or grey");
}

TEST(DecodeTest, PaletteOneBitAndSixteenBitPngAreExpanded) {
  const std::string palette =
      WritePng(2, 1, 8, PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE, {1, 0},
               [](png_structp png, png_infop info) {
                 static constexpr png_color kColours[] = {{10, 20, 30}, {40, 50, 60}};
                 png_set_PLTE(png, info, kColours, 2);
               });
  EXPECT_THAT(Decode(palette)->pixels, ElementsAre(40, 50, 60, 10, 20, 30));

  const std::string one_bit =
      WritePng(3, 1, 1, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, {0b101'00000});
  EXPECT_THAT(Decode(one_bit)->pixels, ElementsAre(255, 0, 255));

  const std::string deep =
      WritePng(2, 1, 16, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, {0x80, 0x80, 0x00, 0xFF});
  EXPECT_THAT(Decode(deep)->pixels, ElementsAre(128, 1));  // 255/257 rounds to 1.
}

TEST(DecodeTest, TransparentPixelsLieOverWhite) {
  const std::string rgba = WritePng(3, 1, 8, PNG_COLOR_TYPE_RGB_ALPHA, PNG_INTERLACE_NONE,
                                    {9, 9, 9, 0, 100, 0, 200, 255, 0, 0, 0, 51});
  EXPECT_THAT(Decode(rgba)->pixels, ElementsAre(255, 255, 255, 100, 0, 200, 204, 204, 204));

  const std::string grey_alpha =
      WritePng(2, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_INTERLACE_NONE, {7, 0, 7, 255});
  EXPECT_EQ(Decode(grey_alpha)->channels, 1);
  EXPECT_THAT(Decode(grey_alpha)->pixels, ElementsAre(255, 7));

  const std::string keyed = WritePng(2, 1, 8, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, {7, 8},
                                     [](png_structp png, png_infop info) {
                                       png_color_16 key{};
                                       key.gray = 7;
                                       png_set_tRNS(png, info, nullptr, 0, &key);
                                     });
  EXPECT_THAT(Decode(keyed)->pixels, ElementsAre(255, 8));
}

TEST(DecodeTest, InterlacedPngEqualsThePlainOne) {
  const Image image = Gradient(13, 11, 3);
  const std::string interlaced =
      WritePng(13, 11, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7, image.pixels);
  EXPECT_EQ(*Decode(interlaced), image);
}

TEST(DecodeTest, PnmScalesOtherRangesAndSkipsComments) {
  EXPECT_THAT(Decode(std::string("P5 # made by hand\n2 1\n#x\n15\n\x0F\x07", 30))->pixels,
              ElementsAre(255, 119));
  EXPECT_THAT(Decode(std::string("P5\n2 1\n65535\n\xFF\xFF\x80\x00", 17))->pixels,
              ElementsAre(255, 128));
  EXPECT_THAT(Decode(std::string("P6\n1 1\n511\n\x01\xFF\x00\x00\x00\xFF", 17))->pixels,
              ElementsAre(255, 0, 127));
}

TEST(DecodeTest, ProbeTellsTheSameAsDecode) {
  const Image rgb = Gradient(20, 10, 3);
  for (const std::string& bytes :
       {*EncodeJpeg(rgb), *EncodePng(rgb), *EncodePpm(rgb), WriteWebp(rgb)}) {
    const auto header = Probe(bytes);
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->width, 20);
    EXPECT_EQ(header->height, 10);
    EXPECT_EQ(header->channels, Decode(bytes)->channels);
  }
}

TEST(DecodeTest, PngBombCostsNothing) {
  std::string bomb = *EncodePng(Gradient(4, 4, 3));
  const unsigned char side[] = {0, 0, 0x75, 0x30};  // 30,000.
  std::memcpy(bomb.data() + 16, side, 4);
  std::memcpy(bomb.data() + 20, side, 4);
  rusage before{};
  getrusage(RUSAGE_SELF, &before);

  const auto decoded = Decode(bomb);

  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().code, ErrorCode::kOutOfRange);
  EXPECT_EQ(decoded.error().message,
            "PNG of 30000 x 30000 pixels is over the limit of 40000000 pixels");
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 8 << 10);  // KiB.
}

TEST(DecodeTest, LimitsAreNamedForBytesPixelsAndSides) {
  const Image image = Gradient(100, 10, 1);
  const std::string pgm = *EncodePgm(image);

  EXPECT_EQ(Decode(pgm, {.max_bytes = 500}).error().message,
            "picture of " + std::to_string(pgm.size()) + " bytes is over the limit of 500 bytes");
  EXPECT_EQ(Decode(pgm, {.max_pixels = 999}).error().message,
            "PGM of 100 x 10 pixels is over the limit of 999 pixels");
  EXPECT_EQ(Decode(pgm, {.max_side = 64}).error().message,
            "PGM of 100 x 10 pixels is over the limit of 64 pixels a side");
  EXPECT_EQ(Decode("P6 2000000000 2000000000 255\n").error().code, ErrorCode::kOutOfRange);
  EXPECT_TRUE(Decode(pgm, {.max_bytes = pgm.size(), .max_pixels = 1'000, .max_side = 100}).ok());
}

TEST(DecodeTest, APictureThatEndsEarlyIsAnError) {
  const Image rgb = Gradient(50, 40, 3);
  for (const std::string& bytes :
       {*EncodeJpeg(rgb), *EncodePng(rgb), *EncodePpm(rgb), WriteWebp(rgb)}) {
    ASSERT_TRUE(Decode(bytes).ok());
    for (std::size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 97) {
      EXPECT_FALSE(Decode(std::string_view(bytes).substr(0, size)).ok())
          << bytes.substr(0, 2) << " cut to " << size;
    }
  }
  EXPECT_THAT(Decode(std::string_view(*EncodeJpeg(rgb)).substr(0, 700)).error().message,
              HasSubstr("JPEG is damaged"));
}

TEST(DecodeTest, WhatFollowsACompletePictureIsIgnored) {
  const Image rgb = Gradient(16, 16, 3);
  for (const std::string& bytes : {*EncodeJpeg(rgb), *EncodePng(rgb), *EncodePpm(rgb)}) {
    EXPECT_EQ(*Decode(bytes + std::string(100, 'x')), *Decode(bytes));
  }
}

TEST(DecodeTest, PaddingBeforeTheEndOfAJpegIsHarmless) {
  const std::string bytes = *EncodeJpeg(Gradient(32, 32, 3));
  std::string padded = bytes;
  padded.insert(padded.size() - 2, std::string(8, '\0'));
  EXPECT_EQ(*Decode(padded), *Decode(bytes));
}

TEST(DecodeTest, OtherBytesAreRefusedByName) {
  EXPECT_EQ(Decode("").error().message, "picture of 0 bytes");
  EXPECT_EQ(
      Decode(std::string_view("\0\1\2\3garbage", 11)).error().message,
      "unknown picture format (first bytes 00 01 02 03); JPEG, PNG, PGM, PPM and WebP are read");
  EXPECT_EQ(Decode("GIF89a....").error().code, ErrorCode::kUnimplemented);
  EXPECT_THAT(Decode("GIF89a....").error().message, HasSubstr("GIF pictures are not read"));
  EXPECT_THAT(Decode("P5\n0 4\n255\n").error().message, HasSubstr("0 x 4"));
  EXPECT_THAT(Decode("P5\n4 4\n70000\nxxxxxxxxxxxxxxxx").error().message,
              HasSubstr("largest value"));
  EXPECT_FALSE(Decode(std::string("\xFF\xD8\xFF") + std::string(200, 'x')).ok());
  EXPECT_FALSE(Decode("RIFF\x10\0\0\0WEBPVP8 garbage").ok());
}

TEST(DecodeTest, DamagedBytesNeverCrash) {
  Random random(7);
  const Image rgb = Gradient(24, 18, 3);
  const std::vector<std::string> pictures = {
      *EncodeJpeg(rgb), *EncodePng(rgb), *EncodePpm(rgb), WriteWebp(rgb),
      WritePng(24, 18, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7, rgb.pixels)};
  int refused = 0;
  for (int i = 0; i < 3'000; ++i) {
    std::string bytes = pictures[random.Below(pictures.size())];
    for (std::uint64_t hits = 1 + random.Below(4); hits > 0; --hits) {
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
    }
    const auto decoded = Decode(bytes, {.max_pixels = 1'000'000});
    if (decoded) {
      EXPECT_TRUE(IsWellFormed(*decoded));
    } else {
      EXPECT_FALSE(decoded.error().message.empty());
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
}

TEST(EncodeTest, RefusesWhatDoesNotFit) {
  EXPECT_FALSE(EncodePgm(Gradient(4, 4, 3)).ok());
  EXPECT_FALSE(EncodePpm(Gradient(4, 4, 1)).ok());
  EXPECT_FALSE(EncodePng(Image{4, 4, 3, {}}).ok());
  EXPECT_FALSE(EncodeJpeg(Gradient(4, 4, 3), 0).ok());
}

}  // namespace
}  // namespace tidewheel::vision
