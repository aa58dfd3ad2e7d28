#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/inference/api/inference_handler.h"
#include "tidewheel/inference/background/capture_keeper.h"
#include "tidewheel/inference/background/shadow_runner.h"
#include "tidewheel/inference/domain/deployment_follower.h"
#include "tidewheel/inference/engine/package_gradients.h"
#include "tidewheel/inference/engine/package_loader.h"
#include "tidewheel/inference/explaining/deployed_models.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/ml/model.h"
#include "tidewheel/ml/package/file.h"
#include "tidewheel/ml/package_writer.h"
#include "tidewheel/ml/testing/bar_pictures.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/server.h"
#include "tidewheel/testing/temp_folder.h"
#include "tidewheel/vision/encode.h"
#include "tidewheel/vision/preprocess.h"
#include "tidewheel/vision/preprocess_entries.h"

/// Real packages, made with libs/ml and served on the real engine behind a real server.
namespace tidewheel::inference {

inline constexpr int kSide = 8;
inline constexpr char kTask[] = "bars";

class FakeSource final : public DeploymentSource {
 public:
  Result<DeploymentList> List() override { return list; }
  DeploymentList list;
};

/// A fact as it was told, without its views.
struct ToldPrediction {
  std::string request_id;
  std::string model_version_id;
  Role role = Role::kProduction;
  double seconds = 0;
  std::vector<Answer> answers;
  std::vector<std::optional<std::uint32_t>> answered;
  std::optional<ErrorCode> error;
  std::string variant;
  std::map<std::string, std::string> metadata;
};

struct ToldCapture {
  CapturedPayload captured;
  std::string payload_ref;
};

/// Keeps what it is told; of captures also what the payload store gives for them at that moment.
class KeepingSink final : public FactSink {
 public:
  explicit KeepingSink(const std::unique_ptr<blob::Store>& store) : store_(store) {}

  void Tell(const PredictionFact& fact) override {
    const std::lock_guard lock(mutex_);
    told_.push_back(
        {std::string(fact.request_id),
         fact.model->model_version_id,
         fact.role,
         fact.seconds,
         {fact.answers.begin(), fact.answers.end()},
         {fact.answered.begin(), fact.answered.end()},
         fact.error,
         std::string(fact.variant),
         fact.metadata != nullptr ? *fact.metadata : std::map<std::string, std::string>()});
  }
  bool Tell(const OutcomeFact& fact) override {
    const std::lock_guard lock(mutex_);
    outcomes.push_back(fact);
    return true;
  }
  bool Tell(const CaptureFact& fact) override {
    const auto stored = store_->Get(blob::Ref::Parse(fact.payload_ref).value());
    const std::lock_guard lock(mutex_);
    durable_ = durable_ && stored.ok() && *stored == fact.captured->payload;
    captures_.push_back({*fact.captured, fact.payload_ref});
    return true;
  }

  std::vector<ToldPrediction> told() const {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  std::vector<ToldPrediction> told(Role role) const {
    auto all = told();
    std::erase_if(all, [&](const ToldPrediction& one) { return one.role != role; });
    return all;
  }
  /// The one of this request; fails without.
  ToldPrediction Of(const std::string& request_id) const {
    for (auto& one : told()) {
      if (one.request_id == request_id) return one;
    }
    ADD_FAILURE() << "nothing was told of " << request_id;
    return {};
  }
  std::vector<ToldCapture> captures() const {
    const std::lock_guard lock(mutex_);
    return captures_;
  }
  /// Whether every captured payload could be read back when its event was told.
  bool durable() const {
    const std::lock_guard lock(mutex_);
    return durable_;
  }
  std::vector<OutcomeFact> outcomes;

 private:
  const std::unique_ptr<blob::Store>& store_;
  mutable std::mutex mutex_;  // Guards all while calls run.
  std::vector<ToldPrediction> told_;
  std::vector<ToldCapture> captures_;
  bool durable_ = true;
};

class CountingCounter final : public Counter {
 public:
  void Add(double amount) override { total_ += static_cast<std::int64_t>(amount); }
  std::int64_t total() const { return total_; }

