#include "tidewheel/inference/engine/torch/torch_loader.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <vector>

namespace tidewheel::inference {
namespace {

namespace fs = std::filesystem;

Error Wrong(const ModelSource& source, const std::string& what) {
  return {ErrorCode::kInvalidArgument, "model \"" + source.name.substr(0, 80) + "\": " + what};
}

Result<std::uint64_t> Number(const ModelSource& source, const std::string& key,
                             const std::string& value, std::uint64_t least, std::uint64_t most) {
  std::uint64_t number = 0;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
  if (read.ec != std::errc{} || read.ptr != value.data() + value.size() || number < least ||
      number > most) {
    return Wrong(source, "parameter " + key + " is a number from " + std::to_string(least) +
                             " to " + std::to_string(most) + ", not \"" + value.substr(0, 80) +
                             "\"");
  }
  return number;
}

/// The options with what the configuration asks for.
Result<TorchOptions> OptionsOf(const ModelSource& source, TorchOptions options) {
  if (source.config.instance_kind == "KIND_GPU") options.device = "cuda:0";
  for (const auto& [key, value] : source.config.parameters) {
    if (key == "device") {
      options.device = value;
    } else if (key == "freeze") {
      if (value != "true" && value != "false") {
        return Wrong(source, "parameter freeze is true or false, not \"" + value + "\"");
      }
      options.freeze = value == "true";
    } else if (key == "threads") {
      const auto threads = Number(source, key, value, 1, 256);
      if (!threads) return threads.error();
      options.threads = static_cast<std::uint32_t>(*threads);
    } else if (key == "memory_bytes") {
      const std::size_t most = options.memory_bytes == 0 ? ~std::size_t{0} : options.memory_bytes;
      const auto bytes = Number(source, key, value, 1, most);
      if (!bytes) return bytes.error();
      options.memory_bytes = *bytes;
    } else if (key == "call_milliseconds") {
      const auto time =
          Number(source, key, value, 1, static_cast<std::uint64_t>(options.call_limit.count()));
      if (!time) return time.error();
      options.call_limit = std::chrono::milliseconds(*time);
    }
  }
  return options;
}

Result<fs::path> FileOf(const ModelSource& source) {
  const std::string& named = source.config.file;
  const std::vector<std::string> names =
      named.empty() ? std::vector<std::string>{"model.pt", "model.pt2"} : std::vector{named};
  for (const std::string& name : names) {
    // A name with a folder in it could lead anywhere.
    if (fs::path(name).filename() != fs::path(name) || name == "." || name == "..") {
      return Wrong(source, "the file's name \"" + name.substr(0, 80) + "\" is not a plain one");
    }
    std::error_code error;
    const fs::path file = source.folder / name;
    if (IsTorchFile(file) && fs::exists(file, error)) return file;
  }
  return Error{ErrorCode::kNotFound,
               "there is no model.pt and no model.pt2 in " + source.folder.string()};
}

}  // namespace

bool IsTorchFile(const fs::path& file) {
  return file.extension() == ".pt" || file.extension() == ".pt2";
}

Result<std::unique_ptr<Executor>> TorchLoader::Load(const ModelSource& source) {
  const auto file = FileOf(source);
  if (!file) return file.error();
  auto options = OptionsOf(source, options_);
  if (!options) return options.error();
  TorchModel model{.name = source.name,
                   .version = std::to_string(source.version),
                   .file = *file,
                   .package = file->extension() == ".pt2",
                   .instances = std::max<std::uint32_t>(source.config.instances, 1),
                   .inputs = source.config.inputs,
                   .outputs = source.config.outputs,
                   .max_batch_size = source.config.max_batch_size};
  if (model.max_batch_size > 0) {
    for (auto* specs : {&model.inputs, &model.outputs}) {
      for (TensorSpec& spec : *specs) spec.shape.insert(spec.shape.begin(), -1);
    }
  }
  auto executor = TorchExecutor::Start(*std::move(options), std::move(model));
  if (!executor) return executor.error();
  return std::unique_ptr<Executor>(*std::move(executor));
}

}  // namespace tidewheel::inference
