#include "tidewheel/testing/temp_folder.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>

namespace tidewheel::testing {

TempFolder::TempFolder() {
  const char* set = std::getenv("TMPDIR");
  std::string base = set != nullptr && *set != '\0' ? set : "/tmp";
  // A Unix socket inside must stay below 107 bytes.
  if (base.size() > 60) base = "/tmp";
  std::string name = base + "/tidewheel-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) {
    std::perror(("cannot make a folder in " + base).c_str());
    std::abort();
  }
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace tidewheel::testing
