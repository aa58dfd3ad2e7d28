#include "tidewheel/monitoring/api/alert_rpcs.h"

#include <cmath>

#include "tidewheel/base/ids.h"
#include "tidewheel/rpc/page.h"
#include "tidewheel/rpc/status.h"
#include "tidewheel/rpc/time.h"

namespace tidewheel::monitoring {
namespace {

constexpr std::size_t kMostActor = 200;  // Bytes of a name.
constexpr std::size_t kMostReason = 2'000;
constexpr double kLongestMute = 30.0 * 24 * 3'600;

grpc::Status Absent() {
  return {grpc::StatusCode::UNIMPLEMENTED, "this copy of monitoring judges nothing"};
}

Result<PageRequest> PageFrom(std::int32_t size, const std::string& token) {
  const auto items = rpc::PageSize(size);
  if (!items) return items.error();
  return PageRequest{static_cast<std::size_t>(*items), token};
}

Result<void> CheckActor(const std::string& actor) {
  if (actor.empty() || actor.size() > kMostActor) {
    return Error{ErrorCode::kInvalidArgument, "an actor has 1 to " + std::to_string(kMostActor) +
                                                  " bytes, this one " +
                                                  std::to_string(actor.size())};
  }
  return {};
}

v1::Finding ToProto(const Finding& finding) {
  v1::Finding out;
  out.set_finding_id(finding.id);
  out.set_task(finding.model.task);
  out.set_model_version_id(finding.model.model_version_id);
  out.set_slice(finding.slice);
  out.set_kind(static_cast<v1::FindingKind>(finding.kind));
  out.set_subject(finding.subject);
  out.set_method(finding.method);
  out.set_statistic(finding.statistic);
  out.set_threshold(finding.threshold);
  out.set_effect(finding.effect);
  out.set_effect_low(finding.effect_low);
  out.set_effect_high(finding.effect_high);
  out.set_fires(finding.fires);
  out.set_predictions(finding.predictions);
  *out.mutable_window_first_at() = rpc::ToProto(finding.first_at);
  *out.mutable_window_last_at() = rpc::ToProto(finding.last_at);
  out.set_window_id(finding.window_id);
  return out;
}

v1::AlertState ToProto(AlertState state) {
  switch (state) {
    case AlertState::kRaised:
      return v1::ALERT_STATE_RAISED;
    case AlertState::kAcknowledged:
      return v1::ALERT_STATE_ACKNOWLEDGED;
    case AlertState::kResolved:
      return v1::ALERT_STATE_RESOLVED;
  }
  return v1::ALERT_STATE_UNSPECIFIED;
}

v1::Alert ToProto(const Alert& alert, Timestamp now) {
  v1::Alert out;
  const Diagnosis& diagnosis = alert.diagnosis;
  out.set_alert_id(alert.id);
  out.set_task(alert.model.task);
  out.set_model_version_id(alert.model.model_version_id);
  out.set_cause(diagnosis.cause);
  out.set_state(ToProto(alert.state));
  out.set_muted(alert.muted(now));
  if (alert.muted(now)) *out.mutable_muted_until() = rpc::ToProto(alert.muted_until);
  out.set_title(diagnosis.title);
  out.set_description(diagnosis.description);
  out.set_damage(diagnosis.damage);
  for (const auto& finding : diagnosis.findings) *out.add_findings() = ToProto(finding);
  for (const auto& histogram : diagnosis.histograms) {
    auto* each = out.add_histograms();
    each->set_subject(histogram.subject);
    each->mutable_bounds()->Add(histogram.bounds.begin(), histogram.bounds.end());
    for (const auto& name : histogram.names) each->add_names(name);
    each->mutable_reference_shares()->Add(histogram.reference_shares.begin(),
                                          histogram.reference_shares.end());
    each->mutable_current_shares()->Add(histogram.current_shares.begin(),
                                        histogram.current_shares.end());
  }
  for (const auto& name : diagnosis.telling_predictions) out.add_telling_predictions(name);
  *out.mutable_since() = rpc::ToProto(diagnosis.since);
  *out.mutable_raised_at() = rpc::ToProto(alert.raised_at);
  *out.mutable_updated_at() = rpc::ToProto(alert.updated_at);
  if (alert.resolved_at) *out.mutable_resolved_at() = rpc::ToProto(*alert.resolved_at);
  out.set_acknowledged_by(alert.acknowledged_by);
  out.set_resolution(alert.resolution);
  out.set_delay_predictions(diagnosis.delay_predictions);
  out.mutable_estimated_class_shares()->insert(diagnosis.class_shares.begin(),
                                               diagnosis.class_shares.end());
  return out;
}

v1::Comparison ToProto(const Comparison& comparison) {
  v1::Comparison out;
  const ComparisonPlan& plan = comparison.plan;
  const ComparisonCounts& counts = comparison.counts;
  out.set_comparison_id(plan.id);
  out.set_task(plan.task);
  out.set_candidate_model_version_id(plan.candidate);
  out.set_baseline_model_version_id(plan.baseline);
  out.set_stage(plan.stage);
  out.set_candidate_predictions(counts.candidate.predictions);
  out.set_baseline_predictions(counts.baseline.predictions);
  out.set_disagreements(counts.disagreements);
  out.set_candidate_outcomes(counts.candidate.outcomes);
  out.set_candidate_correct(counts.candidate.correct);
  out.set_baseline_outcomes(counts.baseline.outcomes);
  out.set_baseline_correct(counts.baseline.correct);
  out.set_candidate_errors(counts.candidate.errors);
  out.set_baseline_errors(counts.baseline.errors);
  out.set_candidate_seconds_mean(counts.candidate.seconds.Mean());
  out.set_baseline_seconds_mean(counts.baseline.seconds.Mean());
  if (comparison.accuracy_difference) {
    out.set_accuracy_difference(*comparison.accuracy_difference);
    out.set_accuracy_low(comparison.accuracy_low);
    out.set_accuracy_high(comparison.accuracy_high);
  }
  out.set_verdict(comparison.verdict);
  out.set_reason(comparison.reason);
  *out.mutable_started_at() = rpc::ToProto(plan.started_at);
  *out.mutable_updated_at() = rpc::ToProto(comparison.updated_at);
  return out;
}

}  // namespace

grpc::Status AlertRpcs::ListFindings(grpc::ServerContext* /*context*/,
                                     const v1::ListFindingsRequest* request,
                                     v1::ListFindingsResponse* response) {
  if (parts_.store == nullptr) return Absent();
  const auto page = PageFrom(request->page_size(), request->page_token());
  if (!page) return rpc::ToGrpcStatus(page.error());
  FindingFilter filter;
  filter.model = {request->task(), request->model_version_id()};
  filter.firing_only = request->firing_only();
  filter.alert_id = request->alert_id();
  if (request->kind() != v1::FINDING_KIND_UNSPECIFIED) {
    if (!v1::FindingKind_IsValid(request->kind())) {
      return rpc::ToGrpcStatus(
          Error{ErrorCode::kInvalidArgument,
                "no kind of finding has the number " + std::to_string(request->kind())});
    }
    filter.kind = static_cast<FindingKind>(request->kind());
  }

  const auto findings = parts_.store->ListFindings(filter, *page);
  if (!findings) return rpc::ToGrpcStatus(findings.error());

  for (const auto& finding : findings->items) *response->add_findings() = ToProto(finding);
  response->set_next_page_token(findings->next_token);
  return grpc::Status::OK;
}

grpc::Status AlertRpcs::ListAlerts(grpc::ServerContext* /*context*/,
                                   const v1::ListAlertsRequest* request,
                                   v1::ListAlertsResponse* response) {
  if (parts_.store == nullptr) return Absent();
  const auto page = PageFrom(request->page_size(), request->page_token());
  if (!page) return rpc::ToGrpcStatus(page.error());
  std::optional<AlertState> state;
  switch (request->state()) {
    case v1::ALERT_STATE_UNSPECIFIED:
      break;
    case v1::ALERT_STATE_RAISED:
      state = AlertState::kRaised;
      break;
    case v1::ALERT_STATE_ACKNOWLEDGED:
      state = AlertState::kAcknowledged;
      break;
    case v1::ALERT_STATE_RESOLVED:
      state = AlertState::kResolved;
      break;
    default:
      return rpc::ToGrpcStatus(
          Error{ErrorCode::kInvalidArgument,
                "no state of an alert has the number " + std::to_string(request->state())});
  }

  const auto alerts = parts_.store->ListAlerts(request->task(), state, *page);
  if (!alerts) return rpc::ToGrpcStatus(alerts.error());

  const Timestamp now = parts_.clock->Now();
  for (const auto& alert : alerts->items) *response->add_alerts() = ToProto(alert, now);
  response->set_next_page_token(alerts->next_token);
  return grpc::Status::OK;
}

grpc::Status AlertRpcs::GetAlert(grpc::ServerContext* /*context*/,
                                 const v1::GetAlertRequest* request,
                                 v1::GetAlertResponse* response) {
  if (parts_.store == nullptr) return Absent();
  const auto alert = parts_.store->FindAlert(request->alert_id());
  if (!alert) return rpc::ToGrpcStatus(alert.error());
  if (!*alert) {
    return rpc::ToGrpcStatus(
        Error{ErrorCode::kNotFound, "no alert " + request->alert_id().substr(0, 64)});
  }
  *response->mutable_alert() = ToProto(**alert, parts_.clock->Now());
  return grpc::Status::OK;
}

grpc::Status AlertRpcs::AcknowledgeAlert(grpc::ServerContext* /*context*/,
                                         const v1::AcknowledgeAlertRequest* request,
                                         v1::AcknowledgeAlertResponse* response) {
  if (parts_.keeper == nullptr) return Absent();
  if (const auto good = CheckActor(request->actor()); !good) {
    return rpc::ToGrpcStatus(good.error());
  }
  const auto alert = parts_.keeper->Acknowledge(request->alert_id(), request->actor());
  if (!alert) return rpc::ToGrpcStatus(alert.error());
  *response->mutable_alert() = ToProto(*alert, parts_.clock->Now());
  return grpc::Status::OK;
}

grpc::Status AlertRpcs::MuteAlert(grpc::ServerContext* /*context*/,
                                  const v1::MuteAlertRequest* request,
                                  v1::MuteAlertResponse* response) {
  if (parts_.keeper == nullptr) return Absent();
  if (const auto good = CheckActor(request->actor()); !good) {
    return rpc::ToGrpcStatus(good.error());
  }
  if (!(request->seconds() >= 0 && request->seconds() <= kLongestMute)) {
    return rpc::ToGrpcStatus(
        Error{ErrorCode::kInvalidArgument, "an alert is muted for 0 to 2592000 seconds"});
  }
  const auto alert = parts_.keeper->Mute(request->alert_id(), request->actor(), request->seconds());
  if (!alert) return rpc::ToGrpcStatus(alert.error());
  *response->mutable_alert() = ToProto(*alert, parts_.clock->Now());
  return grpc::Status::OK;
}

grpc::Status AlertRpcs::ResolveAlert(grpc::ServerContext* /*context*/,
                                     const v1::ResolveAlertRequest* request,
                                     v1::ResolveAlertResponse* response) {
  if (parts_.keeper == nullptr) return Absent();
  if (const auto good = CheckActor(request->actor()); !good) {
    return rpc::ToGrpcStatus(good.error());
  }
  if (request->reason().size() > kMostReason) {
    return rpc::ToGrpcStatus(
        Error{ErrorCode::kInvalidArgument, "a reason has at most " + std::to_string(kMostReason) +
                                               " bytes, this one " +
                                               std::to_string(request->reason().size())});
  }
  const auto alert =
      parts_.keeper->Resolve(request->alert_id(), request->actor(), request->reason());
  if (!alert) return rpc::ToGrpcStatus(alert.error());
  *response->mutable_alert() = ToProto(*alert, parts_.clock->Now());
  return grpc::Status::OK;
}

grpc::Status AlertRpcs::StartComparison(grpc::ServerContext* /*context*/,
                                        const v1::StartComparisonRequest* request,
                                        v1::StartComparisonResponse* response) {
  if (parts_.comparisons == nullptr) return Absent();
  ComparisonPlan plan;
  plan.id = request->comparison_id();
  plan.task = request->task();
  plan.candidate = request->candidate_model_version_id();
  plan.baseline = request->baseline_model_version_id();
  plan.stage = request->stage();
  plan.alpha = request->alpha();
  plan.max_accuracy_loss = request->max_accuracy_loss();
  plan.max_error_increase = request->max_error_increase();
  plan.max_latency_ratio = request->max_latency_ratio();
  plan.max_disagreement = request->max_disagreement();
  const auto started = parts_.comparisons->Start(std::move(plan));
  if (!started) return rpc::ToGrpcStatus(started.error());
  *response->mutable_comparison() = ToProto(started->first);
  response->set_created(started->second);
  return grpc::Status::OK;
}

grpc::Status AlertRpcs::GetComparison(grpc::ServerContext* /*context*/,
                                      const v1::GetComparisonRequest* request,
                                      v1::GetComparisonResponse* response) {
  if (parts_.comparisons == nullptr) return Absent();
  const auto comparison = parts_.comparisons->Find(request->comparison_id());
  if (!comparison) return rpc::ToGrpcStatus(comparison.error());
  *response->mutable_comparison() = ToProto(*comparison);
  return grpc::Status::OK;
}

grpc::Status AlertRpcs::ListComparisons(grpc::ServerContext* /*context*/,
                                        const v1::ListComparisonsRequest* request,
                                        v1::ListComparisonsResponse* response) {
  if (parts_.comparisons == nullptr) return Absent();
  const auto page = PageFrom(request->page_size(), request->page_token());
  if (!page) return rpc::ToGrpcStatus(page.error());
  const auto comparisons = parts_.comparisons->List(request->task(), *page);
  if (!comparisons) return rpc::ToGrpcStatus(comparisons.error());
  for (const auto& comparison : comparisons->items) {
    *response->add_comparisons() = ToProto(comparison);
  }
  response->set_next_page_token(comparisons->next_token);
  return grpc::Status::OK;
}

}  // namespace tidewheel::monitoring
