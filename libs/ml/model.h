#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/ml/dataset.h"
#include "tidewheel/ml/graph/architecture.h"
#include "tidewheel/ml/graph/weights.h"

namespace tidewheel::ml {

struct TorchModule;

struct PredictOptions {
  int batch_size =
      256;  // The last bits of a probability depend on it, so leave it alone to reproduce.
  int threads = 1;
};

/// A TorchScript module: trained, saved and loaded as the same object. Not thread-safe. LibTorch's
/// number of threads belongs to the calling thread.
class Model {
 public:
  /// Made from the architecture and fresh weights. kInvalidArgument: no sound architecture.
  static Result<Model> Create(const Architecture& architecture, std::uint64_t seed);

  /// Reads a file of Save(), or any TorchScript module whose `forward` takes [-1, ...] floats and
  /// gives
  /// [-1, classes] probabilities. It runs the file's code: foreign files belong into a process with
  /// limits. kNotFound, kInvalidArgument.
  static Result<Model> Load(const std::filesystem::path& path);

  explicit Model(std::unique_ptr<TorchModule> module);
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  /// The same model gives the same bytes.
  Result<void> Save(const std::filesystem::path& path) const;

  /// Nothing for a foreign module.
  const std::optional<Architecture>& architecture() const;

  /// What logits are divided by before the softmax; 1 unless calibrated.
  double temperature() const;
  /// kFailedPrecondition: a foreign module. kInvalidArgument: not positive.
  Result<void> SetTemperature(double temperature);

  /// In the architecture's order; empty for a foreign module.
  std::vector<NamedTensor> Weights() const;

  /// The ONNX graph of the same architecture, weights and temperature. kFailedPrecondition: a
  /// foreign module.
  Result<std::string> Onnx() const;

  /// Probabilities, rows x classes. Bit-equal for the same rows and options on one machine.
  /// kCancelled.
  Result<std::vector<float>> Predict(const TensorDataset& dataset,
                                     const PredictOptions& options = {},
                                     const std::stop_token& stop = {}) const;

  /// The embedding, rows x architecture()->embedding: what goes into the last linear layer times a
  /// fixed random matrix, in the same bits again. kFailedPrecondition: the model has none;
  /// kCancelled.
  Result<std::vector<float>> Embed(const TensorDataset& dataset, const PredictOptions& options = {},
                                   const std::stop_token& stop = {}) const;

  /// For libs/ml itself.
  TorchModule& module() const { return *module_; }

 private:
  Result<std::vector<float>> Run(const char* method, const TensorDataset& dataset,
                                 const PredictOptions& options, const std::stop_token& stop) const;

  std::unique_ptr<TorchModule> module_;
};

}  // namespace tidewheel::ml
