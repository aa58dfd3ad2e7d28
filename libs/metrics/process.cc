#include "tidewheel/metrics/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace tidewheel::metrics {
namespace {

/// The fields of /proc/self/stat from the third on (proc(5)); the second, the name, may hold
/// blanks.
std::vector<double> StatFields() {
  std::ifstream stream("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  const auto end = text.rfind(')');
  if (end == std::string::npos) return {};
  std::istringstream rest(text.substr(end + 1));
  std::string state;
  rest >> state;
  std::vector<double> fields{0};
  for (double value = 0; rest >> value;) fields.push_back(value);
  return fields;
}

double BootSeconds() {
  std::ifstream stream("/proc/stat");
  for (std::string word; stream >> word;) {
    double value = 0;
    if (word == "btime" && stream >> value) return value;
  }
  return 0;
}

}  // namespace

ProcessUsage ReadProcessUsage() {
  ProcessUsage usage;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto fields = StatFields();
  if (fields.size() > 21 && ticks > 0) {
    usage.cpu_seconds = (fields[11] + fields[12]) / ticks;
    usage.threads = fields[17];
    usage.start_seconds = BootSeconds() + fields[19] / ticks;
    usage.virtual_bytes = fields[20];
    usage.resident_bytes = fields[21] * static_cast<double>(sysconf(_SC_PAGESIZE));
  }
  std::error_code failure;
  const std::filesystem::directory_iterator files("/proc/self/fd", failure);
  if (!failure) {
    // One of them is the iterator's own.
    for (auto it = begin(files); it != end(files) && !failure; it.increment(failure)) {
      ++usage.open_files;
    }
    usage.open_files -= usage.open_files > 0 ? 1 : 0;
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) usage.max_files = static_cast<double>(limit.rlim_cur);
  return usage;
}

}  // namespace tidewheel::metrics
