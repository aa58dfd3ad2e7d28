#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tidewheel/cli/connection/standard_services.h"
#include "tidewheel/tests/platform/platform.h"

namespace tidewheel::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

class StandardServicesTest : public PlatformTest {};

TEST_F(StandardServicesTest, EachServiceListsItsRpcsByReflectionAndIsHealthy) {
  ASSERT_NE(platform_, nullptr);
  for (const auto& service : cli::ServiceNames()) {
    SCOPED_TRACE(service);
    const std::string address = platform_->AddressOf(service);
    const auto listed = cli::ListByReflection(address, std::chrono::seconds(10));
    ASSERT_TRUE(listed.ok()) << listed.error().message;
    std::vector<std::string> names;
    std::string package = service;
    std::replace(package.begin(), package.end(), '-', '_');
    bool has_own = false;
    for (const auto& each : *listed) {
      names.push_back(each.name);
      if (!each.name.starts_with("tidewheel." + package + ".v1.")) continue;
      has_own = true;
      EXPECT_FALSE(each.rpcs.empty()) << each.name;
    }
    EXPECT_TRUE(has_own);
    EXPECT_THAT(names, IsSupersetOf({std::string("grpc.health.v1.Health"),
                                     std::string("grpc.reflection.v1alpha.ServerReflection")}));
    EXPECT_EQ(cli::CheckHealth(address, std::chrono::seconds(10)).state,
              rpc::HealthAnswer::State::kServing);
  }
}

TEST_F(StandardServicesTest, TheCommandLineTellsTheStatusOfAll) {
  ASSERT_NE(platform_, nullptr);
  const auto status = RunProgram({"tidewheel", "--platform", platform_->file().string(), "status"},
                                 std::chrono::seconds(30));
  EXPECT_EQ(status.status, 0) << status.output << status.errors;
  for (const auto& service : cli::ServiceNames()) EXPECT_THAT(status.output, HasSubstr(service));
}

}  // namespace
}  // namespace tidewheel::tests
