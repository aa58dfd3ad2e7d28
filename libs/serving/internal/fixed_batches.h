#pragma once

#include <condition_variable>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "tidewheel/serving/internal/openvino.h"

namespace tidewheel::serving {

/// A graph of rows compiled for a few numbers of them. OpenVINO prepares a graph of free sizes anew
/// for each call whose sizes are not those of the call before, which costs a small model more than
/// its rows; batches come in any size. Thread-safe.
class FixedBatches {
 public:
  /// `model` must have a free batch as first size of every port, all else fixed. Null: there are no
  /// sizes, or the graph cannot be compiled so; then the one of free sizes has to do. Throws as
  /// OpenVINO does only when memory is short.
  static std::unique_ptr<FixedBatches> Compile(ov::Core& core, const ov::Model& model,
                                               std::span<const std::size_t> sizes,
                                               const ov::AnyMap& properties, int concurrency);

  /// The largest of the sizes.
  std::size_t most() const { return compiled_.rbegin()->first; }
  /// Rows of the next call when so many (above 0) are left to compute.
  std::size_t SizeOf(std::size_t rows) const;

  /// Leave to use a request compiled for a size; given back with its end.
  class Lease {
   public:
    Lease(FixedBatches& owner, std::size_t size) : owner_(owner), size_(size) {
      request_ = owner_.Take(size_);
    }
    ~Lease() { owner_.GiveBack(size_, std::move(request_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ov::InferRequest& request() { return request_; }

   private:
    FixedBatches& owner_;
    const std::size_t size_;
    ov::InferRequest request_;
  };

 private:
  struct Compiled {
    ov::CompiledModel model{};
    std::vector<ov::InferRequest> idle{};
  };
  ov::InferRequest Take(std::size_t size);
  void GiveBack(std::size_t size, ov::InferRequest request);

  std::mutex mutex_;  // Guards `idle` of each.
  std::condition_variable changed_;
  std::map<std::size_t, Compiled> compiled_;
};

}  // namespace tidewheel::serving
