#pragma once

#include <chrono>
#include <filesystem>
#include <string>

namespace tidewheel::ml {

/// Where a training keeps its state from time to time, so that after its process ended it goes on
/// where it was, to the same bits as if it had never stopped.
struct Checkpoint {
  /// The file; empty: none is kept. Replaced whole, through FILE.part beside it.
  std::filesystem::path file{};
  /// Names everything that the training depends on beside its arguments' sizes: what is kept under
  /// another name is not gone on with.
  std::string identity{};
  /// How much work may be lost. One is also kept at the end of the training.
  std::chrono::milliseconds every{2'000};
};

}  // namespace tidewheel::ml
