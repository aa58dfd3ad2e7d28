#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/blob/store.h"
#include "tidewheel/inference/api/inference_handler.h"
#include "tidewheel/inference/background/capture_keeper.h"
#include "tidewheel/inference/background/shadow_runner.h"
#include "tidewheel/inference/domain/deployment_follower.h"
#include "tidewheel/inference/engine/package_loader.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/ml/model.h"
#include "tidewheel/ml/package/file.h"
#include "tidewheel/ml/package/golden.h"
#include "tidewheel/ml/package/manifest.h"
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
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr int kSide = 8;
constexpr char kTask[] = "bars";

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
    told_.push_back({std::string(fact.request_id),
                     fact.model->model_version_id,
                     fact.role,
                     fact.seconds,
                     {fact.answers.begin(), fact.answers.end()},
                     {fact.answered.begin(), fact.answered.end()},
                     fact.error});
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
    handler_.emplace(*predictor_, table_, clock_, InferenceHandler::Options{2, 1'024});
    server_.emplace(rpc::ServerOptions{}, metrics_);
    server_->Add(*handler_);
    ASSERT_TRUE(server_->Start().ok());
    stub_ = v1::InferenceService::NewStub(rpc::OpenChannel(server_->address()));
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
        ml::Model::Create(ml::MakeArchitecture("image-cnn", {1, kSide, kSide}, 4).value(), version);
    ml::PackageContents contents;
    contents.manifest.task = kTask;
    contents.manifest.recipe = "image-cnn";
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

  grpc::Status Predict(const v1::PredictRequest& request, v1::PredictResponse* response) {
    rpc::ClientContextWithDeadline context(seconds(20));
    return stub_->Predict(&context, request, response);
  }

  std::vector<v1::LoadedModel> Loaded() {
    rpc::ClientContextWithDeadline context(seconds(20));
    v1::ListLoadedModelsResponse response;
    EXPECT_TRUE(stub_->ListLoadedModels(&context, {}, &response).ok());
    return {response.models().begin(), response.models().end()};
  }

  testing::TempFolder folder_;
  SystemClock clock_;
  metrics::Registry metrics_{"inference"};
  std::unique_ptr<blob::Store> store_;
  std::unique_ptr<serving::Engine> engine_;
  FakeSource source_;
  std::optional<PackageLoader> loader_;
  ModelTable table_;
  std::optional<DeploymentFollower> follower_;
  std::uint64_t revision_ = 0;
  KeepingSink sink_{store_};
  CountingCounter shadow_drops_;
  CountingCounter capture_drops_;
  ShadowRunner shadows_{sink_, BackgroundLimits{64, 1 << 20},
                        ShadowCounters{.dropped = shadow_drops_}};
  std::optional<CaptureKeeper> captures_;
  std::optional<Predictor> predictor_;
  std::optional<InferenceHandler> handler_;
  std::optional<rpc::Server> server_;
  std::unique_ptr<v1::InferenceService::Stub> stub_;
};

TEST_F(InferenceTest, APictureAndItsPreprocessedRowGetTheSameAnswer) {
  ASSERT_EQ(Deploy(Package(1)).loaded, 1U);
  v1::PredictRequest pictures;
  pictures.set_task(kTask);
  pictures.set_request_id("pictures");
  v1::PredictRequest rows;
  rows.set_task(kTask);
  for (const std::int64_t size : {3, 1, kSide, kSide}) rows.mutable_tensor()->add_shape(size);
  for (std::uint64_t i = 0; i < 3; ++i) {
    const auto picture = Picture(i);
    pictures.mutable_pictures()->add_payloads(vision::EncodePng(picture).value());
    std::array<float, kSide * kSide> row{};
    ASSERT_TRUE(vision::Preprocess(picture, Preprocessing(), row).ok());
    rows.mutable_tensor()->mutable_data()->append(reinterpret_cast<const char*>(row.data()),
                                                  sizeof row);
  }

  v1::PredictResponse by_pictures;
  v1::PredictResponse by_rows;
  ASSERT_TRUE(Predict(pictures, &by_pictures).ok());
  ASSERT_TRUE(Predict(rows, &by_rows).ok());

  EXPECT_EQ(by_pictures.model_version_id(), "id-1");
  EXPECT_THAT(by_pictures.classes(), SizeIs(4));
  ASSERT_THAT(by_pictures.predictions(), SizeIs(3));
  ASSERT_THAT(by_rows.predictions(), SizeIs(3));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(by_pictures.predictions(i).SerializeAsString(),
              by_rows.predictions(i).SerializeAsString());
    float sum = 0;
    for (const float probability : by_rows.predictions(i).probabilities()) sum += probability;
    EXPECT_NEAR(sum, 1, 1e-5);
  }
  // What is told of it: the pictures' digests and measures, which rows do not have.
  const auto told = sink_.Of("pictures");
  EXPECT_EQ(told.answers.at(0).payload_sha256.size(), 64U);
  EXPECT_EQ(told.answers[0].measures.at("width"), kSide);
  EXPECT_EQ(told.role, Role::kProduction);
  EXPECT_GT(told.seconds, 0);
  EXPECT_EQ(by_pictures.role(), "production");
  EXPECT_EQ(sink_.Of(by_rows.request_id()).answers.at(0).payload_sha256, "");
}

