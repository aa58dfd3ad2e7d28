#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/inference/engine/torch/torch_executor.h"
#include "tidewheel/ml/foreign/testing/script_files.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::inference {

inline Tensor Floats(const std::vector<float>& values, std::vector<std::int64_t> shape = {}) {
  if (shape.empty()) shape = {static_cast<std::int64_t>(values.size())};
  return Tensor::Of(
      "", DataType::kFp32, std::move(shape),
      std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
}

template <typename T>
std::vector<T> ValuesOf(const Tensor& tensor) {
  std::vector<T> values(tensor.data.size() / sizeof(T));
  std::memcpy(values.data(), tensor.data.data(), values.size() * sizeof(T));
  return values;
}

/// Starts real runners on models that the test writes.
class TorchSuite : public ::testing::Test {
 protected:
  TorchSuite() {
    const char* build = std::getenv("TIDEWHEEL_BINARY_DIR");
    options_.program =
        std::filesystem::path(build == nullptr ? "." : build) / "bin" / "tidewheel-torch-runner";
    options_.scratch = folder_.path() / "scratch";
    std::filesystem::create_directory(options_.scratch);
    options_.call_bytes = std::size_t{32} << 20;
    options_.patience = std::chrono::seconds(120);
    options_.call_limit = std::chrono::seconds(120);
    options_.load_limit = std::chrono::seconds(300);
  }

  std::filesystem::path Script(const std::string& name, const std::string& source) {
    const auto path = folder_.path() / (name + ".pt");
    const auto written = ml::testing::WriteScript(path, source);
    EXPECT_TRUE(written.ok()) << (written.ok() ? "" : written.error().message);
    return path;
  }
  Result<std::unique_ptr<TorchExecutor>> Start(const std::filesystem::path& file) {
    return Start(TorchModel{.file = file});
  }
  Result<std::unique_ptr<TorchExecutor>> Start(TorchModel model) {
    if (model.name.empty()) model.name = model.file.stem().string();
    model.package = model.file.extension() == ".pt2";
    return TorchExecutor::Start(options_, std::move(model));
  }

  tidewheel::testing::TempFolder folder_;
  TorchOptions options_;
};

}  // namespace tidewheel::inference
