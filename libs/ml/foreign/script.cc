#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <utility>

#include "tidewheel/ml/foreign/internal/loaders.h"
#include "tidewheel/ml/foreign/internal/script.h"
#include "tidewheel/ml/foreign/internal/torch_tensors.h"

namespace tidewheel::ml {
namespace {

constexpr char kArchitectureFile[] = "architecture";  // What Model::Save writes.

/// The archive, read where it lies.
class DescriptorReader final : public caffe2::serialize::ReadAdapterInterface {
 public:
  DescriptorReader(int descriptor, std::size_t size) : descriptor_(descriptor), size_(size) {}

  std::size_t size() const override { return size_; }
  std::size_t read(std::uint64_t position, void* bytes, std::size_t count,
                   const char* /*what*/) const override {
    if (position > size_) return 0;
    const std::size_t there = std::min<std::size_t>(count, size_ - position);
    return ReadAt(descriptor_, position, static_cast<char*>(bytes), there) ? there : 0;
  }

 private:
  const int descriptor_;
  const std::size_t size_;
};

}  // namespace

Result<Script> ReadScript(int descriptor, const ForeignOptions& options) {
  const auto device = FindDevice(options.device);
  if (!device) return device.error();
  const auto size = SizeOf(descriptor);
  if (!size) return size.error();
  UseThreads(options.threads);
  torch::jit::ExtraFilesMap extra{{kArchitectureFile, ""}};
  auto module =
      CatchAll(ErrorCode::kInvalidArgument, "the file is not TorchScript that can be loaded",
               [&]() -> Result<torch::jit::Module> {
                 return torch::jit::load(std::make_shared<DescriptorReader>(descriptor, *size),
                                         *device, extra);
               });
  if (!module) {
    // What torch.save writes is an archive of the same kind without code.
    if (module.error().message.find("constants.pkl") != std::string::npos) {
      return Error{ErrorCode::kInvalidArgument,
                   "the file is not TorchScript: it holds no code, as what torch.save writes; "
                   "torch.jit.script(model).save(...) writes TorchScript"};
    }
    return module.error();
  }
  module->eval();
  bool stateless = false;
  if (options.freeze && module->find_method("forward")) {
    // Not every module can be frozen; those that cannot run as they are.
    auto frozen = CatchAll(ErrorCode::kInternal, "freezing", [&]() -> Result<torch::jit::Module> {
      return torch::jit::freeze(*module);
    });
    if (frozen) {
      module = std::move(frozen);
      stateless = module->attributes().size() == 0;
    } else if (frozen.error().code == ErrorCode::kResourceExhausted) {
      return frozen.error();
    }
  }
  Script script{.module = *std::move(module), .stateless = stateless, .device = *device};
  if (const std::string& text = extra[kArchitectureFile]; !text.empty()) {
    if (auto architecture = ParseArchitecture(text)) script.architecture = *std::move(architecture);
  }
  return script;
}

}  // namespace tidewheel::ml
