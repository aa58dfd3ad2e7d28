#include "tidewheel/curation/clients/monitoring_client.h"

#include <utility>

#include "tidewheel/curation/clients/answer.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/time.h"

namespace tidewheel::curation {
namespace {

namespace monitoring = ::tidewheel::monitoring::v1;

constexpr char kCallee[] = "monitoring";

}  // namespace

MonitoringClient::MonitoringClient(std::shared_ptr<grpc::Channel> channel,
                                   std::chrono::milliseconds call_limit)
    : channel_(std::move(channel)), call_limit_(call_limit) {}

Result<PredictionFacts> MonitoringClient::FindPrediction(const std::string& request_id) {
  if (const auto known = CheckKnown(channel_, kCallee); !known) return known.error();
  rpc::ClientContextWithDeadline context(call_limit_);
  monitoring::GetPredictionRequest request;
  request.set_request_id(request_id);
  monitoring::GetPredictionResponse response;
  const auto answered = AnswerOf(
      monitoring::MonitoringService::NewStub(channel_)->GetPrediction(&context, request, &response),
      kCallee);
  if (!answered) return answered.error();

  const monitoring::StoredPrediction& prediction = response.prediction();
  PredictionFacts facts;
  facts.request_id = prediction.request_id();
  facts.task = prediction.task();
  facts.model_version_id = prediction.model_version_id();
  facts.class_name = prediction.class_name();
  facts.confidence = prediction.confidence();
  facts.payload_sha256 = prediction.payload_sha256();
  facts.outcome_class_name = prediction.outcome_class_name();
  if (const auto at = rpc::FromProto(prediction.predicted_at())) facts.predicted_at = *at;
  return facts;
}

}  // namespace tidewheel::curation
