// Runs the real binary against fake services behind real gRPC servers.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>

#include "tidewheel/curation/v1/curation_service.grpc.pb.h"
#include "tidewheel/curation/v1/lineage_service.grpc.pb.h"
#include "tidewheel/inference/v1/inference_service.grpc.pb.h"
#include "tidewheel/ingestion/v1/ingestion_service.grpc.pb.h"
#include "tidewheel/labeling/v1/labeling_service.grpc.pb.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/testing/subprocess.h"
#include "tidewheel/testing/temp_folder.h"
#include "tidewheel/training/v1/training_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

namespace fs = std::filesystem;
using grpc::ServerContext;
using grpc::Status;
using grpc::StatusCode;

constexpr char kId[] = "0193a000-0000-7000-8000-000000000001";
constexpr char kOther[] = "0193a000-0000-7000-8000-000000000002";

class FakeRegistry final : public model_registry::v1::ModelRegistryService::Service {
 public:
  Status ApplyTask(ServerContext*, const model_registry::v1::ApplyTaskRequest* request,
                   model_registry::v1::ApplyTaskResponse* response) override {
    if (request->yaml().find("bad") != std::string::npos) {
      return {StatusCode::INVALID_ARGUMENT,
              "task.yaml:3: classes: must be 2 to 1000 names\n"
              "task.yaml:4: colour: unknown key"};
    }
    actor = request->actor();
    response->mutable_task()->mutable_spec()->set_name("traffic-lights");
    response->mutable_task()->set_version(1);
    response->set_changed(applied.insert(request->yaml()).second);
    return Status::OK;
  }
  Status GetTask(ServerContext*, const model_registry::v1::GetTaskRequest* request,
                 model_registry::v1::GetTaskResponse* response) override {
    if (request->name() != "traffic-lights") {
      return {StatusCode::NOT_FOUND, "no task " + request->name()};
    }
    auto* spec = response->mutable_task()->mutable_spec();
    spec->set_name(request->name());
    spec->mutable_quality()->set_max_payload_bytes(1'000);
    spec->mutable_splits()->set_metadata_key("part");
    return Status::OK;
  }
  Status ListTasks(ServerContext*, const model_registry::v1::ListTasksRequest* request,
                   model_registry::v1::ListTasksResponse* response) override {
    const int begin = request->page_token().empty() ? 0 : std::stoi(request->page_token());
    const int end = std::min(begin + std::min(request->page_size(), 2), 5);
    for (int i = begin; i < end; ++i) {
      response->add_tasks()->mutable_spec()->set_name("task-" + std::to_string(i));
    }
    if (end < 5) response->set_next_page_token(std::to_string(end));
    return Status::OK;
  }
  Status GetModelVersion(ServerContext*, const model_registry::v1::GetModelVersionRequest* request,
                         model_registry::v1::GetModelVersionResponse* response) override {
    if (request->name().version() == 9) return {StatusCode::NOT_FOUND, "no such version"};
    response->mutable_model_version()->set_model_version_id(
        request->has_name() ? kId : request->model_version_id());
    return Status::OK;
  }
  Status PromoteModelVersion(ServerContext*,
                             const model_registry::v1::PromoteModelVersionRequest* request,
                             model_registry::v1::PromoteModelVersionResponse* response) override {
    if (request->override_reason().empty()) {
      return {StatusCode::FAILED_PRECONDITION, "balanced accuracy 0.71 is below the gate's 0.9"};
    }
    response->mutable_deployment()->mutable_production()->set_version(2);
    response->set_changed(true);
    return Status::OK;
  }
  Status ListDeployments(ServerContext*, const model_registry::v1::ListDeploymentsRequest*,
                         model_registry::v1::ListDeploymentsResponse* response) override {
    *response->add_deployments() = deployment;
    return Status::OK;
  }
  Status SetRollout(ServerContext*, const model_registry::v1::SetRolloutRequest* request,
                    model_registry::v1::SetRolloutResponse* response) override {
    if (request->share() > 0.4 && request->override_reason().empty()) {
      return {StatusCode::FAILED_PRECONDITION, "nobody has signed for role safety"};
    }
    deployment.set_task("traffic-lights");
    deployment.mutable_rollout()->set_stage(request->stage());
    deployment.mutable_rollout()->set_share(request->share());
    deployment.mutable_rollout()->mutable_candidate()->set_task("traffic-lights");
    *response->mutable_deployment() = deployment;
    response->set_changed(true);
    return Status::OK;
  }
  Status ClearRollout(ServerContext*, const model_registry::v1::ClearRolloutRequest* request,
                      model_registry::v1::ClearRolloutResponse* response) override {
    response->set_changed(deployment.has_rollout());
    deployment.clear_rollout();
    deployment.set_task(request->task());
    *response->mutable_deployment() = deployment;
    return Status::OK;
  }
  Status SignOff(ServerContext*, const model_registry::v1::SignOffRequest* request,
                 model_registry::v1::SignOffResponse* response) override {
    response->mutable_record()->set_role(request->role());
    response->mutable_record()->set_actor(request->actor());
    response->mutable_record()->set_approved(request->approved());
    response->mutable_record()->set_reason(request->reason());
    response->add_missing_roles("owner");
    return Status::OK;
  }
  Status ListSignOffs(ServerContext*, const model_registry::v1::ListSignOffsRequest*,
                      model_registry::v1::ListSignOffsResponse* response) override {
    response->add_missing_roles("owner");
    return Status::OK;
  }
  Status ListGateEvaluations(ServerContext*,
                             const model_registry::v1::ListGateEvaluationsRequest* request,
                             model_registry::v1::ListGateEvaluationsResponse* response) override {
    if (request->model_version_id() != kId) return Status::OK;
    auto* evaluation = response->add_evaluations();
    evaluation->set_verdict(model_registry::v1::GATE_VERDICT_FAIL);
    auto* criterion = evaluation->add_criteria();
    criterion->set_name("better_on_new");
    criterion->set_verdict(model_registry::v1::GATE_VERDICT_FAIL);
    criterion->set_difference(-0.125);
    criterion->set_samples(40);
    criterion->set_reason("no better");
    return Status::OK;
  }
  Status VerifyAuditChain(ServerContext*, const model_registry::v1::VerifyAuditChainRequest*,
                          model_registry::v1::VerifyAuditChainResponse* response) override {
    response->set_intact(false);
    response->set_first_broken_number(7);
    response->set_problem("hash differs");
    return Status::OK;
  }

  std::set<std::string> applied;
  std::string actor;
  model_registry::v1::Deployment deployment;
};

class FakeIngestion final : public ingestion::v1::IngestionService::Service {
 public:
  using Stream = grpc::ServerReaderWriter<ingestion::v1::StreamSamplesResponse,
                                          ingestion::v1::StreamSamplesRequest>;
  Status StreamSamples(ServerContext*, Stream* stream) override {
    ingestion::v1::StreamSamplesRequest request;
    while (stream->Read(&request)) {
      ingestion::v1::StreamSamplesResponse response;
      response.set_batch_number(request.batch_number());
      for (const auto& sample : request.samples()) {
        auto* verdict = response.add_verdicts();
        if (sample.payload().starts_with("black")) {
          verdict->set_disposition(ingestion::v1::DISPOSITION_QUARANTINED);
          verdict->add_reasons()->set_code(ingestion::v1::REASON_CODE_UNDEREXPOSED);
          continue;
        }
        const std::lock_guard lock(mutex);
        verdict->set_disposition(samples.emplace(sample.name(), sample).second
                                     ? ingestion::v1::DISPOSITION_ACCEPTED
                                     : ingestion::v1::DISPOSITION_UNCHANGED);
      }
      stream->Write(response);
    }
    return Status::OK;
  }
  Status ListSamples(ServerContext*, const ingestion::v1::ListSamplesRequest*,
                     ingestion::v1::ListSamplesResponse* response) override {
    auto* sample = response->add_samples();
    sample->set_name("\x1b[2J hostile");
    sample->set_split(ingestion::v1::SPLIT_TEST);
    return Status::OK;
  }