 private:
  std::atomic<std::int64_t> total_ = 0;
};

/// Holds back whoever comes through, until it is opened.
class Gate {
 public:
  ~Gate() { Open(); }
  void Pass() {
    std::unique_lock lock(mutex_);
    ++came_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    ++passed_;
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void WaitForOne() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return came_ > 0; });
  }
  int passed() const {
    const std::lock_guard lock(mutex_);
    return passed_;
  }

 private:
  mutable std::mutex mutex_;  // Guards the rest.
  std::condition_variable changed_;
  bool open_ = false;
  int came_ = 0;
  int passed_ = 0;
};

/// Answers class "a" to everything, after whatever `before` does.
class ScriptedModel final : public ServedModel {
 public:
  ScriptedModel(std::uint32_t version, std::function<Result<void>()> before)
      : identity_{kTask,
                  "id-" + std::to_string(version),
                  version,
                  "digest-" + std::to_string(version),
                  {"a", "b", "c", "d"}},
        before_(std::move(before)) {}

  const ModelIdentity& identity() const override { return identity_; }
  Result<std::vector<Answer>> PredictPictures(std::span<const std::string_view> payloads,
                                              const QualityRules& /*rules*/) const override {
    if (const auto fine = before_(); !fine) return fine.error();
    return std::vector<Answer>(payloads.size(), Answer{0, {1, 0, 0, 0}, "", {}, {}, {}});
  }
  Result<std::vector<Answer>> PredictRows(std::span<const std::int64_t> /*shape*/,
                                          std::span<const float> /*values*/) const override {
    return Error{ErrorCode::kInvalidArgument, "takes pictures"};
  }

 private:
  const ModelIdentity identity_;
  const std::function<Result<void>()> before_;
};

/// A handler behind a server of its own, and a client of it.
class Door {
 public:
  Door(Predictor& predictor, const ModelTable& table, ExplainableModels& explainable,
       const Clock& clock, const InferenceHandler::Options& options, metrics::Registry& metrics)
      : explanations_(explainable, {}, {}),
        handler_(predictor, table, explanations_, clock, options),
        server_({.direct_methods = {handler_.DirectPredict()}}, metrics) {
    server_.Add(handler_);
    EXPECT_TRUE(server_.Start().ok());
    stub_ = v1::InferenceService::NewStub(rpc::OpenChannel(server_.address()));
  }

  v1::InferenceService::Stub& stub() { return *stub_; }

 private:
  ExplainQueue explanations_;
  InferenceHandler handler_;
  rpc::Server server_;
  std::unique_ptr<v1::InferenceService::Stub> stub_;
};

class InferenceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = blob::OpenFileStore(folder_.path() / "payloads").value();
    engine_ = serving::Engine::Create({}).value();
    loader_.emplace(*store_, *engine_);
    follower_.emplace(source_, *loader_, table_, clock_);
    captures_.emplace(*store_, sink_, BackgroundLimits{1'024, 1 << 24},
                      CaptureCounters{.dropped_by_queue = capture_drops_}, nullptr);
    predictor_.emplace(table_, sink_, shadows_, *captures_, clock_, PredictorCounters{});
    TorchOptions torch;
    if (const char* const build = std::getenv("TIDEWHEEL_BINARY_DIR"); build != nullptr) {
      torch.program = std::filesystem::path(build) / "bin" / "tidewheel-torch-runner";
    }
    gradients_ = PackageGradients(*store_, torch);
    explainable_.emplace(source_, *loader_, gradients_);
    door_.emplace(*predictor_, table_, *explainable_, clock_, InferenceHandler::Options{2, 1'024},
                  metrics_);
    stub_ = &door_->stub();
  }

  static vision::PreprocessSpec Preprocessing() {
    vision::PreprocessSpec spec;
    spec.width = spec.height = kSide;
    spec.channels = 1;
    spec.mean = {0.25};
    spec.std = {0.5};
    return spec;
  }

  /// A package with weights of its own, in the payload store; `alter` may change its files first.
  ModelPackage Package(std::uint32_t version,
                       const std::function<void(std::map<std::string, std::string>&)>& alter = {}) {
    const auto folder = folder_.path() / ("package-" + std::to_string(version));
    const ml::BarPictures pictures{20, version};
    auto model =
        ml::Model::Create(ml::MakeArchitecture(recipe_, {1, kSide, kSide}, 4).value(), version);
    ml::PackageContents contents;
    contents.manifest.task = kTask;
    contents.manifest.recipe = recipe_;
    contents.manifest.classes = {"a", "b", "c", "d"};
    contents.manifest.preprocessing = vision::ToEntries(Preprocessing());
    contents.manifest.run_id = "run-" + std::to_string(version);
    contents.manifest.dataset_digest = std::string(64, '0');
    contents.manifest.code_version = "abc";
    contents.evaluation_json = "{}";
    contents.card_markdown = "# Bars\n";
    contents.samples = pictures.View();
    const auto report = ml::WritePackage(folder, model.value(), contents);
    EXPECT_TRUE(report.ok()) << report.error().message;

    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      files[entry.path().filename()] = ml::ReadPackageFile(entry.path(), 1 << 26).value();
    }
    if (alter) alter(files);
    ModelPackage package;
    package.model = {kTask,
                     "id-" + std::to_string(version),
                     version,
                     "digest-" + std::to_string(version),
                     {"a", "b", "c", "d"}};
    for (const auto& [name, bytes] : files) {
      const auto ref = store_->Put(bytes).value();
      package.files.push_back({name, ref.digest().Hex(), ref.text()});
    }
    return package;
  }

  /// As the registry would after one more change.
  FollowReport Deploy(const ModelPackage& production, const std::optional<Rollout>& rollout = {},
                      const CapturePolicy& capture = {}, const QualityRules& quality = {}) {
    source_.list.deployments = {{kTask, production, rollout, capture, quality, ++revision_}};
    return follower_->Follow().value();
  }

  static vision::Image Picture(std::uint64_t seed) {
    Random random(seed);
    auto image = vision::Image::Filled(kSide, kSide, 1, 0);
    for (auto& value : image.pixels) value = static_cast<std::uint8_t>(random.Below(256));
    return image;
  }

  static v1::PredictRequest Request(const std::string& id, std::uint64_t picture) {
    v1::PredictRequest request;
    request.set_task(kTask);
    request.set_request_id(id);
    request.mutable_pictures()->add_payloads(vision::EncodePng(Picture(picture)).value());
    return request;
  }

  /// Puts test doubles, or what is loaded, on the task's route.
  void SetRoute(std::shared_ptr<const ServedModel> production,
                std::shared_ptr<const ServedModel> candidate, Role role, double share,
                const CapturePolicy& capture = {}) {
    Route route;
    route.production = std::make_shared<LoadedVersion>(std::move(production), clock_.Now());
    if (candidate != nullptr) {
      route.candidate = std::make_shared<LoadedVersion>(std::move(candidate), clock_.Now());
    }
    route.candidate_role = role;
    route.share = share;
    route.capture = capture;
    table_.Set(kTask, std::move(route));
  }

  grpc::Status Predict(const v1::PredictRequest& request, v1::PredictResponse* response) {
    rpc::ClientContextWithDeadline context(std::chrono::seconds(20));
    return stub_->Predict(&context, request, response);
  }

  std::vector<v1::LoadedModel> Loaded() {
    rpc::ClientContextWithDeadline context(std::chrono::seconds(20));
    v1::ListLoadedModelsResponse response;
    EXPECT_TRUE(stub_->ListLoadedModels(&context, {}, &response).ok());
    return {response.models().begin(), response.models().end()};
  }

  tidewheel::testing::TempFolder folder_;
  SystemClock clock_;
  metrics::Registry metrics_{"inference"};
  std::unique_ptr<blob::Store> store_;
  std::unique_ptr<serving::Engine> engine_;
  FakeSource source_;
  std::optional<PackageLoader> loader_;
  ModelTable table_;
  std::optional<DeploymentFollower> follower_;
  std::uint64_t revision_ = 0;
  std::string recipe_ = "image-cnn";  // Of the packages.
  KeepingSink sink_{store_};
  CountingCounter shadow_drops_;
  CountingCounter capture_drops_;
  ShadowRunner shadows_{sink_, BackgroundLimits{64, 1 << 20},
                        ShadowCounters{.dropped = shadow_drops_}};
  std::optional<CaptureKeeper> captures_;
  std::optional<Predictor> predictor_;
  OpenGradients gradients_;
  std::optional<DeployedModels> explainable_;
  std::optional<Door> door_;
  v1::InferenceService::Stub* stub_ = nullptr;
};

}  // namespace tidewheel::inference
