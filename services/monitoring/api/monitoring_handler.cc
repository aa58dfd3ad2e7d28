#include "tidewheel/monitoring/api/monitoring_handler.h"

#include "tidewheel/rpc/page.h"
#include "tidewheel/rpc/status.h"
#include "tidewheel/rpc/time.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::monitoring {
namespace {

constexpr double kConfidence = 0.95;

Result<PageRequest> PageFromProto(std::int32_t size, const std::string& token) {
  const auto items = rpc::PageSize(size);
  if (!items) return items.error();
  return PageRequest{static_cast<std::size_t>(*items), token};
}

template <typename Message>
void FillClasses(const Tally& tally, Message* out) {
  for (const auto& [name, predictions] : tally.by_class) {
    auto* share = out->add_classes();
    share->set_class_name(name);
    share->set_predictions(predictions);
    share->set_share(static_cast<double>(predictions) / static_cast<double>(tally.predictions));
  }
}

v1::StoredPrediction ToProto(const Prediction& prediction) {
  v1::StoredPrediction out;
  out.set_request_id(prediction.request_id);
  out.set_index(prediction.index);
  out.set_task(prediction.model.task);
  out.set_model_version_id(prediction.model.model_version_id);
  out.set_class_name(prediction.class_name);
  out.set_confidence(prediction.confidence);
  out.mutable_probabilities()->Add(prediction.probabilities.begin(),
                                   prediction.probabilities.end());
  *out.mutable_predicted_at() = rpc::ToProto(prediction.predicted_at);
  out.set_payload_sha256(prediction.payload_sha256);
  out.mutable_measures()->insert(prediction.measures.begin(), prediction.measures.end());
  out.set_outcome_class_name(prediction.outcome_class_name);
  if (prediction.outcome_at) *out.mutable_outcome_at() = rpc::ToProto(*prediction.outcome_at);
  return out;
}

v1::Window ToProto(const Window& window) {
  v1::Window out;
  out.set_window_id(window.model.model_version_id + "/" + std::to_string(window.number));
  out.set_task(window.model.task);
  out.set_model_version_id(window.model.model_version_id);
  out.set_number(window.number);
  *out.mutable_first_at() = rpc::ToProto(window.first_at);
  *out.mutable_last_at() = rpc::ToProto(window.last_at);
  out.set_predictions(window.tally.predictions);
  out.set_mean_confidence(window.tally.MeanConfidence());
  FillClasses(window.tally, &out);
  out.set_outcomes(window.tally.outcomes);
  out.set_correct(window.tally.correct);
  if (const auto accuracy = window.tally.Accuracy()) {
    out.set_accuracy(*accuracy);
    const auto interval =
        stats::WilsonInterval(window.tally.correct, window.tally.outcomes, kConfidence);
    if (interval) {
      out.set_accuracy_low(interval->low);
      out.set_accuracy_high(interval->high);
    }
  }
  out.set_closed(window.closed());
  return out;
}

v1::ModelSummary ToProto(const ModelSummary& summary) {
  v1::ModelSummary out;
  out.set_task(summary.model.task);
  out.set_model_version_id(summary.model.model_version_id);
  out.set_predictions(summary.tally.predictions);
  out.set_outcomes(summary.tally.outcomes);
  out.set_correct(summary.tally.correct);
  out.set_mean_confidence(summary.tally.MeanConfidence());
  FillClasses(summary.tally, &out);
  if (const auto accuracy = summary.tally.Accuracy()) out.set_accuracy(*accuracy);
  *out.mutable_last_at() = rpc::ToProto(summary.last_at);
  return out;
}

}  // namespace

grpc::Status MonitoringHandler::GetPrediction(grpc::ServerContext* /*context*/,
                                              const v1::GetPredictionRequest* request,
                                              v1::GetPredictionResponse* response) {
  const auto prediction = store_.FindPrediction(request->request_id(), request->index());
  if (!prediction) return rpc::ToGrpcStatus(prediction.error());
  if (!*prediction) {
    return rpc::ToGrpcStatus(
        Error{ErrorCode::kNotFound, "no prediction " + request->request_id().substr(0, 128) +
                                        " at " + std::to_string(request->index())});
  }

  *response->mutable_prediction() = ToProto(**prediction);
  return grpc::Status::OK;
}

grpc::Status MonitoringHandler::ListWindows(grpc::ServerContext* /*context*/,
                                            const v1::ListWindowsRequest* request,
                                            v1::ListWindowsResponse* response) {
  const auto page = PageFromProto(request->page_size(), request->page_token());
  if (!page) return rpc::ToGrpcStatus(page.error());

  const auto windows = store_.ListWindows({request->task(), request->model_version_id()}, *page);
  if (!windows) return rpc::ToGrpcStatus(windows.error());

  for (const auto& window : windows->items) *response->add_windows() = ToProto(window);
  response->set_next_page_token(windows->next_token);
  return grpc::Status::OK;
}

grpc::Status MonitoringHandler::ListModelSummaries(grpc::ServerContext* /*context*/,
                                                   const v1::ListModelSummariesRequest* request,
                                                   v1::ListModelSummariesResponse* response) {
  const auto page = PageFromProto(request->page_size(), request->page_token());
  if (!page) return rpc::ToGrpcStatus(page.error());

  const auto summaries = store_.ListSummaries(request->task(), *page);
  if (!summaries) return rpc::ToGrpcStatus(summaries.error());

  for (const auto& summary : summaries->items) *response->add_summaries() = ToProto(summary);
  response->set_next_page_token(summaries->next_token);
  return grpc::Status::OK;
}

}  // namespace tidewheel::monitoring
