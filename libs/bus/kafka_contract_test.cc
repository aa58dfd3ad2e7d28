#include "tidewheel/bus/contract/bus_contract.h"
#include "tidewheel/testing/kafka_broker.h"

namespace tidewheel::bus {
namespace {

class KafkaBus final : public BusServer {
 public:
  Result<void> Prepare() override {
    const auto broker = testing::SharedKafkaBroker();
    if (!broker) return broker.error();
    broker_ = *broker;
    return {};
  }
  BrokerOptions Options() const override {
    BrokerOptions options;
    options.driver = "kafka";
    options.address = broker_->bootstrap_servers();
    return options;
  }
  void Kill() override { broker_->Kill(); }
  Result<void> Restart() override { return broker_->Restart(); }

 private:
  testing::KafkaBroker* broker_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Kafka, BusContractTest, ::testing::Values(BusServerFactory([] {
                           return std::unique_ptr<BusServer>(new KafkaBus);
                         })));

TEST(KafkaBusTest, AsksForPositionsBeforeTheServerHasSeenAnyGroup) {
  const auto server = testing::KafkaBroker::Start();
  if (!server && server.error().code == ErrorCode::kNotFound) {
    GTEST_SKIP() << server.error().message;
  }
  ASSERT_TRUE(server.ok()) << server.error().message;
  BrokerOptions options;
  options.driver = "kafka";
  options.address = (*server)->bootstrap_servers();
  const auto broker = OpenBroker(options);
  ASSERT_TRUE(broker.ok()) << broker.error().message;

  const auto lag = (*broker)->Lag("nobody");

  ASSERT_TRUE(lag.ok()) << lag.error().message;
  EXPECT_TRUE(lag->empty());
}

}  // namespace
}  // namespace tidewheel::bus
