#pragma once

#include <string>
#include <vector>

namespace tidewheel::ml {

/// What is set up wrongly for numeric threads, one sentence each; empty when all is well. Call it
/// at the start of a process that trains: the variables are read when the libraries are loaded, so
/// only the launcher can set them. `threads`: how many the process means to use.
std::vector<std::string> CheckThreading(int threads);

}  // namespace tidewheel::ml
