// What a pushed picture costs in memory, beside decoding it alone.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/blob/sha256.h"
#include "tidewheel/vision/decode.h"
#include "tidewheel/vision/difference_hash.h"
#include "tidewheel/vision/encode.h"
#include "tidewheel/vision/measure.h"
#include "tidewheel/vision/preprocess.h"

namespace tidewheel {
namespace {

struct Picture {
  std::string bytes;
  vision::PreprocessSpec spec;
};

std::uint8_t Noisy(int value, Random& random) {
  const int noisy = value + static_cast<int>(random.Below(17)) - 8;
  return static_cast<std::uint8_t>(noisy < 0 ? 0 : noisy > 255 ? 255 : noisy);
}

/// A dark box with one lit lamp of three, as large as most photographs of the traffic-lights task.
Picture TrafficLight() {
  constexpr int kWidth = 28;
  constexpr int kHeight = 58;
  Random random(1);
  vision::Image image = vision::Image::Filled(kWidth, kHeight, 3, 0);
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      const int dx = x - kWidth / 2;
      const int dy = y - kHeight / 6;
      const bool lit = dx * dx + dy * dy < kWidth * kWidth / 12;
      const std::size_t at = image.Offset(x, y);
      image.pixels[at] = Noisy(lit ? 240 : 40, random);
      image.pixels[at + 1] = Noisy(lit ? 60 : 42, random);
      image.pixels[at + 2] = Noisy(lit ? 50 : 45, random);
    }
  }
  return {vision::EncodeJpeg(image).value(), {}};
}

/// 28 x 28 grey, as Fashion-MNIST is pushed.
Picture Garment(Result<std::string> (*encode)(const vision::Image&)) {
  constexpr int kSide = 28;
  Random random(2);
  vision::Image image = vision::Image::Filled(kSide, kSide, 1, 0);
  for (int y = 4; y < kSide - 4; ++y) {
    for (int x = 6; x < kSide - 6; ++x) image.pixels[image.Offset(x, y)] = Noisy(150, random);
  }
  vision::PreprocessSpec spec;
  spec.width = kSide;
  spec.height = kSide;
  spec.channels = 1;
  spec.mean = {0};
  spec.std = {1};
  return {encode(image).value(), spec};
}

void Decode(benchmark::State& state, const Picture& picture) {
  for (auto _ : state) {
    auto image = vision::Decode(picture.bytes);
    benchmark::DoNotOptimize(image->pixels.data());
  }
}

void Examine(benchmark::State& state, const Picture& picture) {
  std::vector<float> tensor(picture.spec.OutputSize());
  for (auto _ : state) {
    const auto image = vision::Decode(picture.bytes);
    benchmark::DoNotOptimize(blob::Sha256(picture.bytes));
    benchmark::DoNotOptimize(vision::Measure(*image));
    benchmark::DoNotOptimize(vision::DifferenceHash(*image));
    if (!vision::Preprocess(*image, picture.spec, tensor)) {
      state.SkipWithError("preprocessing failed");
      break;
    }
    benchmark::DoNotOptimize(tensor.data());
  }
}

/// Without what only ingestion wants to know.
void Prepare(benchmark::State& state, const Picture& picture) {
  std::vector<float> tensor(picture.spec.OutputSize());
  for (auto _ : state) {
    const auto image = vision::Decode(picture.bytes);
    benchmark::DoNotOptimize(blob::Sha256(picture.bytes));
    if (!vision::Preprocess(*image, picture.spec, tensor)) {
      state.SkipWithError("preprocessing failed");
      break;
    }
    benchmark::DoNotOptimize(tensor.data());
  }
}

BENCHMARK_CAPTURE(Decode, jpeg, TrafficLight())->Name("jpeg/decode")->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Examine, jpeg, TrafficLight())->Name("jpeg/all")->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Decode, pgm, Garment(vision::EncodePgm))
    ->Name("pgm/decode")
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Examine, pgm, Garment(vision::EncodePgm))
    ->Name("pgm/all")
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Prepare, png, Garment(vision::EncodePng))
    ->Name("png/prepare")
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace tidewheel