  std::mutex mutex;  // Guards samples.
  std::map<std::string, ingestion::v1::NewSample> samples;
};

class FakeLabeling final : public labeling::v1::LabelingService::Service {
 public:
  Status SubmitVotes(ServerContext*, const labeling::v1::SubmitVotesRequest* request,
                     labeling::v1::SubmitVotesResponse* response) override {
    for (int i = 0; i < request->votes_size(); ++i) {
      const auto& vote = request->votes(i);
      if (vote.class_name() == "purple") {
        auto* rejected = response->add_rejected();
        rejected->set_index(static_cast<std::uint32_t>(i));
        rejected->set_reason("class \"purple\" is not in task traffic-lights (red, yellow, green)");
        continue;
      }
      votes.push_back(vote);
      response->set_accepted(response->accepted() + 1);
    }
    return Status::OK;
  }
  std::vector<labeling::v1::NewVote> votes;
};

class FakeCuration final : public curation::v1::CurationService::Service {
 public:
  Status GetDatasetVersion(ServerContext*, const curation::v1::GetDatasetVersionRequest* request,
                           curation::v1::GetDatasetVersionResponse* response) override {
    if (request->name().task() == "none") return {StatusCode::NOT_FOUND, "no dataset"};
    response->mutable_dataset_version()->set_dataset_version_id(kId);
    return Status::OK;
  }
  Status BuildDatasetVersion(ServerContext*,
                             const curation::v1::BuildDatasetVersionRequest* request,
                             curation::v1::BuildDatasetVersionResponse* response) override {
    recipe = request->recipe();
    auto* version = response->mutable_dataset_version();
    version->set_task(request->recipe().task());
    version->set_version(3);
    version->set_items(60'000);
    version->mutable_report()->add_classes()->set_class_name("yellow");
    return Status::OK;
  }
  curation::v1::DatasetRecipe recipe;
};

class FakeLineage final : public curation::v1::LineageService::Service {
 public:
  Status Trace(ServerContext*, const curation::v1::TraceRequest* request,
               curation::v1::TraceResponse* response) override {
    const auto node = [&](const std::string& kind, const std::string& id) {
      auto* added = response->add_nodes();
      added->set_kind(kind);
      added->set_id(id);
    };
    const auto edge = [&](const std::string& from, const std::string& to, const std::string& what) {
      auto* added = response->add_edges();
      added->set_from_id(from);
      added->set_to_id(to);
      added->set_relation(what);
    };
    node("prediction", request->prediction_request_id());
    node("model version", "m1");
    node("run", "r1");
    node("dataset version", "d1");
    edge(request->prediction_request_id(), "m1", "served by");
    edge("m1", "r1", "made by");
    edge("r1", "d1", "trained on");
    edge("d1", "m1", "a circle that must end");
    response->set_votes(5'120);
    return Status::OK;
  }
};

class FakeTraining final : public training::v1::TrainingService::Service {
 public:
  Status StartRun(ServerContext*, const training::v1::StartRunRequest* request,
                  training::v1::StartRunResponse* response) override {
    started = *request;
    response->mutable_run()->set_run_id(kId);
    response->mutable_run()->set_state(training::v1::RUN_STATE_QUEUED);
    return Status::OK;
  }
  Status WatchRun(ServerContext*, const training::v1::WatchRunRequest*,
                  grpc::ServerWriter<training::v1::WatchRunResponse>* writer) override {
    training::v1::WatchRunResponse response;
    response.mutable_run()->set_run_id(kId);
    response.mutable_run()->set_state(training::v1::RUN_STATE_RUNNING);
    writer->Write(response);
    // Training restarts in the middle: the CLI has to come back.
    if (++watches == 1) return {StatusCode::UNAVAILABLE, "restarting"};
    response.mutable_run()->set_state(started.recipe() == "image-broken"
                                          ? training::v1::RUN_STATE_FAILED
                                          : training::v1::RUN_STATE_SUCCEEDED);
    response.mutable_run()->set_reason(started.recipe() == "image-broken" ? "the worker died" : "");
    writer->Write(response);
    return Status::OK;
  }
  training::v1::StartRunRequest started;
  int watches = 0;
};

class FakeInference final : public inference::v1::InferenceService::Service {
 public:
  Status Predict(ServerContext*, const inference::v1::PredictRequest* request,
                 inference::v1::PredictResponse* response) override {
    for (const auto& payload : request->pictures().payloads()) {
      if (payload == "broken") {
        return {StatusCode::INVALID_ARGUMENT, "picture cannot be decoded"};
      }
      auto* prediction = response->add_predictions();
      prediction->set_class_name("red");
      prediction->set_confidence(0.75F);
      prediction->add_probabilities(0.75F);
    }
    response->set_request_id(request->request_id());
    response->add_classes("red");
    return Status::OK;
  }
  // The left half of a picture of 2 x 4 speaks for the class, the right half against it.
  Status Explain(ServerContext*, const inference::v1::ExplainRequest* request,
                 inference::v1::ExplainResponse* response) override {
    if (request->picture() == "broken") {
      return {StatusCode::INVALID_ARGUMENT, "picture cannot be decoded"};
    }
    response->set_class_name(request->class_name().empty() ? "red" : request->class_name());
    response->set_probability(0.75);
    response->set_model_version(4);
    response->set_method(request->method());
    response->set_height(2);
    response->set_width(4);
    response->set_asked(7);
    response->set_possible(9);
    if (request->method() == inference::v1::EXPLANATION_METHOD_LIME) {
      for (const unsigned region : {0U, 0U, 1U, 1U, 0U, 0U, 1U, 1U}) response->add_regions(region);
      for (const double weight : {0.5, -0.5}) {
        auto* part = response->add_parts();
        part->set_part(weight > 0 ? 0 : 1);
        part->set_weight(weight);
        part->set_standard_error(0.01);
      }
      response->set_r_squared(0.9);
    } else {
      for (const double value : {1.0, 0.5, 0.0, -1.0, 1.0, 0.5, 0.0, -1.0})
        response->add_map(value);
    }
    return Status::OK;
  }
};

class CommandsTest : public ::testing::Test {
 protected:
  struct Outcome {
    int status = -1;
    std::string out;
    std::string err;
    google::protobuf::Struct json() const {
      google::protobuf::Struct object;
      EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(out, &object).ok()) << out;
      return object;
    }
  };

