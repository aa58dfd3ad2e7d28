#include "tidewheel/cli/testing/command_runner.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>

#include "tidewheel/testing/subprocess.h"

namespace tidewheel::cli {
namespace {

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

const google::protobuf::Value* ValueAt(const google::protobuf::Struct& object,
                                       const std::vector<std::string>& path) {
  const google::protobuf::Value* value = nullptr;
  for (const auto& step : path) {
    if (value == nullptr || value->has_struct_value()) {
      const auto& fields = (value == nullptr ? object : value->struct_value()).fields();
      const auto found = fields.find(step);
      if (found == fields.end()) return nullptr;
      value = &found->second;
    } else if (value->has_list_value()) {
      const int place = std::atoi(step.c_str());
      if (place < 0 || place >= value->list_value().values_size()) return nullptr;
      value = &value->list_value().values(place);
    } else {
      return nullptr;
    }
  }
  return value;
}

std::string Joined(const std::vector<std::string>& path) {
  std::string text;
  for (const auto& step : path) text += "/" + step;
  return text;
}

}  // namespace

google::protobuf::Struct CommandOutcome::Json() const {
  google::protobuf::Struct object;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(out, &object).ok()) << out << err;
  return object;
}

CommandOutcome CommandRunner::Run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(),
                   std::string(std::getenv("TIDEWHEEL_BINARY_DIR")) + "/bin/tidewheel");
  testing::SubprocessOptions options;
  options.folder = folder_.path();
  options.stdout_file = folder_.path() / "out";
  options.stderr_file = folder_.path() / "err";
  options.environment = {{"TIDEWHEEL_PLATFORM", ""}, {"USER", "tester"}};
  std::filesystem::remove(options.stdout_file);
  std::filesystem::remove(options.stderr_file);
  auto process = testing::Subprocess::Start(arguments, options);
  CommandOutcome outcome;
  if (!process) {
    ADD_FAILURE() << process.error().message;
    return outcome;
  }
  outcome.status = process->Wait(std::chrono::seconds(60)).value_or(-1);
  outcome.out = Read(options.stdout_file);
  outcome.err = Read(options.stderr_file);
  return outcome;
}

std::filesystem::path CommandRunner::Write(const std::string& name, const std::string& bytes) {
  const auto path = folder_.path() / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

double NumberAt(const google::protobuf::Struct& object, const std::vector<std::string>& path) {
  const auto* value = ValueAt(object, path);
  if (value == nullptr || value->kind_case() != google::protobuf::Value::kNumberValue) {
    ADD_FAILURE() << "no number at " << Joined(path) << " of " << object.ShortDebugString();
    return std::numeric_limits<double>::quiet_NaN();
  }
  return value->number_value();
}

std::string TextAt(const google::protobuf::Struct& object, const std::vector<std::string>& path) {
  const auto* value = ValueAt(object, path);
  if (value == nullptr || value->kind_case() != google::protobuf::Value::kStringValue) {
    ADD_FAILURE() << "no text at " << Joined(path) << " of " << object.ShortDebugString();
    return "";
  }
  return value->string_value();
}

}  // namespace tidewheel::cli
