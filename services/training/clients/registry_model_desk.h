#pragma once

#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/training/clients/registry_clients.h"
#include "tidewheel/training/domain/cycle_callees.h"

namespace tidewheel::training {

/// What model-registry does for cycles. Thread-safe.
class RegistryModelDesk final : public ModelDesk {
 public:
  explicit RegistryModelDesk(RegistryStub& stub) : stub_(stub) {}

  Result<TaskPolicy> FindTask(const std::string& task, std::uint32_t version) override;
  Result<std::vector<std::string>> ListCycleTasks() override;
  Result<ServingFacts> FindServing(const std::string& task) override;
  Result<ModelFacts> FindModelVersion(const std::string& id) override;
  Result<GateVerdict> RecordGate(const GateRecord& record) override;
  Result<SignOffs> FindSignOffs(const std::string& model_version_id) override;
  Result<void> SetRollout(const RolloutWish& wish) override;
  Result<void> ClearRollout(const std::string& task, const std::string& model_version_id,
                            const std::string& actor, const std::string& reason) override;
  Result<void> Promote(const std::string& model_version_id, const std::string& actor,
                       const std::string& override_reason) override;

 private:
  RegistryStub& stub_;
};

/// Behaviour tests as the registry's tasks declare them.
std::vector<BehaviourTest> TestsFrom(const model_registry::v1::GatePolicy& gate);

/// For answers of our own: a criterion in the registry's words.
model_registry::v1::GateCriterion ToProto(const GateCriterion& criterion);

}  // namespace tidewheel::training
