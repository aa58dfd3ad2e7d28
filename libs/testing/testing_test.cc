#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>

#include "tidewheel/postgres/pool.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/free_port.h"
#include "tidewheel/testing/postgres_server.h"
#include "tidewheel/testing/subprocess.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::testing {
namespace {

using namespace std::chrono_literals;

TEST(TempFolderTest, IsPrivateAndGoesWithItsOwner) {
  std::filesystem::path path;
  {
    const TempFolder folder;
    path = folder.path();
    EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms::owner_all);
  }

  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(EventuallyTest, GivesUpAtTheDeadline) {
  const auto start = std::chrono::steady_clock::now();

  EXPECT_FALSE(Eventually(50ms, [] { return false; }));
  EXPECT_GE(std::chrono::steady_clock::now() - start, 50ms);
  int asked = 0;
  EXPECT_TRUE(Eventually(10s, [&] { return ++asked == 3; }));
}

TEST(SubprocessTest, TellsExitStatusAndSignal) {
  auto failing = Subprocess::Start({"sh", "-c", "exit 7"});
  auto sleeping = Subprocess::Start({"sleep", "60"});
  ASSERT_TRUE(failing.ok() && sleeping.ok());

  EXPECT_EQ(failing->Wait(10s), 7);
  EXPECT_EQ(sleeping->Wait(0ms), std::nullopt);
  sleeping->Kill(SIGTERM);
  EXPECT_EQ(sleeping->Wait(10s), 128 + SIGTERM);
}

TEST(SubprocessTest, MissingProgramIsNotFound) {
  const auto missing = Subprocess::Start({"/nowhere/at/all"});

  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
}

TEST(SubprocessTest, LinesAndEnvironmentPassThrough) {
  auto child = Subprocess::Start({"sh", "-c", "echo one; echo $WORD; printf unfinished"},
                                 {.environment = {{"WORD", "two"}}, .pipe_stdout = true});
  ASSERT_TRUE(child.ok());

  EXPECT_EQ(child->ReadLine(10s), "one");
  EXPECT_EQ(child->ReadLine(10s), "two");
  EXPECT_EQ(child->ReadLine(10s), std::nullopt);
}

TEST(SubprocessTest, ChildDiesWithItsParent) {
  auto parent = Subprocess::Fork(
      [] {
        auto child = Subprocess::Start({"sleep", "60"});
        std::printf("%d\n", static_cast<int>(child->pid()));
        std::fflush(stdout);
        pause();
        return 0;
      },
      {.pipe_stdout = true});
  ASSERT_TRUE(parent.ok());
  const auto line = parent->ReadLine(10s);
  ASSERT_TRUE(line.has_value());
  const pid_t child = std::atoi(line->c_str());
  ASSERT_EQ(kill(child, 0), 0);

  parent->Kill(SIGKILL);

  EXPECT_TRUE(Eventually(10s, [&] { return kill(child, 0) != 0; }));
}

TEST(FreePortTest, IsNotZero) { EXPECT_NE(FreePort(), 0); }

TEST(PostgresServerTest, SurvivesKillAndRestartWithItsData) {
  auto server = PostgresServer::Start({.durable = true});
  if (!server && server.error().code == ErrorCode::kNotFound)
    GTEST_SKIP() << server.error().message;
  ASSERT_TRUE(server.ok()) << server.error().message;
  const auto database = (*server)->CreateDatabase();
  ASSERT_TRUE(database.ok()) << database.error().message;
  postgres::Pool pool({.dsn = database->admin_dsn, .connections = 1});
  ASSERT_TRUE(pool.InTransaction([](pqxx::work& tx) -> Result<void> {
                    tx.exec("CREATE TABLE public.kept AS SELECT 42 AS value");
                    return {};
                  })
                  .ok());

  (*server)->Kill();
  EXPECT_EQ(pool.Ping().error().code, ErrorCode::kUnavailable);
  ASSERT_TRUE((*server)->Restart().ok());

  const auto value = pool.ReadOnly([](pqxx::transaction_base& tx) -> Result<int> {
    return tx.exec1("SELECT value FROM public.kept")[0].as<int>();
  });
  ASSERT_TRUE(value.ok()) << value.error().message;
  EXPECT_EQ(*value, 42);
}

TEST(PostgresServerTest, NothingIsLeftWhenTheTestIsKilled) {
  auto parent = Subprocess::Fork(
      [] {
        auto server = PostgresServer::Start();
        std::printf("%s\n", server ? (*server)->socket_folder().c_str() : "none");
        std::fflush(stdout);
        pause();
        return 0;
      },
      {.pipe_stdout = true});
  ASSERT_TRUE(parent.ok());
  const auto folder = parent->ReadLine(60s);
  ASSERT_TRUE(folder.has_value());
  if (*folder == "none") GTEST_SKIP() << "PostgreSQL 15 is not installed";
  ASSERT_TRUE(std::filesystem::exists(*folder));

  parent->Kill(SIGKILL);

  EXPECT_TRUE(Eventually(20s, [&] { return !std::filesystem::exists(*folder); }));
}

}  // namespace
}  // namespace tidewheel::testing
