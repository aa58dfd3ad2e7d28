#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/tensor.h"

namespace tidewheel::inference::torch_runner {

inline constexpr std::size_t kMostTensors = 256;
inline constexpr std::size_t kMostRank = 16;
/// Where every tensor begins: what the widest vectors want.
inline constexpr std::size_t kAlignment = 64;

/// Writes a request or an answer: a table, then the tensors' bytes. Gives the bytes used.
/// kInvalidArgument: too many tensors or sizes; kResourceExhausted: they do not fit; both name the
/// limit.
Result<std::size_t> WriteTensors(std::span<char> area, std::span<const Tensor> tensors);
/// An answer that is none.
void WriteError(std::span<char> area, const Error& error);

/// What lies in the area, whoever wrote it: everything is checked before it is used, but the bytes,
/// which the tensors view, may still change. Names are empty. The error that was written, or
/// kInternal: the area is damaged.
Result<std::vector<Tensor>> ReadTensors(std::span<const char> area);

}  // namespace tidewheel::inference::torch_runner
