#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::inference {

/// The datatypes of the Open Inference Protocol v2, and BF16.
enum class DataType {
  kBool,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFp16,
  kBf16,
  kFp32,
  kFp64,
  kBytes,
};

/// "FP32" and so on.
std::string_view Name(DataType type);
/// kInvalidArgument lists the names there are.
Result<DataType> ParseDataType(std::string_view name);
/// Bytes of one element; 0 for kBytes, whose elements are a little-endian 32-bit length and that
/// many bytes.
std::size_t ElementSize(DataType type);

/// Elements of a shape. kInvalidArgument: a negative size, or more than 2^40 elements.
Result<std::size_t> ElementCount(const std::vector<std::int64_t>& shape);

/// One tensor of a request or an answer, row-major, little-endian, without padding.
struct Tensor {
  std::string name{};
  DataType type = DataType::kFp32;
  std::vector<std::int64_t> shape{};
  std::string_view data{};
  /// Keeps `data` alive; null: it lives as long as the request it came with.
  std::shared_ptr<const void> owner{};

  /// Whether `data` is what type and shape ask for. The error names the tensor, the bytes that are
  /// expected and those that are given; of BYTES, the element that does not fit.
  Result<void> Check() const;
  /// A tensor that owns its bytes.
  static Tensor Of(std::string name, DataType type, std::vector<std::int64_t> shape,
                   std::string bytes);
};

/// An input or output of a model.
struct TensorSpec {
  std::string name{};
  DataType type = DataType::kFp32;
  /// -1 is any size. Of a model that batches the first is the batch and -1.
  std::vector<std::int64_t> shape{};
  /// Neither type nor shape is known: the model takes or gives what it will, and says so itself.
  bool any = false;

  friend bool operator==(const TensorSpec&, const TensorSpec&) = default;
};

}  // namespace tidewheel::inference
