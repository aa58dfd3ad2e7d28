#include "tidewheel/inference/core/response_cache.h"

#include <iterator>
#include <utility>

namespace tidewheel::inference {
namespace {

// What an entry costs beside its bytes: two nodes, strings, shapes.
constexpr std::size_t kEntryBytes = 512;

template <typename Number>
void Append(std::string& key, Number number) {
  key.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void AppendText(std::string& key, std::string_view text) {
  Append(key, text.size());
  key.append(text);
}

}  // namespace

std::string ResponseCache::KeyOf(std::uint64_t generation, const InferRequest& request) {
  std::size_t size = 64;
  for (const Tensor& input : request.inputs) size += input.data.size() + 64;
  std::string key;
  key.reserve(size);
  Append(key, generation);
  for (const Tensor& input : request.inputs) {
    Append(key, input.shape.size());
    for (const std::int64_t dimension : input.shape) Append(key, dimension);
    AppendText(key, input.data);
  }
  for (const std::string& output : request.outputs) AppendText(key, output);
  return key;
}

std::optional<std::vector<Tensor>> ResponseCache::Find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(key);
  if (found == index_.end()) {
    ++counts_.misses;
    return std::nullopt;
  }
  ++counts_.hits;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->outputs;
}

void ResponseCache::Store(std::string key, const std::vector<Tensor>& outputs) {
  std::size_t bytes = key.size() + kEntryBytes;
  for (const Tensor& output : outputs) bytes += output.data.size() + output.name.size();
  if (bytes > most_bytes_) return;
  // Copies: an output may be a part of a large batch, which it would keep alive.
  std::vector<Tensor> copies;
  copies.reserve(outputs.size());
  for (const Tensor& output : outputs) {
    copies.push_back(Tensor::Of(output.name, output.type, output.shape, std::string(output.data)));
  }

  const std::lock_guard lock(mutex_);
  if (index_.contains(key)) return;
  while (counts_.bytes + bytes > most_bytes_) {
    Remove(std::prev(entries_.end()));
    ++counts_.evicted;
  }
  entries_.push_front({std::move(key), std::move(copies), bytes});
  index_.emplace(entries_.front().key, entries_.begin());
  counts_.bytes += bytes;
}

void ResponseCache::Forget(std::uint64_t generation) {
  std::string prefix;
  Append(prefix, generation);
  const std::lock_guard lock(mutex_);
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    entry = entry->key.starts_with(prefix) ? Remove(entry) : std::next(entry);
  }
}

ResponseCache::Entries::iterator ResponseCache::Remove(Entries::iterator entry) {
  counts_.bytes -= entry->bytes;
  index_.erase(entry->key);
  return entries_.erase(entry);
}

ResponseCache::Counts ResponseCache::counts() const {
  const std::lock_guard lock(mutex_);
  Counts counts = counts_;
  counts.entries = entries_.size();
  return counts;
}

}  // namespace tidewheel::inference
