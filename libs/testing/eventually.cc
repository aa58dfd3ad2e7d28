#include "tidewheel/testing/eventually.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

namespace tidewheel::testing {

int Patience() {
  const char* text = std::getenv("TIDEWHEEL_TEST_PATIENCE");
  return text == nullptr ? 1 : std::clamp(std::atoi(text), 1, 100);
}

bool Eventually(std::chrono::milliseconds at_most, const std::function<bool()>& predicate) {
  const auto deadline = std::chrono::steady_clock::now() + at_most * Patience();
  while (!predicate()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace tidewheel::testing
