#include "tidewheel/testing/kafka_broker.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

#include "tidewheel/base/ids.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/free_port.h"

namespace tidewheel::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kStartTimeout{60'000};
constexpr int kPortAttempts = 3;
constexpr char kStartedLine[] = "Kafka Server started";

std::filesystem::path JarFolder() {
  if (const char* jars = std::getenv("TIDEWHEEL_KAFKA_JARS")) return jars;
  if (const char* cache = std::getenv("TIDEWHEEL_CACHE")) {
    return std::filesystem::path(cache) / "kafka-3.9.1";
  }
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home != nullptr ? home : "/") / ".cache/tidewheel/kafka-3.9.1";
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// Kafka's own spelling of a UUID: the sixteen bytes in base64 for URLs.
std::string ClusterId() {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::uint32_t bits = 0;
  int count = 0;
  std::string id;
  for (const char c : NewUuid()) {
    if (c == '-') continue;
    bits = (bits << 4) | static_cast<std::uint32_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    count += 4;
    if (count >= 6) {
      count -= 6;
      id.push_back(kDigits[(bits >> count) & 63]);
    }
  }
  id.push_back(kDigits[(bits << (6 - count)) & 63]);
  return id;
}

}  // namespace

KafkaBroker::KafkaBroker(std::filesystem::path jars) : jars_(std::move(jars)) {}

Result<std::unique_ptr<KafkaBroker>> KafkaBroker::Start() {
  const std::filesystem::path jars = JarFolder();
  if (!std::filesystem::exists(jars / "kafka_2.13-3.9.1.jar")) {
    return Error{ErrorCode::kNotFound,
                 "no Kafka in " + jars.string() + ": run third_party/kafka/fetch"};
  }
  Result<void> started;
  for (int attempt = 0; attempt < kPortAttempts; ++attempt) {
    std::unique_ptr<KafkaBroker> broker(new KafkaBroker(jars));
    if (const auto formatted = broker->Format(); !formatted) return formatted.error();
    started = broker->Restart();
    if (started.ok()) return broker;
    // Somebody was quicker with one of the ports.
    if (started.error().message.find("Address already in use") == std::string::npos) break;
  }
  return started.error();
}

Result<void> KafkaBroker::Format() {
  port_ = FreePort();
  std::uint16_t controller = FreePort();
  while (controller == port_) controller = FreePort();
  const auto at = [](const char* name, std::uint16_t port) {
    return std::string(name) + "://127.0.0.1:" + std::to_string(port);
  };
  std::ofstream(folder_.path() / "server.properties")
      << "process.roles=broker,controller\n"
      << "node.id=1\n"
      << "controller.quorum.voters=1@127.0.0.1:" << controller << "\n"
      << "listeners=" << at("CLIENT", port_) << "," << at("CONTROLLER", controller) << "\n"
      << "advertised.listeners=" << at("CLIENT", port_) << "\n"
      << "inter.broker.listener.name=CLIENT\n"
      << "controller.listener.names=CONTROLLER\n"
      << "listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
      << "log.dirs=" << (folder_.path() / "data").string() << "\n"
      << "auto.create.topics.enable=false\n"
      << "offsets.topic.num.partitions=2\n"
      << "offsets.topic.replication.factor=1\n"
      << "transaction.state.log.num.partitions=2\n"
      << "transaction.state.log.replication.factor=1\n"
      << "transaction.state.log.min.isr=1\n"
      << "group.initial.rebalance.delay.ms=0\n"
      << "group.min.session.timeout.ms=500\n"
      << "broker.session.timeout.ms=2000\n"
      << "broker.heartbeat.interval.ms=500\n"
      << "log.cleaner.dedupe.buffer.size=33554432\n"
      << "num.io.threads=2\n"
      << "num.network.threads=2\n";
  auto format =
      Subprocess::Start({"java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
                         jars_.string() + "/*", "kafka.tools.StorageTool", "format", "-t",
                         ClusterId(), "-c", (folder_.path() / "server.properties").string()},
                        {.folder = folder_.path(),
                         .stdout_file = folder_.path() / "format.log",
                         .stderr_file = folder_.path() / "format.log"});
  if (!format) return format.error();
  if (format->Wait(kStartTimeout) != 0) {
    return Error{ErrorCode::kInternal,
                 "Kafka cannot format its folder: " + ReadFile(folder_.path() / "format.log")};
  }
  return {};
}

std::string KafkaBroker::bootstrap_servers() const { return "127.0.0.1:" + std::to_string(port_); }

void KafkaBroker::Kill() {
  if (!server_) return;
  server_->Kill(SIGKILL);
  server_->Wait(seconds(10));
  server_.reset();
}

Result<void> KafkaBroker::Restart() {
  ++starts_;
  const auto log = folder_.path() / ("log." + std::to_string(starts_));
  auto started =
      Subprocess::Start({"java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", jars_.string() + "/*",
                         "kafka.Kafka", (folder_.path() / "server.properties").string()},
                        {.folder = folder_.path(), .stdout_file = log, .stderr_file = log});
  if (!started) return started.error();
  server_.emplace(std::move(*started));
  // The port opens earlier than the broker serves.
  const bool up = Eventually(kStartTimeout, [&] {
    return !server_->Running() || ReadFile(log).find(kStartedLine) != std::string::npos;
  });
  if (!up || !server_->Running()) {
    return Error{ErrorCode::kInternal, "Kafka did not start: " + Log()};
  }
  return {};
}

std::string KafkaBroker::Log() const {
  return ReadFile(folder_.path() / ("log." + std::to_string(starts_)));
}

Result<KafkaBroker*> SharedKafkaBroker() {
  static const auto broker = KafkaBroker::Start();
  if (!broker) return broker.error();
  return broker->get();
}

void KafkaTest::SetUp() {
  auto broker = SharedKafkaBroker();
  if (!broker && broker.error().code == ErrorCode::kNotFound)
    GTEST_SKIP() << broker.error().message;
  ASSERT_TRUE(broker.ok()) << broker.error().message;
  broker_ = *broker;
}

}  // namespace tidewheel::testing
