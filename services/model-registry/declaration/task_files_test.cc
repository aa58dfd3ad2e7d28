// The task files that come with the platform.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tidewheel/model_registry/declaration/task_yaml.h"

namespace tidewheel::model_registry {
namespace {

namespace fs = std::filesystem;

TaskSpec Read(const fs::path& file) {
  std::ifstream stream(file);
  const std::string yaml{std::istreambuf_iterator<char>(stream), {}};
  const auto spec = ParseTaskYaml(yaml);
  EXPECT_TRUE(spec.ok()) << file << ": " << (spec.ok() ? "" : spec.error().message);
  return spec.ok() ? *spec : TaskSpec();
}

TEST(TaskFilesTest, EveryOneIsAGoodTaskOfItsFilesName) {
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(TIDEWHEEL_TASKS)) {
    if (entry.path().extension() != ".yaml") continue;
    EXPECT_EQ(Read(entry.path()).name, entry.path().stem());
    ++files;
  }
  EXPECT_GE(files, 3);
}

TEST(TaskFilesTest, NoneStartsACycleByItself) {
  for (const auto& entry : fs::recursive_directory_iterator(TIDEWHEEL_TASKS)) {
    if (entry.path().extension() != ".yaml") continue;
    EXPECT_FALSE(Read(entry.path()).cycle.enabled) << entry.path();
  }
}

}  // namespace
}  // namespace tidewheel::model_registry
