#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/cli/connection/platform.h"
#include "tidewheel/testing/kafka_broker.h"
#include "tidewheel/testing/postgres_server.h"
#include "tidewheel/testing/subprocess.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::tests {

struct PlatformOptions {
  bool kafka = false;
  /// Further settings by service: {"monitoring", {{"retention", "1h"}}}.
  std::map<std::string, std::map<std::string, std::string>> settings;
};

/// The whole platform as it is run: a durable private PostgreSQL, the eight services as processes
/// on free ports, a temporary folder for all they write; on request a Kafka broker. Everything ends
/// with its owner, or with the thread that started it. For one thread; the addresses may be used by
/// any.
class Platform {
 public:
  /// About three seconds. kNotFound: PostgreSQL or, with `kafka`, Java or the jars are not
  /// installed. kInternal: something did not start; the message ends with its log.
  static Result<std::unique_ptr<Platform>> Start(PlatformOptions options = {});
  /// Stops the services; one that takes longer than 20 s is a failure of the test.
  ~Platform();
  Platform(const Platform&) = delete;
  Platform& operator=(const Platform&) = delete;

  /// As the launcher writes it, for `--platform`.
  std::filesystem::path file() const { return folder_.path() / "platform.json"; }
  const std::filesystem::path& folder() const { return folder_.path(); }
  /// "127.0.0.1:40001"; a restarted service has the one it had.
  std::string AddressOf(const std::string& service) const;
  /// "127.0.0.1:40002".
  std::string MetricsAddressOf(const std::string& service) const;
  /// A client of its own; one for each thread.
  cli::Platform Client(std::chrono::milliseconds deadline = std::chrono::seconds(60)) const;

  /// kill -9.
  void Kill(const std::string& service);
  /// After Kill: on the same ports; returns once it serves.
  Result<void> Restart(const std::string& service);
  bool Running(const std::string& service);
  /// The most memory it has held since it started, in bytes (VmHWM).
  std::uint64_t PeakMemory(const std::string& service) const;
  std::string Log(const std::string& service) const;

  testing::PostgresServer& postgres() { return *postgres_; }
  const testing::TestDatabase& database() const { return database_; }
  testing::KafkaBroker* kafka() { return kafka_.get(); }

  /// The first column of the first row, as the administrator. kInternal: it failed.
  Result<std::string> Ask(const std::string& sql) const;

 private:
  struct Service {
    std::string name;
    std::uint16_t port = 0;
    std::uint16_t metrics_port = 0;
    std::optional<testing::Subprocess> process;
  };

  explicit Platform(PlatformOptions options) : options_(std::move(options)) {}

  Result<void> StartServers();
  Result<void> Migrate(const std::string& service);
  Result<void> Launch(Service& service);
  Result<void> LaunchAll();
  Result<void> WaitUntilReady(Service& service);
  Result<void> WriteFile() const;
  std::map<std::string, std::string> SettingsOf(const Service& service) const;
  std::filesystem::path LogFile(const std::string& service) const;
  std::filesystem::path ReadyFile(const std::string& service) const;
  Service& Find(const std::string& service);
  const Service& Find(const std::string& service) const;

  const PlatformOptions options_;
  testing::TempFolder folder_;
  std::unique_ptr<testing::PostgresServer> postgres_;
  std::unique_ptr<testing::KafkaBroker> kafka_;
  testing::TestDatabase database_;
  std::vector<Service> services_;  // In the order they start.
};

/// The folder with the built programs.
std::filesystem::path ProgramFolder();

/// Runs a program to its end and keeps what it wrote. `argv[0]` without a slash is looked up among
/// the built programs.
struct ProgramEnd {
  int status = -1;  // -1: it took too long and was killed.
  std::string output;
  std::string errors;
};
ProgramEnd RunProgram(std::vector<std::string> argv, std::chrono::milliseconds at_most,
                      const std::map<std::string, std::string>& environment = {});

/// A test with a platform of its own; skipped where PostgreSQL is not installed.
class PlatformTest : public ::testing::Test {
 protected:
  void SetUp() override { StartPlatform({}); }
  void StartPlatform(PlatformOptions options);
  /// Tells what the services said when something failed.
  void TearDown() override;

  std::unique_ptr<Platform> platform_;
};

}  // namespace tidewheel::tests
