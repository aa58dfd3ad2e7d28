#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/ml/dataset.h"
#include "tidewheel/ml/model.h"
#include "tidewheel/ml/package/manifest.h"

namespace tidewheel::ml {

/// What goes into a package beside the model.
struct PackageContents {
  /// The signature and the calibration are filled in from the model; the classes must be as many as
  /// its own.
  PackageManifest manifest{};
  std::string evaluation_json{};
  std::string card_markdown{};
  /// Bytes of profile.pb; empty: the package has none.
  std::string profile{};
  /// Real preprocessed rows, at least one: the engines are compared on up to `compared_rows` of
  /// them, spread over all, and up to `golden_rows` go into golden.bin.
  TensorDataset samples{};
  std::size_t compared_rows = 256;
  std::size_t golden_rows = 8;
};

struct PackageReport {
  PackageManifest manifest{};  // As written.
  std::size_t compared_rows = 0;
  double largest_difference = 0;  // Between a TorchScript and an ONNX probability.
  // Between numbers of the embedding, as a share of the largest (of 1, when all are smaller).
  double largest_embedding_difference = 0;
};

/// How far the two engines' probabilities, and the numbers of their embeddings for their size, may
/// be apart.
inline constexpr double kEngineTolerance = 1e-5;

/// Writes model.ts, model.onnx, model.yaml, evaluation.json, card.md, golden.bin and profile.pb
/// into `folder`, which is created and must be empty. The same contents give the same bytes. The
/// saved model.ts is read back and must answer the same bits; model.onnx, run on OpenVINO, the same
/// to kEngineTolerance: kFailedPrecondition otherwise. After an error the folder may hold a part of
/// the files.
Result<PackageReport> WritePackage(const std::filesystem::path& folder, const Model& model,
                                   const PackageContents& contents);

}  // namespace tidewheel::ml
