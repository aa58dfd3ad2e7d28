#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "tidewheel/cli/drill/patience.h"
#include "tidewheel/cli/drill/story.h"
#include "tidewheel/curation/v1/curation_service.grpc.pb.h"
#include "tidewheel/ingestion/v1/ingestion_service.grpc.pb.h"
#include "tidewheel/labeling/v1/labeling_service.grpc.pb.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"
#include "tidewheel/training/v1/training_service.grpc.pb.h"

namespace tidewheel::cli::drill {
namespace {

using monitoring::v1::MonitoringService;

constexpr std::chrono::seconds kArrivalLimit{60};
constexpr std::size_t kThreads = 4;

/// Of these requests, those that monitoring does not know (or knows without an outcome).
Result<std::vector<std::string>> Missing(Story& story, const std::vector<std::string>& ids,
                                         bool with_outcome) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;  // Guards missing and failure.
  std::vector<std::string> missing;
  std::optional<Error> failure;
  const auto work = [&] {
    Platform own(story.connection);
    for (std::size_t i = next++; i < ids.size(); i = next++) {
      monitoring::v1::GetPredictionRequest request;
      request.set_request_id(ids[i]);
      const auto got = PatientCall(own, &MonitoringService::Stub::GetPrediction, request);
      const bool absent = !got && got.error().code == ErrorCode::kNotFound;
      const std::lock_guard lock(mutex);
      if (!got && !absent) {
        failure = got.error();
        return;
      }
      if (absent || (with_outcome && got->prediction().outcome_class_name().empty())) {
        missing.push_back(ids[i]);
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) threads.emplace_back(work);
  }
  if (failure) return *failure;
  return missing;
}

/// Asks again for what is missing until nothing is, or the last has had its time to arrive.
Result<std::vector<std::string>> StillMissing(Story& story, std::vector<std::string> ids,
                                              bool with_outcome) {
  const auto deadline = std::chrono::steady_clock::now() + kArrivalLimit;
  while (true) {
    auto missing = Missing(story, ids, with_outcome);
    if (!missing || missing->empty() || std::chrono::steady_clock::now() > deadline) return missing;
    ids = *std::move(missing);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

struct Seen {
  std::uint64_t predictions = 0;
  std::uint64_t outcomes = 0;
};

Result<Seen> SeenByMonitoring(Story& story) {
  monitoring::v1::ListModelSummariesRequest request;
  request.set_task(story.task);
  const auto listed =
      PatientList(story.platform, &MonitoringService::Stub::ListModelSummaries, request);
  if (!listed) return listed.error();
  Seen seen;
  for (const auto& summary : listed->summaries()) {
    seen.predictions += summary.predictions();
    seen.outcomes += summary.outcomes();
  }
  return seen;
}

}  // namespace

Result<void> CountLosses(Story& story) {
  std::vector<std::string> ids =
      story.traffic ? story.traffic->AnsweredIds() : std::vector<std::string>();
  ids.insert(ids.end(), story.examined.begin(), story.examined.end());
  if (ids.empty()) {
    story.report.Set(story.Figure("lost"), 0, "count", "no prediction was asked for");
    return {};
  }
  story.progress.Title("What was lost");
  const auto missing = StillMissing(story, ids, false);
  if (!missing) return missing.error();
  const auto without = StillMissing(story, story.outcomes, true);
  if (!without) return without.error();
  const auto seen = SeenByMonitoring(story);
  if (!seen) return seen.error();
  story.report.Set(story.Figure("lost"), static_cast<double>(missing->size() + without->size()),
                   "count",
                   "of " + std::to_string(ids.size()) + " answered predictions and " +
                       std::to_string(story.outcomes.size()) +
                       " acknowledged outcomes, those that monitoring does not know by their "
                       "request id a minute later; " +
                       std::to_string(missing->size()) + " predictions, " +
                       std::to_string(without->size()) + " outcomes");
  const double doubled =
      static_cast<double>(seen->predictions) - static_cast<double>(ids.size() - missing->size());
  story.report.Set(story.Figure("predictions.surplus"), doubled, "count",
                   "predictions in monitoring's summaries beyond those that were answered: "
                   "answers that did not reach their client, or an event counted twice");
  story.progress.Say(FormatCount(ids.size()) + " answered predictions, " +
                     FormatCount(missing->size()) + " of them unknown to monitoring" +
                     (missing->empty() ? "" : " (the first: " + missing->front() + ")") +
                     ", which counts " + FormatCount(seen->predictions) + "; " +
                     FormatCount(story.outcomes.size()) + " outcomes, " +
                     FormatCount(without->size()) + " missing");
  return {};
}

Result<void> VerifyExactlyOnce(Story& story) {
  story.progress.Title("Once and only once");
  Platform& platform = story.platform;
  curation::v1::ListDatasetVersionsRequest datasets;
  datasets.set_task(story.task);
  const auto versions =
      PatientList(platform, &curation::v1::CurationService::Stub::ListDatasetVersions, datasets);
  if (!versions) return versions.error();
  training::v1::ListRunsRequest list_runs;
  list_runs.set_task(story.task);
  const auto runs =
      PatientList(platform, &training::v1::TrainingService::Stub::ListRuns, list_runs);
  if (!runs) return runs.error();
  model_registry::v1::ListAuditEntriesRequest list_audit;
  const auto audit = PatientList(
      platform, &model_registry::v1::ModelRegistryService::Stub::ListAuditEntries, list_audit);
  if (!audit) return audit.error();
  std::uint64_t promotions = 0;
  for (const auto& entry : audit->entries()) {
    if (entry.action() == "model.promoted" &&
        entry.details().find("\"" + story.task + "\"") != std::string::npos) {
      ++promotions;
    }
  }
  labeling::v1::ListVotesRequest list_votes;
  list_votes.set_task(story.task);
  const auto votes =
      PatientList(platform, &labeling::v1::LabelingService::Stub::ListVotes, list_votes);
  if (!votes) return votes.error();
  std::map<std::pair<std::string, std::string>, std::uint64_t> times;
  for (const auto& vote : votes->votes()) ++times[{vote.annotator(), vote.sample_id()}];
  std::uint64_t votes_off = 0;
  for (const auto& vote : story.desk->votes()) {
    const auto found = times.find(vote);
    if (found == times.end() || found->second != 1) ++votes_off;
  }
  ingestion::v1::ListSamplesRequest list_samples;
  list_samples.set_task(story.task);
  const auto samples =
      PatientList(platform, &ingestion::v1::IngestionService::Stub::ListSamples, list_samples);
  if (!samples) return samples.error();
  std::map<std::string, std::uint64_t> named;
  std::set<std::string> known;
  std::uint64_t captured_twice = 0;
  for (const auto& sample : samples->samples()) {
    if (++named[sample.name()] > 1) ++captured_twice;
    known.insert(sample.sample_id());
  }
  std::uint64_t samples_off = captured_twice;
  for (const auto& [name, sample] : story.stored) {
    if (!known.contains(sample.sample_id)) ++samples_off;
  }

  const auto figure = [&](const std::string& name, double value, const std::string& how) {
    story.report.Set(story.Figure("once." + name), value, "count", how);
  };
  figure("dataset_versions", versions->dataset_versions_size() - 1.0,
         "dataset versions of the task but the first");
  figure("runs", runs->runs_size() - 1.0, "runs of the task but the first");
  figure("promotions", static_cast<double>(promotions) - 1.0,
         "promotions in the audit log but the first");
  figure("votes_off", static_cast<double>(votes_off),
         "acknowledged votes of the queue that are not there exactly once");
  figure("samples_off", static_cast<double>(samples_off),
         "pushed samples that are not there, or names that are there twice");
  Table table({"of the cycle", ">number", ">expected"});
  table.Add({"dataset versions", FormatNumber(versions->dataset_versions_size() - 1.0, 0), "1"});
  table.Add({"runs", FormatNumber(runs->runs_size() - 1.0, 0), "1"});
  table.Add({"promotions", FormatNumber(static_cast<double>(promotions) - 1.0, 0), "1"});
  table.Add({"votes not there exactly once", FormatCount(votes_off), "0"});
  table.Add({"samples not there exactly once", FormatCount(samples_off), "0"});
  story.progress.Show(table);
  return {};
}

}  // namespace tidewheel::cli::drill
