#pragma once

#include <chrono>

#include "tidewheel/training/domain/cycle_starter.h"
#include "tidewheel/training/domain/cycle_store.h"
#include "tidewheel/training/v1/cycle_service.grpc.pb.h"

namespace tidewheel::training {

/// The rpcs of cycles: control calls, blocking.
class CycleHandler final : public v1::CycleService::Service {
 public:
  /// `cancel_wait`: how long CancelCycle waits for everything to be taken back before it answers
  /// that this goes on.
  CycleHandler(CycleStarter& starter, CycleStore& store, const Clock& clock,
               std::chrono::milliseconds cancel_wait = std::chrono::milliseconds{5'000})
      : starter_(starter), store_(store), clock_(clock), cancel_wait_(cancel_wait) {}

  grpc::Status StartCycle(grpc::ServerContext* context, const v1::StartCycleRequest* request,
                          v1::StartCycleResponse* response) override;
  grpc::Status GetCycle(grpc::ServerContext* context, const v1::GetCycleRequest* request,
                        v1::GetCycleResponse* response) override;
  grpc::Status ListCycles(grpc::ServerContext* context, const v1::ListCyclesRequest* request,
                          v1::ListCyclesResponse* response) override;
  grpc::Status WatchCycle(grpc::ServerContext* context, const v1::WatchCycleRequest* request,
                          grpc::ServerWriter<v1::WatchCycleResponse>* writer) override;
  grpc::Status CancelCycle(grpc::ServerContext* context, const v1::CancelCycleRequest* request,
                           v1::CancelCycleResponse* response) override;
  grpc::Status PauseCycle(grpc::ServerContext* context, const v1::PauseCycleRequest* request,
                          v1::PauseCycleResponse* response) override;
  grpc::Status ResumeCycle(grpc::ServerContext* context, const v1::ResumeCycleRequest* request,
                           v1::ResumeCycleResponse* response) override;
  grpc::Status RetryCycle(grpc::ServerContext* context, const v1::RetryCycleRequest* request,
                          v1::RetryCycleResponse* response) override;
  grpc::Status ListDecisions(grpc::ServerContext* context, const v1::ListDecisionsRequest* request,
                             v1::ListDecisionsResponse* response) override;
  grpc::Status ListCycleSamples(grpc::ServerContext* context,
                                const v1::ListCycleSamplesRequest* request,
                                v1::ListCycleSamplesResponse* response) override;

 private:
  Result<Cycle> Find(const std::string& id);
  v1::Cycle ToProto(const Cycle& cycle) const;

  CycleStarter& starter_;
  CycleStore& store_;
  const Clock& clock_;
  const std::chrono::milliseconds cancel_wait_;
};

}  // namespace tidewheel::training
