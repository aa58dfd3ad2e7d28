// A model that does nothing, and the small convolution net, in a torch-runner beside the same
// module in this process: what the second process costs a call.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/inference/engine/torch/torch_executor.h"
#include "tidewheel/ml/foreign/foreign_model.h"
#include "tidewheel/ml/foreign/testing/script_files.h"
#include "tidewheel/ml/model.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel {
namespace {

constexpr std::int64_t kSide = 28;
constexpr int kClasses = 10;

[[noreturn]] void Die(const std::string& message) {
  std::cerr << "torch_runner_bench: " << message << "\n";
  std::exit(1);
}

template <typename T>
T OrDie(Result<T> result) {
  if (!result) Die(result.error().message);
  return std::move(*result);
}

/// Rows of one channel.
std::string Rows(std::int64_t rows) {
  return std::string(static_cast<std::size_t>(rows * kSide * kSide) * sizeof(float), '\0');
}

void InProcess(benchmark::State& state, const std::filesystem::path& file, std::int64_t rows) {
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  const auto model = OrDie(ml::ForeignModel::Load(descriptor, {}));
  close(descriptor);
  const auto bound = model->Bind(model->signature().inputs, model->signature().outputs);
  if (!bound) Die(bound.error().message);
  const std::string bytes = Rows(rows);
  const std::vector<ml::ForeignTensor> inputs{{.shape = {rows, 1, kSide, kSide}, .bytes = bytes}};
  for (auto _ : state) benchmark::DoNotOptimize(OrDie(model->Run(inputs)).front().bytes.data());
  state.SetItemsProcessed(state.iterations() * rows);
}

void InRunner(benchmark::State& state, const std::filesystem::path& file, std::int64_t rows) {
  const auto model = OrDie(inference::TorchExecutor::Start({}, {.name = "bench", .file = file}));
  const std::vector<inference::Tensor> inputs{
      inference::Tensor::Of("x", inference::DataType::kFp32, {rows, 1, kSide, kSide}, Rows(rows))};
  for (auto _ : state) benchmark::DoNotOptimize(OrDie(model->Execute(inputs)).front().data.data());
  state.SetItemsProcessed(state.iterations() * rows);
}

}  // namespace
}  // namespace tidewheel

int main(int argc, char** argv) {
  using namespace tidewheel;  // NOLINT(google-build-using-namespace)
  const testing::TempFolder folder;
  const auto null = folder.path() / "null.pt";
  const auto cnn = folder.path() / "cnn.pt";
  if (const auto written =
          ml::testing::WriteScript(null, "def forward(self, x):\n  return x[:, 0, 0, :10]\n");
      !written) {
    Die(written.error().message);
  }
  const auto architecture = OrDie(ml::MakeArchitecture("image-cnn", {1, kSide, kSide}, kClasses));
  if (const auto saved = OrDie(ml::Model::Create(architecture, 1)).Save(cnn); !saved) {
    Die(saved.error().message);
  }
  for (const auto& [name, file] :
       {std::pair{std::string("null"), null}, {std::string("cnn"), cnn}}) {
    for (const std::int64_t rows : {1, 64}) {
      const std::string stem = name + "_" + std::to_string(rows) + "/";
      benchmark::RegisterBenchmark((stem + "process").c_str(), InProcess, file, rows)
          ->UseRealTime();
      benchmark::RegisterBenchmark((stem + "runner").c_str(), InRunner, file, rows)->UseRealTime();
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
