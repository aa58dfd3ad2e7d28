#include "tidewheel/ml/foreign/testing/script_files.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>

#include <exception>

namespace tidewheel::ml::testing {

Result<void> WriteScript(const std::filesystem::path& path, const std::string& source) {
  try {
    torch::jit::Module module("Served");
    module.register_attribute("training", c10::BoolType::get(), false);
    module.register_buffer("state", at::zeros({1}));
    module.define(source);
    module.save(path.string());
    return {};
  } catch (const std::exception& failure) {
    return Error{ErrorCode::kInvalidArgument, failure.what()};
  }
}

}  // namespace tidewheel::ml::testing
