#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/model_server.h"

namespace tidewheel::inference {

/// Memory of one input of a batch, kept from batch to batch; aligned for the widest vectors.
class AlignedBytes {
 public:
  /// At least `size` bytes; what was in them is lost.
  char* Ensure(std::size_t size);

 private:
  struct Free {
    void operator()(char* bytes) const;
  };
  std::unique_ptr<char, Free> bytes_;
  std::size_t size_ = 0;
};

/// Puts the rows of `requests` behind each other; they have the same inputs in the same order,
/// whose shapes agree but for the first size. The tensors view `memory`, one for each input.
std::vector<Tensor> GatherRows(std::span<const InferRequest* const> requests,
                               std::vector<AlignedBytes>& memory);

/// Takes the outputs of a batch apart: rows[i] rows for the i-th, which view the batch's bytes and
/// keep their owner. kInternal: an output has not as many rows as the batch.
Result<std::vector<std::vector<Tensor>>> SplitRows(const std::vector<Tensor>& outputs,
                                                   std::span<const std::size_t> rows);

}  // namespace tidewheel::inference