  CommandsTest() {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    const std::vector<grpc::Service*> services = {&registry_, &ingestion_, &labeling_, &curation_,
                                                  &lineage_,  &training_,  &inference_};
    for (auto* service : services) builder.RegisterService(service);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
    WritePlatform({"model-registry", "ingestion", "labeling", "curation", "training", "inference",
                   "monitoring", "console"});
  }

  void WritePlatform(const std::vector<std::string>& names) {
    std::string services;
    for (const auto& name : names) {
      services += (services.empty() ? "" : ",") +
                  ("\"" + name + "\":{\"grpc\":\"" + address_ + "\",\"metrics\":\"127.0.0.1:1\"}");
    }
    Write("var/run/platform.json", "{\"started_at\":\"now\",\"services\":{" + services + "}}");
  }

  fs::path Write(const std::string& name, const std::string& bytes) {
    const fs::path path = folder_.path() / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  static std::string Read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  Outcome Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     std::string(std::getenv("TIDEWHEEL_BINARY_DIR")) + "/bin/tidewheel");
    testing::SubprocessOptions options;
    options.folder = folder_.path();
    options.stdout_file = folder_.path() / "out";
    options.stderr_file = folder_.path() / "err";
    options.environment = {{"TIDEWHEEL_PLATFORM", ""}, {"USER", "tester"}};
    fs::remove(options.stdout_file);
    fs::remove(options.stderr_file);
    auto process = testing::Subprocess::Start(arguments, options);
    EXPECT_TRUE(process);
    Outcome outcome;
    outcome.status = process->Wait(std::chrono::seconds(30)).value_or(-1);
    outcome.out = Read(options.stdout_file);
    outcome.err = Read(options.stderr_file);
    return outcome;
  }

