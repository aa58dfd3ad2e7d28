#include "tidewheel/inference/engine/package_gradients.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/inference/engine/package_files.h"
#include "tidewheel/ml/package/manifest.h"

namespace tidewheel::inference {
namespace {

/// Bytes under a path, as long as it lives; on no disk.
class MemoryFile {
 public:
  static Result<MemoryFile> Holding(std::string_view bytes) {
    MemoryFile file(memfd_create("tidewheel-model", MFD_CLOEXEC));
    while (file.descriptor_ >= 0 && !bytes.empty()) {
      const ssize_t written = write(file.descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) break;
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    if (file.descriptor_ >= 0 && bytes.empty()) return file;
    return Error{ErrorCode::kResourceExhausted,
                 std::string("no memory for a model's file: ") + std::strerror(errno)};
  }
  MemoryFile(MemoryFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  MemoryFile& operator=(MemoryFile&&) = delete;
  ~MemoryFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  explicit MemoryFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

template <typename T>
std::string_view BytesOf(std::span<const T> numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes()};
}

class TorchGradients final : public GradientEngine {
 public:
  explicit TorchGradients(std::unique_ptr<TorchExecutor> runner) : runner_(std::move(runner)) {}

  Result<void> Gradients(std::span<const std::int64_t> row_shape, std::span<const float> rows,
                         std::size_t count, std::size_t class_index,
                         std::span<double> probabilities, std::span<float> gradients) override {
    Tensor given{.type = DataType::kFp32,
                 .shape = {static_cast<std::int64_t>(count)},
                 .data = BytesOf(rows)};
    given.shape.insert(given.shape.end(), row_shape.begin(), row_shape.end());
    const std::int64_t wanted = static_cast<std::int64_t>(class_index);
    const Tensor of_class{
        .type = DataType::kInt64, .shape = {1}, .data = BytesOf(std::span(&wanted, 1))};
    const auto outputs = runner_->Execute(std::vector{given, of_class});
    if (!outputs) return outputs.error();
    const Tensor& answers = outputs->at(0);
    const Tensor& slopes = outputs->at(1);
    if (answers.type != DataType::kFp32 || answers.data.size() != count * sizeof(float) ||
        slopes.type != DataType::kFp32 || slopes.data.size() != gradients.size_bytes()) {
      return Error{ErrorCode::kInternal, "the runner's gradients do not fit the rows"};
    }
    std::vector<float> values(count);
    std::memcpy(values.data(), answers.data.data(), answers.data.size());
    std::copy(values.begin(), values.end(), probabilities.begin());
    std::memcpy(gradients.data(), slopes.data.data(), slopes.data.size());
    return {};
  }

 private:
  const std::unique_ptr<TorchExecutor> runner_;
};

}  // namespace

OpenGradients PackageGradients(const blob::Store& payloads, TorchOptions options) {
  return [&payloads, options = std::move(options)](
             const ModelPackage& package) -> Result<std::unique_ptr<GradientEngine>> {
    const auto script = ReadPackageFile(payloads, package, ml::kTorchScriptFile);
    if (!script) return script.error();
    const auto file = MemoryFile::Holding(*script);
    if (!file) return file.error();
    auto runner =
        TorchExecutor::Start(options, {.name = package.model.task,
                                       .version = std::to_string(package.model.model_version),
                                       .file = file->path(),
                                       .gradients = true});
    if (!runner) return Prefixed(std::string(ml::kTorchScriptFile) + ": ", runner.error());
    return std::unique_ptr<GradientEngine>(std::make_unique<TorchGradients>(*std::move(runner)));
  };
}

}  // namespace tidewheel::inference
