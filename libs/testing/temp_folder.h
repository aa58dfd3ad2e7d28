#pragma once

#include <filesystem>

namespace tidewheel::testing {

/// A new folder (mode 0700) under $TMPDIR or /tmp with a short path, removed with all it holds.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace tidewheel::testing
