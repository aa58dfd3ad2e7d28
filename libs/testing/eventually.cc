#include "tidewheel/testing/eventually.h"

#include <thread>

namespace tidewheel::testing {

bool Eventually(std::chrono::milliseconds at_most, const std::function<bool()>& predicate) {
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  while (!predicate()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace tidewheel::testing
