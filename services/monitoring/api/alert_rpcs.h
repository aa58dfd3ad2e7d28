#pragma once

#include "tidewheel/monitoring/domain/alert_keeper.h"
#include "tidewheel/monitoring/domain/alert_store.h"
#include "tidewheel/monitoring/domain/comparison_desk.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"

namespace tidewheel::monitoring {

/// The rpcs of findings, alerts and comparisons: control calls, blocking. The rest of the service
/// is MonitoringHandler's.
class AlertRpcs : public v1::MonitoringService::Service {
 public:
  struct Parts {
    AlertStore* store = nullptr;
    AlertKeeper* keeper = nullptr;
    ComparisonDesk* comparisons = nullptr;
    const Clock* clock = nullptr;
  };

  /// Without parts every rpc is UNIMPLEMENTED.
  explicit AlertRpcs(const Parts& parts) : parts_(parts) {}

  grpc::Status ListFindings(grpc::ServerContext* context, const v1::ListFindingsRequest* request,
                            v1::ListFindingsResponse* response) override;
  grpc::Status ListAlerts(grpc::ServerContext* context, const v1::ListAlertsRequest* request,
                          v1::ListAlertsResponse* response) override;
  grpc::Status GetAlert(grpc::ServerContext* context, const v1::GetAlertRequest* request,
                        v1::GetAlertResponse* response) override;
  grpc::Status AcknowledgeAlert(grpc::ServerContext* context,
                                const v1::AcknowledgeAlertRequest* request,
                                v1::AcknowledgeAlertResponse* response) override;
  grpc::Status MuteAlert(grpc::ServerContext* context, const v1::MuteAlertRequest* request,
                         v1::MuteAlertResponse* response) override;
  grpc::Status ResolveAlert(grpc::ServerContext* context, const v1::ResolveAlertRequest* request,
                            v1::ResolveAlertResponse* response) override;
  grpc::Status StartComparison(grpc::ServerContext* context,
                               const v1::StartComparisonRequest* request,
                               v1::StartComparisonResponse* response) override;
  grpc::Status GetComparison(grpc::ServerContext* context, const v1::GetComparisonRequest* request,
                             v1::GetComparisonResponse* response) override;
  grpc::Status ListComparisons(grpc::ServerContext* context,
                               const v1::ListComparisonsRequest* request,
                               v1::ListComparisonsResponse* response) override;

 private:
  const Parts parts_;
};

}  // namespace tidewheel::monitoring
