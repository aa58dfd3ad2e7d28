#include "tidewheel/inference/engine/torch/testing/archives.h"

#include <zip.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

namespace tidewheel::inference {
namespace {

Error Failed(const std::filesystem::path& path) {
  return {ErrorCode::kInternal, path.string() + " cannot be written"};
}

/// libzip takes bytes over that were allocated by malloc.
bool Put(zip_t* archive, const std::string& name, const std::string& bytes) {
  void* copy = std::malloc(bytes.size() + 1);
  std::memcpy(copy, bytes.data(), bytes.size());
  zip_source_t* source = zip_source_buffer(archive, copy, bytes.size(), 1);
  const zip_int64_t index =
      zip_file_add(archive, name.c_str(), source, ZIP_FL_OVERWRITE | ZIP_FL_ENC_UTF_8);
  return index >= 0 &&
         zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0) == 0;
}

}  // namespace

Result<void> WriteArchive(const std::filesystem::path& path,
                          const std::map<std::string, std::string>& files) {
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  if (archive == nullptr) return Failed(path);
  bool done = true;
  for (const auto& [name, bytes] : files) done = Put(archive, name, bytes) && done;
  if (zip_close(archive) != 0 || !done) return Failed(path);
  return {};
}

Result<void> ReplaceInArchive(const std::filesystem::path& path, const std::string& text,
                              const std::string& by) {
  zip_t* archive = zip_open(path.c_str(), 0, nullptr);
  if (archive == nullptr) return Failed(path);
  bool done = true;
  const zip_int64_t count = zip_get_num_entries(archive, 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t state;
    zip_stat_index(archive, static_cast<zip_uint64_t>(i), 0, &state);
    const std::string name = state.name;
    std::string bytes(state.size, '\0');
    zip_file_t* file = zip_fopen_index(archive, static_cast<zip_uint64_t>(i), 0);
    done = zip_fread(file, bytes.data(), bytes.size()) == static_cast<zip_int64_t>(bytes.size()) &&
           done;
    zip_fclose(file);
    const std::size_t at = bytes.find(text);
    if (at == std::string::npos) continue;
    bytes.replace(at, text.size(), by);
    done = Put(archive, name, bytes) && done;
  }
  if (zip_close(archive) != 0 || !done) return Failed(path);
  return {};
}

Result<void> WritePackage(const std::filesystem::path& path) {
  std::ifstream file(TIDEWHEEL_MACHINE_CODE, std::ios::binary);
  std::string code{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::string folder = "made/data/aotinductor/model/";
  return WriteArchive(path,
                      {{"made/archive_format", "pt2"},
                       {"made/archive_version", "0"},
                       {"made/byteorder", "little"},
                       {"made/.data/version", "3\n"},
                       {folder + "hand.wrapper.so", std::move(code)},
                       {folder + "hand.wrapper_metadata.json", R"({"AOTI_DEVICE_KEY": "cpu"})"}});
}

}  // namespace tidewheel::inference
