#include "tidewheel/ml/dataset.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

namespace tidewheel::ml {
namespace {

static_assert(std::endian::native == std::endian::little, "the file's numbers are little-endian");

constexpr std::array<char, 8> kMagic = {'T', 'W', 'D', 'A', 'T', 'A', '1', '\n'};

/// The file: this header, the elements, padding to four bytes, the labels, the weights.
struct Header {
  std::array<char, 8> magic{};
  std::uint32_t type = 0;
  std::int32_t channels = 0;
  std::int32_t height = 0;
  std::int32_t width = 0;
  std::uint64_t rows = 0;
  std::array<std::byte, 32> reserved{};
};
static_assert(sizeof(Header) == 64);

constexpr std::array<float, 256> kFloatOfByte = [] {
  std::array<float, 256> floats{};
  for (int byte = 0; byte < 256; ++byte) {
    floats[static_cast<std::size_t>(byte)] = static_cast<float>(byte) / 255.0f;
  }
  return floats;
}();

constexpr std::size_t SizeOf(ElementType type) { return type == ElementType::kUint8 ? 1 : 4; }

constexpr std::size_t PaddedToFour(std::size_t bytes) { return (bytes + 3) / 4 * 4; }

Error Wrong(std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; }

bool IsFine(float weight) { return std::isfinite(weight) && weight >= 0; }

Result<void> CheckShape(const ImageShape& shape, ElementType type) {
  constexpr int kMostSize = 1 << 16;
  for (const int size : {shape.channels, shape.height, shape.width}) {
    if (size < 1 || size > kMostSize) return Wrong("a dataset's sizes must be 1 to 65536");
  }
  if (type != ElementType::kFloat32 && type != ElementType::kUint8) {
    return Wrong("a dataset's elements must be float32 or uint8");
  }
  return {};
}

}  // namespace

void TensorDataset::CopyRows(std::span<const std::uint32_t> indices, float* out) const {
  const std::size_t count = shape.elements();
  for (const std::uint32_t index : indices) {
    const std::byte* row = elements.data() + index * count * SizeOf(type);
    if (type == ElementType::kFloat32) {
      std::memcpy(out, row, count * sizeof(float));
    } else {
      for (std::size_t i = 0; i < count; ++i) {
        out[i] = kFloatOfByte[std::to_integer<std::size_t>(row[i])];
      }
    }
    out += count;
  }
}

TensorDataset ViewOf(const ImageShape& shape, std::span<const float> elements,
                     std::span<const std::int32_t> labels, std::span<const float> weights) {
  return {.shape = shape,
          .type = ElementType::kFloat32,
          .elements = std::as_bytes(elements),
          .labels = labels,
          .weights = weights};
}

Result<void> CheckDataset(const TensorDataset& dataset, int classes) {
  if (const auto fine = CheckShape(dataset.shape, dataset.type); !fine) return fine;
  if (dataset.rows() > std::numeric_limits<std::uint32_t>::max()) {
    return Wrong("a dataset has at most 2^32 - 1 rows");
  }
  if (dataset.elements.size() != dataset.rows() * dataset.shape.elements() * SizeOf(dataset.type)) {
    return Wrong("a dataset of " + std::to_string(dataset.rows()) + " labels holds " +
                 std::to_string(dataset.elements.size()) + " bytes of elements, not " +
                 std::to_string(dataset.shape.elements() * SizeOf(dataset.type)) + " for each");
  }
  if (!dataset.weights.empty() && dataset.weights.size() != dataset.rows()) {
    return Wrong("a dataset of " + std::to_string(dataset.rows()) + " rows has " +
                 std::to_string(dataset.weights.size()) + " weights");
  }
  for (std::size_t row = 0; row < dataset.rows(); ++row) {
    const std::int32_t label = dataset.labels[row];
    if (label < 0 || label >= classes) {
      return Wrong("row " + std::to_string(row) + " has label " + std::to_string(label) + " of " +
                   std::to_string(classes) + " classes");
    }
    if (!dataset.weights.empty() && !IsFine(dataset.weights[row])) {
      return Wrong("the weight of row " + std::to_string(row) + " is negative or not finite");
    }
  }
  return {};
}

struct DatasetFile::Mapping {
  Mapping(void* start, std::size_t length) : address(start), size(length) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { munmap(address, size); }

  void* address;
  std::size_t size;
};

DatasetFile::DatasetFile(std::unique_ptr<Mapping> mapping) : mapping_(std::move(mapping)) {}
DatasetFile::DatasetFile(DatasetFile&&) noexcept = default;
DatasetFile& DatasetFile::operator=(DatasetFile&&) noexcept = default;
DatasetFile::~DatasetFile() = default;

Result<DatasetFile> DatasetFile::Open(const std::filesystem::path& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return Error{errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kInternal,
                 path.string() + ": " + std::strerror(errno)};
  }
  struct stat status {};
  const bool known = fstat(descriptor, &status) == 0;
  const auto size = known ? static_cast<std::size_t>(status.st_size) : 0;
  void* address = MAP_FAILED;
  if (size >= sizeof(Header)) address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  close(descriptor);
  if (address == MAP_FAILED) return Wrong(path.string() + " is not a dataset file");
  DatasetFile file(std::make_unique<Mapping>(address, size));

