#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <array>
#include <charconv>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/ml/foreign/binding.h"
#include "tidewheel/ml/foreign/foreign_model.h"

/// What both kinds of foreign models need of LibTorch. For their .cc files alone.
namespace tidewheel::ml {

inline constexpr std::array kScalarTypes = {
    at::kBool, at::kByte, at::kUInt16, at::kUInt32,   at::kUInt64, at::kChar,  at::kShort,
    at::kInt,  at::kLong, at::kHalf,   at::kBFloat16, at::kFloat,  at::kDouble};
static_assert(kScalarTypes.size() == static_cast<std::size_t>(ForeignType::kText));

/// Runs `body`, which returns a Result; what LibTorch throws becomes an error of `code`, or of the
/// kind that it obviously is.
template <typename Body>
auto CatchAll(ErrorCode code, std::string_view what, const Body& body) -> decltype(body()) {
  const auto failed = [&](std::string_view why) {
    const std::string point = PointOf(why);
    ErrorCode kind = code;
    if (point.starts_with("Unknown builtin op") || point.starts_with("Unknown type name")) {
      kind = ErrorCode::kUnimplemented;
    } else if (why.find("can't allocate memory") != why.npos ||
               why.find("out of memory") != why.npos) {
      kind = ErrorCode::kResourceExhausted;
    }
    return Error{kind, what.empty() ? point : std::string(what) + ": " + point};
  };
  try {
    return body();
  } catch (const c10::Error& failure) {
    return failed(failure.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kResourceExhausted,
                 (what.empty() ? "" : std::string(what) + ": ") + "out of memory"};
  } catch (const std::exception& failure) {
    return failed(failure.what());
  } catch (...) {
    return failed("an exception of no known kind");
  }
}

/// kInvalidArgument: neither "cpu" nor "cuda:N"; kFailedPrecondition: it is not there.
inline Result<at::Device> FindDevice(const std::string& name) {
  if (name.empty() || name == "cpu") return at::Device(at::kCPU);
  constexpr std::string_view kCuda = "cuda";
  int index = 0;
  std::string_view rest = name;
  if (rest.starts_with(kCuda)) {
    rest.remove_prefix(kCuda.size());
    const bool numbered = rest.size() > 1 && rest.front() == ':';
    const auto read =
        std::from_chars(rest.data() + (numbered ? 1 : 0), rest.data() + rest.size(), index);
    if (rest.empty() || (numbered && read.ec == std::errc{} &&
                         read.ptr == rest.data() + rest.size() && index >= 0 && index < 128)) {
      // The CUDA half of LibTorch announces itself when it is loaded; beside a CPU-only LibTorch
      // there is none.
      const bool there = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr;
      if (!there || !at::hasCUDA()) {
        return Error{ErrorCode::kFailedPrecondition,
                     "device \"" + name + "\": this LibTorch has no CUDA" +
                         (there ? ", or no GPU is there" : " (no libtorch_cuda.so)")};
      }
      if (index >= at::detail::getCUDAHooks().deviceCount()) {
        return Error{ErrorCode::kFailedPrecondition,
                     "device \"" + name + "\": there are " +
                         std::to_string(at::detail::getCUDAHooks().deviceCount()) + " GPUs"};
      }
      return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
    }
  }
  return Error{ErrorCode::kInvalidArgument,
               "no device \"" + name + "\"; there are \"cpu\" and \"cuda:N\""};
}

/// The number of threads belongs to the calling thread.
inline void UseThreads(int threads) {
  thread_local int set = 0;
  if (set == threads) return;
  at::set_num_threads(threads);
  set = threads;
}

/// Views the caller's bytes on the CPU.
inline at::Tensor ToTensor(const ForeignTensor& tensor, const at::Device& device, bool copy) {
  const auto options = at::TensorOptions(kScalarTypes[static_cast<std::size_t>(tensor.type)]);
  if (tensor.bytes.empty()) return at::empty(tensor.shape, options.device(device));
  // LibTorch has no tensor of constant elements; what a model does to its input is its own affair.
  at::Tensor view = at::from_blob(const_cast<char*>(tensor.bytes.data()), tensor.shape, options);
  if (!device.is_cpu()) return view.to(device);
  return copy ? view.clone() : view;
}

inline Result<ForeignTensor> FromTensor(const at::Tensor& tensor, const std::string& name) {
  const auto refused = [&](const std::string& why) {
    return Error{ErrorCode::kInvalidArgument, "output \"" + name + "\" " + why};
  };
  if (!tensor.defined()) return refused("is no tensor");
  std::size_t type = 0;
  while (type < kScalarTypes.size() && kScalarTypes[type] != tensor.scalar_type()) ++type;
  if (type == kScalarTypes.size()) {
    return refused(std::string("is ") + c10::toString(tensor.scalar_type()) +
                   ", which no datatype of the protocol is");
  }
  auto held = std::make_shared<at::Tensor>(
      (tensor.layout() == at::kStrided ? tensor : tensor.to_dense()).to(at::kCPU).contiguous());
  const auto bytes = static_cast<std::size_t>(held->nbytes());
  return ForeignTensor{
      static_cast<ForeignType>(type),
      {held->sizes().begin(), held->sizes().end()},
      bytes == 0 ? std::string_view()
                 : std::string_view(static_cast<const char*>(held->const_data_ptr()), bytes),
      held};
}

}  // namespace tidewheel::ml
