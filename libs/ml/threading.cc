#include "tidewheel/ml/threading.h"

#include <sched.h>
#include <strings.h>

#include <cstdlib>
#include <fstream>

namespace tidewheel::ml {
namespace {

bool IsMapped(const std::string& library) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("/" + library) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> CheckThreading(int threads) {
  std::vector<std::string> warnings;
  const char* openmp = std::getenv("OMP_NUM_THREADS");
  if (openmp == nullptr || std::string(openmp) != "1") {
    warnings.push_back("OMP_NUM_THREADS is " + std::string(openmp == nullptr ? "not set" : openmp) +
                       ": set it to 1 before the start, or every thread that computes brings its "
                       "own team of threads");
  }
  // Threads that spin while they wait for each other take the processor from whoever they wait for:
  // on a busy machine two threads were five times slower than with this setting.
  const char* waiting = std::getenv("OMP_WAIT_POLICY");
  if (threads > 1 && (waiting == nullptr || strcasecmp(waiting, "passive") != 0)) {
    warnings.push_back("OMP_WAIT_POLICY is not passive: set it before the start, or the " +
                       std::to_string(threads) + " training threads spin while they wait");
  }
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0 && threads > CPU_COUNT(&allowed)) {
    warnings.push_back(std::to_string(threads) + " training threads on " +
                       std::to_string(CPU_COUNT(&allowed)) + " cores slow each other down");
  }
  // Debian's OpenBLAS takes SSE3 kernels on processors that are newer than it is: four to six times
  // slower.
  if (IsMapped("libopenblas") && std::getenv("OPENBLAS_CORETYPE") == nullptr &&
      __builtin_cpu_supports("avx2")) {
    warnings.push_back(
        "OPENBLAS_CORETYPE is not set and OpenBLAS is loaded: it may take kernels for an old "
        "processor");
  }
  return warnings;
}

}  // namespace tidewheel::ml
