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

}  // namespace
}  // namespace tidewheel::bus
