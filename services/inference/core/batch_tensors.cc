#include "tidewheel/inference/core/batch_tensors.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <utility>

namespace tidewheel::inference {
namespace {

constexpr std::align_val_t kAlignment{64};

/// How many bytes the first `elements` of `data` take, or nothing when they are not all there.
Result<std::size_t> BytesOf(std::string_view data, std::size_t elements) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < elements; ++i) {
    std::uint32_t length = 0;
    if (data.size() - at < sizeof length) return Error{ErrorCode::kInternal, "ends too early"};
    std::memcpy(&length, data.data() + at, sizeof length);
    at += sizeof length;
    if (data.size() - at < length) return Error{ErrorCode::kInternal, "ends too early"};
    at += length;
  }
  return at;
}

Error Misfit(const Tensor& output, const std::string& what) {
  return {ErrorCode::kInternal, "output \"" + output.name.substr(0, 80) + "\" " + what};
}

}  // namespace

void AlignedBytes::Free::operator()(char* bytes) const { operator delete(bytes, kAlignment); }

char* AlignedBytes::Ensure(std::size_t size) {
  if (size > size_ || bytes_ == nullptr) {
    bytes_.reset();
    size_ = std::max<std::size_t>({size, size_ * 2, 64});
    bytes_.reset(static_cast<char*>(operator new(size_, kAlignment)));
  }
  return bytes_.get();
}

std::vector<Tensor> GatherRows(std::span<const InferRequest* const> requests,
                               std::vector<AlignedBytes>& memory) {
  const std::vector<Tensor>& first = requests.front()->inputs;
  if (memory.size() < first.size()) memory.resize(first.size());
  std::vector<Tensor> batch(first.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    std::size_t size = 0;
    std::int64_t rows = 0;
    for (const InferRequest* request : requests) {
      size += request->inputs[i].data.size();
      rows += request->inputs[i].shape.front();
    }
    char* const bytes = memory[i].Ensure(size);
    std::size_t at = 0;
    for (const InferRequest* request : requests) {
      const std::string_view part = request->inputs[i].data;
      // An empty view may have no address, which memcpy does not take.
      if (!part.empty()) std::memcpy(bytes + at, part.data(), part.size());
      at += part.size();
    }
    batch[i].name = first[i].name;
    batch[i].type = first[i].type;
    batch[i].shape = first[i].shape;
    batch[i].shape.front() = rows;
    batch[i].data = {bytes, size};
  }
  return batch;
}

Result<std::vector<std::vector<Tensor>>> SplitRows(const std::vector<Tensor>& outputs,
                                                   std::span<const std::size_t> rows) {
  std::size_t all = 0;
  for (const std::size_t count : rows) all += count;
  std::vector<std::vector<Tensor>> parts(rows.size());
  for (auto& part : parts) part.reserve(outputs.size());
  for (const Tensor& output : outputs) {
    if (output.shape.empty() || output.shape.front() != static_cast<std::int64_t>(all)) {
      return Misfit(output, "has " +
                                (output.shape.empty() ? "no" : std::to_string(output.shape[0])) +
                                " rows of a batch of " + std::to_string(all));
    }
    const auto elements = ElementCount(output.shape);
    if (!elements) return Misfit(output, elements.error().message);
    const std::size_t row_elements = all == 0 ? 0 : *elements / all;
    const std::size_t row_bytes = row_elements * ElementSize(output.type);
    if (output.type != DataType::kBytes && output.data.size() != row_bytes * all) {
      return Misfit(output, "has " + std::to_string(output.data.size()) + " bytes of " +
                                std::to_string(row_bytes * all));
    }
    std::string_view rest = output.data;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::size_t size = row_bytes * rows[i];
      if (output.type == DataType::kBytes) {
        const auto walked = BytesOf(rest, row_elements * rows[i]);
        if (!walked) return Misfit(output, walked.error().message);
        size = *walked;
      }
      Tensor part{.name = output.name,
                  .type = output.type,
                  .shape = output.shape,
                  .data = rest.substr(0, size),
                  .owner = output.owner};
      part.shape.front() = static_cast<std::int64_t>(rows[i]);
      parts[i].push_back(std::move(part));
      rest.remove_prefix(size);
    }
  }
  return parts;
}

}  // namespace tidewheel::inference
