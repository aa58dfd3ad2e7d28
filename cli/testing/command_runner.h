#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <google/protobuf/struct.pb.h>

#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::cli {

/// What a run of the `tidewheel` program came to.
struct CommandOutcome {
  int status = -1;
  std::string out;
  std::string err;

  /// `out` as an object; a test failure where it is none.
  google::protobuf::Struct Json() const;
};

/// Runs the program that this build made, in a folder of its own. One thread at a time.
class CommandRunner {
 public:
  CommandOutcome Run(std::vector<std::string> arguments);

  /// A file in the folder; `name` may have folders.
  std::filesystem::path Write(const std::string& name, const std::string& bytes);
  std::filesystem::path folder() const { return folder_.path(); }

 private:
  testing::TempFolder folder_;
};

/// The number at a path of keys and list places: {"methods", "0", "issues"}. A test failure and NaN
/// where there is none.
double NumberAt(const google::protobuf::Struct& object, const std::vector<std::string>& path);
/// The same for a text.
std::string TextAt(const google::protobuf::Struct& object, const std::vector<std::string>& path);

}  // namespace tidewheel::cli
