// Services that answer with made-up data, some of it hostile, for the browser test of the console's
// page. Prints its address as one line and runs until it is stopped.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tidewheel/base/shutdown_signal.h"
#include "tidewheel/curation/v1/curation_service.grpc.pb.h"
#include "tidewheel/ingestion/v1/ingestion_service.grpc.pb.h"
#include "tidewheel/labeling/v1/labeling_service.grpc.pb.h"
#include "tidewheel/labeling/v1/queue_service.grpc.pb.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"
#include "tidewheel/training/v1/cycle_service.grpc.pb.h"
#include "tidewheel/training/v1/training_service.grpc.pb.h"

namespace {

using grpc::ServerContext;
using grpc::Status;
namespace curation = tidewheel::curation::v1;
namespace ingestion = tidewheel::ingestion::v1;
namespace labeling = tidewheel::labeling::v1;
namespace monitoring = tidewheel::monitoring::v1;
namespace registry = tidewheel::model_registry::v1;
namespace training = tidewheel::training::v1;

// What would run or be fetched if anything took it for HTML.
constexpr char kHostile[] =
    "<img src=x onerror=\"window.owned=1\"><script>window.owned=1</script>\"'&lt;";

void SetAgo(google::protobuf::Timestamp* time, std::int64_t seconds) {
  time->set_seconds(std::time(nullptr) - seconds);
}

std::string Id(int kind, int number) {
  char text[37];
  std::snprintf(text, sizeof text, "0193a%03d-0000-7000-8000-%012d", kind, number);
  return text;
}

std::string Hash(int number) {
  std::string text;
  for (int i = 0; i < 64; ++i) text += "0123456789abcdef"[(number * 7 + i * i) % 16];
  return text;
}

struct TaskFacts {
  std::string name;
  std::string description;
  std::vector<std::string> classes;
  int side;
  int channels;
  int scale;
};

const std::vector<TaskFacts>& Tasks() {
  static const std::vector<TaskFacts> tasks = {
      {"fashion-mnist",
       "Ten kinds of clothing in small grey pictures",
       {"t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
        "ankle boot"},
       28,
       1,
       40},
      {"hostile", kHostile, {"<b>yes</b>", "no"}, 8, 1, 1},
      {"traffic-lights", "Which light is lit", {"red", "yellow", "green"}, 32, 3, 1},
  };
  return tasks;
}

template <typename Map>
void Put(Map* map, const std::string& key, typename Map::mapped_type value) {
  (*map)[key] = value;
}

bool Wanted(const std::string& asked, const std::string& task) {
  return asked.empty() || asked == task;
}

class Registry final : public registry::ModelRegistryService::Service {
  Status ListTasks(ServerContext*, const registry::ListTasksRequest*,
                   registry::ListTasksResponse* response) override {
    for (const auto& facts : Tasks()) {
      auto* task = response->add_tasks();
      auto* spec = task->mutable_spec();
      spec->set_name(facts.name);
      spec->set_description(facts.description);
      for (const auto& name : facts.classes) spec->add_classes(name);
      spec->mutable_preprocessing()->set_width(static_cast<std::uint32_t>(facts.side));
      spec->mutable_preprocessing()->set_height(static_cast<std::uint32_t>(facts.side));
      spec->mutable_preprocessing()->set_channels(static_cast<std::uint32_t>(facts.channels));
      task->set_version(2);
      task->set_applied_by("ann");
      SetAgo(task->mutable_applied_at(), 7'300);
    }
    return Status::OK;
  }

  static void Fill(int version, registry::ModelVersion* model) {
    model->set_model_version_id(Id(3, version));
    model->set_task("traffic-lights");
    model->set_version(static_cast<std::uint32_t>(version));
    model->set_stage(version == 2   ? registry::STAGE_PRODUCTION
                     : version == 1 ? registry::STAGE_RETIRED
                                    : registry::STAGE_REGISTERED);
    model->set_run_id(Id(2, version));
    model->set_dataset_digest(Hash(1));
    model->set_recipe(version == 1 ? "image-linear" : "image-cnn");
    model->set_seed(static_cast<std::uint64_t>(version));
    model->set_code_version("9f3c2d1e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d");
    model->set_code_clean(version != 3);
    Put(model->mutable_metrics(), "accuracy", 0.990 + 0.002 * version);
    Put(model->mutable_metrics(), "balanced_accuracy", 0.95 + 0.01 * version);
    (*model->mutable_metrics())["macro_f1"] = 0.96 + 0.008 * version;
    SetAgo(model->mutable_registered_at(), 5'000 - 900 * version);
  }

  Status ListModelVersions(ServerContext*, const registry::ListModelVersionsRequest* request,
                           registry::ListModelVersionsResponse* response) override {
    for (int version = 3; version >= 1 && Wanted(request->task(), "traffic-lights"); --version) {
      Fill(version, response->add_model_versions());
    }
    return Status::OK;
  }
  Status ListDeployments(ServerContext*, const registry::ListDeploymentsRequest*,
                         registry::ListDeploymentsResponse* response) override {
    auto* deployment = response->add_deployments();
    deployment->set_task("traffic-lights");
    Fill(2, deployment->mutable_production());
    deployment->set_revision(4);
    SetAgo(deployment->mutable_deployed_at(), 1'500);
    Fill(3, deployment->mutable_rollout()->mutable_candidate());
    deployment->mutable_rollout()->set_stage("canary");
    deployment->mutable_rollout()->set_share(0.5);
    return Status::OK;
  }
  Status GetModelVersion(ServerContext*, const registry::GetModelVersionRequest* request,
                         registry::GetModelVersionResponse* response) override {
    Fill(request->model_version_id() == Id(3, 3) ? 3 : 2, response->mutable_model_version());
    return Status::OK;
  }
  Status SignOff(ServerContext*, const registry::SignOffRequest* request,
                 registry::SignOffResponse* response) override {
    if (request->actor() == "nobody") {
      return {grpc::StatusCode::INVALID_ARGUMENT, "nobody may not sign as " + request->role()};
    }
    const std::lock_guard lock(mutex_);
    SetAgo(signed_.mutable_signed_at(), 0);
    signed_.set_role(request->role());
    signed_.set_actor(request->actor());
    signed_.set_approved(request->approved());
    signed_.set_reason(request->reason());
    *response->mutable_record() = signed_;
    return Status::OK;
  }
  Status ListSignOffs(ServerContext*, const registry::ListSignOffsRequest*,
                      registry::ListSignOffsResponse* response) override {
    auto* record = response->add_records();
    record->set_role("safety");
    record->set_actor("ann");
    record->set_approved(true);
    record->set_reason(kHostile);
    SetAgo(record->mutable_signed_at(), 100);
    const std::lock_guard lock(mutex_);
    if (signed_.role().empty()) {
      response->add_missing_roles("owner");
    } else {
      *response->add_records() = signed_;
    }
    return Status::OK;
  }

  std::mutex mutex_;
  registry::SignOffRecord signed_;
};

// A light in its case, as PPM; a grey disc, as PGM; a gradient, as BMP: what browsers show and what
// the page draws itself.
std::string Picture(int number) {
  const int side = 32;
  const auto inside = [&](int x, int y, int cx, int cy, int r) {
    return (x - cx) * (x - cx) + (y - cy) * (y - cy) <= r * r;
  };
  if (number % 4 == 3) {
    std::string bytes(
        "BM\x36\x0C\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x20\0\0\0\x20\0\0\0\x01\0\x18\0\0\0\0\0\0\x0C\0"
        "\0",
        38);
    bytes.resize(54, '\0');
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        bytes += static_cast<char>(x * 7);
        bytes += static_cast<char>(y * 7);
        bytes += static_cast<char>(120);
      }
    }
    return bytes;
  }
  if (number % 4 == 2) {
    std::string bytes = "P5\n# a comment\n32 32\n255\n";
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x)
        bytes += static_cast<char>(inside(x, y, 16, 16, 11) ? 200 : 30);
    }
    return bytes;
  }
  std::string bytes = "P6 32 32 255\n";
  const int lit = number % 3;
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      const bool box = x > 9 && x < 22 && y > 1 && y < 30;
      int red = box ? 30 : 140 + y * 2;
      int green = box ? 32 : 170 + y * 2;
      int blue = box ? 34 : 200;
      for (int light = 0; light < 3; ++light) {
        if (!inside(x, y, 16, 7 + 9 * light, 3)) continue;
        red = light == lit ? (light == 2 ? 40 : 240) : 60;
        green = light == lit ? (light == 0 ? 50 : 220) : 60;
        blue = 60;
      }
      bytes += static_cast<char>(red);
      bytes += static_cast<char>(green);
      bytes += static_cast<char>(blue);
    }
  }
  return bytes;
}

