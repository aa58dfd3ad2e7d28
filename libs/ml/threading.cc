#include "tidewheel/ml/threading.h"

#include <sched.h>

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
