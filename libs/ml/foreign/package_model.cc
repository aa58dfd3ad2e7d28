#include <c10/core/InferenceMode.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <fstream>
#include <utility>

#include "tidewheel/ml/foreign/internal/loaders.h"
#include "tidewheel/ml/foreign/internal/torch_tensors.h"

namespace tidewheel::ml {
namespace {

constexpr std::size_t kCopyBytes = std::size_t{1} << 20;

class PackageModel final : public ForeignModel {
 public:
  PackageModel(std::unique_ptr<torch::inductor::AOTIModelPackageLoader> loader, at::Device device,
               int threads)
      : loader_(std::move(loader)), device_(device), threads_(threads) {
    const std::vector<std::string> call = loader_->get_call_spec();
    const auto names = [&](std::size_t which, std::string_view prefix) {
      std::vector<std::string> out;
      const std::size_t count = which < call.size() ? CountLeaves(call[which]) : 0;
      for (std::size_t i = 0; i < count; ++i) {
        out.push_back(std::string(prefix) + std::to_string(i));
      }
      return out;
    };
    signature_.inputs = names(0, "INPUT__");
    signature_.required_inputs = signature_.inputs.size();
    signature_.outputs = names(1, "OUTPUT__");
  }

  const ForeignSignature& signature() const override { return signature_; }

  Result<void> Bind(const std::vector<std::string>& inputs,
                    const std::vector<std::string>& outputs) override {
    auto from = BindNames("input", signature_.inputs, signature_.inputs.empty(), inputs);
    if (!from) return from.error();
    // The machine code takes what lies behind the arguments it is given for arguments.
    if (!signature_.inputs.empty() && inputs.size() != signature_.inputs.size()) {
      return Error{ErrorCode::kInvalidArgument,
                   "the package takes " + std::to_string(signature_.inputs.size()) + " inputs, " +
                       std::to_string(inputs.size()) + " are configured"};
    }
    for (const std::size_t place : *from) {
      if (place >= inputs.size()) {
        return Error{ErrorCode::kInvalidArgument, "the inputs' names leave out a place"};
      }
    }
    auto to = BindNames("output", signature_.outputs, signature_.outputs.empty(), outputs);
    if (!to) return to.error();
    inputs_ = std::move(*from);
    outputs_ = std::move(*to);
    names_ = outputs;
    return {};
  }

  Result<std::vector<ForeignTensor>> Run(std::span<const ForeignTensor> inputs) override {
    return CatchAll(ErrorCode::kInvalidArgument, "", [&]() -> Result<std::vector<ForeignTensor>> {
      const c10::InferenceMode inference;
      UseThreads(threads_);
      std::vector<at::Tensor> arguments(inputs.size());
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (inputs[i].type == ForeignType::kText) {
          return Error{ErrorCode::kInvalidArgument, "a package takes no texts"};
        }
        arguments[inputs_[i]] = ToTensor(inputs[i], device_, false);
      }
      const std::vector<at::Tensor> answers = loader_->boxed_run(std::move(arguments));
      std::vector<ForeignTensor> outputs;
      for (std::size_t i = 0; i < outputs_.size(); ++i) {
        if (outputs_[i] >= answers.size()) {
          return Error{ErrorCode::kInvalidArgument, "there is no output for \"" + names_[i] +
                                                        "\": the package gave " +
                                                        std::to_string(answers.size())};
        }
        auto output = FromTensor(answers[outputs_[i]], names_[i]);
        if (!output) return output.error();
        outputs.push_back(std::move(*output));
      }
      return outputs;
    });
  }

 private:
  const std::unique_ptr<torch::inductor::AOTIModelPackageLoader> loader_;
  const at::Device device_;
  const int threads_;
  ForeignSignature signature_;
  std::vector<std::size_t> inputs_;   // Where each of Run's goes.
  std::vector<std::size_t> outputs_;  // Where each of Run's comes from.
  std::vector<std::string> names_;    // Of the outputs.
};

/// The loader reads a file by its name.
Result<std::filesystem::path> CopyTo(const std::filesystem::path& folder, int descriptor) {
  const auto size = SizeOf(descriptor);
  if (!size) return size.error();
  const auto path = folder / "model.pt2";
  std::ofstream copy(path, std::ios::binary | std::ios::trunc);
  std::string bytes(std::min(kCopyBytes, *size), '\0');
  for (std::size_t at = 0; at < *size; at += bytes.size()) {
    bytes.resize(std::min(bytes.size(), *size - at));
    if (const auto read = ReadAt(descriptor, at, bytes.data(), bytes.size()); !read) {
      return read.error();
    }
    copy.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  copy.close();
  if (!copy) {
    return Error{ErrorCode::kResourceExhausted,
                 "the package cannot be copied to " + folder.string()};
  }
  return path;
}

}  // namespace

Result<std::unique_ptr<ForeignModel>> LoadPackage(int descriptor, const ForeignOptions& options) {
  using Loaded = Result<std::unique_ptr<ForeignModel>>;
  return CatchAll(ErrorCode::kInvalidArgument,
                  "the file is not an AOTInductor package that can be loaded", [&]() -> Loaded {
                    const auto device = FindDevice(options.device);
                    if (!device) return device.error();
                    UseThreads(options.threads);
                    const auto path = CopyTo(options.scratch, descriptor);
                    if (!path) return path.error();
                    // The package says what device it was compiled for; the loader takes it at its
                    // word.
                    const auto metadata =
                        torch::inductor::AOTIModelPackageLoader::load_metadata_from_package(
                            path->string(), "model");
                    const auto made_for = metadata.find("AOTI_DEVICE_KEY");
                    const std::string wanted = device->is_cpu() ? "cpu" : "cuda";
                    if (made_for != metadata.end() && made_for->second != wanted) {
                      return Error{ErrorCode::kFailedPrecondition,
                                   "the package was compiled for \"" + made_for->second +
                                       "\", its device here is \"" + options.device + "\""};
                    }
                    auto loader = std::make_unique<torch::inductor::AOTIModelPackageLoader>(
                        path->string(), "model", false, static_cast<std::size_t>(options.instances),
                        device->is_cpu() ? c10::DeviceIndex{-1} : device->index());
                    return std::unique_ptr<ForeignModel>(std::make_unique<PackageModel>(
                        std::move(loader), *device, options.threads));
                  });
}

}  // namespace tidewheel::ml
