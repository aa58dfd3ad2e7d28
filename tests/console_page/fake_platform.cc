// Services that answer with made-up data, some of it hostile, for the browser test of the console's
// page. Prints its address as one line and runs until it is stopped.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "tidewheel/base/shutdown_signal.h"
#include "tidewheel/curation/v1/curation_service.grpc.pb.h"
#include "tidewheel/ingestion/v1/ingestion_service.grpc.pb.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"
#include "tidewheel/training/v1/training_service.grpc.pb.h"

namespace {

using grpc::ServerContext;
using grpc::Status;
namespace curation = tidewheel::curation::v1;
namespace ingestion = tidewheel::ingestion::v1;
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
    return Status::OK;
  }
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
};

}  // namespace

int main() {
  const tidewheel::ShutdownSignal shutdown;
  grpc::EnableDefaultHealthCheckService(true);
  Registry registry_service;
  Ingestion ingestion_service;
  Curation curation_service;
  Training training_service;
  Monitoring monitoring_service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&registry_service);
  builder.RegisterService(&ingestion_service);
  builder.RegisterService(&curation_service);
  builder.RegisterService(&training_service);
  builder.RegisterService(&monitoring_service);
  const auto server = builder.BuildAndStart();
  if (!server) return 1;
  std::printf("127.0.0.1:%d\n", port);
  std::fflush(stdout);
  shutdown.Wait();
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}
