#include <algorithm>
#include <cmath>

#include "tidewheel/cli/drill/patience.h"
#include "tidewheel/cli/drill/story.h"
#include "tidewheel/ingestion/v1/ingestion_service.grpc.pb.h"
#include "tidewheel/labeling/v1/queue_service.grpc.pb.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"
#include "tidewheel/training/v1/cycle_service.grpc.pb.h"

namespace tidewheel::cli::drill {
namespace {

using std::chrono::seconds;
using training::v1::Cycle;
using training::v1::CycleService;

constexpr double kRate = 60;                // Requests a second, of a story that people follow.
constexpr std::uint64_t kBefore = 600;      // Requests before the change.
constexpr std::uint64_t kAfterwards = 300;  // Requests after the promotion, or after a change back.
constexpr std::uint64_t kCalmRequests = 50'000;
constexpr seconds kAlertLimit{60};
constexpr seconds kCycleLimit{360};
constexpr seconds kResolveLimit{60};
constexpr std::chrono::milliseconds kKillEvery{5'000};

std::uint64_t Before(const Story& story) {
  return story.options.requests == 0 ? kBefore : story.options.requests;
}

/// With an outage every few seconds, everything may take longer.
seconds Stretched(const Story& story, seconds limit) {
  return story.options.kill ? limit * 4 : limit;
}

std::vector<DeskPerson> People(const Story& story) {
  const double error = story.options.annotator_error;
  return {{"ana", error}, {"boris", error}, {"chen", error}};
}

Scene OldScene(const Story& story) {
  Scene scene;
  scene.pictures = story.old_traffic;
  return scene;
}

std::vector<SeenAlert> SeenFrom(const Story& story, std::uint64_t first) {
  auto alerts = story.watch->alerts();
  std::erase_if(alerts, [&](const SeenAlert& each) { return each.at_request < first; });
  return alerts;
}

/// When something changed, by both clocks.
struct Moment {
  std::uint64_t request = 0;
  double seconds = 0;
};

/// The change of the scene; what was raised before it was a false alarm.
Moment ChangeTo(Story& story, Scene scene, const std::string& what) {
  // Judged now: what is still under way has the old scene.
  const auto alarms = story.watch->alerts().size();
  story.report.Set(story.Figure("false_alarms"), static_cast<double>(alarms), "count",
                   "alerts that were raised before anything had changed, over " +
                       std::to_string(story.traffic->sent()) + " requests");
  const Moment change{story.traffic->Change(std::move(scene)), story.progress.seconds()};
  story.progress.Say("the change: " + what + ", from request " + FormatCount(change.request) +
                     " on");
  if (story.options.kill) {
    story.killer = std::make_unique<Killer>(story.connection.file, story.options.seed, kKillEvery,
                                            story.progress);
  }
  return change;
}

/// The first alert after the change; notes the delay and whether its cause is one of `causes`.
Result<SeenAlert> AwaitAlert(Story& story, const Moment& change,
                             const std::vector<std::string>& causes) {
  const auto waited = WaitFor([&] { return !SeenFrom(story, change.request).empty(); },
                              Stretched(story, kAlertLimit), "an alert",
                              [&] {
                                return story.watch->State() + "; " +
                                       FormatCount(story.traffic->sent() - change.request) +
                                       " requests were sent since the change";
                              });
  if (!waited) return waited.error();
  const SeenAlert first = SeenFrom(story, change.request).front();
  story.report.Set(story.Figure("detection.requests"),
                   static_cast<double>(first.at_request - change.request), "count",
                   "requests sent from the change until the first alert was seen by ListAlerts");
  story.report.Set(story.Figure("detection.seconds"), first.at_seconds - change.seconds, "seconds",
                   "from the change until the first alert was seen");
  const bool right = std::find(causes.begin(), causes.end(), first.alert.cause()) != causes.end();
  story.report.Set(story.Figure("cause.right"), right ? 1 : 0, "1",
                   "whether the first alert names the cause " + causes.front() + "; it named " +
                       first.alert.cause());
  if (!first.alert.description().empty()) story.progress.Say(first.alert.description());
  return first;
}

/// The `number`th cycle of the task, once it has ended.
Result<Cycle> AwaitCycleEnd(Story& story, std::size_t number) {
  const auto ended = [&] {
    const auto cycles = story.watch->cycles();
    return (cycles.size() > number && HasEnded(cycles[number])) || story.desk->failure();
  };
  const auto waited =
      WaitFor([&] { return !story.watch->cycles().empty() || story.desk->failure(); },
              Stretched(story, kAlertLimit), "a cycle", [&] { return story.watch->State(); });
  if (!waited) return waited.error();
  const auto over = WaitFor(ended, Stretched(story, kCycleLimit), "the end of the cycle",
                            [&] { return story.watch->State(); });
  if (!over) return over.error();
  if (const auto failure = story.desk->failure()) return Prefixed("annotators: ", *failure);
  Cycle cycle = story.watch->cycles()[number];
  story.progress.Say("steps: " + StepsInWords(cycle));
  for (const auto& criterion : cycle.criteria()) {
    story.progress.Say(
        "gate: " + criterion.name() + " " +
        LowerEnum(model_registry::v1::GateVerdict_Name(criterion.verdict()), "GATE_VERDICT_") +
        ", " + criterion.reason());
  }
  return cycle;
}

/// Decisions about the task, newest first.
Result<std::vector<training::v1::Decision>> Decisions(Story& story) {
  training::v1::ListDecisionsRequest request;
  request.set_task(story.task);
  const auto listed = PatientList(story.platform, &CycleService::Stub::ListDecisions, request);
  if (!listed) return listed.error();
  return std::vector<training::v1::Decision>(listed->decisions().begin(),
                                             listed->decisions().end());
}

Result<void> Judge(Story& story, const Tally& old_before) {
  const auto turned = story.Examine(story.task, *story.new_fresh, "after-new-");
  if (!turned) return turned.error();
  const auto old = story.Examine(story.task, *story.old_fresh, "after-old-");
  if (!old) return old.error();
  const std::string fresh =
      "on " + std::to_string(turned->answered) + " fresh pictures, never sent before, ";
  story.report.Set(story.Figure("accuracy.after"), turned->accuracy(), "ratio",
                   fresh + "of the new condition, after the promotion");
  story.report.Set(story.Figure("accuracy.old_before"), old_before.accuracy(), "ratio",
                   fresh + "of the old condition, by the first model");
  story.report.Set(story.Figure("accuracy.old_after"), old->accuracy(), "ratio",
                   fresh + "of the old condition, after the promotion");
  story.report.Set(story.Figure("old_loss"), old_before.accuracy() - old->accuracy(), "ratio",
                   "accuracy on the same fresh pictures of the old condition, before minus after");
  story.progress.Say("judged on fresh pictures: " + demo::FormatPercent(turned->accuracy()) +
                     " of the turned, " + demo::FormatPercent(old->accuracy()) +
                     " of the old condition (" + demo::FormatPercent(old_before.accuracy()) +
                     " before)");
  std::string wrong;
  for (std::size_t i = 0; i < story.classes().size(); ++i) {
    wrong += (wrong.empty() ? "" : ", ") + story.classes()[i] + " " +
             FormatCount(turned->wrong_by_class[i]);
  }
  story.progress.Say("wrong on the turned: " + wrong);
  return {};
}

Result<void> TellTurn(Story& story) {
  if (auto made = story.MakeFirstModel(); !made) return made;
  const auto old_before = story.Examine(story.task, *story.old_fresh, "before-old-");
  if (!old_before) return old_before.error();

  Scene old = OldScene(story);
  // So that outcomes can be lost, too; they would label for nothing what the queue is asked about.
  old.outcome_share = story.options.kill ? 0.05 : 0;
  if (auto opened = story.Open(old, kRate, People(story)); !opened) return opened;
  if (auto ran = story.RunUntil(Before(story)); !ran) return ran;
  const Tally before = story.traffic->Count(0, story.traffic->sent());
  story.report.Set(story.Figure("accuracy.before"), before.accuracy(), "ratio",
                   "answers in the traffic before the change");

  Scene turned = old;
  turned.pictures = story.new_traffic;
  const Moment change = ChangeTo(story, turned, "every light is turned by 90 degrees");
  const auto alert = AwaitAlert(story, change, {"data_drift"});
  if (!alert) return alert.error();
  const auto cycle = AwaitCycleEnd(story, 0);
  if (!cycle) return cycle.error();
  if (cycle->state() != training::v1::CYCLE_STATE_PROMOTED) {
    return Error{ErrorCode::kFailedPrecondition,
                 "the cycle ended " + StateWord(*cycle) + ": " + cycle->reason()};
  }
  if (auto served = story.WaitUntilServed(story.task, cycle->candidate_model_version_id());
      !served) {
    return served;
  }
  const Moment back{story.traffic->sent(), story.progress.seconds()};
  story.killer.reset();
  const Tally during = story.traffic->Count(change.request, back.request);
  story.report.Set(story.Figure("recovery.seconds"), back.seconds - change.seconds, "seconds",
                   "from the change until the new model serves everybody");
  story.report.Set(story.Figure("recovery.requests"),
                   static_cast<double>(back.request - change.request), "count",
                   "requests sent in that time");
  story.report.Set(story.Figure("accuracy.during"), during.accuracy(), "ratio",
                   "answers in the traffic from the change until the new model serves everybody");
  story.report.Set(story.Figure("labels"), static_cast<double>(story.desk->vote_count()), "count",
                   "votes that annotators gave at the queue");
  story.report.Set(story.Figure("cpu_seconds"), cycle->cost().cpu_seconds(), "seconds",
                   "as the cycle counts its cost");
  if (cycle->has_gain()) {
    story.report.Set(story.Figure("gain"), cycle->gain(), "ratio",
                     "accuracy on the new condition's test samples, candidate minus baseline, as "
                     "the gate measured it");
  }
  if (auto ran = story.RunUntil(back.request + kAfterwards); !ran) return ran;
  const Tally after = story.traffic->Count(back.request, story.traffic->sent());
  story.report.Set(story.Figure("accuracy.after_traffic"), after.accuracy(), "ratio",
                   "answers in the turned traffic after the promotion");
  story.progress.Say("in the traffic: " + demo::FormatPercent(before.accuracy()) + " before, " +
                     demo::FormatPercent(during.accuracy()) + " during, " +
                     demo::FormatPercent(after.accuracy()) + " after");

  // The alert goes when it is measured to be over, and not because somebody was promoted.
  const std::string alert_id = alert->alert.alert_id();
  const auto resolved = [&] {
    for (const auto& each : story.watch->alerts()) {
      if (each.alert.alert_id() == alert_id) {
        return each.alert.state() == monitoring::v1::ALERT_STATE_RESOLVED;
      }
    }
    return false;
  };
  const auto over = WaitFor(resolved, Stretched(story, kResolveLimit), "the alert's end",
                            [&] { return story.watch->State(); });
  if (over) {
    story.report.Set(story.Figure("resolved.seconds"), story.progress.seconds() - change.seconds,
                     "seconds", "from the change until the alert was resolved by measurement");
  } else {
    story.report.SetUnknown(story.Figure("resolved.seconds"), "seconds", over.error().message);
    story.progress.Say(over.error().message);
  }
  if (story.options.scenario == Scenario::kRecur) {
    const std::uint64_t returned = story.traffic->Change(old);
    story.progress.Say("the old condition is back, from request " + FormatCount(returned) + " on");
    if (auto ran = story.RunUntil(returned + 2 * kAfterwards); !ran) return ran;
    const Tally again = story.traffic->Count(returned, story.traffic->sent());
    story.report.Set(story.Figure("accuracy.old_returned"), again.accuracy(), "ratio",
                     "answers in the traffic after the old condition came back");
    story.report.Set(story.Figure("alerts.returned"),
                     static_cast<double>(SeenFrom(story, returned).size()), "count",
                     "alerts after the old condition came back");
    story.report.Set(story.Figure("cycles"), static_cast<double>(story.watch->cycles().size()),
                     "count", "cycles in all");
    story.progress.Say("after the return: " + demo::FormatPercent(again.accuracy()));
  }
  if (auto closed = story.Close(); !closed) return closed;
  // What is judged by is no traffic: two conditions side by side, and then silence.
  story.watch->Stop();
  story.progress.Title("Judgement");
  if (auto judged = Judge(story, *old_before); !judged) return judged;
  story.report.Set(story.Figure("story.seconds"), story.progress.seconds(), "seconds",
                   "from the empty platform to the judgement of the promoted model; the oracle "
                   "and the counting of losses come after it");
  if (auto counted = CountLosses(story); !counted) return counted;
  if (story.options.kill) {
    if (auto verified = VerifyExactlyOnce(story); !verified) return verified;
  }
  return story.options.oracle ? ConsultOracle(story) : Result<void>();
}

Result<void> TellCalm(Story& story) {
  if (auto made = story.MakeFirstModel(); !made) return made;
  if (auto opened = story.Open(OldScene(story), 0, People(story)); !opened) return opened;
  const std::uint64_t wanted = story.options.requests == 0 ? kCalmRequests : story.options.requests;
  const double began = story.progress.seconds();
  if (auto ran = story.RunUntil(wanted); !ran) return ran;
  const double taken = story.progress.seconds() - began;
  if (auto closed = story.Close(); !closed) return closed;
  const std::uint64_t sent = story.traffic->sent();
  const Tally all = story.traffic->Count(0, sent);
  story.report.Set(story.Figure("accuracy.before"), all.accuracy(), "ratio",
                   "answers in all of the traffic");
  story.report.Set(story.Figure("requests.per_second"), static_cast<double>(sent) / taken,
                   "per_second", "8 requests under way, beside the whole platform");
  // Counted when monitoring has everything, or what came last could not have raised an alert.
  if (auto counted = CountLosses(story); !counted) return counted;
  // What was lost is never judged: that is told, and no reason to end here.
  if (const auto judged = AwaitAllJudged(story, sent); !judged) {
    story.progress.Say(judged.error().message);
  }
  story.watch->Stop();
  story.report.Set(story.Figure("false_alarms"), static_cast<double>(story.watch->alerts().size()),
                   "count", "alerts in " + std::to_string(sent) + " requests without any change");
  story.report.Set(story.Figure("cycles"), static_cast<double>(story.watch->cycles().size()),
                   "count", "cycles that were started");
  return {};
}

Result<void> TellPrior(Story& story) {
  if (auto made = story.MakeFirstModel(); !made) return made;
  const Scene old = OldScene(story);
  if (auto opened = story.Open(old, 2 * kRate, People(story)); !opened) return opened;
  if (auto ran = story.RunUntil(2 * Before(story)); !ran) return ran;
  Scene changed = old;
  const std::size_t rarest = story.collection.traits.rarest_class;
  // What the others lose, they lose in proportion.
  changed.class_shares = story.old_traffic->ClassShares();
  const double rest = 1 - changed.class_shares[rarest];
  for (double& share : changed.class_shares) share *= 0.6 / rest;
  changed.class_shares[rarest] = 0.4;
  const Moment change =
      ChangeTo(story, changed, story.classes()[rarest] + ", rare before, is now 40 %");
  const auto first = AwaitAlert(story, change, {"label_shift"});
  if (!first) return first.error();
  // The estimate settles with what comes after the alert.
  if (auto ran = story.RunUntil(story.traffic->sent() + 1'000); !ran) return ran;
  if (auto judged = AwaitJudgedUntilNow(story); !judged) return judged;
  const auto alerts = SeenFrom(story, change.request);
  const auto shown = story.traffic->ShownShares(change.request, story.traffic->sent());
  for (const auto& each : alerts) {
    if (each.alert.cause() != "label_shift") continue;
    double error = 0;
    std::string account;
    for (std::size_t i = 0; i < shown.size(); ++i) {
      const auto found = each.alert.estimated_class_shares().find(story.classes()[i]);
      const double estimated =
          found == each.alert.estimated_class_shares().end() ? 0 : found->second;
      error = std::max(error, std::abs(estimated - shown[i]));
      account += (account.empty() ? "" : ", ") + story.classes()[i] + " " +
                 demo::FormatPercent(estimated) + " (truly " + demo::FormatPercent(shown[i]) + ")";
    }
    story.report.Set(story.Figure("class_share_error"), error, "ratio",
                     "largest difference between a class's share as the alert estimates it and "
                     "its share of what was shown since the change");
    story.progress.Say("estimated: " + account);
    break;
  }
  if (auto closed = story.Close(); !closed) return closed;
  return CountLosses(story);
}

Result<void> TellConcept(Story& story) {
  if (auto made = story.MakeFirstModel(); !made) return made;
  Scene old = OldScene(story);
  old.outcome_share = 0.5;
  if (auto opened = story.Open(old, kRate, People(story)); !opened) return opened;
  if (auto ran = story.RunUntil(Before(story)); !ran) return ran;
  story.report.Set(story.Figure("accuracy.before"),
                   story.traffic->Count(0, story.traffic->sent()).accuracy(), "ratio",
                   "answers in the traffic before the change");
  Scene swapped = old;
  const std::size_t last = story.classes().size() - 1;
  for (std::size_t i = 0; i <= last; ++i) swapped.meaning.push_back(i);
  std::swap(swapped.meaning[0], swapped.meaning[last]);
  const Moment change = ChangeTo(story, swapped,
                                 story.classes()[0] + " and " + story.classes()[last] +
                                     " swap their meaning; only outcomes tell");
  const auto first = AwaitAlert(story, change, {"concept_drift"});
  if (!first) return first.error();
  if (auto ran = story.RunUntil(story.traffic->sent() + kAfterwards); !ran) return ran;
  story.report.Set(story.Figure("accuracy.during"),
                   story.traffic->Count(change.request, story.traffic->sent()).accuracy(), "ratio",
                   "answers in the traffic after the change, by what they mean now");
  if (auto closed = story.Close(); !closed) return closed;
  return CountLosses(story);
}

Result<void> TellFault(Story& story) {
  if (auto made = story.MakeFirstModel(); !made) return made;
  const Scene old = OldScene(story);
  if (auto opened = story.Open(old, kRate, People(story)); !opened) return opened;
  if (auto ran = story.RunUntil(Before(story)); !ran) return ran;
  Scene faulty = old;
  faulty.faulty = story.new_traffic;
  const Moment change =
      ChangeTo(story, faulty, CameraName(kFaultyCamera) + " of four sends dark and blurred frames");
  const auto first = AwaitAlert(story, change, {"sensor_fault"});
  if (!first) return first.error();
  if (auto ran = story.RunUntil(story.traffic->sent() + kAfterwards); !ran) return ran;
  if (auto closed = story.Close(); !closed) return closed;

  ingestion::v1::GetSampleCountsRequest ask;
  ask.set_task(story.task);
  const auto counts =
      PatientCall(story.platform, &ingestion::v1::IngestionService::Stub::GetSampleCounts, ask);
  if (!counts) return counts.error();
  std::uint64_t quarantined = 0;
  for (const char* reason : {"underexposed", "blurred"}) {
    const auto found = counts->quarantined_by_reason().find(reason);
    if (found != counts->quarantined_by_reason().end()) quarantined += found->second;
  }
  const auto decisions = Decisions(story);
  if (!decisions) return decisions.error();
  std::uint64_t declined = 0;
  for (const auto& decision : *decisions) {
    if (decision.because() != "sensor_fault") continue;
    ++declined;
    story.progress.Say("decision: " + decision.outcome() + " because of " + decision.because() +
                       ": " + decision.reason());
  }
  story.report.Set(story.Figure("quarantined"), static_cast<double>(quarantined), "count",
                   "captured frames that ingestion set aside as underexposed or blurred");
  story.report.Set(story.Figure("decisions.sensor_fault"), static_cast<double>(declined), "count",
                   "recorded decisions not to start a cycle because of a sensor fault");
  story.report.Set(story.Figure("cycles"), static_cast<double>(story.watch->cycles().size()),
                   "count", "cycles that were started");
  return CountLosses(story);
}

Result<void> RunBatch(Story& story, const std::string& batch_id,
                      const std::vector<std::string>& names) {
  using labeling::v1::QueueService;
  labeling::v1::EnqueueBatchRequest request;
  request.set_batch_id(batch_id);
  request.set_task(story.task);
  request.set_votes_wanted(3);
  request.set_gold_share(0.2);
  for (const auto& name : names) {
    auto& item = *request.add_items();
    item.set_sample_id(story.stored.at(name).sample_id);
    item.set_reason("random");
  }
  const auto queued = PatientCall(story.platform, &QueueService::Stub::EnqueueBatch, request);
  if (!queued) return queued.error();
  story.progress.Say("batch " + batch_id + ": " + FormatCount(queued->batch().items()) +
                     " pictures, each for 3 of 5 annotators, " +
                     FormatCount(queued->batch().gold_items()) + " more with a known answer");
  labeling::v1::GetBatchRequest get;
  get.set_batch_id(batch_id);
  Result<labeling::v1::GetBatchResponse> got = labeling::v1::GetBatchResponse();
  const auto waited = WaitFor(
      [&] {
        got = PatientCall(story.platform, &QueueService::Stub::GetBatch, get);
        return !got || got->batch().state() == "complete" || story.desk->failure();
      },
      seconds(120), "the end of batch " + batch_id,
      [&] {
        return got->batch().state() + ", " + FormatCount(got->batch().answered()) + " of " +
               FormatCount(got->batch().items()) + " answered by " +
               FormatCount(got->batch().votes()) + " votes";
      });
  if (!got) return got.error();
  if (const auto failure = story.desk->failure()) return Prefixed("annotators: ", *failure);
  return waited;
}

Result<void> TellNoise(Story& story) {
  if (auto made = story.MakeFirstModel(); !made) return made;
  const double error = story.options.annotator_error;
  auto people = People(story);
  people.push_back({"dilara", error});
  people.push_back({"emil", error});
  const std::vector<std::string> guilty = {"dilara", "emil"};
  constexpr double kGuiltyError = 0.45;
  if (auto opened = story.Open(OldScene(story), 5, people); !opened) return opened;
  const auto half =
      story.unlabeled.begin() + static_cast<std::ptrdiff_t>(story.unlabeled.size() / 2);
  if (auto run = RunBatch(story, "drill-good", {story.unlabeled.begin(), half}); !run) return run;
  if (auto judged = AwaitAnnotatorsJudged(story, people); !judged) return judged;
  const auto alarms = story.watch->alerts();
  story.report.Set(story.Figure("false_alarms"), static_cast<double>(alarms.size()), "count",
                   "alerts while all annotators were as good as ever");
  for (const auto& name : guilty) story.desk->SetError(name, kGuiltyError);
  const std::uint64_t votes_before = story.desk->vote_count();
  const Moment change{story.traffic->sent(), story.progress.seconds()};
  story.progress.Say("the change: dilara and emil now err in " +
                     demo::FormatPercent(kGuiltyError, 0) + " of their votes");
  if (auto run = RunBatch(story, "drill-bad", {half, story.unlabeled.end()}); !run) return run;
  const auto first = AwaitAlert(story, change, {"annotator_quality"});
  if (!first) return first.error();
  story.report.Set(story.Figure("detection.requests"),
                   static_cast<double>(story.desk->vote_count() - votes_before), "count",
                   "votes from the change until the first alert was seen");
  if (auto judged = AwaitAnnotatorsJudged(story, people); !judged) return judged;
  bool all = true;
  bool others = false;
  std::string named;
  for (const auto& person : people) {
    bool accused = false;
    for (const auto& each : SeenFrom(story, change.request)) {
      if (each.alert.cause() != "annotator_quality") continue;
      for (const auto& finding : each.alert.findings()) {
        accused = accused || (finding.fires() && finding.subject() == person.name);
      }
    }
    const bool is_guilty = std::find(guilty.begin(), guilty.end(), person.name) != guilty.end();
    if (accused) named += (named.empty() ? "" : ", ") + person.name;
    all = all && (accused || !is_guilty);
    others = others || (accused && !is_guilty);
  }
  story.report.Set(story.Figure("named"), all && !others ? 1 : 0, "1",
                   "whether the alert's findings name those two annotators and nobody else; they "
                   "name: " +
                       (named.empty() ? std::string("nobody") : named));
  story.report.Set(story.Figure("labels"), static_cast<double>(story.desk->vote_count()), "count",
                   "votes that annotators gave at the queue");
  story.progress.Say("named: " + (named.empty() ? std::string("nobody") : named));
  if (auto closed = story.Close(); !closed) return closed;
  return CountLosses(story);
}

/// Starts a cycle by hand around a version that is there, and waits for its end.
Result<Cycle> PutUp(Story& story, const std::string& request_id, const std::string& version,
                    const std::string& override_reason) {
  training::v1::StartCycleRequest request;
  request.set_request_id(request_id);
  request.set_task(story.task);
  request.set_actor("drill");
  request.set_reason("drill");
  request.set_candidate_model_version_id(version);
  request.set_override_reason(override_reason);
  const auto started = PatientCall(story.platform, &CycleService::Stub::StartCycle, request);
  if (!started) return started.error();
  training::v1::GetCycleRequest get;
  get.set_cycle_id(started->cycle().cycle_id());
  Result<training::v1::GetCycleResponse> got = training::v1::GetCycleResponse();
  const auto waited = WaitFor(
      [&] {
        got = PatientCall(story.platform, &CycleService::Stub::GetCycle, get);
        return !got || HasEnded(got->cycle());
      },
      kCycleLimit, "the end of the cycle", [&] { return story.watch->State(); });
  if (!got) return got.error();
  if (!waited) return waited.error();
  return got->cycle();
}

Result<void> TellPlanted(Story& story) {
  if (auto made = story.MakeFirstModel(); !made) return made;
  Scene scene = OldScene(story);
  scene.outcome_share = 0.5;
  if (auto opened = story.Open(scene, kRate, People(story)); !opened) return opened;
  if (auto ran = story.RunUntil(200); !ran) return ran;

  const auto gated = PutUp(story, "drill-planted", story.harmful_version, "");
  if (!gated) return gated.error();
  std::string failed;
  for (const auto& criterion : gated->criteria()) {
    if (criterion.verdict() == model_registry::v1::GATE_VERDICT_FAIL) {
      failed += (failed.empty() ? "" : "; ") + criterion.name() + ": " + criterion.reason();
    }
  }
  const bool rejected = gated->state() == training::v1::CYCLE_STATE_REJECTED && !failed.empty();
  story.report.Set(story.Figure("gate.failed"), rejected ? 1 : 0, "1",
                   "whether the gate fails a model that learned shuffled labels; the cycle ended " +
                       StateWord(*gated) + ", " + gated->reason());
  story.progress.Say("at the gate: " + StateWord(*gated) + "; " + failed);

  const std::uint64_t from = story.traffic->sent();
  const auto forced =
      PutUp(story, "drill-forced", story.harmful_version, "drill: what if somebody insists?");
  if (!forced) return forced.error();
  const Tally harmful = story.traffic->CountOf(from, story.traffic->sent(), story.harmful_version);
  story.report.Set(story.Figure("rolled_back"),
                   forced->state() == training::v1::CYCLE_STATE_ROLLED_BACK ? 1 : 0, "1",
                   "whether the canary rolls it back when an override forces it past the gate; the "
                   "cycle ended " +
                       StateWord(*forced) + ", " + forced->reason());
  story.report.Set(story.Figure("harmed_requests"), static_cast<double>(forced->harmed_requests()),
                   "count", "as the cycle states it");
  story.report.Set(story.Figure("canary_answers"), static_cast<double>(harmful.answered), "count",
                   "requests that the harmful version answered, by the clients' account");
  story.report.Set(story.Figure("canary_wrong"),
                   static_cast<double>(harmful.answered - harmful.right), "count",
                   "of these, wrong answers");
  story.progress.Say("forced: " + StateWord(*forced) + ", " + forced->reason() + "; it answered " +
                     FormatCount(harmful.answered) + " requests, " +
                     FormatCount(harmful.answered - harmful.right) + " of them wrong");
  const auto serving = story.Serving(story.task);
  if (!serving) return serving.error();
  if (*serving != story.first_version) {
    return Error{ErrorCode::kFailedPrecondition, "after the roll back " + *serving + " serves"};
  }
  if (auto closed = story.Close(); !closed) return closed;
  return CountLosses(story);
}

Result<void> TellAa(Story& story) {
  if (auto made = story.MakeFirstModel(); !made) return made;
  const auto other =
      story.Train(story.first_dataset.dataset_version_id(), story.options.seed + 1, "drill-other");
  if (!other) return other.error();
  Scene scene = OldScene(story);
  scene.outcome_share = 0.5;
  if (auto opened = story.Open(scene, 4 * kRate, People(story)); !opened) return opened;
  if (auto ran = story.RunUntil(200); !ran) return ran;
  std::uint64_t rolled_back = 0;
  std::uint64_t promoted = 0;
  std::string candidate = other->model_version_id();
  std::string serving = story.first_version;
  for (std::uint32_t round = 0; round < story.options.rounds; ++round) {
    const auto cycle = PutUp(story, "drill-aa-" + std::to_string(round), candidate,
                             "drill: as good as what serves");
    if (!cycle) return cycle.error();
    if (cycle->state() == training::v1::CYCLE_STATE_PROMOTED) {
      ++promoted;
      if (auto served = story.WaitUntilServed(story.task, candidate); !served) return served;
      std::swap(candidate, serving);
    } else if (cycle->state() == training::v1::CYCLE_STATE_ROLLED_BACK) {
      ++rolled_back;
    } else {
      return Error{ErrorCode::kFailedPrecondition, "canary " + std::to_string(round + 1) +
                                                       " ended " + StateWord(*cycle) + ": " +
                                                       cycle->reason()};
    }
    story.report.Set(story.Figure("canaries"), static_cast<double>(promoted + rolled_back), "count",
                     "the same data set, two seeds, each put up against the other");
    story.report.Set(story.Figure("wrong_rollbacks"), static_cast<double>(rolled_back), "count",
                     "canaries that were rolled back although both models are as good");
  }
  if (auto closed = story.Close(); !closed) return closed;
  return CountLosses(story);
}

}  // namespace

Result<void> TellScenario(Story& story) {
  switch (story.options.scenario) {
    case Scenario::kCalm:
      return TellCalm(story);
    case Scenario::kRotate:
    case Scenario::kRecur:
      return TellTurn(story);
    case Scenario::kPrior:
      return TellPrior(story);
    case Scenario::kConcept:
      return TellConcept(story);
    case Scenario::kNoise:
      return TellNoise(story);
    case Scenario::kFault:
      return TellFault(story);
    case Scenario::kPlanted:
      return TellPlanted(story);
    case Scenario::kAa:
      return TellAa(story);
  }
  return Error{ErrorCode::kInternal, "no such scenario"};
}

}  // namespace tidewheel::cli::drill
