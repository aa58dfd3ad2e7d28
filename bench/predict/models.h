#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::bench {

inline constexpr int kClasses = 10;

/// A model with fresh weights, which are as fast as trained ones, and one row to ask it.
struct BenchModel {
  std::string name{};                 // "cnn_28".
  std::vector<std::int64_t> shape{};  // Of one row, the batch of 1 first.
  std::size_t output_elements = 0;
  std::string onnx{};       // In float32.
  std::string int8_onnx{};  // Empty: none was made.
  std::string input_name = "input";

  std::size_t input_elements() const;
  /// The same row whoever asks.
  std::vector<float> Row() const;
  /// inference.ModelInferRequest with that row as raw bytes.
  std::string Request(const std::string& served_name) const;
};

/// identity (1x28x28, gives back what it got), mlp (32-128-64-4), cnn_28 and cnn_32 (conv 32, pool,
/// conv 64, pool, fc 128-10 on 1x28x28 and 3x32x32), the latter two in int8 as well.
Result<std::vector<BenchModel>> MakeModels();

/// Writes `<name>/1/model.onnx`, for int8 `<name>_int8`, and cnn_28 without batching as
/// `cnn_28_alone`, each with a config.pbtxt where one is needed.
Result<void> WriteRepository(const std::filesystem::path& folder,
                             const std::vector<BenchModel>& models);

/// The raw float32 output of an inference.ModelInferResponse.
Result<std::vector<float>> FloatsOf(const std::string& response);

/// The same of TorchServe's own rpc: PredictionsRequest with the row's bytes, PredictionResponse.
inline constexpr char kTorchServePredictions[] =
    "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions";
std::string TorchServeRequest(const BenchModel& model, const std::string& served_name);
Result<std::vector<float>> FloatsOfTorchServe(const std::string& response);

std::vector<float> Noise(std::size_t count);

}  // namespace tidewheel::bench
