#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/testing/subprocess.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::testing {

/// A private Kafka (one KRaft node, loopback, free ports, at most 512 MB of heap) in a temporary
/// folder. Ends with its owner, or with the thread that started it. One thread starts, kills and
/// restarts it.
///
/// Set up so that a test need not wait: groups form at once, a killed broker is registered again
/// after two seconds, topics are made only on request.
class KafkaBroker {
 public:
  /// Three to ten seconds. kNotFound: no `java` in PATH, or no jars in $TIDEWHEEL_KAFKA_JARS, else
  /// ${TIDEWHEEL_CACHE:-$HOME/.cache/tidewheel}/kafka-3.9.1 (third_party/kafka/fetch puts them
  /// there). kInternal: it did not start; the message ends with its log.
  static Result<std::unique_ptr<KafkaBroker>> Start();

  KafkaBroker(const KafkaBroker&) = delete;
  KafkaBroker& operator=(const KafkaBroker&) = delete;

  /// "127.0.0.1:12345".
  std::string bootstrap_servers() const;

  /// kill -9.
  void Kill();

  /// After Kill: starts on the same ports and data and returns once it serves.
  Result<void> Restart();

  std::string Log() const;

 private:
  explicit KafkaBroker(std::filesystem::path jars);
  Result<void> Format();

  const std::filesystem::path jars_;
  TempFolder folder_;
  std::uint16_t port_ = 0;
  int starts_ = 0;
  std::optional<Subprocess> server_;
};

/// The broker all tests of one program may share; started by the first that asks, which must be the
/// main thread. Each test uses topics and groups of its own.
Result<KafkaBroker*> SharedKafkaBroker();

/// A test with the shared broker; skipped where Java or the jars are missing.
class KafkaTest : public ::testing::Test {
 protected:
  void SetUp() override;
  KafkaBroker* broker_ = nullptr;
};

}  // namespace tidewheel::testing