TEST_F(InferenceTest, RefusesWithThePlaceAndTheShape) {
  v1::PredictRequest request;
  request.set_task(kTask);
  request.mutable_pictures()->add_payloads(vision::EncodePng(Picture(1)).value());
  request.mutable_pictures()->add_payloads("no picture");
  v1::PredictResponse response;
  EXPECT_EQ(Predict(request, &response).error_code(), grpc::NOT_FOUND);

  ASSERT_EQ(Deploy(Package(1)).loaded, 1U);
  const auto broken = Predict(request, &response);
  EXPECT_EQ(broken.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(broken.error_message(), HasSubstr("picture 1"));

  request.mutable_tensor()->add_shape(1);
  request.mutable_tensor()->add_shape(3);
  request.mutable_tensor()->set_data("12345678");
  EXPECT_THAT(Predict(request, &response).error_message(),
              AllOf(HasSubstr("[1, 3]"), HasSubstr("[N, 1, 8, 8]")));
  request.mutable_tensor()->set_data("123");
  EXPECT_THAT(Predict(request, &response).error_message(), HasSubstr("3 bytes"));
  EXPECT_TRUE(sink_.told().empty());
}

TEST_F(InferenceTest, APackageThatMissesItsGoldenAnswersIsRefusedAndTheOldOneGoesOn) {
  ASSERT_EQ(Deploy(Package(1)).loaded, 1U);
  const auto wrong = Package(2, [](std::map<std::string, std::string>& files) {
    auto& bytes = files.at(std::string(ml::kGoldenFile));
    auto golden = ml::ParseGoldenSamples(bytes).value();
    std::swap(golden.probabilities[0], golden.probabilities[1]);
    golden.probabilities[0] += 0.01F;
    bytes = ml::PrintGoldenSamples(golden).value();
  });

  EXPECT_EQ(Deploy(wrong).failed, 1U);

  const auto loaded = Loaded();
  ASSERT_THAT(loaded, SizeIs(1));
  EXPECT_EQ(loaded[0].model_version(), 1U);
  EXPECT_THAT(loaded[0].problem(), HasSubstr("golden samples"));
  v1::PredictRequest request;
  request.set_task(kTask);
  request.mutable_pictures()->add_payloads(vision::EncodePng(Picture(1)).value());
  v1::PredictResponse response;
  ASSERT_TRUE(Predict(request, &response).ok());
  EXPECT_EQ(response.model_version(), 1U);
}

TEST_F(InferenceTest, APackageThatIsDamagedOrOfAnotherTaskIsRefused) {
  const auto drop = [](std::string_view name) {
    return [name](std::map<std::string, std::string>& files) { files.erase(std::string(name)); };
  };
  EXPECT_EQ(Deploy(Package(1, drop(ml::kOnnxFile))).failed, 1U);
  EXPECT_THAT(Loaded()[0].problem(), HasSubstr("model.onnx"));
  EXPECT_EQ(Deploy(Package(2, [](auto& files) { files.at("model.onnx") = "no graph"; })).failed,
            1U);
  auto other = Package(3);
  other.model.classes = {"a", "b", "d", "c"};
  EXPECT_EQ(Deploy(other).failed, 1U);
  EXPECT_THAT(Loaded()[0].problem(), HasSubstr("classes"));
  EXPECT_EQ(Deploy(Package(4)).loaded, 1U);
  EXPECT_EQ(Loaded()[0].problem(), "");
}

TEST_F(InferenceTest, SwappingUnderLoadDropsNothing) {
  const std::vector<ModelPackage> versions = {Package(1), Package(2)};
  ASSERT_EQ(Deploy(versions[0]).loaded, 1U);
  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0;
  std::mutex mutex;
  std::set<std::string> failures;
  std::set<std::string> answers;
  std::vector<std::jthread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&] {
      v1::PredictRequest request;
      request.set_task(kTask);
      request.mutable_pictures()->add_payloads(vision::EncodePng(Picture(9)).value());
      while (!stop) {
        v1::PredictResponse response;
        const auto status = Predict(request, &response);
        ++answered;
        const std::lock_guard lock(mutex);
        if (!status.ok()) {
          failures.insert(status.error_message());
          continue;
        }
        answers.insert(response.model_version_id() + ":" +
                       response.predictions(0).SerializeAsString());
      }
    });
  }
  for (std::size_t swap = 1; swap <= 10; ++swap) {
    EXPECT_EQ(Deploy(versions[swap % 2]).loaded, 1U);
    // Some answers from each.
    const int before = answered;
    while (answered < before + 20) std::this_thread::yield();
  }
  stop = true;
  clients.clear();

  EXPECT_THAT(failures, ::testing::IsEmpty());
  // Each version answered, and always the same: no request saw half of each.
  EXPECT_THAT(answers, SizeIs(2));
  EXPECT_THAT(answered.load(), Ge(200));
}

TEST_F(InferenceTest, OutcomesAreTakenByTheRequestsId) {
  ASSERT_EQ(Deploy(Package(1)).loaded, 1U);
  v1::RecordOutcomesRequest request;
  request.set_task(kTask);
  auto* outcome = request.add_outcomes();
  outcome->set_request_id("r-1");
  outcome->set_class_name("b");
  outcome->set_source("inspection");
  rpc::ClientContextWithDeadline context(seconds(20));
  v1::RecordOutcomesResponse response;
  ASSERT_TRUE(stub_->RecordOutcomes(&context, request, &response).ok());
  EXPECT_EQ(response.accepted(), 1U);
  ASSERT_THAT(sink_.outcomes, SizeIs(1));
  EXPECT_EQ(sink_.outcomes[0].class_name, "b");

  outcome->set_class_name("z");
  rpc::ClientContextWithDeadline again(seconds(20));
  EXPECT_EQ(stub_->RecordOutcomes(&again, request, &response).error_code(), grpc::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tidewheel::inference
