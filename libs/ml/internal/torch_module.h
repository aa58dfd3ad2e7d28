#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>

#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/ml/graph/architecture.h"

namespace tidewheel::ml {

/// What Model hides from the headers that others include.
struct TorchModule {
  torch::jit::Module module;
  std::optional<Architecture> architecture;
  std::optional<ArchitecturePlan> plan;
};

/// The one place where LibTorch's exceptions become errors: runs `body`, which returns a Result.
template <typename Body>
auto WithoutExceptions(ErrorCode code, std::string_view what, const Body& body)
    -> decltype(body()) {
  const auto failed = [&](std::string_view why) {
    return Error{code, std::string(what) + ": " + std::string(why.substr(0, why.find('\n')))};
  };
  try {
    return body();
  } catch (const c10::Error& failure) {
    return failed(failure.what_without_backtrace());
  } catch (const std::exception& failure) {
    return failed(failure.what());
  }
}

/// The rows of these numbers as a tensor of LibTorch's own memory, whose alignment does not depend
/// on the file.
at::Tensor BatchOf(const struct TensorDataset& dataset, std::span<const std::uint32_t> indices);

}  // namespace tidewheel::ml
