// Durable puts into the payload store, beside appending the same bytes to a file and fdatasync.
// $TIDEWHEEL_BENCH_FOLDER is where it writes: a folder on a disk, not in memory.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/ids.h"
#include "tidewheel/blob/store.h"

namespace tidewheel {
namespace {

constexpr std::size_t kPayloadBytes = 3'072;
constexpr std::uint64_t kStep = 16 << 20;  // Preallocated at once, as the store does.
constexpr int kPuts = 300;                 // An iteration each; bounds what lies on the disk.

/// A folder of its own that goes with its owner.
class Folder {
 public:
  Folder() {
    const char* base = std::getenv("TIDEWHEEL_BENCH_FOLDER");
    path_ =
        (base != nullptr ? std::filesystem::path(base) : std::filesystem::temp_directory_path()) /
        ("blob_bench-" + NewUuid());
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void Put(benchmark::State& state) {
  const Folder folder;
  const auto store = blob::OpenFileStore(folder.path());
  if (!store) return state.SkipWithError(store.error().message.c_str());
  const auto count = static_cast<std::size_t>(state.range(0));
  std::vector<std::string> payloads(count, std::string(kPayloadBytes, 'x'));
  const std::vector<std::string_view> views(payloads.begin(), payloads.end());
  std::uint64_t serial = 0;
  for (auto _ : state) {
    for (auto& payload : payloads) payload.replace(0, 8, reinterpret_cast<char*>(&++serial), 8);
    if (const auto put = (*store)->PutMany(views); !put) {
      state.SkipWithError(put.error().message.c_str());
      break;
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void Append(benchmark::State& state) {
  const Folder folder;
  const int fd = open((folder.path() / "file").c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd < 0) return state.SkipWithError("the file cannot be made");
  const std::string bytes(static_cast<std::size_t>(state.range(0)) * kPayloadBytes, 'x');
  std::uint64_t end = 0;
  std::uint64_t allocated = 0;
  for (auto _ : state) {
    if (end + bytes.size() > allocated) {
      allocated = ((end + bytes.size()) / kStep + 1) * kStep;
      if (fallocate(fd, 0, 0, static_cast<off_t>(allocated)) != 0) {
        state.SkipWithError("no space can be allocated");
        break;
      }
    }
    if (pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(end)) !=
            static_cast<ssize_t>(bytes.size()) ||
        fdatasync(fd) != 0) {
      state.SkipWithError("writing failed");
      break;
    }
    end += bytes.size();
  }
  close(fd);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK(Put)->Name("put")->Arg(1)->Arg(64)->Iterations(kPuts)->UseRealTime()->Unit(
    benchmark::kMicrosecond);
BENCHMARK(Append)->Name("append")->Arg(1)->Arg(64)->Iterations(kPuts)->UseRealTime()->Unit(
    benchmark::kMicrosecond);

}  // namespace
}  // namespace tidewheel
