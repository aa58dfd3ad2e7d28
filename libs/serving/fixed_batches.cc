#include "tidewheel/serving/internal/fixed_batches.h"

#include <exception>
#include <new>

namespace tidewheel::serving {

std::unique_ptr<FixedBatches> FixedBatches::Compile(ov::Core& core, const ov::Model& model,
                                                    std::span<const std::size_t> sizes,
                                                    const ov::AnyMap& properties, int concurrency) {
  if (sizes.empty()) return nullptr;
  auto batches = std::make_unique<FixedBatches>();
  try {
    for (const std::size_t size : sizes) {
      const auto fixed = model.clone();
      std::map<ov::Output<ov::Node>, ov::PartialShape> shapes;
      for (const auto& input : fixed->inputs()) {
        ov::PartialShape shape = input.get_partial_shape();
        shape[0] = static_cast<ov::Dimension::value_type>(size);
        shapes[input] = shape;
      }
      fixed->reshape(shapes);
      Compiled compiled{.model = core.compile_model(fixed, kProcessor, properties)};
      for (int i = 0; i < concurrency; ++i) {
        compiled.idle.push_back(compiled.model.create_infer_request());
        // What the first call of a request sets up is not left to a caller.
        compiled.idle.back().infer();
      }
      batches->compiled_.emplace(size, std::move(compiled));
    }
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception&) {
    return nullptr;
  }
  return batches;
}

std::size_t FixedBatches::SizeOf(std::size_t rows) const {
  const auto above = compiled_.upper_bound(rows);
  return above == compiled_.begin() ? above->first : std::prev(above)->first;
}

ov::InferRequest FixedBatches::Take(std::size_t size) {
  auto& idle = compiled_.at(size).idle;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&idle] { return !idle.empty(); });
  ov::InferRequest request = std::move(idle.back());
  idle.pop_back();
  return request;
}

void FixedBatches::GiveBack(std::size_t size, ov::InferRequest request) {
  {
    const std::lock_guard lock(mutex_);
    compiled_.at(size).idle.push_back(std::move(request));
  }
  // Those who wait may wait for different sizes.
  changed_.notify_all();
}

}  // namespace tidewheel::serving
