#include "tidewheel/cli/readers/npy_reader.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "tidewheel/cli/readers/regular_file.h"
#include "tidewheel/cli/readers/text_rules.h"

namespace tidewheel::cli {
namespace {

static_assert(std::endian::native == std::endian::little);

/// Half precision (IEEE 754) in a type of its own.
struct Half {
  std::uint16_t bits;

  float Value() const {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
    const std::uint32_t exponent = (bits >> 10) & 0x1fu;
    const std::uint32_t fraction = bits & 0x3ffu;
    if (exponent == 0) {
      // Subnormal: a whole number of 2^-24.
      const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
      return sign != 0 ? -magnitude : magnitude;
    }
    const std::uint32_t wide = exponent == 31 ? 255u : exponent + 127u - 15u;
    return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
  }
};

template <std::size_t kBytes>
using Word = std::conditional_t<
    kBytes == 1, std::uint8_t,
    std::conditional_t<kBytes == 2, std::uint16_t,
                       std::conditional_t<kBytes == 4, std::uint32_t, std::uint64_t>>>;

template <typename Source>
Source Load(const std::byte* at, bool swapped) {
  Word<sizeof(Source)> word;
  std::memcpy(&word, at, sizeof word);
  if (swapped) {
    if constexpr (sizeof word == 2) word = __builtin_bswap16(word);
    if constexpr (sizeof word == 4) word = __builtin_bswap32(word);
    if constexpr (sizeof word == 8) word = __builtin_bswap64(word);
  }
  return std::bit_cast<Source>(word);
}

/// The value in the wanted type; none where it has none there.
template <typename T, typename Source>
std::optional<T> Converted(Source value) {
  if constexpr (std::is_same_v<Source, Half>) {
    return Converted<T>(value.Value());
  } else if constexpr (std::is_same_v<T, std::int32_t>) {
    if constexpr (std::is_floating_point_v<Source>) {
      // NaN fails the comparisons.
      if (!(value >= -2147483648.0 && value <= 2147483647.0) || std::trunc(value) != value) {
        return std::nullopt;
      }
      return static_cast<std::int32_t>(value);
    } else {
      if (!std::in_range<std::int32_t>(value)) return std::nullopt;
      return static_cast<std::int32_t>(value);
    }
  } else if constexpr (std::is_integral_v<Source> && sizeof(Source) == 8) {
    const auto magnitude = std::cmp_less(value, 0)
                               ? std::uint64_t{0} - static_cast<std::uint64_t>(value)
                               : static_cast<std::uint64_t>(value);
    // Exact: what is left when trailing zeros go fits the mantissa.
    if (magnitude >> std::numeric_limits<T>::digits != 0 &&
        magnitude >> std::countr_zero(magnitude) >> std::numeric_limits<T>::digits != 0) {
      return std::nullopt;
    }
    return static_cast<T>(value);
  } else {
    return static_cast<T>(value);
  }
}

std::string Shown(Half value) { return std::to_string(value.Value()); }
template <typename Source>
std::string Shown(Source value) {
  return std::to_string(value);
}

/// Where the values of a file lie for each place in row-by-row order.
class Order {
 public:
  explicit Order(const NpyHeader& header) : shape_(header.shape) {
    // One dimension, or but one that is not 1, has one order.
    const auto wide =
        std::count_if(shape_.begin(), shape_.end(), [](std::uint64_t size) { return size > 1; });
    straight_ = !header.fortran_order || wide < 2;
    strides_.resize(shape_.size());
    std::uint64_t stride = 1;
    for (std::size_t i = 0; i < shape_.size(); ++i) {
      strides_[i] = stride;
      stride *= shape_[i];
    }
  }

  bool straight() const { return straight_; }

  /// Calls visit(source, target) for every place; stops when it returns false.
  template <typename Visit>
  void Each(std::uint64_t count, const Visit& visit) const {
    if (straight_) {
      for (std::uint64_t i = 0; i < count; ++i) {
        if (!visit(i, i)) return;
      }
      return;
    }
    if (count == 0) return;
    if (shape_.size() == 2) {
      EachOfMatrix(visit);
      return;
    }
    std::vector<std::uint64_t> at(shape_.size());
    std::uint64_t source = 0;
    for (std::uint64_t target = 0; target < count; ++target) {
      if (!visit(source, target)) return;
      for (std::size_t i = shape_.size(); i-- > 0;) {
        source += strides_[i];
        if (++at[i] < shape_[i]) break;
        source -= strides_[i] * shape_[i];
        at[i] = 0;
      }
    }
  }

 private:
  /// In squares, so that neither side jumps from page to page.
  template <typename Visit>
  void EachOfMatrix(const Visit& visit) const {
    constexpr std::uint64_t kSquare = 32;
    const std::uint64_t rows = shape_[0];
    const std::uint64_t columns = shape_[1];
    for (std::uint64_t row = 0; row < rows; row += kSquare) {
      for (std::uint64_t column = 0; column < columns; column += kSquare) {
        for (std::uint64_t r = row; r < std::min(rows, row + kSquare); ++r) {
          for (std::uint64_t c = column; c < std::min(columns, column + kSquare); ++c) {
            if (!visit(c * rows + r, r * columns + c)) return;
          }
        }
      }
    }
  }