  Header header;
  std::memcpy(&header, address, sizeof header);
  const auto type = static_cast<ElementType>(header.type);
  const ImageShape shape{header.channels, header.height, header.width};
  if (header.magic != kMagic || !CheckShape(shape, type) || header.rows > size) {
    return Wrong(path.string() + " is not a finished dataset file");
  }
  // Below 2^48 bytes a row and no more rows than bytes: the test by division comes first, then no
  // product wraps.
  const std::size_t rows = header.rows;
  const std::size_t row_bytes = shape.elements() * SizeOf(type);
  const bool fits = rows == 0 || row_bytes <= size / rows;
  const std::size_t labels_at = fits ? PaddedToFour(sizeof(Header) + rows * row_bytes) : size;
  if (!fits || size != labels_at + rows * (sizeof(std::int32_t) + sizeof(float))) {
    return Wrong(path.string() + " has " + std::to_string(size) + " bytes, which do not fit its " +
                 std::to_string(rows) + " rows");
  }
  const auto* bytes = static_cast<const std::byte*>(address);
  const auto* labels = reinterpret_cast<const std::int32_t*>(bytes + labels_at);
  const auto* weights =
      reinterpret_cast<const float*>(bytes + labels_at + rows * sizeof(std::int32_t));
  file.view_ = {.shape = shape,
                .type = type,
                .elements = {bytes + sizeof(Header), rows * row_bytes},
                .labels = {labels, rows},
                .weights = {weights, rows}};
  return file;
}

struct DatasetFileWriter::State {
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (file != nullptr) std::fclose(file);
  }

  Error Refused() const {
    return Error{ErrorCode::kInternal,
                 "cannot write " + path.string() + ": " + std::strerror(errno)};
  }
  bool Write(const void* bytes, std::size_t count) const {
    return std::fwrite(bytes, 1, count, file) == count;
  }

  std::filesystem::path path;
  ImageShape shape;
  ElementType type = ElementType::kFloat32;
  std::FILE* file = nullptr;
  std::vector<std::uint8_t> bytes_of_row;
  std::vector<std::int32_t> labels;
  std::vector<float> weights;
};

DatasetFileWriter::DatasetFileWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
DatasetFileWriter::DatasetFileWriter(DatasetFileWriter&&) noexcept = default;
DatasetFileWriter& DatasetFileWriter::operator=(DatasetFileWriter&&) noexcept = default;
DatasetFileWriter::~DatasetFileWriter() = default;

Result<DatasetFileWriter> DatasetFileWriter::Create(const std::filesystem::path& path,
                                                    const ImageShape& shape, ElementType type) {
  if (const auto fine = CheckShape(shape, type); !fine) return fine.error();
  auto state = std::make_unique<State>();
  state->path = path;
  state->shape = shape;
  state->type = type;
  state->file = std::fopen(path.c_str(), "wbe");
  if (state->file == nullptr) return state->Refused();
  // Room for the header; the real one comes last, so that an unfinished file is none.
  if (const Header blank; !state->Write(&blank, sizeof blank)) return state->Refused();
  return DatasetFileWriter(std::move(state));
}

Result<void> DatasetFileWriter::Append(std::span<const float> row, std::int32_t label,
                                       float weight) {
  State& state = *state_;
  if (row.size() != state.shape.elements()) {
    return Wrong("a row of " + std::to_string(row.size()) + " elements for a shape of " +
                 std::to_string(state.shape.elements()));
  }
  if (label < 0) return Wrong("label " + std::to_string(label) + " is negative");
  if (!IsFine(weight)) return Wrong("a row's weight must be finite and not negative");
  if (state.type == ElementType::kUint8) {
    state.bytes_of_row.resize(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
      const float scaled = row[i] * 255.0f + 0.5f;
      const bool in_range = scaled >= 0.0f && scaled < 256.0f;
      const auto byte = static_cast<std::uint8_t>(in_range ? scaled : 0.0f);
      if (!in_range || kFloatOfByte[byte] != row[i]) {
        return Wrong("element " + std::to_string(i) + " of a row is " + std::to_string(row[i]) +
                     ", which no byte stands for");
      }
      state.bytes_of_row[i] = byte;
    }
    if (!state.Write(state.bytes_of_row.data(), state.bytes_of_row.size())) return state.Refused();
  } else {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (!std::isfinite(row[i])) {
        return Wrong("element " + std::to_string(i) + " of a row is not finite");
      }
    }
    if (!state.Write(row.data(), row.size_bytes())) return state.Refused();
  }
  state.labels.push_back(label);
  state.weights.push_back(weight);
  return {};
}

Result<void> DatasetFileWriter::Finish() {
  State& state = *state_;
  const Header header{.magic = kMagic,
                      .type = static_cast<std::uint32_t>(state.type),
                      .channels = state.shape.channels,
                      .height = state.shape.height,
                      .width = state.shape.width,
                      .rows = state.labels.size()};
  const std::size_t used = rows() * state.shape.elements() * SizeOf(state.type);
  const std::array<char, 4> padding{};
  const bool written =
      state.Write(padding.data(), PaddedToFour(used) - used) &&
      state.Write(state.labels.data(), state.labels.size() * sizeof(std::int32_t)) &&
      state.Write(state.weights.data(), state.weights.size() * sizeof(float)) &&
      std::fflush(state.file) == 0 && std::fseek(state.file, 0, SEEK_SET) == 0 &&
      state.Write(&header, sizeof header) && std::fflush(state.file) == 0;
  if (!written) return state.Refused();
  return {};
}

std::size_t DatasetFileWriter::rows() const { return state_->labels.size(); }

}  // namespace tidewheel::ml
