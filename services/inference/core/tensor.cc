#include "tidewheel/inference/core/tensor.h"

#include <array>
#include <cstring>
#include <utility>

namespace tidewheel::inference {
namespace {

struct TypeRow {
  DataType type;
  std::string_view name;
  std::size_t bytes;
};

constexpr std::array kTypes = {
    TypeRow{DataType::kBool, "BOOL", 1},     TypeRow{DataType::kUint8, "UINT8", 1},
    TypeRow{DataType::kUint16, "UINT16", 2}, TypeRow{DataType::kUint32, "UINT32", 4},
    TypeRow{DataType::kUint64, "UINT64", 8}, TypeRow{DataType::kInt8, "INT8", 1},
    TypeRow{DataType::kInt16, "INT16", 2},   TypeRow{DataType::kInt32, "INT32", 4},
    TypeRow{DataType::kInt64, "INT64", 8},   TypeRow{DataType::kFp16, "FP16", 2},
    TypeRow{DataType::kBf16, "BF16", 2},     TypeRow{DataType::kFp32, "FP32", 4},
    TypeRow{DataType::kFp64, "FP64", 8},     TypeRow{DataType::kBytes, "BYTES", 0}};

constexpr std::size_t kMostElements = std::size_t{1} << 40;

const TypeRow& RowOf(DataType type) { return kTypes[static_cast<std::size_t>(type)]; }

Error Misfit(const Tensor& tensor, const std::string& what) {
  return {ErrorCode::kInvalidArgument, "tensor \"" + tensor.name.substr(0, 80) + "\" " + what};
}

/// The bytes are exactly `elements` lengths, each followed by as many bytes.
Result<void> CheckBytes(const Tensor& tensor, std::size_t elements) {
  std::string_view rest = tensor.data;
  for (std::size_t i = 0; i < elements; ++i) {
    std::uint32_t length = 0;
    if (rest.size() < sizeof length) {
      return Misfit(tensor, "of " + std::to_string(elements) +
                                " BYTES elements ends before element " + std::to_string(i));
    }
    std::memcpy(&length, rest.data(), sizeof length);
    rest.remove_prefix(sizeof length);
    if (rest.size() < length) {
      return Misfit(tensor, "element " + std::to_string(i) + " says " + std::to_string(length) +
                                " bytes, " + std::to_string(rest.size()) + " are left");
    }
    rest.remove_prefix(length);
  }
  if (!rest.empty()) {
    return Misfit(tensor, "has " + std::to_string(rest.size()) + " bytes after its " +
                              std::to_string(elements) + " elements");
  }
  return {};
}

}  // namespace

std::string_view Name(DataType type) { return RowOf(type).name; }

Result<DataType> ParseDataType(std::string_view name) {
  std::string known;
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.type;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  return Error{ErrorCode::kInvalidArgument,
               "no datatype \"" + std::string(name.substr(0, 80)) + "\"; there are " + known};
}

std::size_t ElementSize(DataType type) { return RowOf(type).bytes; }

Result<std::size_t> ElementCount(const std::vector<std::int64_t>& shape) {
  std::size_t count = 1;
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) {
      return Error{ErrorCode::kInvalidArgument,
                   "a shape has the negative size " + std::to_string(size)};
    }
    if (size == 0) {
      empty = true;
      continue;
    }
    const auto factor = static_cast<std::size_t>(size);
    if (factor > kMostElements / count) {
      return Error{ErrorCode::kInvalidArgument,
                   "a shape has more than " + std::to_string(kMostElements) + " elements"};
    }
    count *= factor;
  }
  return empty ? 0 : count;
}

Result<void> Tensor::Check() const {
  const auto elements = ElementCount(shape);
  if (!elements) return Misfit(*this, elements.error().message);
  if (type == DataType::kBytes) return CheckBytes(*this, *elements);
  const std::size_t expected = *elements * ElementSize(type);
  if (data.size() != expected) {
    return Misfit(*this, "has " + std::to_string(data.size()) + " bytes, its shape and type " +
                             std::string(Name(type)) + " ask for " + std::to_string(expected));
  }
  return {};
}

Tensor Tensor::Of(std::string name, DataType type, std::vector<std::int64_t> shape,
                  std::string bytes) {
  auto owned = std::make_shared<const std::string>(std::move(bytes));
  const std::string_view view = *owned;
  return {std::move(name), type, std::move(shape), view, std::move(owned)};
}

}  // namespace tidewheel::inference
