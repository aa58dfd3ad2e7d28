#include "tidewheel/monitoring/api/monitoring_handler.h"

#include "tidewheel/rpc/page.h"
#include "tidewheel/rpc/status.h"
#include "tidewheel/rpc/time.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::monitoring {
namespace {

constexpr double kConfidence = 0.95;
constexpr std::uint32_t kMostRanked = 10'000;
constexpr std::size_t kMostCandidates = 20'000;  // The newest; of each model.

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
  out.set_class_name(prediction.class_name());
  out.set_confidence(prediction.confidence);
  out.mutable_probabilities()->Add(prediction.probabilities.begin(),
                                   prediction.probabilities.end());
  *out.mutable_predicted_at() = rpc::ToProto(prediction.predicted_at);
  out.set_payload_sha256(prediction.payload_sha256);
  for (const auto& measure : prediction.measures) {
    (*out.mutable_measures())[measure.name] = measure.value;
  }
  out.set_outcome_class_name(prediction.outcome_class_name);
  if (prediction.outcome_at) *out.mutable_outcome_at() = rpc::ToProto(*prediction.outcome_at);
  return out;
}

v1::Window ToProto(const Window& window) {
  v1::Window out;
  out.set_window_id(WindowKey{window.model, window.slice, window.kind, window.number}.Id());
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
  out.set_closed(window.closed);
  out.set_judged(window.judged);
  out.set_slice(window.slice);
  out.set_kind(window.kind);
  if (window.estimated_accuracy) {
    out.set_estimated_accuracy(*window.estimated_accuracy);
    out.set_estimated_low(window.estimated_low);
    out.set_estimated_high(window.estimated_high);
  }
  out.mutable_drift()->insert(window.drift.begin(), window.drift.end());
  return out;
}

Result<RankQuery> QueryFrom(const v1::RankPredictionsRequest& request) {
  if (request.task().empty()) return Error{ErrorCode::kInvalidArgument, "no task is named"};
  if (request.count() > kMostRanked) {
    return Error{ErrorCode::kInvalidArgument, "count is " + std::to_string(request.count()) +
                                                  ", at most " + std::to_string(kMostRanked)};
  }
  RankQuery query;
  query.task = request.task();
  query.model_version_id = request.model_version_id();
  if (request.has_since()) {
    const auto since = rpc::FromProto(request.since());
    if (!since) return since.error();
    query.since = *since;
  }
  switch (request.order()) {
    case v1::PREDICTION_ORDER_UNCERTAIN:
      query.order = RankOrder::kUncertain;
      break;
    case v1::PREDICTION_ORDER_DRIFTED:
      query.order = RankOrder::kDrifted;
      break;
    case v1::PREDICTION_ORDER_RANDOM:
      query.order = RankOrder::kRandom;
      break;
    default:
      return Error{ErrorCode::kInvalidArgument, "order is uncertain, drifted or random"};
  }
  query.slice = request.slice();
  query.seed = request.seed();
  if (request.count() > 0) query.count = request.count();
  query.sound_only = request.sound_only();
  return query;
}

v1::RankedPrediction ToProto(const RankedPrediction& ranked) {
  const ObservedRow& row = ranked.prediction.row;
  v1::RankedPrediction out;
  out.set_request_id(row.request_id);
  out.set_index(row.index);
  out.set_payload_sha256(row.payload_sha256);
  *out.mutable_predicted_at() = rpc::ToProto(row.at);
  out.set_class_name(ranked.prediction.class_name);
  if (row.class_index < row.probabilities.size()) {
    out.set_confidence(static_cast<double>(row.probabilities[row.class_index]));
  }
  out.set_score(ranked.score);
  out.mutable_slices()->Add(row.slices.begin(), row.slices.end());
  out.set_quality_problem(!row.quality_problems.empty());
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

  const std::string kind = request->kind().empty() ? "count" : request->kind();
  if (kind != "count" && kind != "time") {
    return rpc::ToGrpcStatus(Error{ErrorCode::kInvalidArgument,
                                   "kind is \"count\" or \"time\", not " + kind.substr(0, 64)});
  }
  const auto windows = store_.ListWindows(
      {{request->task(), request->model_version_id()}, request->slice(), kind}, *page);
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

grpc::Status MonitoringHandler::RankPredictions(grpc::ServerContext* /*context*/,
                                                const v1::RankPredictionsRequest* request,
                                                v1::RankPredictionsResponse* response) {
  const auto query = QueryFrom(*request);
  if (!query) return rpc::ToGrpcStatus(query.error());

  auto candidates = store_.FindCandidates(*query, kMostCandidates);
  if (!candidates) return rpc::ToGrpcStatus(candidates.error());
  std::map<ModelKey, std::shared_ptr<const Profile>> profiles;
  if (query->order == RankOrder::kDrifted) {
    for (const auto& [model, features] : candidates->features) {
      auto profile = profiles_.ProfileOf(model);
      if (!profile) return rpc::ToGrpcStatus(profile.error());
      profiles[model] = *std::move(profile);
    }
  }
  for (const auto& ranked : Rank(*std::move(candidates), *query, profiles)) {
    auto& out = *response->add_predictions();
    out = ToProto(ranked);
    if (!request->with_embeddings()) continue;
    const auto& embedding = ranked.prediction.row.embedding;
    out.mutable_embedding()->Add(embedding.begin(), embedding.end());
  }
  return grpc::Status::OK;
}

}  // namespace tidewheel::monitoring
