#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/testing/subprocess.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::testing {

/// A database of a PostgresServer.
struct TestDatabase {
  std::string name;
  std::string admin_dsn;  // As the superuser `postgres`.

  /// The same as another role: DsnOf("tidewheel_ingestion").
  std::string DsnOf(std::string_view role) const;
};

struct PostgresServerOptions {
  bool durable = false;  // fsync on: for tests that pull the plug.
  int max_connections = 100;
};

/// A private PostgreSQL on a Unix socket in a temporary folder. Ends and leaves nothing behind when
/// its owner goes, also when the test program is killed. As root it runs as the user `postgres` or
/// `nobody`. One thread starts, kills and restarts it; CreateDatabase is thread-safe.
class PostgresServer {
 public:
  /// About a second. kNotFound: PostgreSQL 15 is not installed ($TIDEWHEEL_POSTGRES_BIN, else
  /// /usr/lib/postgresql/15/bin). kInternal: it did not start; the message ends with its log.
  static Result<std::unique_ptr<PostgresServer>> Start(const PostgresServerOptions& options = {});

  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  /// A fresh database. `bootstrapped`: with Tidewheel's roles and empty schemas.
  Result<TestDatabase> CreateDatabase(bool bootstrapped = true);

  /// kill -9 for the server and all its processes, as a power cut would do.
  void Kill();

  /// After Kill or Stop: starts on the same data and returns once it answers.
  Result<void> Restart();

  /// Ends it in order, with a last checkpoint.
  void Stop();

  /// The folder of the socket, as libpq's `host`.
  const std::string& socket_folder() const { return socket_folder_; }
  std::string Log() const;

 private:
  PostgresServer(const PostgresServerOptions& options, std::filesystem::path binaries);
  Result<void> Initialize();
  std::string Dsn(std::string_view database) const;
  SubprocessOptions AsServerUser() const;

  const PostgresServerOptions options_;
  const std::filesystem::path binaries_;
  TempFolder folder_;
  std::string socket_folder_;
  std::optional<uid_t> user_;
  std::optional<gid_t> group_;
  std::optional<Subprocess> server_;
  int reaper_fd_ = -1;  // Its other end closes when this process dies, which removes the folder.
  pid_t reaper_ = -1;
  std::atomic<int> databases_ = 0;
};

/// The server all tests of one program may share; started by the first that asks. Each test makes
/// its own database.
Result<PostgresServer*> SharedPostgresServer();

/// A test with a bootstrapped database of its own on the shared server; skipped where PostgreSQL is
/// not installed.
class PostgresTest : public ::testing::Test {
 protected:
  void SetUp() override;
  TestDatabase database_;
};

}  // namespace tidewheel::testing
