#pragma once

#include <chrono>
#include <functional>

namespace tidewheel::testing {

/// By how much longer a test waits than its text says: TIDEWHEEL_TEST_PATIENCE, from 1 (and 1
/// where it is not set) to 100. Deadlines are written for a quiet machine; what a loaded one needs
/// more is no failure of the program.
int Patience();

/// Asks `predicate` every few milliseconds until it says yes; false when `at_most`, times
/// Patience(), has passed.
bool Eventually(std::chrono::milliseconds at_most, const std::function<bool()>& predicate);

}  // namespace tidewheel::testing
