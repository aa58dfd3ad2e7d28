#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::serving {

/// The datatypes of the Open Inference Protocol v2, and bfloat16.
enum class ElementType {
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
  kBytes,  // Texts: a little-endian 32-bit length and that many bytes, one after the other.
};
inline constexpr std::size_t kElementTypes = 14;

/// An input or output of a graph; -1 is any size.
struct Port {
  std::string name{};
  ElementType type = ElementType::kFp32;
  std::vector<std::int64_t> shape{};

  friend bool operator==(const Port&, const Port&) = default;
};

/// Row-major, little-endian, without padding.
struct TensorView {
  std::span<const std::int64_t> shape{};
  std::string_view data{};
};
struct OutputTensor {
  std::vector<std::int64_t> shape{};
  std::string_view data{};
  std::shared_ptr<const void> owner{};  // Keeps `data` alive.
};

enum class Precision {
  kFloat32,
  kBf16,  // Inside only: the ports stay what they are.
};

struct GraphOptions {
  Precision precision = Precision::kFloat32;
  int threads = 1;      // That compute one call.
  int concurrency = 1;  // Calls that run at the same time; a further one waits for its turn.
};

/// Any ONNX model, compiled: inputs and outputs of any number, datatype and shape.
class Graph {
 public:
  struct Compiled;

  explicit Graph(std::unique_ptr<Compiled> compiled);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  const std::vector<Port>& inputs() const;
  const std::vector<Port>& outputs() const;
  /// The first size of every port is free and counts rows that do not know of each other.
  bool batches() const;
  /// A call of more rows is computed in passes of so many, one after another; 0: in one.
  std::size_t rows_of_a_pass() const;
  /// Bytes of the file, which the compiled weights are about as large as, times how often it was
  /// compiled.
  std::size_t memory_bytes() const;

  /// Answers all outputs, in their order. The calling thread computes; inputs that are aligned for
  /// their type are read where they lie. Thread-safe. kInvalidArgument names the input that does
  /// not fit, or whose 64-bit or unsigned numbers are beyond 32 bits, in which the engine computes
  /// (an input that only comes out again may hold any); kResourceExhausted: no memory for the
  /// answer; kInternal: the engine failed.
  Result<std::vector<OutputTensor>> Infer(std::span<const TensorView> inputs) const;

 private:
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace tidewheel::serving
