#pragma once

#include <chrono>
#include <functional>

namespace tidewheel::testing {

/// Asks `predicate` every few milliseconds until it says yes; false when `at_most` has passed.
bool Eventually(std::chrono::milliseconds at_most, const std::function<bool()>& predicate);

}  // namespace tidewheel::testing