  std::vector<std::uint64_t> shape_;
  std::vector<std::uint64_t> strides_;  // In the file, in values.
  bool straight_ = true;
};

/// Fills `target`; the message names the first value that cannot be had.
template <typename T, typename Source>
std::optional<std::string> Convert(const NpyHeader& header, std::span<const std::byte> data,
                                   const Order& order, std::span<T> target) {
  std::optional<std::string> problem;
  order.Each(header.count, [&](std::uint64_t from, std::uint64_t to) {
    const auto value = Load<Source>(data.data() + from * sizeof(Source), header.big_endian);
    const auto converted = Converted<T>(value);
    if (!converted) {
      problem = "value " + std::to_string(to) + " (row by row) is " + Shown(value);
      return false;
    }
    target[to] = *converted;
    return true;
  });
  return problem;
}

template <typename T>
std::optional<std::string> ConvertAny(const NpyHeader& header, std::span<const std::byte> data,
                                      const Order& order, std::span<T> target) {
  switch (header.type) {
    case NpyType::kBool:
      order.Each(header.count, [&](std::uint64_t from, std::uint64_t to) {
        target[to] = data[from] == std::byte{0} ? T{0} : T{1};
        return true;
      });
      return std::nullopt;
    case NpyType::kInt8:
      return Convert<T, std::int8_t>(header, data, order, target);
    case NpyType::kInt16:
      return Convert<T, std::int16_t>(header, data, order, target);
    case NpyType::kInt32:
      return Convert<T, std::int32_t>(header, data, order, target);
    case NpyType::kInt64:
      return Convert<T, std::int64_t>(header, data, order, target);
    case NpyType::kUint8:
      return Convert<T, std::uint8_t>(header, data, order, target);
    case NpyType::kUint16:
      return Convert<T, std::uint16_t>(header, data, order, target);
    case NpyType::kUint32:
      return Convert<T, std::uint32_t>(header, data, order, target);
    case NpyType::kUint64:
      return Convert<T, std::uint64_t>(header, data, order, target);
    case NpyType::kFloat16:
      return Convert<T, Half>(header, data, order, target);
    case NpyType::kFloat32:
      return Convert<T, float>(header, data, order, target);
    case NpyType::kFloat64:
      return Convert<T, double>(header, data, order, target);
  }
  return "unknown type";
}

struct Mapping {
  Mapping(void* mapped, std::size_t mapped_bytes) : start(mapped), bytes(mapped_bytes) {}
  ~Mapping() { ::munmap(start, bytes); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  void* start;
  std::size_t bytes;
};

}  // namespace

NpyFile::NpyFile(std::string name, NpyHeader header, std::span<const std::byte> data,
                 std::shared_ptr<const void> owner, const NpyLimits& limits)
    : name_(std::move(name)),
      header_(std::move(header)),
      data_(data),
      owner_(std::move(owner)),
      limits_(limits) {}

Result<NpyFile> NpyFile::Open(const std::filesystem::path& path, const NpyLimits& limits) {
  const auto file = RegularFile::Open(path);
  if (!file) return file.error();
  std::string name = Printable(path.string());
  if (file->size() == 0) return Error{ErrorCode::kDataLoss, name + ": empty"};
  void* start = ::mmap(nullptr, file->size(), PROT_READ, MAP_PRIVATE, file->descriptor(), 0);
  if (start == MAP_FAILED) return OfErrno(path, errno);
  auto mapping = std::make_shared<Mapping>(start, file->size());
  auto made = Of({static_cast<const std::byte*>(start), file->size()}, std::move(name), limits);
  if (made) made->owner_ = std::move(mapping);
  return made;
}

Result<NpyFile> NpyFile::Of(std::span<const std::byte> bytes, std::string name,
                            const NpyLimits& limits) {
  auto header = ReadNpyHeader(bytes, bytes.size());
  if (!header) return Prefixed(name + ": ", header.error());
  const auto data = bytes.subspan(header->data_offset);
  return NpyFile(std::move(name), *std::move(header), data, nullptr, limits);
}

template <typename T>
Result<NpyNumbers<T>> NpyFile::As(NpyType native) const {
  NpyNumbers<T> numbers;
  numbers.shape = header_.shape;
  const Order order(header_);
  if (header_.type == native && !header_.big_endian && order.straight() &&
      reinterpret_cast<std::uintptr_t>(data_.data()) % alignof(T) == 0) {
    numbers.values = {reinterpret_cast<const T*>(data_.data()),
                      static_cast<std::size_t>(header_.count)};
    numbers.owner = owner_;
    return numbers;
  }
  if (header_.count > limits_.copied_bytes / sizeof(T)) {
    return Error{ErrorCode::kResourceExhausted,
                 name_ + ": a copy of " + header_.ShapeText() + " " +
                     std::string(Name(header_.type)) + " takes more than " +
                     FormatBytes(limits_.copied_bytes) + "; save it as " +
                     std::string(Name(native)) + " in C order, which needs none"};
  }
  auto values = std::make_shared<std::vector<T>>(header_.count);
  const auto problem = ConvertAny<T>(header_, data_, order, *values);
  if (problem) {
    return Error{ErrorCode::kInvalidArgument,
                 name_ + ": " + *problem + ", which no " + std::string(Name(native)) + " is"};
  }
  numbers.values = *values;
  numbers.copied = true;
  numbers.owner = std::move(values);
  return numbers;
}

Result<NpyNumbers<float>> NpyFile::Floats() const {
  switch (header_.type) {
    case NpyType::kInt32:
    case NpyType::kInt64:
    case NpyType::kUint32:
    case NpyType::kUint64:
    case NpyType::kFloat64:
      return Error{ErrorCode::kInvalidArgument, name_ + ": " + std::string(Name(header_.type)) +
                                                    " values are read as float64, not as float32"};
    default:
      return As<float>(NpyType::kFloat32);
  }
}

Result<NpyNumbers<double>> NpyFile::Doubles() const { return As<double>(NpyType::kFloat64); }

Result<NpyNumbers<std::int32_t>> NpyFile::Integers() const {
  return As<std::int32_t>(NpyType::kInt32);
}

}  // namespace tidewheel::cli