  testing::TempFolder folder_;
  FakeRegistry registry_;
  FakeIngestion ingestion_;
  FakeLabeling labeling_;
  FakeCuration curation_;
  FakeLineage lineage_;
  FakeTraining training_;
  FakeInference inference_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

double Number(const google::protobuf::Struct& object, const std::string& key) {
  const auto found = object.fields().find(key);
  return found == object.fields().end() ? -1 : found->second.number_value();
}

TEST_F(CommandsTest, WrongUsageIsStatus2AndSaysWhat) {
  EXPECT_EQ(Run({}).status, 2);
  EXPECT_EQ(Run({"frobnicate"}).status, 2);
  EXPECT_EQ(Run({"push", "x"}).status, 2);
  const auto outcome = Run({"label", "compute", "--task", "t", "--method", "guess"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_TRUE(Contains(outcome.err, "tidewheel: INVALID_ARGUMENT: ")) << outcome.err;
  EXPECT_TRUE(outcome.out.empty());
  EXPECT_EQ(Run({"--help"}).status, 0);
}

TEST_F(CommandsTest, NoPlatformIsStatus4) {
  fs::remove(folder_.path() / "var/run/platform.json");

  const auto outcome = Run({"tasks"});

  EXPECT_EQ(outcome.status, 4);
  EXPECT_TRUE(Contains(outcome.err, "tidewheel: UNAVAILABLE: no platform found")) << outcome.err;
}

TEST_F(CommandsTest, BrokenPlatformFileIsNamed) {
  const auto path = Write("p.json", "{\"services\": {\"ingestion\": 7}}");

  const auto outcome = Run({"tasks", "--platform", path.string()});

  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(Contains(outcome.err, "services.ingestion")) << outcome.err;
}

TEST_F(CommandsTest, ServiceThatDoesNotAnswerIsStatus4) {
  const auto outcome = Run({"tasks", "--address", "model-registry=127.0.0.1:1", "--timeout", "3"});

  EXPECT_EQ(outcome.status, 4);
  EXPECT_TRUE(Contains(outcome.err, "UNAVAILABLE: model-registry")) << outcome.err;
}

TEST_F(CommandsTest, ListsPageThroughAndSayWhenThereIsMore) {
  const auto all = Run({"tasks", "--limit", "0"});
  EXPECT_EQ(all.status, 0) << all.err;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Contains(all.out, "task-" + std::to_string(i)));

  const auto some = Run({"tasks", "--limit", "3"});
  EXPECT_TRUE(Contains(some.out, "task-2"));
  EXPECT_FALSE(Contains(some.out, "task-3"));
  EXPECT_TRUE(Contains(some.err, "there are more"));

  const auto json = Run({"tasks", "--limit", "3", "--json"}).json();
  EXPECT_EQ(json.fields().at("tasks").list_value().values_size(), 3);
  EXPECT_EQ(json.fields().at("next_page_token").string_value(), "3");
}

TEST_F(CommandsTest, ApplyTellsWhetherSomethingChangedAndWhoAsked) {
  const auto file = Write("task.yaml", "name: traffic-lights\n").string();

  EXPECT_TRUE(Contains(Run({"apply", file}).out, "version 1: applied"));
  EXPECT_TRUE(Contains(Run({"apply", file}).out, "version 1: unchanged"));
  EXPECT_EQ(registry_.actor, "tester");
}

TEST_F(CommandsTest, ApplyOfSeveralFilesIsDoneInPartWhenOneIsInvalid) {
  const auto good = Write("good.yaml", "name: traffic-lights\n").string();
  const auto bad = Write("bad.yaml", "bad\n").string();

  const auto both = Run({"apply", bad, good});
  EXPECT_EQ(both.status, 3);
  EXPECT_TRUE(Contains(both.err, "unknown key"));
  EXPECT_TRUE(Contains(both.out, "applied"));
  EXPECT_EQ(Run({"apply", bad}).status, 1);
  EXPECT_EQ(Run({"apply", "none.yaml"}).status, 1);
}

TEST_F(CommandsTest, PushOfAFolderTwiceSaysThatNothingChanged) {
  for (int i = 0; i < 30; ++i) {
    Write("set/train/" + std::to_string(i) + ".jpg", "picture " + std::to_string(i));
  }

  const auto first = Run({"push", "--task", "traffic-lights", "set", "--split-from-path",
                          "--metadata", "camera=7", "--json"});
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(Number(first.json(), "accepted"), 30);
  const auto& sample = ingestion_.samples.at("set/train/3.jpg");
  EXPECT_EQ(sample.metadata().at("part"), "training");
  EXPECT_EQ(sample.metadata().at("camera"), "7");

  const auto again = Run({"push", "--task", "traffic-lights", "set/", "--split-from-path"});
  EXPECT_EQ(again.status, 0);
  EXPECT_TRUE(Contains(again.out, "30 unchanged")) << again.out;
  EXPECT_TRUE(Contains(again.out, "nothing changed")) << again.out;
}

TEST_F(CommandsTest, PushCountsQuarantineByReasonAndWritesVerdicts) {
  Write("set/1.jpg", "black 1");
  Write("set/2.jpg", "good");

  const auto outcome =
      Run({"push", "--task", "traffic-lights", "set", "--json", "--verdicts", "verdicts.jsonl"});

  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(Number(outcome.json(), "quarantined"), 1);
  EXPECT_EQ(
      Number(outcome.json().fields().at("quarantined_by_reason").struct_value(), "underexposed"),
      1);
  const std::string verdicts = Read(folder_.path() / "verdicts.jsonl");
  EXPECT_EQ(std::count(verdicts.begin(), verdicts.end(), '\n'), 2);
  EXPECT_TRUE(Contains(verdicts, "\"underexposed\"")) << verdicts;
}

TEST_F(CommandsTest, PushRefusesWhatIsOverTheTasksLimitAndIsDoneInPart) {
  Write("set/good.jpg", "good");
  const auto large = Write("set/large.jpg", "");
  fs::resize_file(large, std::uintmax_t{200} << 20);

  const auto outcome = Run({"push", "--task", "traffic-lights", "set"});

  EXPECT_EQ(outcome.status, 3);
  EXPECT_TRUE(
      Contains(outcome.err, "refused set/large.jpg: 200.0 MiB is over the limit of 1000 bytes"))
      << outcome.err;
  EXPECT_TRUE(Contains(outcome.out, "1 accepted")) << outcome.out;
}

TEST_F(CommandsTest, PushToAnUnknownTaskOrFromAMissingPathSendsNothing) {
  Write("set/1.jpg", "one");

  const auto unknown = Run({"push", "--task", "none", "set"});
  EXPECT_EQ(unknown.status, 1);
  EXPECT_TRUE(Contains(unknown.err, "tidewheel: NOT_FOUND: ")) << unknown.err;
  const auto missing = Run({"push", "--task", "traffic-lights", "set", "nowhere"});
  EXPECT_EQ(missing.status, 1);
  EXPECT_TRUE(ingestion_.samples.empty());
}

TEST_F(CommandsTest, LabelImportReportsEachRejectedVoteWithItsLine) {
  Write("votes.csv", std::string("sample,class,annotator\n") + "set/1.jpg,red,ann\n" + kId +
                         ",green,bob\n" + std::string(64, 'a') + ",purple,\n");

  const auto outcome =
      Run({"label", "import", "--task", "traffic-lights", "votes.csv", "--kind", "person"});

  EXPECT_EQ(outcome.status, 3);
  EXPECT_TRUE(Contains(outcome.err, "rejected line 4: class \"purple\"")) << outcome.err;
  ASSERT_EQ(labeling_.votes.size(), 2u);
  EXPECT_EQ(labeling_.votes[0].sample_name(), "set/1.jpg");
  EXPECT_EQ(labeling_.votes[0].annotator(), "ann");
  EXPECT_EQ(labeling_.votes[0].annotator_kind(), labeling::v1::ANNOTATOR_KIND_PERSON);
  EXPECT_EQ(labeling_.votes[0].source(), "votes.csv");
  EXPECT_EQ(labeling_.votes[1].sample_id(), kId);
}

TEST_F(CommandsTest, LabelImportOfIdxNamesThePicturesAsPushDid) {
  Write("labels", std::string("\0\0\x08\x01\0\0\0\x02\x01\0", 10));

  const auto outcome = Run({"label", "import", "--task", "traffic-lights", "--idx", "labels",
                            "--names-from", "somewhere/images.gz", "--class-names", "shirt,bag"});

  ASSERT_EQ(outcome.status, 0) << outcome.err;
  ASSERT_EQ(labeling_.votes.size(), 2u);
  EXPECT_EQ(labeling_.votes[0].sample_name(), "images.gz#0");
  EXPECT_EQ(labeling_.votes[0].class_name(), "bag");
}

TEST_F(CommandsTest, DatasetBuildSendsTheRecipeAndShowsTheReport) {
  const auto outcome =
      Run({"dataset", "build", "--task", "traffic-lights", "--weighting", "effective-number"});

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(curation_.recipe.class_weighting(), curation::v1::CLASS_WEIGHTING_EFFECTIVE_NUMBER);
  EXPECT_TRUE(Contains(outcome.out, "traffic-lights@3"));
  EXPECT_TRUE(Contains(outcome.out, "60 000 items"));
}

TEST_F(CommandsTest, TrainFollowsTheRunAcrossARestartOfTraining) {
  const auto outcome = Run({"train", "--dataset", "traffic-lights@1", "--recipe", "image-cnn",
                            "--seed", "3", "--epochs", "5"});

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(training_.started.dataset_version_id(), kId);
  EXPECT_EQ(training_.started.hyperparameters().epochs(), 5u);
  EXPECT_FALSE(training_.started.hyperparameters().has_patience());
  EXPECT_EQ(training_.watches, 2);
  EXPECT_TRUE(Contains(outcome.out, "succeeded"));
}

TEST_F(CommandsTest, TrainFailsWhenItsRunFails) {
  const auto outcome =
      Run({"train", "--dataset", kId, "--recipe", "image-broken", "--seed", "1", "--json"});

  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(Contains(outcome.err, "the worker died"));
  EXPECT_EQ(outcome.json().fields().at("state").string_value(), "RUN_STATE_FAILED");
  EXPECT_EQ(Run({"train", "--dataset", kId, "--recipe", "r", "--seed", "1", "--no-wait"}).status,
            0);
}

TEST_F(CommandsTest, PromotionBelowTheGateIsStatus3UntilItIsOverridden) {
  const auto refused = Run({"promote", "traffic-lights@2"});
  EXPECT_EQ(refused.status, 3);
  EXPECT_TRUE(Contains(refused.err, "0.71 is below the gate"));

  EXPECT_EQ(Run({"promote", kOther, "--override", "the demo needs it"}).status, 0);
  EXPECT_EQ(Run({"promote", "traffic-lights@9"}).status, 1);
  EXPECT_EQ(Run({"promote", "traffic-lights@x"}).status, 1);
}

TEST_F(CommandsTest, GateShowsTheCriteriaAndIsStatus3WhenItSaysNo) {
  const auto no = Run({"models", "gate", "traffic-lights@2"});
  EXPECT_EQ(no.status, 3) << no.err;
  EXPECT_NE(no.out.find("better_on_new"), std::string::npos);
  EXPECT_NE(no.out.find("-0.1250"), std::string::npos);
  EXPECT_EQ(Run({"models", "gate", kOther}).status, 0);
  EXPECT_NE(Run({"models", "gate", "traffic-lights@2", "--json"}).out.find("\"evaluations\""),
            std::string::npos);
}

TEST_F(CommandsTest, SigningSaysWhoSignedAndWhoHasNot) {
  const auto answer =
      Run({"models", "sign", "traffic-lights@2", "--role", "safety", "--as", "ann"});
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_NE(answer.out.find("signed by ann for role safety"), std::string::npos) << answer.out;
  EXPECT_NE(answer.out.find("still to sign: owner"), std::string::npos) << answer.out;
  const auto refused = Run({"models", "sign", kId, "--role", "safety", "--as", "ann", "--refuse",
                            "--reason", "it forgets yellow"});
  EXPECT_NE(refused.out.find("refused by ann"), std::string::npos) << refused.out;
  EXPECT_EQ(Run({"models", "sign", kId}).status, 2);
  EXPECT_EQ(Run({"models", "signatures", kId}).status, 0);
}

TEST_F(CommandsTest, RolloutsAreSetShownAndCleared) {
  EXPECT_EQ(Run({"rollout", "set", kId, "--share", "0.1"}).status, 0);
  const auto shown = Run({"rollout", "show"});
  EXPECT_NE(shown.out.find("canary"), std::string::npos) << shown.out;
  EXPECT_NE(Run({"deployments"}).out.find("share 0.1"), std::string::npos);
  EXPECT_EQ(Run({"rollout", "set", kId, "--share", "0.5"}).status, 3);
  EXPECT_EQ(Run({"rollout", "set", kId, "--share", "0.5", "--override", "to see"}).status, 0);
  EXPECT_EQ(Run({"rollout", "set", kId}).status, 2);
  EXPECT_EQ(Run({"rollout", "set", kId, "--share", "0.5", "--shadow"}).status, 2);
  EXPECT_EQ(Run({"rollout", "set", kId, "--shadow"}).status, 0);
  const auto cleared = Run({"rollout", "clear", "traffic-lights"});
  EXPECT_NE(cleared.out.find("the rollout is over"), std::string::npos) << cleared.out;
  EXPECT_NE(Run({"rollout", "show"}).out.find("no candidate"), std::string::npos);
}

TEST_F(CommandsTest, PredictAnswersForGoodPicturesAndRefusesBrokenOnes) {
  Write("set/1.jpg", "good");
  Write("set/2.jpg", "broken");

  const auto outcome = Run({"predict", "--task", "traffic-lights", "set", "--json"});

  EXPECT_EQ(outcome.status, 3) << outcome.err;
  const auto json = outcome.json();
  const auto& predictions = json.fields().at("predictions").list_value();
  ASSERT_EQ(predictions.values_size(), 1);
  const auto& prediction = predictions.values(0).struct_value();
  EXPECT_EQ(prediction.fields().at("name").string_value(), "set/1.jpg");
  EXPECT_EQ(prediction.fields().at("class_name").string_value(), "red");
  EXPECT_DOUBLE_EQ(Number(prediction.fields().at("probabilities").struct_value(), "red"), 0.75);
}

TEST_F(CommandsTest, ExplainDrawsWhereTheAnswerComesFromAndSaysHowExactThatIs) {
  Write("1.jpg", "good");
  Write("2.jpg", "broken");

  const auto lime = Run({"explain", "--task", "traffic-lights", "1.jpg"});
  EXPECT_EQ(lime.status, 0) << lime.err;
  EXPECT_TRUE(Contains(lime.out, "red, probability 0.7500, says traffic-lights@4")) << lime.out;
  EXPECT_TRUE(Contains(lime.out, "  \u2588\u2588--\n")) << lime.out;
  EXPECT_TRUE(Contains(lime.out, "0.0196")) << lime.out;
  EXPECT_TRUE(Contains(lime.out, "7 of 9 changed pictures asked, R squared 0.9000; cut short"))
      << lime.out;

  const auto occlusion = Run({"explain", "--task", "traffic-lights", "1.jpg", "--method",
                              "occlusion", "--class", "green"});
  EXPECT_EQ(occlusion.status, 0) << occlusion.err;
  EXPECT_TRUE(Contains(occlusion.out, "green, probability")) << occlusion.out;
  EXPECT_TRUE(Contains(occlusion.out, "  \u2588\u2592\u00b7-\n")) << occlusion.out;

  const auto json = Run({"explain", "--task", "traffic-lights", "1.jpg", "--json"}).json();
  EXPECT_EQ(json.fields().at("parts").list_value().values_size(), 2);
  const auto broken = Run({"explain", "--task", "traffic-lights", "2.jpg"});
  EXPECT_EQ(broken.status, 1);
  EXPECT_TRUE(Contains(broken.err, "cannot be decoded")) << broken.err;
  EXPECT_EQ(Run({"explain", "--task", "t", "1.jpg", "--method", "guess"}).status, 2);
}

TEST_F(CommandsTest, TraceIsATreeThatEndsEvenIfLineageRunsInACircle) {
  const auto outcome = Run({"trace", "prediction", "request-1"});

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Contains(outcome.out,
                       "prediction request-1\n└── served by: model version m1\n"
                       "    └── made by: run r1\n"
                       "        └── trained on: dataset version d1\n"))
      << outcome.out;
  EXPECT_TRUE(Contains(outcome.out, "(see above)"));
  EXPECT_TRUE(Contains(outcome.out, "5 120 votes"));
}

TEST_F(CommandsTest, HostileNamesCannotSteerTheTerminal) {
  const auto outcome = Run({"samples", "--task", "traffic-lights"});

  EXPECT_FALSE(Contains(outcome.out, "\x1b"));
  EXPECT_TRUE(Contains(outcome.out, "\\x1B[2J hostile"));
}

TEST_F(CommandsTest, StatusIsStatus4AsSoonAsOneServiceDoesNotServe) {
  const auto all = Run({"status"});
  EXPECT_EQ(all.status, 0) << all.out << all.err;

  const auto one = Run({"status", "--address", "training=127.0.0.1:1", "--json"});
  EXPECT_EQ(one.status, 4);
  EXPECT_FALSE(one.json().fields().at("all_serving").bool_value());

  server_->GetHealthCheckService()->SetServingStatus(false);
  const auto none = Run({"status"});
  EXPECT_EQ(none.status, 4);
  EXPECT_TRUE(Contains(none.out, "not serving"));
}

TEST_F(CommandsTest, AuditVerifyFailsOnABrokenChain) {
  const auto outcome = Run({"audit", "verify"});

  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(Contains(outcome.err, "DATA_LOSS: the audit chain is broken at entry 7"));
}

TEST_F(CommandsTest, RpcListShowsWhatReflectionOffers) {
  const auto outcome = Run({"rpc", "list", address_});

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Contains(outcome.out, "tidewheel.ingestion.v1.IngestionService\n"));
  EXPECT_TRUE(
      Contains(outcome.out,
               "  StreamSamples(stream tidewheel.ingestion.v1.StreamSamplesRequest) returns "
               "(stream tidewheel.ingestion.v1.StreamSamplesResponse)\n"))
      << outcome.out;
  EXPECT_EQ(Run({"rpc", "list", "127.0.0.1:1"}).status, 4);
}

TEST_F(CommandsTest, CompletionIsAScriptThatBashRuns) {
  const auto script = Run({"completion", "bash"});
  ASSERT_EQ(script.status, 0);
  const auto path = Write("completion.bash", script.out);
  const auto complete = [&](const std::string& words) {
    testing::SubprocessOptions options;
    options.stdout_file = folder_.path() / "words";
    fs::remove(options.stdout_file);
    auto process = testing::Subprocess::Start(
        {"bash", "-euc",
         "source " + path.string() + "; COMP_WORDS=(tidewheel " + words +
             "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tidewheel; echo \"${COMPREPLY[*]}\""},
        options);
    EXPECT_TRUE(process);
    EXPECT_EQ(process->Wait(std::chrono::seconds(10)), 0);
    return Read(options.stdout_file);
  };

  EXPECT_EQ(complete("pus"), "push\n");
  EXPECT_EQ(complete("label co"), "compute\n");
  EXPECT_TRUE(Contains(complete("--json dataset build --wei"), "--weighting"));
  EXPECT_TRUE(Contains(Run({"completion", "zsh"}).out, "#compdef tidewheel"));
}

}  // namespace
}  // namespace tidewheel::cli
