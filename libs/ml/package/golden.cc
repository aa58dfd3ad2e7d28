#include "tidewheel/ml/package/golden.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "tidewheel/ml/package/file.h"
#include "tidewheel/ml/package/manifest.h"

namespace tidewheel::ml {
namespace {

static_assert(std::endian::native == std::endian::little, "the file's numbers are little-endian");

constexpr std::string_view kMagic = "TWGOLD1\n";
constexpr std::size_t kAtMostBytes = 64u << 20;
constexpr std::size_t kHeaderBytes = kMagic.size() + 3 * sizeof(std::uint64_t);

Error Malformed(const std::string& what) {
  return Error{ErrorCode::kInvalidArgument, "golden samples: " + what};
}

Result<void> Check(const GoldenSamples& golden) {
  // Divisions first: a product of hostile counts must not wrap around.
  const std::size_t most = kAtMostBytes / sizeof(float);
  if (golden.rows == 0 || golden.input_elements == 0 || golden.output_elements == 0) {
    return Malformed("a count is zero");
  }
  if (golden.input_elements > most || golden.output_elements > most ||
      golden.rows > most / (golden.input_elements + golden.output_elements)) {
    return Malformed("more than " + std::to_string(kAtMostBytes) + " bytes");
  }
  return {};
}

}  // namespace

Result<std::string> PrintGoldenSamples(const GoldenSamples& golden) {
  if (const auto fine = Check(golden); !fine) return fine.error();
  if (golden.inputs.size() != golden.rows * golden.input_elements ||
      golden.probabilities.size() != golden.rows * golden.output_elements) {
    return Malformed("the counts do not fit the numbers given");
  }
  const std::array<std::uint64_t, 3> counts = {golden.rows, golden.input_elements,
                                               golden.output_elements};
  const std::size_t input_bytes = golden.inputs.size() * sizeof(float);
  const std::size_t output_bytes = golden.probabilities.size() * sizeof(float);
  std::string bytes(kHeaderBytes + input_bytes + output_bytes, '\0');
  char* to = bytes.data();
  std::memcpy(to, kMagic.data(), kMagic.size());
  std::memcpy(to + kMagic.size(), counts.data(), sizeof counts);
  std::memcpy(to + kHeaderBytes, golden.inputs.data(), input_bytes);
  std::memcpy(to + kHeaderBytes + input_bytes, golden.probabilities.data(), output_bytes);
  return bytes;
}

Result<GoldenSamples> ParseGoldenSamples(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || bytes.substr(0, kMagic.size()) != kMagic) {
    return Malformed("not such a file");
  }
  std::array<std::uint64_t, 3> counts{};
  std::memcpy(counts.data(), bytes.data() + kMagic.size(), sizeof counts);
  GoldenSamples golden{
      .rows = counts[0], .input_elements = counts[1], .output_elements = counts[2]};
  if (const auto fine = Check(golden); !fine) return fine.error();
  const std::size_t inputs = golden.rows * golden.input_elements;
  const std::size_t outputs = golden.rows * golden.output_elements;
  if (bytes.size() != kHeaderBytes + (inputs + outputs) * sizeof(float)) {
    return Malformed("the counts do not fit its " + std::to_string(bytes.size()) + " bytes");
  }
  golden.inputs.resize(inputs);
  golden.probabilities.resize(outputs);
  std::memcpy(golden.inputs.data(), bytes.data() + kHeaderBytes, inputs * sizeof(float));
  std::memcpy(golden.probabilities.data(), bytes.data() + kHeaderBytes + inputs * sizeof(float),
              outputs * sizeof(float));
  for (const auto* numbers : {&golden.inputs, &golden.probabilities}) {
    for (const float number : *numbers) {
      if (!std::isfinite(number)) return Malformed("a number is not finite");
    }
  }
  return golden;
}

Result<GoldenSamples> ReadGoldenSamples(const std::filesystem::path& folder) {
  const auto bytes = ReadPackageFile(folder / kGoldenFile, kAtMostBytes + kHeaderBytes);
  if (!bytes) return bytes.error();
  return ParseGoldenSamples(*bytes);
}

}  // namespace tidewheel::ml
