#include "tidewheel/config/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace tidewheel::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

enum class Bus { kPostgres, kKafka };

struct Settings {
  std::string listen = "127.0.0.1:0";
  std::string dsn;
  std::string password;
  int connections = 4;
  double share = 0.5;
  bool strict = true;
  std::chrono::milliseconds drain{10'000};
  ByteCount max_message = MiB(64);
  std::size_t cache = 1024;
  std::vector<std::string> hosts{"a"};
  Bus bus = Bus::kPostgres;

  void Read(Reader& reader) {
    reader.Read("listen", &listen);
    reader.Read("postgres.dsn", &dsn);
    reader.ReadSecret("postgres.password", &password);
    reader.Read("postgres.connections", &connections, 1, 64);
    reader.Read("share", &share, 0.0, 1.0);
    reader.Read("strict", &strict);
    reader.Read("drain", &drain, std::chrono::milliseconds(0), std::chrono::minutes(1));
    reader.Read("max_message", &max_message, KiB(1), GiB(1));
    reader.ReadBytes("cache", &cache);
    reader.Read("hosts", &hosts);
    reader.ReadEnum("bus", &bus, {{"postgres", Bus::kPostgres}, {"kafka", Bus::kKafka}});
  }
};

Reader From(const std::string& text, Environment environment = {}) {
  return Reader::FromText(text, "x.yaml", "TIDEWHEEL_X", std::move(environment));
}

TEST(ReaderTest, WhatIsNotGivenKeepsItsDefault) {
  Reader reader = From("");
  Settings settings;
  settings.Read(reader);

  EXPECT_TRUE(reader.Finish().ok());
  EXPECT_EQ(settings.listen, "127.0.0.1:0");
  EXPECT_EQ(settings.max_message, MiB(64));
}

TEST(ReaderTest, TheFileFillsEveryKind) {
  Reader reader = From(
      "listen: 0.0.0.0:1\nshare: 0.25\nstrict: false\ndrain: 5s\nmax_message: 16MiB\ncache: 2KiB\n"
      "hosts: [b, c]\nbus: kafka\npostgres:\n  dsn: host=x\n  connections: 8\n");
  Settings settings;
  settings.Read(reader);

  const auto finished = reader.Finish();
  ASSERT_TRUE(finished.ok()) << finished.error().message;
  EXPECT_EQ(settings.listen, "0.0.0.0:1");
  EXPECT_EQ(settings.share, 0.25);
  EXPECT_FALSE(settings.strict);
  EXPECT_EQ(settings.drain, std::chrono::seconds(5));
  EXPECT_EQ(settings.max_message, MiB(16));
  EXPECT_EQ(settings.cache, 2048U);
  EXPECT_THAT(settings.hosts, ElementsAre("b", "c"));
  EXPECT_EQ(settings.bus, Bus::kKafka);
  EXPECT_EQ(settings.dsn, "host=x");
  EXPECT_EQ(settings.connections, 8);
}

TEST(ReaderTest, TheEnvironmentGoesBeforeTheFileAndAnOverrideBeforeBoth) {
  Reader reader = From("listen: file\nshare: 0.25\npostgres: {connections: 2}\n",
                       {{"TIDEWHEEL_X_LISTEN", "env"},
                        {"TIDEWHEEL_X_POSTGRES_CONNECTIONS", "3"},
                        {"TIDEWHEEL_X_HOSTS", "p, q"},
                        {"TIDEWHEEL_X_SHARE", ""}});
  reader.Override("postgres.connections", "5");
  Settings settings;
  settings.Read(reader);

  EXPECT_TRUE(reader.Finish().ok());
  EXPECT_EQ(settings.listen, "env");
  EXPECT_EQ(settings.connections, 5);
  EXPECT_THAT(settings.hosts, ElementsAre("p", "q"));
  EXPECT_EQ(settings.share, 0.25);
}

TEST(ReaderTest, AllProblemsComeTogether) {
  Reader reader = From("lisen: x\nshare: 2\ndrain: 10\npostgres:\n  connections: many\n  dns: x\n",
                       {{"TIDEWHEEL_X_BUS", "rabbit"}});
  reader.Override("shar", "1");
  Settings settings;
  settings.Read(reader);
  reader.Require("postgres.dsn", settings.dsn);

  const auto finished = reader.Finish();
  ASSERT_FALSE(finished.ok());
  EXPECT_EQ(finished.error().code, ErrorCode::kInvalidArgument);
  const std::string& text = finished.error().message;
  EXPECT_THAT(text, HasSubstr("x.yaml:1: lisen: unknown key; did you mean \"listen\"?"));
  EXPECT_THAT(text, HasSubstr("x.yaml:2: share: must be at most 1, not 2"));
  EXPECT_THAT(text, HasSubstr("x.yaml:3: drain: must be a duration"));
  EXPECT_THAT(text, HasSubstr("x.yaml:5: postgres.connections: must be a whole number"));
  EXPECT_THAT(text, HasSubstr("x.yaml:6: postgres.dns: unknown key; did you mean \"dsn\"?"));
  EXPECT_THAT(text, HasSubstr("TIDEWHEEL_X_BUS: bus: must be one of postgres, kafka"));
  EXPECT_THAT(text, HasSubstr("--set: shar: unknown key; did you mean \"share\"?"));
  EXPECT_THAT(text, HasSubstr("postgres.dsn: is needed (key \"postgres.dsn\" or variable "
                              "TIDEWHEEL_X_POSTGRES_DSN)"));
  EXPECT_EQ(settings.connections, 4);
}

TEST(ReaderTest, SecretsAreNeverShown) {
  Reader reader = From("postgres: {password: hunter2}\n");
  Settings settings;
  settings.Read(reader);
  reader.Fail("postgres.password", "is too short");

  EXPECT_EQ(settings.password, "hunter2");
  EXPECT_THAT(reader.Effective(), ::testing::Contains(Pair("postgres.password", "set")));
  EXPECT_THAT(reader.Effective(), ::testing::Contains(Pair("max_message", "64MiB")));
  EXPECT_THAT(reader.Finish().error().message, Not(HasSubstr("hunter2")));
}

TEST(ReaderTest, VariablesThatNoKeyReadsAreTold) {
  Reader reader = From("", {{"TIDEWHEEL_X_LISTEN", "a"}, {"TIDEWHEEL_X_LISTN", "b"}});
  Settings settings;
  settings.Read(reader);
  EXPECT_THAT(reader.UnknownEnvironment(), ElementsAre("TIDEWHEEL_X_LISTN"));
}

TEST(ReaderTest, AFileThatIsNotThereAndOneThatIsNotYamlAreProblems) {
  Reader missing = Reader::FromFile("/nonexistent/x.yaml", "TIDEWHEEL_X");
  EXPECT_THAT(missing.Finish().error().message, HasSubstr("/nonexistent/x.yaml: cannot be read"));
  Reader folder = Reader::FromFile("/tmp", "TIDEWHEEL_X");
  EXPECT_THAT(folder.Finish().error().message, HasSubstr("/tmp: cannot be read"));
  EXPECT_THAT(From("a: [1\n").Finish().error().message, HasSubstr("x.yaml:"));
}

TEST(ReaderTest, AFileAndTheProcessEnvironmentAreRead) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "reader_test.yaml";
  std::ofstream(path) << "listen: from-file\n";
  ASSERT_EQ(setenv("TIDEWHEEL_READERTEST_SHARE", "0.75", 1), 0);
  Reader reader = Reader::FromFile(path.string(), "TIDEWHEEL_READERTEST");
  Settings settings;
  settings.Read(reader);
  unsetenv("TIDEWHEEL_READERTEST_SHARE");
  std::filesystem::remove(path);

  EXPECT_TRUE(reader.Finish().ok());
  EXPECT_EQ(settings.listen, "from-file");
  EXPECT_EQ(settings.share, 0.75);
}

}  // namespace
}  // namespace tidewheel::config
