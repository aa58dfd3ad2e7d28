#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/ml/graph/architecture.h"

namespace tidewheel::ml {

/// How a dataset keeps its numbers. A byte b stands for the float b / 255.
enum class ElementType : std::uint32_t { kFloat32 = 1, kUint8 = 2 };

/// Rows of preprocessed input with what they are: a view that owns nothing. Rows lie one after the
/// other, each channels x height x width.
struct TensorDataset {
  ImageShape shape{};
  ElementType type = ElementType::kFloat32;
  std::span<const std::byte> elements{};
  std::span<const std::int32_t> labels{};  // From 0; one for each row.
  std::span<const float> weights{};        // One for each row, or empty: all 1.

  std::size_t rows() const { return labels.size(); }

  /// Writes the rows of these numbers as floats, in this order. `out` holds indices.size() *
  /// shape.elements().
  void CopyRows(std::span<const std::uint32_t> indices, float* out) const;
};

/// A view of floats in memory. CheckDataset tells whether the sizes fit.
TensorDataset ViewOf(const ImageShape& shape, std::span<const float> elements,
                     std::span<const std::int32_t> labels, std::span<const float> weights = {});

/// kInvalidArgument: sizes that do not fit each other, a label outside [0, classes), or a weight
/// that is negative or not finite.
Result<void> CheckDataset(const TensorDataset& dataset, int classes);

/// A dataset in a file, mapped into memory: the kernel holds it once, and as much of it as fits.
/// Movable.
class DatasetFile {
 public:
  /// kNotFound: no such file. kInvalidArgument: not a finished dataset file.
  static Result<DatasetFile> Open(const std::filesystem::path& path);

  DatasetFile(DatasetFile&&) noexcept;
  DatasetFile& operator=(DatasetFile&&) noexcept;
  ~DatasetFile();

  /// Valid as long as this object.
  TensorDataset View() const { return view_; }

 private:
  struct Mapping;
  explicit DatasetFile(std::unique_ptr<Mapping> mapping);

  std::unique_ptr<Mapping> mapping_;
  TensorDataset view_;
};

/// Writes a dataset file row by row. The file is no dataset until Finish() has returned.
class DatasetFileWriter {
 public:
  /// Replaces what is there. kInternal: the disk refused.
  static Result<DatasetFileWriter> Create(const std::filesystem::path& path,
                                          const ImageShape& shape, ElementType type);

  DatasetFileWriter(DatasetFileWriter&&) noexcept;
  DatasetFileWriter& operator=(DatasetFileWriter&&) noexcept;
  ~DatasetFileWriter();

  /// kInvalidArgument: not shape.elements() finite floats, a negative label, a bad weight, or, for
  /// kUint8, a float that is not exactly b / 255, because bytes would then lose something.
  Result<void> Append(std::span<const float> row, std::int32_t label, float weight = 1.0f);

  Result<void> Finish();

  std::size_t rows() const;

 private:
  struct State;
  explicit DatasetFileWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tidewheel::ml
