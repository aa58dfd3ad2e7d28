#include "tidewheel/inference/torch_runner/wire/messages.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

namespace tidewheel::inference::torch_runner {
namespace {

struct Heading {
  std::uint32_t error = 0;  // 0: none; else its code + 1.
  std::uint32_t tensors = 0;
  std::uint64_t text_bytes = 0;
};

struct Record {
  std::uint32_t type = 0;
  std::uint32_t rank = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::array<std::int64_t, kMostRank> sizes{};
};

constexpr std::size_t kMostErrorBytes = 2'048;

std::size_t Aligned(std::size_t offset) {
  return (offset + kAlignment - 1) / kAlignment * kAlignment;
}

Error Damaged(const std::string& what) {
  return {ErrorCode::kInternal, "shared memory is damaged: " + what};
}

}  // namespace

Result<std::size_t> WriteTensors(std::span<char> area, std::span<const Tensor> tensors) {
  if (tensors.size() > kMostTensors) {
    return Error{ErrorCode::kInvalidArgument, std::to_string(tensors.size()) +
                                                  " tensors, a runner takes at most " +
                                                  std::to_string(kMostTensors)};
  }
  std::size_t end = sizeof(Heading) + tensors.size() * sizeof(Record);
  for (const Tensor& tensor : tensors) {
    if (tensor.shape.size() > kMostRank) {
      return Error{ErrorCode::kInvalidArgument,
                   "tensor \"" + tensor.name + "\" has " + std::to_string(tensor.shape.size()) +
                       " sizes, a runner takes at most " + std::to_string(kMostRank)};
    }
    end = Aligned(end) + tensor.data.size();
  }
  if (end > area.size()) {
    return Error{ErrorCode::kResourceExhausted, "tensors of " + std::to_string(end) +
                                                    " bytes, a runner takes at most " +
                                                    std::to_string(area.size())};
  }
  const Heading heading{.tensors = static_cast<std::uint32_t>(tensors.size())};
  std::memcpy(area.data(), &heading, sizeof heading);
  std::size_t offset = sizeof(Heading) + tensors.size() * sizeof(Record);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& tensor = tensors[i];
    offset = Aligned(offset);
    Record record{.type = static_cast<std::uint32_t>(tensor.type),
                  .rank = static_cast<std::uint32_t>(tensor.shape.size()),
                  .offset = offset,
                  .bytes = tensor.data.size()};
    std::copy(tensor.shape.begin(), tensor.shape.end(), record.sizes.begin());
    std::memcpy(area.data() + sizeof(Heading) + i * sizeof(Record), &record, sizeof record);
    if (!tensor.data.empty()) {
      // An answer may be the request itself.
      std::memmove(area.data() + offset, tensor.data.data(), tensor.data.size());
    }
    offset += tensor.data.size();
  }
  return end;
}

void WriteError(std::span<char> area, const Error& error) {
  const std::size_t bytes = std::min(error.message.size(), kMostErrorBytes);
  const Heading heading{.error = static_cast<std::uint32_t>(error.code) + 1, .text_bytes = bytes};
  std::memcpy(area.data(), &heading, sizeof heading);
  std::memcpy(area.data() + sizeof heading, error.message.data(), bytes);
}

Result<std::vector<Tensor>> ReadTensors(std::span<const char> area) {
  // Copied before it is checked: the other side may still write.
  Heading heading;
  std::memcpy(&heading, area.data(), sizeof heading);
  if (heading.error != 0) {
    if (heading.error > static_cast<std::uint32_t>(ErrorCode::kUnauthenticated) + 1 ||
        heading.text_bytes > kMostErrorBytes) {
      return Damaged("an error that is none");
    }
    return Error{static_cast<ErrorCode>(heading.error - 1),
                 std::string(area.data() + sizeof heading, heading.text_bytes)};
  }
  if (heading.tensors > kMostTensors) return Damaged("too many tensors");
  std::vector<Tensor> tensors(heading.tensors);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    Record record;
    std::memcpy(&record, area.data() + sizeof heading + i * sizeof record, sizeof record);
    if (record.type > static_cast<std::uint32_t>(DataType::kBytes) || record.rank > kMostRank ||
        record.offset > area.size() || record.bytes > area.size() - record.offset) {
      return Damaged("tensor " + std::to_string(i));
    }
    Tensor& tensor = tensors[i];
    tensor.type = static_cast<DataType>(record.type);
    tensor.shape.assign(record.sizes.begin(), record.sizes.begin() + record.rank);
    tensor.data = std::string_view(area.data() + record.offset, record.bytes);
    const auto elements = ElementCount(tensor.shape);
    if (!elements) return Damaged("tensor " + std::to_string(i) + ", " + elements.error().message);
    if (tensor.type != DataType::kBytes &&
        *elements * ElementSize(tensor.type) != tensor.data.size()) {
      return Damaged("tensor " + std::to_string(i) + " has the wrong number of bytes");
    }
  }
  return tensors;
}

}  // namespace tidewheel::inference::torch_runner
