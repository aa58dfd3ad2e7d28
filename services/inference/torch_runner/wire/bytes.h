#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/inference/core/tensor.h"

namespace tidewheel::inference::torch_runner {

/// Puts values behind each other. Both sides are one machine: its byte order.
class ByteWriter {
 public:
  void Number(std::uint64_t value);
  void Text(std::string_view text);
  void Texts(const std::vector<std::string>& texts);
  void Specs(const std::vector<TensorSpec>& specs);

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Takes them out again. What is not there reads as zero or empty, and ok() is false from then on.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t Number();
  std::string Text();
  std::vector<std::string> Texts();
  std::vector<TensorSpec> Specs();

  /// All was there.
  bool ok() const { return ok_; }
  /// And nothing is left.
  bool done() const { return ok_ && rest_.empty(); }

 private:
  /// How many elements follow, each of at least `least` bytes.
  std::size_t Count(std::size_t least);

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace tidewheel::inference::torch_runner
