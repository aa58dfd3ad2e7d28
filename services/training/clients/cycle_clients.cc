#include "tidewheel/training/clients/cycle_clients.h"

#include <array>
#include <cstdio>

#include "tidewheel/base/random.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/status.h"
#include "tidewheel/rpc/time.h"

namespace tidewheel::training {
namespace {

constexpr std::chrono::seconds kDeadline{10};
constexpr std::chrono::seconds kRankDeadline{30};
constexpr std::chrono::seconds kBuildDeadline{90};  // Of a dataset version: within a cycle's lease.

template <typename Stub, typename Response, typename Request>
Result<Response> Ask(const std::unique_ptr<Stub>& stub, const char* callee,
                     std::chrono::milliseconds deadline,
                     grpc::Status (Stub::*rpc)(grpc::ClientContext*, const Request&, Response*),
                     const Request& request) {
  if (stub == nullptr) {
    return Error{ErrorCode::kUnavailable, std::string("the address of ") + callee +
                                              " is not known: set " + callee + ".address"};
  }
  rpc::ClientContextWithDeadline context(deadline);
  Response response;
  const auto answered = rpc::FromGrpcStatus(((*stub).*rpc)(&context, request, &response), callee);
  if (!answered) return answered.error();
  return response;
}

template <typename Service>
auto Open(const std::string& address) {
  return address.empty() ? nullptr : Service::NewStub(rpc::OpenChannel(address));
}

/// Monitoring's comparisons have UUIDs: the one of this name (version 8, RFC 9562), always the
/// same.
std::string UuidOf(const std::string& name) {
  const std::uint64_t high = (StableHash(name) & ~0xf000ULL) | 0x8000ULL;
  const std::uint64_t low = (StableHash(name, 1) & ~(3ULL << 62)) | (2ULL << 62);
  std::array<char, 37> text{};
  std::snprintf(text.data(), text.size(), "%08llx-%04llx-%04llx-%04llx-%012llx",
                static_cast<unsigned long long>(high >> 32),
                static_cast<unsigned long long>(high >> 16 & 0xffff),
                static_cast<unsigned long long>(high & 0xffff),
                static_cast<unsigned long long>(low >> 48),
                static_cast<unsigned long long>(low & 0xffffffffffffULL));
  return text.data();
}

BatchFacts FactsFrom(const labeling::v1::Batch& batch) {
  // What nobody can judge is not waited for either.
  return {.items = batch.items(),
          .answered = batch.answered() + batch.unjudged(),
          .votes = batch.votes(),
          .labels = batch.labels(),
          .state = batch.state(),
          .labels_are_made = batch.has_completed_at()};
}

}  // namespace

// --- monitoring

MonitoringTrafficWatch::MonitoringTrafficWatch(const std::string& address)
    : stub_(Open<monitoring::v1::MonitoringService>(address)) {}

using MonitoringStub = monitoring::v1::MonitoringService::Stub;
constexpr char kMonitoring[] = "monitoring";

Result<std::vector<RankedPrediction>> MonitoringTrafficWatch::Rank(const RankQuestion& question) {
  monitoring::v1::RankPredictionsRequest request;
  request.set_task(question.task);
  request.set_model_version_id(question.model_version_id);
  if (question.since) *request.mutable_since() = rpc::ToProto(*question.since);
  request.set_order(question.order == "drifted"  ? monitoring::v1::PREDICTION_ORDER_DRIFTED
                    : question.order == "random" ? monitoring::v1::PREDICTION_ORDER_RANDOM
                                                 : monitoring::v1::PREDICTION_ORDER_UNCERTAIN);
  request.set_slice(question.slice);
  request.set_seed(question.seed);
  request.set_count(question.count);
  request.set_sound_only(true);
  request.set_with_embeddings(question.with_embeddings);
  const auto response =
      Ask(stub_, kMonitoring, kRankDeadline, &MonitoringStub::RankPredictions, request);
  if (!response) return response.error();
  std::vector<RankedPrediction> ranked;
  ranked.reserve(static_cast<std::size_t>(response->predictions_size()));
  for (const auto& prediction : response->predictions()) {
    if (prediction.quality_problem()) continue;
    ranked.push_back({prediction.request_id(),
                      prediction.index(),
                      prediction.payload_sha256(),
                      prediction.score(),
                      {prediction.embedding().begin(), prediction.embedding().end()}});
  }
  return ranked;
}

Result<void> MonitoringTrafficWatch::StartComparison(const ComparisonWish& wish) {
  monitoring::v1::StartComparisonRequest request;
  request.set_comparison_id(UuidOf(wish.comparison_id));
  request.set_task(wish.task);
  request.set_candidate_model_version_id(wish.candidate_model_version_id);
  request.set_baseline_model_version_id(wish.baseline_model_version_id);
  request.set_stage(wish.stage);
  request.set_alpha(wish.alpha);
  request.set_max_accuracy_loss(wish.max_accuracy_loss);
  request.set_max_error_increase(wish.max_error_increase);
  request.set_max_latency_ratio(wish.max_latency_ratio);
  request.set_max_disagreement(wish.max_disagreement);
  const auto response =
      Ask(stub_, kMonitoring, kDeadline, &MonitoringStub::StartComparison, request);
  return response ? Result<void>() : Result<void>(response.error());
}

Result<ComparisonFacts> MonitoringTrafficWatch::FindComparison(const std::string& comparison_id) {
  monitoring::v1::GetComparisonRequest request;
  request.set_comparison_id(UuidOf(comparison_id));
  const auto response = Ask(stub_, kMonitoring, kDeadline, &MonitoringStub::GetComparison, request);
  if (!response) return response.error();
  const auto& comparison = response->comparison();
  ComparisonFacts facts{.candidate_predictions = comparison.candidate_predictions(),
                        .disagreements = comparison.disagreements(),
                        .candidate_outcomes = comparison.candidate_outcomes(),
                        .candidate_correct = comparison.candidate_correct(),
                        .baseline_outcomes = comparison.baseline_outcomes(),
                        .baseline_correct = comparison.baseline_correct(),
                        .candidate_errors = comparison.candidate_errors(),
                        .baseline_predictions = comparison.baseline_predictions(),
                        .baseline_errors = comparison.baseline_errors(),
                        .accuracy_difference = {},
                        .verdict = comparison.verdict(),
                        .reason = comparison.reason()};
  if (comparison.has_accuracy_difference()) {
    facts.accuracy_difference = comparison.accuracy_difference();
  }
  return facts;
}

Result<double> MonitoringTrafficWatch::ShareWithOutcome(const std::string& task,
                                                        const std::string& model_version_id) {
  monitoring::v1::ListModelSummariesRequest request;
  request.set_task(task);
  request.set_page_size(1'000);
  while (true) {
    const auto response =
        Ask(stub_, kMonitoring, kDeadline, &MonitoringStub::ListModelSummaries, request);
    if (!response) return response.error();
    for (const auto& summary : response->summaries()) {
      if (summary.model_version_id() != model_version_id || summary.predictions() == 0) continue;
      return static_cast<double>(summary.outcomes()) / static_cast<double>(summary.predictions());
    }
    if (response->next_page_token().empty()) return 0.0;
    request.set_page_token(response->next_page_token());
  }
}

Result<std::string> MonitoringTrafficWatch::FindSliceOf(const std::string& alert_id) {
  monitoring::v1::GetAlertRequest request;
  request.set_alert_id(alert_id);
  const auto response = Ask(stub_, kMonitoring, kDeadline, &MonitoringStub::GetAlert, request);
  if (!response) return response.error();
  for (const auto& finding : response->alert().findings()) {
    if (finding.fires() && !finding.slice().empty()) return finding.slice();
  }
  return std::string();
}

// --- labeling

using QueueStub = labeling::v1::QueueService::Stub;
constexpr char kLabeling[] = "labeling";

LabelingQueue::LabelingQueue(const std::string& address)
    : stub_(Open<labeling::v1::QueueService>(address)) {}

Result<BatchFacts> LabelingQueue::Enqueue(const BatchWish& wish) {
  labeling::v1::EnqueueBatchRequest request;
  request.set_batch_id(wish.batch_id);
  request.set_task(wish.task);
  request.set_votes_wanted(wish.votes_per_sample);
  request.set_max_votes(wish.max_votes);
  request.set_ask_again(wish.ask_again);
  auto priority = static_cast<double>(wish.samples.size());
  for (const auto& sample : wish.samples) {
    auto* item = request.add_items();
    item->set_sample_id(sample.sample_id);
    item->set_priority(priority--);
    item->set_reason(sample.reason);
  }
  const auto response = Ask(stub_, kLabeling, kDeadline, &QueueStub::EnqueueBatch, request);
  if (!response) return response.error();
  return FactsFrom(response->batch());
}

Result<BatchFacts> LabelingQueue::Find(const std::string& batch_id) {
  labeling::v1::GetBatchRequest request;
  request.set_batch_id(batch_id);
  const auto response = Ask(stub_, kLabeling, kDeadline, &QueueStub::GetBatch, request);
  if (!response) return response.error();
  return FactsFrom(response->batch());
}

Result<void> LabelingQueue::Cancel(const std::string& batch_id, const std::string& reason) {
  labeling::v1::CancelBatchRequest request;
  request.set_batch_id(batch_id);
  request.set_reason(reason);
  const auto response = Ask(stub_, kLabeling, kDeadline, &QueueStub::CancelBatch, request);
  return response ? Result<void>() : Result<void>(response.error());
}

// --- curation

CurationDatasetDesk::CurationDatasetDesk(const std::string& address)
    : stub_(Open<curation::v1::CurationService>(address)) {}

Result<std::string> CurationDatasetDesk::Build(const DatasetWish& wish) {
  curation::v1::BuildDatasetVersionRequest request;
  request.set_request_id(wish.request_id);
  request.mutable_recipe()->set_task(wish.task);
  request.mutable_recipe()->set_previous_dataset_version_id(wish.previous_dataset_version_id);
  request.mutable_recipe()->set_new_sample_weight(wish.new_sample_weight);
  // A cycle's labels are few, and many of one vote: a wrong one of a rare class must not outweigh
  // the right ones.
  request.mutable_recipe()->set_class_weighting(
      curation::v1::CLASS_WEIGHTING_ROOT_INVERSE_FREQUENCY);
  request.set_description(wish.description);
  request.set_actor(wish.actor);
  const auto response = Ask(stub_, "curation", kBuildDeadline,
                            &curation::v1::CurationService::Stub::BuildDatasetVersion, request);
  if (!response) return response.error();
  return response->dataset_version().dataset_version_id();
}

}  // namespace tidewheel::training