class Ingestion final : public ingestion::IngestionService::Service {
  Status GetSampleCounts(ServerContext*, const ingestion::GetSampleCountsRequest* request,
                         ingestion::GetSampleCountsResponse* response) override {
    for (const auto& facts : Tasks()) {
      if (facts.name != request->task()) continue;
      const auto scale = static_cast<std::uint64_t>(facts.scale);
      response->set_active(1'451 * scale);
      response->set_deactivated(2);
      response->set_quarantined(33 * scale);
      Put(response->mutable_by_split(), "training", 950 * scale);
      Put(response->mutable_by_split(), "validation", 204 * scale);
      Put(response->mutable_by_split(), "test", 297 * scale);
      Put(response->mutable_quarantined_by_reason(), "near_duplicate", 17 * scale);
      Put(response->mutable_quarantined_by_reason(), "undecodable", 9);
      Put(response->mutable_quarantined_by_reason(), "underexposed", 5);
      Put(response->mutable_quarantined_by_reason(), "blurred", 3);
    }
    return Status::OK;
  }
  Status ListSamples(ServerContext*, const ingestion::ListSamplesRequest* request,
                     ingestion::ListSamplesResponse* response) override {
    const int count = request->task() == "fashion-mnist" ? 0 : 12;
    for (int i = 0; i < count; ++i) {
      auto* sample = response->add_samples();
      sample->set_sample_id(Id(1, i));
      sample->set_name(i == 0 ? kHostile : "set/" + std::to_string(i) + ".ppm");
      sample->set_width(32);
      sample->set_height(32);
    }
    return Status::OK;
  }
  Status GetSamplePayload(ServerContext*, const ingestion::GetSamplePayloadRequest* request,
                          ingestion::GetSamplePayloadResponse* response) override {
    const int number = std::atoi(request->sample_id().c_str() + 24);
    response->set_payload(Picture(number));
    response->set_content_type(number % 4 == 3 ? "image/bmp" : "image/x-portable-anymap");
    return Status::OK;
  }
};

class Curation final : public curation::CurationService::Service {
  Status GetDatasetVersion(ServerContext*, const curation::GetDatasetVersionRequest* request,
                           curation::GetDatasetVersionResponse* response) override {
    auto* version = response->mutable_dataset_version();
    version->set_dataset_version_id(request->dataset_version_id());
    version->set_task("traffic-lights");
    version->set_version(2);
    version->set_items(1'531);
    version->set_digest(Hash(9));
    return Status::OK;
  }
  Status ListDatasetVersions(ServerContext*, const curation::ListDatasetVersionsRequest* request,
                             curation::ListDatasetVersionsResponse* response) override {
    for (const auto& facts : Tasks()) {
      if (!Wanted(request->task(), facts.name)) continue;
      auto* version = response->add_dataset_versions();
      version->set_dataset_version_id(Id(4, facts.scale + facts.side));
      version->set_task(facts.name);
      version->set_version(1);
      version->set_digest(Hash(facts.side));
      version->set_built_by("ann");
      version->set_description(facts.name == "hostile" ? kHostile : "");
      SetAgo(version->mutable_built_at(), 4'000);
      auto* report = version->mutable_report();
      std::uint64_t items = 0;
      for (std::size_t i = 0; i < facts.classes.size(); ++i) {
        auto* entry = report->add_classes();
        entry->set_class_name(facts.classes[i]);
        const std::uint64_t size = facts.name == "traffic-lights" ? (i == 0   ? 578
                                                                     : i == 1 ? 28
                                                                              : 344)
                                                                  : 4'800;
        entry->set_training(size);
        items += size;
      }
      report->set_training(items);
      report->set_validation(items / 5);
      report->set_test(items / 4);
      report->set_imbalance(facts.name == "traffic-lights" ? 20.6 : 1.0);
      report->set_unlabeled(facts.name == "traffic-lights" ? 4 : 0);
      version->set_items(items + items / 5 + items / 4);
    }
    return Status::OK;
  }
};

class Training final : public training::TrainingService::Service {
  static void AddMetric(training::Evaluation* evaluation, const std::string& name, double value,
                        double margin) {
    auto* metric = evaluation->add_metrics();
    metric->set_name(name);
    metric->set_value(value);
    metric->set_low(std::max(0.0, value - margin));
    metric->set_high(std::min(1.0, value + margin / 2));
    metric->set_interval("wilson");
  }
  static void Succeed(const std::string& recipe, double accuracy, double yellow,
                      training::Run* run) {
    run->set_recipe(recipe);
    run->set_state(training::RUN_STATE_SUCCEEDED);
    run->set_training_seconds(21.4);
    run->set_best_epoch(11);
    auto* test = run->add_evaluations();
    test->set_split("test");
    test->set_samples(297);
    AddMetric(test, "accuracy", accuracy, 0.012);
    AddMetric(test, "balanced_accuracy", accuracy - 0.02, 0.03);
    AddMetric(test, "macro_f1", accuracy - 0.015, 0.028);
    AddMetric(test, "ece", 0.014, 0.008);
    AddMetric(test, "recall.red", 0.998, 0.01);
    AddMetric(test, "recall.yellow", yellow, 0.2);
    AddMetric(test, "recall.green", 0.99, 0.02);
  }

  Status GetRun(ServerContext*, const training::GetRunRequest* request,
                training::GetRunResponse* response) override {
    auto* run = response->mutable_run();
    run->set_run_id(request->run_id());
    run->set_seed(2);
    Succeed("image-cnn", 0.997, 1.0, run);
    return Status::OK;
  }
  Status ListRuns(ServerContext*, const training::ListRunsRequest* request,
                  training::ListRunsResponse* response) override {
    for (int number = 5; number >= 1 && Wanted(request->task(), "traffic-lights"); --number) {
      auto* run = response->add_runs();
      run->set_run_id(Id(2, number));
      run->set_task("traffic-lights");
      run->set_recipe("image-cnn");
      run->set_seed(static_cast<std::uint64_t>(number));
      SetAgo(run->mutable_queued_at(), 4'200 - 700 * number);
      if (number == 5) run->set_state(training::RUN_STATE_QUEUED);
      if (number == 4) {
        run->set_state(training::RUN_STATE_RUNNING);
        auto* progress = run->mutable_progress();
        progress->set_phase("training");
        progress->set_steps_total(400);
        progress->set_steps_done(static_cast<std::uint64_t>(120 + 7 * ++asked_) % 400);
        progress->set_epoch(5);
        progress->set_epochs(15);
        progress->set_training_loss(0.083);
        progress->set_validation_metric(0.972);
        progress->set_samples_per_second(1'840);
        progress->set_seconds_left(14);
      }
      if (number == 3) {
        run->set_state(training::RUN_STATE_FAILED);
        std::string reason = "the worker was killed by signal 9 ";
        reason += kHostile;
        run->set_reason(reason);
      }
      if (number == 2) Succeed("image-cnn", 0.997, 1.0, run);
      if (number == 1) Succeed("image-linear", 0.99, 0.889, run);
    }
    return Status::OK;
  }
  std::atomic<int> asked_ = 0;
};

// A batch of the queue: two of three samples have their votes.
class Queue final : public labeling::QueueService::Service {
  Status GetBatch(ServerContext*, const labeling::GetBatchRequest*,
                  labeling::GetBatchResponse* response) override {
    auto* batch = response->mutable_batch();
    batch->set_items(12);
    batch->set_answered(8);
    batch->set_votes(8);
    batch->set_labels(8);
    return Status::OK;
  }
  Status ListQueue(ServerContext*, const labeling::ListQueueRequest* request,
                   labeling::ListQueueResponse* response) override {
    for (int i = 0; i < 12; ++i) {
      auto* item = response->add_items();
      item->set_batch_id(request->batch_id());
      item->set_sample_id(Id(1, i));
      item->set_reason(i % 2 == 0 ? "uncertain" : "drifted");
      item->set_state(i < 8 ? "answered" : "waiting");
      item->set_votes(i < 8 ? 1 : 0);
    }
    return Status::OK;
  }
};

class Labeling final : public labeling::LabelingService::Service {
  Status ListVotes(ServerContext*, const labeling::ListVotesRequest* request,
                   labeling::ListVotesResponse* response) override {
    auto* vote = response->add_votes();
    vote->set_sample_id(request->sample_id());
    vote->set_annotator("ann");
    vote->set_class_name(std::atoi(request->sample_id().c_str() + 24) == 0 ? "<b>yes</b>" : "red");
    return Status::OK;
  }
};

// One cycle of a turned camera, in its canary; one that failed, one that waits for a signature and
// one that the gate rejected. What people ask for changes them.
class Cycles final : public training::CycleService::Service {
  static training::CycleStep* Step(training::CycleState state, int begin, int end,
                                   const std::string& result, training::Cycle* cycle) {
    auto* step = cycle->add_steps();
    step->set_state(state);
    SetAgo(step->mutable_entered_at(), begin);
    if (end > 0) SetAgo(step->mutable_left_at(), end);
    step->set_result(result);
    return step;
  }
  static void Criterion(const std::string& name, registry::GateVerdict verdict, double difference,
                        const std::string& reason, training::Cycle* cycle) {
    auto* criterion = cycle->add_criteria();
    criterion->set_name(name);
    criterion->set_verdict(verdict);
    criterion->set_reason(reason);
    criterion->set_samples(81);
    criterion->set_difference(difference);
    criterion->set_low(difference - 0.08);
    criterion->set_high(difference + 0.06);
    criterion->set_p_value(0.004);
  }
  static void Fill(training::Cycle* cycle) {
    cycle->set_cycle_id(Id(5, 1));
    cycle->set_task("traffic-lights");
    cycle->set_state(training::CYCLE_STATE_CANARY);
    cycle->set_reason("waits for 100 canary answers");
    cycle->set_trigger("alert");
    cycle->set_alert_id(Id(6, 1));
    cycle->set_alert_cause("data_drift");
    cycle->set_baseline_model_version_id(Id(3, 2));
    cycle->set_candidate_model_version_id(Id(3, 3));
    cycle->set_batch_id(Id(5, 1));
    cycle->set_dataset_version_id(Id(4, 33));
    cycle->set_run_id(Id(2, 2));
    cycle->mutable_cost()->set_labels(80);
    cycle->mutable_cost()->set_cpu_seconds(41.5);
    cycle->mutable_cost()->set_wall_seconds(168);
    cycle->set_gain(0.41);
    cycle->set_gain_low(0.29);
    cycle->set_gain_high(0.52);
    SetAgo(cycle->mutable_started_at(), 170);
    (*cycle->mutable_acquired())["uncertain"] = 32;
    (*cycle->mutable_acquired())["drifted"] = 32;
    (*cycle->mutable_acquired())["random"] = 16;
    Step(training::CYCLE_STATE_TRIGGERED, 170, 169, "data drift, damage 0.21", cycle);
    Step(training::CYCLE_STATE_COLLECTING, 169, 150, "100 samples were captured", cycle);
    Step(training::CYCLE_STATE_LABELING, 150, 120, kHostile, cycle);
    Step(training::CYCLE_STATE_BUILDING, 120, 118, "1 version more", cycle);
    Step(training::CYCLE_STATE_TRAINING, 118, 80, "succeeded", cycle);
    Step(training::CYCLE_STATE_GATING, 80, 79, "pass", cycle);
    Criterion("old_condition", registry::GATE_VERDICT_PASS, -0.004, "loses less than 0.01", cycle);
    Criterion("new_condition", registry::GATE_VERDICT_PASS, 0.41, "significantly better", cycle);
    Criterion("class.yellow", registry::GATE_VERDICT_INCONCLUSIVE, 0.02, "4 samples", cycle);
    Step(training::CYCLE_STATE_AWAITING_SIGN_OFF, 79, 60, "signed", cycle);
    Step(training::CYCLE_STATE_SHADOW, 60, 40, "50 shadow answers", cycle);
    (*Step(training::CYCLE_STATE_CANARY, 40, 0, "", cycle)->mutable_details())["share"] = "0.5";
  }
  void FillOther(int number, training::Cycle* cycle) const {
    Fill(cycle);
    cycle->set_cycle_id(Id(5, number));
    cycle->set_state(number == 2   ? training::CYCLE_STATE_FAILED
                     : number == 3 ? training::CYCLE_STATE_AWAITING_SIGN_OFF
                                   : training::CYCLE_STATE_REJECTED);
    cycle->set_reason("as it was made up");
    if (number != 3) SetAgo(cycle->mutable_ended_at(), 10);
  }
  bool Known(const std::string& id, training::Cycle* cycle) {
    for (int number = 1; number <= 4; ++number) {
      if (id != Id(5, number)) continue;
      number == 1 ? Fill(cycle) : FillOther(number, cycle);
      const auto changed = changed_.find(id);
      if (changed == changed_.end()) return true;
      cycle->set_paused(changed->second.paused());
      *cycle->mutable_decisions() = changed->second.decisions();
      cycle->set_reason(changed->second.reason());
      if (changed->second.state() != training::CYCLE_STATE_UNSPECIFIED) {
        cycle->set_state(changed->second.state());
        cycle->clear_ended_at();
        if (cycle->state() == training::CYCLE_STATE_CANCELLED) {
          SetAgo(cycle->mutable_ended_at(), 0);
        }
      }
      return true;
    }
    return false;
  }
  template <typename Request, typename Response, typename Change>
  Status Act(const std::string& outcome, const Request& request, Response* response,
             const Change& change) {
    const std::lock_guard lock(mutex_);
    training::Cycle cycle;
    if (!Known(request.cycle_id(), &cycle)) return {grpc::StatusCode::NOT_FOUND, "no such cycle"};
    training::Cycle& changed = changed_[request.cycle_id()];
    change(changed);
    auto* decision = changed.add_decisions();
    decision->set_outcome(outcome);
    decision->set_actor(request.actor());
    decision->set_reason(request.reason());
    SetAgo(decision->mutable_decided_at(), 0);
    Known(request.cycle_id(), response->mutable_cycle());
    return Status::OK;
  }
  Status PauseCycle(ServerContext*, const training::PauseCycleRequest* request,
                    training::PauseCycleResponse* response) override {
    return Act("paused", *request, response, [&](training::Cycle& changed) {
      changed.set_paused(true);
      changed.set_reason("paused by " + request->actor());
    });
  }
  Status ResumeCycle(ServerContext*, const training::ResumeCycleRequest* request,
                     training::ResumeCycleResponse* response) override {
    return Act("resumed", *request, response, [&](training::Cycle& changed) {
      changed.set_paused(false);
      changed.set_reason("resumed by " + request->actor());
    });
  }
  Status CancelCycle(ServerContext*, const training::CancelCycleRequest* request,
                     training::CancelCycleResponse* response) override {
    return Act("cancelled", *request, response, [&](training::Cycle& changed) {
      changed.set_state(training::CYCLE_STATE_CANCELLED);
      changed.set_reason("cancelled by " + request->actor() + ": " + request->reason());
    });
  }
  Status RetryCycle(ServerContext*, const training::RetryCycleRequest* request,
                    training::RetryCycleResponse* response) override {
    return Act("retried", *request, response, [&](training::Cycle& changed) {
      changed.set_state(training::CYCLE_STATE_TRAINING);
      changed.set_reason("retried by " + request->actor());
    });
  }
  // Of the one that was rejected: the cycle goes on past the gate.
  Status StartCycle(ServerContext*, const training::StartCycleRequest* request,
                    training::StartCycleResponse* response) override {
    if (request->candidate_model_version_id() != Id(3, 3) || request->request_id().size() < 16) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "which candidate?"};
    }
    const std::lock_guard lock(mutex_);
    training::Cycle& changed = changed_[Id(5, 4)];
    changed.set_state(training::CYCLE_STATE_SHADOW);
    changed.set_reason("overridden by " + request->actor() + ": " + request->override_reason());
    Known(Id(5, 4), response->mutable_cycle());
    return Status::OK;
  }
  Status GetCycle(ServerContext*, const training::GetCycleRequest* request,
                  training::GetCycleResponse* response) override {
    const std::lock_guard lock(mutex_);
    if (!Known(request->cycle_id(), response->mutable_cycle())) {
      return {grpc::StatusCode::NOT_FOUND, "no such cycle"};
    }
    return Status::OK;
  }
  Status ListCycles(ServerContext*, const training::ListCyclesRequest* request,
                    training::ListCyclesResponse* response) override {
    const std::lock_guard lock(mutex_);
    if (!Wanted(request->task(), "traffic-lights")) return Status::OK;
    for (int number = 1; number <= 4; ++number) Known(Id(5, number), response->add_cycles());
    return Status::OK;
  }
  Status ListDecisions(ServerContext*, const training::ListDecisionsRequest*,
                       training::ListDecisionsResponse* response) override {
    auto* decision = response->add_decisions();
    decision->set_decision_id(Id(7, 1));
    decision->set_task("traffic-lights");
    decision->set_outcome("not_started");
    decision->set_because("sensor_fault");
    decision->set_reason("a camera sends dark frames: no new model cures that");
    SetAgo(decision->mutable_decided_at(), 600);
    return Status::OK;
  }

  std::mutex mutex_;
  std::map<std::string, training::Cycle> changed_;
};

class Monitoring final : public monitoring::MonitoringService::Service {
  Status ListModelSummaries(ServerContext*, const monitoring::ListModelSummariesRequest*,
                            monitoring::ListModelSummariesResponse* response) override {
    auto* summary = response->add_summaries();
    summary->set_task("traffic-lights");
    summary->set_model_version_id(Id(3, 2));
    summary->set_predictions(12'480);
    summary->set_outcomes(300);
    summary->set_correct(298);
    summary->set_mean_confidence(0.981);
    summary->set_accuracy(0.9933);
    return Status::OK;
  }

  void Fill(monitoring::Alert* alert) {
    const std::lock_guard lock(mutex_);
    alert->set_alert_id(Id(6, 1));
    alert->set_task("traffic-lights");
    alert->set_cause("data_drift");
    alert->set_state(acknowledged_by_.empty() ? monitoring::ALERT_STATE_RAISED
                                              : monitoring::ALERT_STATE_ACKNOWLEDGED);
    alert->set_acknowledged_by(acknowledged_by_);
    alert->set_muted(muted_seconds_ > 0);
    alert->set_title("pictures are turned");
    alert->set_description(kHostile);
    alert->set_damage(0.21);
    alert->set_delay_predictions(112);
    SetAgo(alert->mutable_raised_at(), 175);
    auto* finding = alert->add_findings();
    finding->set_kind(monitoring::FINDING_KIND_EMBEDDING_DRIFT);
    finding->set_method("mmd");
    finding->set_statistic(0.31);
    finding->set_threshold(0.08);
    finding->set_fires(true);
  }
  Status ListAlerts(ServerContext*, const monitoring::ListAlertsRequest* request,
                    monitoring::ListAlertsResponse* response) override {
    if (Wanted(request->task(), "traffic-lights")) Fill(response->add_alerts());
    return Status::OK;
  }
  Status AcknowledgeAlert(ServerContext*, const monitoring::AcknowledgeAlertRequest* request,
                          monitoring::AcknowledgeAlertResponse* response) override {
    {
      const std::lock_guard lock(mutex_);
      acknowledged_by_ = request->actor();
    }
    Fill(response->mutable_alert());
    return Status::OK;
  }
  Status MuteAlert(ServerContext*, const monitoring::MuteAlertRequest* request,
                   monitoring::MuteAlertResponse* response) override {
    {
      const std::lock_guard lock(mutex_);
      muted_seconds_ = request->seconds();
    }
    Fill(response->mutable_alert());
    return Status::OK;
  }
  Status GetAlert(ServerContext*, const monitoring::GetAlertRequest*,
                  monitoring::GetAlertResponse* response) override {
    auto* alert = response->mutable_alert();
    Fill(alert);
    auto* shape = alert->add_histograms();
    shape->set_subject("aspect_ratio");
    for (int i = 0; i <= 10; ++i) shape->add_bounds(0.3 * i);
    for (int i = 0; i < 10; ++i) {
      shape->add_reference_shares(std::exp(-0.5 * (i - 2) * (i - 2)) * 0.4);
      shape->add_current_shares(std::exp(-0.5 * (i - 7) * (i - 7)) * 0.4);
    }
    auto* classes = alert->add_histograms();
    classes->set_subject("predicted class");
    for (const char* name : {"red", "yellow", "<b>green</b>"}) classes->add_names(name);
    for (const double share : {0.6, 0.03, 0.37}) classes->add_reference_shares(share);
    for (const double share : {0.3, 0.4, 0.3}) classes->add_current_shares(share);
    return Status::OK;
  }
  Status ListComparisons(ServerContext*, const monitoring::ListComparisonsRequest*,
                         monitoring::ListComparisonsResponse* response) override {
    for (const char* stage : {"canary", "shadow"}) {
      auto* comparison = response->add_comparisons();
      comparison->set_comparison_id(stage);
      comparison->set_candidate_model_version_id(Id(3, 3));
      comparison->set_stage(stage);
      comparison->set_candidate_predictions(50);
      comparison->set_baseline_predictions(52);
      comparison->set_disagreements(21);
      comparison->set_candidate_seconds_mean(0.0021);
      comparison->set_baseline_seconds_mean(0.0019);
      comparison->set_verdict(stage[0] == 's' ? "harmless" : "undecided");
    }
    return Status::OK;
  }

  std::mutex mutex_;
  std::string acknowledged_by_;
  double muted_seconds_ = 0;
};

}  // namespace

int main() {
  const tidewheel::ShutdownSignal shutdown;
  grpc::EnableDefaultHealthCheckService(true);
  Registry registry_service;
  Ingestion ingestion_service;
  Curation curation_service;
  Training training_service;
  Cycles cycle_service;
  Queue queue_service;
  Labeling labeling_service;
  Monitoring monitoring_service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&registry_service);
  builder.RegisterService(&ingestion_service);
  builder.RegisterService(&curation_service);
  builder.RegisterService(&training_service);
  builder.RegisterService(&cycle_service);
  builder.RegisterService(&queue_service);
  builder.RegisterService(&labeling_service);
  builder.RegisterService(&monitoring_service);
  const auto server = builder.BuildAndStart();
  if (!server) return 1;
  std::printf("127.0.0.1:%d\n", port);
  std::fflush(stdout);
  shutdown.Wait();
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}
