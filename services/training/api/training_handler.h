#pragma once

#include "tidewheel/training/domain/run_queue.h"
#include "tidewheel/training/domain/run_store.h"
#include "tidewheel/training/v1/training_service.grpc.pb.h"

namespace tidewheel::training {

/// The rpcs of training: control calls, blocking.
class TrainingHandler final : public v1::TrainingService::Service {
 public:
  TrainingHandler(RunQueue& queue, RunStore& store) : queue_(queue), store_(store) {}

  grpc::Status StartRun(grpc::ServerContext* context, const v1::StartRunRequest* request,
                        v1::StartRunResponse* response) override;
  grpc::Status GetRun(grpc::ServerContext* context, const v1::GetRunRequest* request,
                      v1::GetRunResponse* response) override;
  grpc::Status ListRuns(grpc::ServerContext* context, const v1::ListRunsRequest* request,
                        v1::ListRunsResponse* response) override;
  grpc::Status WatchRun(grpc::ServerContext* context, const v1::WatchRunRequest* request,
                        grpc::ServerWriter<v1::WatchRunResponse>* writer) override;
  grpc::Status CancelRun(grpc::ServerContext* context, const v1::CancelRunRequest* request,
                         v1::CancelRunResponse* response) override;
  grpc::Status ListRunPredictions(grpc::ServerContext* context,
                                  const v1::ListRunPredictionsRequest* request,
                                  v1::ListRunPredictionsResponse* response) override;
  grpc::Status CompareRuns(grpc::ServerContext* context, const v1::CompareRunsRequest* request,
                           v1::CompareRunsResponse* response) override;

 private:
  RunQueue& queue_;
  RunStore& store_;
};

}  // namespace tidewheel::training
