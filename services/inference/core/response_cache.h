#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tidewheel/inference/core/model_server.h"

namespace tidewheel::inference {

/// Answers that were given before, for models that say that the same inputs have the same answer.
/// What was used longest ago goes first when the bytes are used up. Inputs are compared in full: an
/// answer never belongs to others that happen to hash alike. Thread-safe.
class ResponseCache {
 public:
  /// Of keys and answers together.
  explicit ResponseCache(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  /// What an answer hangs on: `generation`, the load of a version; the inputs in the spec's order;
  /// the outputs asked for.
  static std::string KeyOf(std::uint64_t generation, const InferRequest& request);

  /// The outputs, which share the cache's bytes and keep them.
  std::optional<std::vector<Tensor>> Find(const std::string& key);
  /// Keeps a copy, unless it is larger than the cache.
  void Store(std::string key, const std::vector<Tensor>& outputs);
  /// Gives back what a generation holds.
  void Forget(std::uint64_t generation);

  struct Counts {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t evicted = 0;
    std::size_t entries = 0;
    std::size_t bytes = 0;
  };
  Counts counts() const;

 private:
  struct Entry {
    std::string key;
    std::vector<Tensor> outputs;
    std::size_t bytes = 0;
  };
  using Entries = std::list<Entry>;
  Entries::iterator Remove(Entries::iterator entry);

  const std::size_t most_bytes_;
  mutable std::mutex mutex_;                                       // Guards the rest.
  Entries entries_;                                                // The last used is the first.
  std::unordered_map<std::string_view, Entries::iterator> index_;  // Views the entries' keys.
  Counts counts_;
};

}  // namespace tidewheel::inference
