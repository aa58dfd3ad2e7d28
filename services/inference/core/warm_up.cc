#include "tidewheel/inference/core/warm_up.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/inference/core/request_check.h"

namespace tidewheel::inference {
namespace {

constexpr std::size_t kMostSampleBytes = std::size_t{256} << 20;
constexpr std::size_t kMostCases = 1'000;
// A largest batch that takes longer than this is not tried.
constexpr std::chrono::seconds kMostWarmupCall{2};

Error Wrong(const std::filesystem::path& file, const std::string& what) {
  return {ErrorCode::kInvalidArgument, file.string() + ": " + what};
}

Result<std::vector<std::int64_t>> ParseShape(const std::filesystem::path& file,
                                             std::string_view text) {
  std::vector<std::int64_t> shape;
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.remove_suffix(1);
  }
  while (!text.empty()) {
    std::int64_t size = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), size);
    if (read.ec != std::errc{} || size < 0) return Wrong(file, "sizes with commas are expected");
    shape.push_back(size);
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
    if (!text.empty() && text.front() != ',') {
      return Wrong(file, "sizes with commas are expected");
    }
    if (!text.empty()) text.remove_prefix(1);
  }
  return shape;
}

/// Nothing where there is no such file.
Result<std::optional<Tensor>> ReadTensor(const std::filesystem::path& folder,
                                         const TensorSpec& spec) {
  const auto file = folder / (spec.name + ".raw");
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return std::optional<Tensor>{};
  auto bytes = ReadWholeFile(file, kMostSampleBytes);
  if (!bytes) return bytes.error();
  std::vector<std::int64_t> shape = spec.shape;
  const auto shape_file = folder / (spec.name + ".shape");
  if (std::filesystem::exists(shape_file, error)) {
    const auto text = ReadWholeFile(shape_file, 4'096);
    if (!text) return text.error();
    auto read = ParseShape(shape_file, *text);
    if (!read) return read.error();
    shape = std::move(*read);
  } else if (!shape.empty() && shape.front() < 0 && ElementSize(spec.type) > 0) {
    shape.front() = 1;
    const auto row = ElementCount(shape);
    if (!row || *row == 0) return Wrong(file, "its shape is not known; a file .shape can say it");
    shape.front() = static_cast<std::int64_t>(bytes->size() / (*row * ElementSize(spec.type)));
  }
  Tensor tensor = Tensor::Of(spec.name, spec.type, std::move(shape), std::move(*bytes));
  if (const auto checked = tensor.Check(); !checked) return Wrong(file, checked.error().message);
  return std::optional<Tensor>(std::move(tensor));
}

float HalfToFloat(std::uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int fraction = half & 1023;
  const float sign = (half & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

template <typename T>
T At(std::string_view data, std::size_t index) {
  T value;
  std::memcpy(&value, data.data() + index * sizeof value, sizeof value);
  return value;
}

/// The element as a number; nothing of types that are compared byte by byte.
std::optional<double> NumberAt(const Tensor& tensor, std::size_t index) {
  switch (tensor.type) {
    case DataType::kFp32:
      return At<float>(tensor.data, index);
    case DataType::kFp64:
      return At<double>(tensor.data, index);
    case DataType::kFp16:
      return HalfToFloat(At<std::uint16_t>(tensor.data, index));
    case DataType::kBf16:
      return std::bit_cast<float>(static_cast<std::uint32_t>(At<std::uint16_t>(tensor.data, index))
                                  << 16);
    default:
      return std::nullopt;
  }
}

Result<void> Compare(const std::string& name, const Tensor& expected, const Tensor& given,
                     double tolerance) {
  const auto differs = [&](const std::string& what) {
    return Error{ErrorCode::kFailedPrecondition,
                 "golden case \"" + name + "\", output \"" + expected.name + "\": " + what};
  };
  if (given.type != expected.type || given.shape != expected.shape) {
    return differs("another type or shape");
  }
  if (!NumberAt(Tensor{.type = expected.type, .data = {"\0\0\0\0\0\0\0\0", 8}}, 0)) {
    if (given.data != expected.data) return differs("other values");
    return {};
  }
  const std::size_t elements = expected.data.size() / ElementSize(expected.type);
  for (std::size_t i = 0; i < elements; ++i) {
    const double want = *NumberAt(expected, i);
    const double have = *NumberAt(given, i);
    const bool same = want == have || (std::isnan(want) && std::isnan(have)) ||
                      std::abs(want - have) <= tolerance * (1 + std::abs(want));
    if (!same) {
      return differs("element " + std::to_string(i) + " is " + std::to_string(have) +
                     " instead of " + std::to_string(want));
    }
  }
  return {};
}

Tensor Filled(const TensorSpec& spec, std::vector<std::int64_t> shape, Random* random) {
  const auto elements = ElementCount(shape);
  const std::size_t count = elements ? *elements : 0;
  // Of BYTES, zeros are empty texts.
  const std::size_t width = std::max<std::size_t>(ElementSize(spec.type), 1);
  std::string bytes(spec.type == DataType::kBytes ? count * 4 : count * width, '\0');
  for (std::size_t i = 0; random != nullptr && i < count; ++i) {
    if (spec.type == DataType::kFp32) {
      const auto value = static_cast<float>(random->Uniform());
      std::memcpy(bytes.data() + i * width, &value, width);
    } else if (spec.type == DataType::kFp64) {
      const double value = random->Uniform();
      std::memcpy(bytes.data() + i * width, &value, width);
    } else if (spec.type != DataType::kBytes && spec.type != DataType::kFp16 &&
               spec.type != DataType::kBf16) {
      bytes[i * width] = static_cast<char>(random->Below(2));
    }
  }
  return Tensor::Of(spec.name, spec.type, std::move(shape), std::move(bytes));
}

Result<std::vector<Tensor>> SampleInputs(const ModelSpec& spec, const WarmupSample& sample,
                                         const std::filesystem::path& folder) {
  Random random(1);
  std::vector<Tensor> inputs;
  for (const TensorSpec& wanted : spec.inputs) {
    const auto input =
        std::find_if(sample.inputs.begin(), sample.inputs.end(),
                     [&](const WarmupSample::Input& one) { return one.spec.name == wanted.name; });
    if (input == sample.inputs.end()) {
      return Error{ErrorCode::kInvalidArgument, "it has no input \"" + wanted.name + "\""};
    }
    std::vector<std::int64_t> shape = input->spec.shape;
    for (std::int64_t& size : shape) size = std::max<std::int64_t>(size, 1);
    const std::size_t rows = std::max<std::size_t>(sample.batch_size, 1);
    if (spec.max_batch_size > 0) shape.insert(shape.begin(), static_cast<std::int64_t>(rows));
    if (input->kind != WarmupSample::Input::Kind::kFile) {
      const bool zero = input->kind == WarmupSample::Input::Kind::kZero;
      const auto elements = ElementCount(shape);
      if (!elements || *elements > kMostSampleBytes) {
        return Error{ErrorCode::kInvalidArgument, "input \"" + wanted.name + "\" is too large"};
      }
      inputs.push_back(Filled(wanted, std::move(shape), zero ? nullptr : &random));
      continue;
    }
    const auto row = ReadWholeFile(folder / "warmup" / input->file, kMostSampleBytes);
    if (!row) return row.error();
    // The file holds one row.
    std::string bytes;
    if (row->size() > kMostSampleBytes / rows) {
      return Error{ErrorCode::kInvalidArgument, "input \"" + wanted.name + "\" is too large"};
    }
    for (std::size_t i = 0; i < (spec.max_batch_size > 0 ? rows : 1); ++i) bytes += *row;
    inputs.push_back(Tensor::Of(wanted.name, wanted.type, std::move(shape), std::move(bytes)));
  }
  return inputs;
}

bool SizesAreOpen(const ModelSpec& spec) {
  for (const TensorSpec& input : spec.inputs) {
    for (std::size_t i = spec.max_batch_size > 0 ? 1 : 0; i < input.shape.size(); ++i) {
      if (input.shape[i] < 0) return true;
    }
  }
  return false;
}

}  // namespace

Result<std::string> ReadWholeFile(const std::filesystem::path& path, std::size_t most) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{ErrorCode::kNotFound, path.string() + " cannot be read"};
  std::string bytes;
  char part[65'536];
  while (file.read(part, sizeof part) || file.gcount() > 0) {
    bytes.append(part, static_cast<std::size_t>(file.gcount()));
    if (bytes.size() > most) {
      return Wrong(path, "more than " + std::to_string(most) + " bytes");
    }
  }
  if (file.bad()) return Error{ErrorCode::kNotFound, path.string() + " cannot be read"};
  return bytes;
}

Result<std::vector<GoldenCase>> ReadGoldenCases(const std::filesystem::path& folder,
                                                const ModelSpec& spec) {
  std::vector<GoldenCase> cases;
  std::error_code error;
  std::vector<std::filesystem::path> folders;
  for (std::filesystem::directory_iterator at(folder / "golden", error), end;
       !error && at != end && folders.size() < kMostCases; at.increment(error)) {
    if (at->is_directory(error)) folders.push_back(at->path());
  }
  std::sort(folders.begin(), folders.end());
  for (const auto& path : folders) {
    GoldenCase one{.name = path.filename().string()};
    for (const TensorSpec& input : spec.inputs) {
      auto tensor = ReadTensor(path, input);
      if (!tensor) return tensor.error();
      if (!*tensor) return Wrong(path, "there is no " + input.name + ".raw");
      one.inputs.push_back(std::move(**tensor));
    }
    for (const TensorSpec& output : spec.outputs) {
      auto tensor = ReadTensor(path, output);
      if (!tensor) return tensor.error();
      if (*tensor) one.outputs.push_back(std::move(**tensor));
    }
    if (one.outputs.empty()) return Wrong(path, "there is no output to check");
    cases.push_back(std::move(one));
  }
  return cases;
}

Result<void> CheckGolden(Scheduler& scheduler, const std::vector<GoldenCase>& cases,
                         double tolerance) {
  const ModelSpec& spec = scheduler.spec();
  for (const GoldenCase& one : cases) {
    InferRequest request{.inputs = one.inputs};
    if (const auto fits = FitToSpec(spec, request); !fits) {
      return Prefixed("golden case \"" + one.name + "\": ", fits.error());
    }
    const auto outputs = scheduler.RunAlone(request.inputs);
    if (!outputs) return Prefixed("golden case \"" + one.name + "\": ", outputs.error());
    for (const Tensor& expected : one.outputs) {
      const Tensor* given = nullptr;
      for (std::size_t i = 0; i < spec.outputs.size() && i < outputs->size(); ++i) {
        if (spec.outputs[i].name == expected.name) given = &(*outputs)[i];
      }
      if (given == nullptr) {
        return Error{
            ErrorCode::kFailedPrecondition,
            "golden case \"" + one.name + "\": the model has no output \"" + expected.name + "\""};
      }
      if (const auto same = Compare(one.name, expected, *given, tolerance); !same) return same;
    }
  }
  return {};
}

Result<void> WarmUp(Scheduler& scheduler, const ModelConfig& config,
                    const std::filesystem::path& folder) {
  const ModelSpec& spec = scheduler.spec();
  for (const WarmupSample& sample : config.warmup) {
    const std::string where = "warm-up \"" + sample.name + "\": ";
    const auto inputs = SampleInputs(spec, sample, folder);
    if (!inputs) return Prefixed(where, inputs.error());
    InferRequest request{.inputs = *inputs};
    if (const auto fits = FitToSpec(spec, request); !fits) return Prefixed(where, fits.error());
    for (std::size_t i = 0; i < sample.count; ++i) {
      const auto outputs = scheduler.RunAlone(request.inputs);
      if (!outputs) return Prefixed(where, outputs.error());
    }
  }
  if (!config.warmup.empty()) return {};

  const bool guessed = SizesAreOpen(spec);
  std::vector<std::size_t> sizes = {1};
  if (spec.max_batch_size > 1 && !guessed) sizes.push_back(spec.max_batch_size);
  for (const std::size_t rows : sizes) {
    const auto expected = scheduler.Cost(1) * static_cast<std::int64_t>(rows);
    if (rows > 1 && expected > kMostWarmupCall) break;
    std::vector<Tensor> inputs;
    for (const TensorSpec& wanted : spec.inputs) {
      std::vector<std::int64_t> shape = wanted.shape;
      for (std::int64_t& size : shape) size = size < 0 ? 1 : size;
      if (spec.max_batch_size > 0 && !shape.empty()) {
        shape.front() = static_cast<std::int64_t>(rows);
      }
      const auto elements = ElementCount(shape);
      if (!elements || *elements > kMostSampleBytes) return {};
      inputs.push_back(Filled(wanted, std::move(shape), nullptr));
    }
    // The first call takes memory and says little of what the next ones cost.
    for (int i = 0; i < 2; ++i) {
      const auto outputs = scheduler.RunAlone(inputs, i > 0);
      if (!outputs && guessed) return {};
      if (!outputs) {
        return Prefixed("warm-up with " + std::to_string(rows) + " rows of zeros: ",
                        outputs.error());
      }
    }
  }
  return {};
}

}  // namespace tidewheel::inference
