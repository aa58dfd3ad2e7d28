#pragma once

#include "tidewheel/monitoring/api/alert_rpcs.h"
#include "tidewheel/monitoring/domain/monitoring_store.h"
#include "tidewheel/monitoring/domain/window_pump.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"

namespace tidewheel::monitoring {

/// The rpcs of monitoring: control calls, blocking.
class MonitoringHandler final : public AlertRpcs {
 public:
  MonitoringHandler(MonitoringStore& store, ProfileSource& profiles)
      : MonitoringHandler(store, profiles, Parts{}) {}
  MonitoringHandler(MonitoringStore& store, ProfileSource& profiles, const Parts& alerts)
      : AlertRpcs(alerts), store_(store), profiles_(profiles) {}

  grpc::Status GetPrediction(grpc::ServerContext* context, const v1::GetPredictionRequest* request,
                             v1::GetPredictionResponse* response) override;
  grpc::Status ListWindows(grpc::ServerContext* context, const v1::ListWindowsRequest* request,
                           v1::ListWindowsResponse* response) override;
  grpc::Status ListModelSummaries(grpc::ServerContext* context,
                                  const v1::ListModelSummariesRequest* request,
                                  v1::ListModelSummariesResponse* response) override;
  grpc::Status RankPredictions(grpc::ServerContext* context,
                               const v1::RankPredictionsRequest* request,
                               v1::RankPredictionsResponse* response) override;

 private:
  MonitoringStore& store_;
  ProfileSource& profiles_;
};

}  // namespace tidewheel::monitoring
