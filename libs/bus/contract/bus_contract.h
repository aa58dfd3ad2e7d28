#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/bus/broker.h"

namespace tidewheel::bus {

/// A real server that the contract suite runs against, and may kill.
class BusServer {
 public:
  virtual ~BusServer() = default;
  /// kNotFound: not installed here.
  virtual Result<void> Prepare() = 0;
  virtual BrokerOptions Options() const = 0;
  virtual void Kill() = 0;
  virtual Result<void> Restart() = 0;
};

using BusServerFactory = std::unique_ptr<BusServer> (*)();

/// What both drivers promise. Every test has topics and groups of its own on the program's one
/// server.
class BusContractTest : public ::testing::TestWithParam<BusServerFactory> {
 protected:
  void SetUp() override;

  /// A new topic with so many partitions.
  std::string NewTopic(int partitions);
  std::unique_ptr<Publisher> NewPublisher();
  std::unique_ptr<Subscription> Subscribe(const std::string& group, const std::string& topic);

  std::string group_;  // Nobody else's.
  BusServer* server_ = nullptr;
  BrokerOptions options_;
  std::unique_ptr<Broker> broker_;
};

/// Another member of a group, in a process of its own (this program started as `member ...`).
/// Prints "d <partition> <offset> <event id>" for each delivery, pauses, commits, prints "c OK" or
/// "c <error code>".
int RunMember(const std::vector<std::string>& arguments);

}  // namespace tidewheel::bus
