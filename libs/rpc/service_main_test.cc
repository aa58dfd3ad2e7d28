#include "tidewheel/rpc/service_main.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <thread>

#include "tidewheel/metrics/exposer.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/server.h"
#include "tidewheel/rpc/testing/echo_handler.h"

namespace tidewheel::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Config {
  ServerOptions server;
  std::string metrics = "127.0.0.1:0";
  std::string password;

  void Read(config::Reader& reader) {
    server.Read(reader);
    reader.Read("metrics.listen", &metrics);
    reader.ReadSecret("password", &password);
  }
};

class App {
 public:
  explicit App(const Config& config) : metrics_(config.metrics), server_(config.server, registry_) {
    server_.Add(echo_);
  }

  Result<void> Start() {
    auto exposer = metrics::Exposer::Start(metrics_, registry_);
    if (!exposer) return exposer.error();
    exposer_ = std::move(*exposer);
    if (auto started = server_.Start(); !started) return started;
    server_.SetServing(true);
    return {};
  }
  Addresses addresses() const {
    return {{"grpc", server_.address()}, {"metrics", exposer_->address()}};
  }

 private:
  std::string metrics_;
  metrics::Registry registry_{"echo"};
  testing::BlockingEcho echo_;
  std::unique_ptr<metrics::Exposer> exposer_;
  Server server_;
};

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  return pointers;
}

/// Runs a main that ends by itself.
Outcome RunMain(std::vector<std::string> words,
                const std::function<Result<void>(const Config&)>& migrate = nullptr) {
  words.insert(words.begin(), "echo");
  auto arguments = Pointers(words);
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  // A thread of its own: main blocks signals for its thread.
  const int code = std::async(std::launch::async, [&] {
                     return ServiceMain<Config, App>("echo-test", static_cast<int>(words.size()),
                                                     arguments.data(), migrate);
                   }).get();
  std::string out = ::testing::internal::GetCapturedStdout();
  return {code, std::move(out), ::testing::internal::GetCapturedStderr()};
}

std::string TemporaryPath(const std::string& name) {
  return (std::filesystem::path(::testing::TempDir()) / (name + std::to_string(getpid()))).string();
}

std::string Contents(const std::string& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string Value(const std::string& json, const std::string& key) {
  const std::string start = "\"" + key + "\":\"";
  const auto at = json.find(start);
  if (at == std::string::npos) return "";
  const auto begin = at + start.size();
  return json.substr(begin, json.find('"', begin) - begin);
}

TEST(ServiceMainTest, ServesUntilItIsToldToStop) {
  const std::string ready = TemporaryPath("ready");
  std::ofstream(ready) << "left by a process that was killed";
  std::vector<std::string> words{"echo", "--ready-file", ready, "--set", "drain=1s"};
  auto arguments = Pointers(words);
  int code = -1;
  std::thread service([&] {
    code = ServiceMain<Config, App>("echo-test", static_cast<int>(words.size()), arguments.data());
  });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  std::string announced;
  while (announced.find("\"ready\":true") == std::string::npos &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
    announced = Contents(ready);
  }

  EXPECT_EQ(Value(announced, "service"), "echo-test");
  EXPECT_TRUE(WaitUntilServing(Value(announced, "grpc"), std::chrono::seconds(10)).ok());
  EXPECT_THAT(Value(announced, "metrics"), HasSubstr("127.0.0.1:"));
  pthread_kill(service.native_handle(), SIGTERM);
  service.join();
  EXPECT_EQ(code, 0);
  EXPECT_FALSE(std::filesystem::exists(ready));
}

TEST(ServiceMainTest, CheckConfigPrintsWhatHoldsWithoutSecrets) {
  const auto run = RunMain({"--check-config", "--set", "password=hunter2", "--set", "drain=3s"});
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.out, HasSubstr("drain: 3s\n"));
  EXPECT_THAT(run.out, HasSubstr("password: set\n"));
  EXPECT_THAT(run.out + run.err, Not(HasSubstr("hunter2")));
}

TEST(ServiceMainTest, AllProblemsOfTheSettingsAreToldBeforeAPortOpens) {
  const std::string file = TemporaryPath("config.yaml");
  std::ofstream(file) << "lisen: [x]\ndrain: soon\n";
  const auto checked = RunMain({"--config", file, "--check-config"});
  EXPECT_EQ(checked.code, 1);
  EXPECT_THAT(checked.err, HasSubstr(file + ":1: lisen: unknown key; did you mean \"listen\"?\n"));
  EXPECT_THAT(checked.err, HasSubstr(file + ":2: drain: must be a duration"));

  const auto started = RunMain({"--config", file});
  EXPECT_EQ(started.code, 1);
  EXPECT_THAT(started.err, Not(HasSubstr("server listens")));
  std::filesystem::remove(file);
}

TEST(ServiceMainTest, MigrateRunsTheMigrationAndEnds) {
  bool ran = false;
  const auto run = RunMain({"--migrate"}, [&](const Config&) -> Result<void> {
    ran = true;
    return {};
  });
  EXPECT_EQ(run.code, 0);
  EXPECT_TRUE(ran);
  const auto failed = RunMain({"--migrate"}, [](const Config&) -> Result<void> {
    return Error{ErrorCode::kUnavailable, "no database"};
  });
  EXPECT_EQ(failed.code, 1);
  EXPECT_THAT(failed.err, HasSubstr("no database"));
}

TEST(ServiceMainTest, AServiceThatCannotStartSaysWhyAndEndsWithOne) {
  const auto run = RunMain({"--set", "listen=unix:/nonexistent/folder/x.sock"});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr("unix:/nonexistent/folder/x.sock cannot be bound"));
}

TEST(ServiceMainTest, WordsAreExplainedAndUnknownOnesRefused) {
  EXPECT_EQ(RunMain({"--version"}).code, 0);
  const auto help = RunMain({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.out, HasSubstr("TIDEWHEEL_ECHO_TEST_..."));
  EXPECT_EQ(RunMain({"--confg", "x"}).code, 2);
  EXPECT_EQ(RunMain({"--config"}).code, 2);
  EXPECT_EQ(RunMain({"--set", "x"}).code, 2);
}

}  // namespace
}  // namespace tidewheel::rpc
