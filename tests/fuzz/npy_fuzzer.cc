// Any bytes as an array file: an error or numbers, never a crash, and the same numbers in every
// type they are read as.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "must.h"
#include "tidewheel/cli/readers/npy_reader.h"

namespace {

using tidewheel::cli::NpyFile;
using tidewheel::fuzz::Must;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file =
      NpyFile::Of(std::as_bytes(std::span(data, size)), "fuzzed.npy", {.copied_bytes = 1 << 20});
  if (!file) {
    Must(!file.error().message.empty());
    return 0;
  }
  const auto& header = file->header();
  const auto doubles = file->Doubles();
  const auto integers = file->Integers();
  const auto floats = file->Floats();
  if (doubles) Must(doubles->values.size() == header.count && doubles->shape == header.shape);
  if (floats && doubles) {
    Must(floats->values.size() == header.count);
    for (std::size_t i = 0; i < header.count; ++i) {
      const double wide = floats->values[i];
      Must(wide == doubles->values[i] || (std::isnan(wide) && std::isnan(doubles->values[i])));
    }
  }
  if (integers) {
    // Whatever is whole and small has all its digits in a double.
    Must(doubles.ok() || integers->copied);
    for (std::size_t i = 0; doubles && i < header.count; ++i) {
      Must(integers->values[i] == doubles->values[i]);
    }
  }
  if (doubles && header.shape.size() == 2) Must(doubles->Matrix().Fits());
  return 0;
}
