#include "platform.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <utility>
#include <vector>

#include "floors.h"
#include "tidewheel/base/ids.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/bus/postgres_broker.h"
#include "tidewheel/inference/v1/inference_service.pb.h"
#include "tidewheel/ml/graph/onnx_graph.h"
#include "tidewheel/ml/package/golden.h"
#include "tidewheel/ml/package/manifest.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/serving/engine.h"
#include "tidewheel/testing/postgres_server.h"
#include "tidewheel/vision/preprocess_entries.h"

namespace tidewheel::bench {
namespace {

constexpr int kSide = 28;
constexpr std::chrono::seconds kStartLimit{60};

/// Stands in for model-registry.
class FixedDeployments final : public model_registry::v1::ModelRegistryService::Service {
 public:
  grpc::Status ListDeployments(grpc::ServerContext* /*context*/,
                               const model_registry::v1::ListDeploymentsRequest* /*request*/,
                               model_registry::v1::ListDeploymentsResponse* response) override {
    *response = answer;
    return grpc::Status::OK;
  }
  model_registry::v1::ListDeploymentsResponse answer;
};

/// Puts what the service needs of a package into the payload store.
Result<model_registry::v1::Deployment> Deploy(blob::Store& payloads, const BenchModel& model,
                                              const serving::Model& engine,
                                              const std::string& task) {
  vision::PreprocessSpec preprocessing;
  preprocessing.width = kSide;
  preprocessing.height = kSide;
  preprocessing.channels = 1;
  preprocessing.mean = {0};
  preprocessing.std = {1};

  ml::PackageManifest manifest;
  manifest.task = task;
  manifest.recipe = "image-cnn";
  manifest.input = {ml::kInputName, "FP32", engine.signature().input.shape};
  manifest.output = {ml::kOutputName, "FP32", engine.signature().output.shape};
  for (int i = 0; i < kClasses; ++i) manifest.classes.push_back("class-" + std::to_string(i));
  manifest.preprocessing = vision::ToEntries(preprocessing);

  ml::GoldenSamples golden;
  golden.rows = 4;
  golden.input_elements = model.input_elements();
  golden.output_elements = kClasses;
  golden.inputs = Noise(golden.rows * golden.input_elements);
  golden.probabilities.resize(golden.rows * golden.output_elements);
  const auto ran = engine.Infer(golden.inputs, golden.rows, golden.probabilities);
  if (!ran) return ran.error();

  model_registry::v1::Deployment deployment;
  deployment.set_task(task);
  deployment.set_revision(1);
  auto& version = *deployment.mutable_production();
  version.set_model_version_id(NewUuid());
  version.set_task(task);
  version.set_version(1);
  version.set_package_digest(std::string(64, '0'));
  for (const auto& name : manifest.classes) version.add_classes(name);
  const auto golden_bytes = ml::PrintGoldenSamples(golden);
  if (!golden_bytes) return golden_bytes.error();
  for (const auto& [name, bytes] : {std::pair<std::string_view, std::string>(
                                        ml::kManifestFile, ml::PrintPackageManifest(manifest)),
                                    {ml::kOnnxFile, model.onnx},
                                    {ml::kGoldenFile, *golden_bytes}}) {
    const auto ref = payloads.Put(bytes);
    if (!ref) return ref.error();
    auto& file = *version.add_files();
    file.set_name(std::string(name));
    file.set_sha256(ref->digest().Hex());
    file.set_payload_ref(ref->text());
  }
  return deployment;
}

}  // namespace

struct Platform::Backing {
  std::unique_ptr<blob::Store> payloads{};
  std::unique_ptr<testing::PostgresServer> postgres{};
  std::unique_ptr<testing::Subprocess> registry{};
};

Platform::Platform() : backing_(std::make_unique<Backing>()) {}

Platform::~Platform() {
  if (service_ != nullptr) {
    service_->Kill(SIGTERM);
    service_->Kill(SIGCONT);  // It may stand still.
    if (!service_->Wait(std::chrono::seconds(15))) service_->Kill();
  }
}

Result<std::unique_ptr<Platform>> Platform::Start(const std::filesystem::path& program,
                                                  const std::filesystem::path& folder,
                                                  const BenchModel& model) {
  std::unique_ptr<Platform> platform(new Platform);
  Backing& backing = *platform->backing_;
  auto payloads = blob::OpenFileStore(folder / "payloads");
  if (!payloads) return payloads.error();
  backing.payloads = *std::move(payloads);
  const auto engine = serving::Engine::Create({});
  if (!engine) return engine.error();
  const auto loaded = (*engine)->LoadBytes(model.onnx);
  if (!loaded) return loaded.error();
  model_registry::v1::ListDeploymentsResponse deployments;
  deployments.set_revision(1);
  for (const char* const task : {"plain", "kept"}) {
    auto deployment = Deploy(*backing.payloads, model, **loaded, task);
    if (!deployment) return deployment.error();
    if (std::string_view(task) == "kept") {
      deployment->mutable_capture()->set_random_share(0.1);
      deployment->mutable_capture()->set_max_per_minute(1'000'000);
    }
    *deployments.add_deployments() = *std::move(deployment);
  }

  testing::PostgresServerOptions postgres_options;
  postgres_options.durable = true;  // As the platform runs it.
  auto postgres = testing::PostgresServer::Start(postgres_options);
  if (!postgres) return postgres.error();
  backing.postgres = *std::move(postgres);
  const auto database = backing.postgres->CreateDatabase();
  if (!database) return database.error();
  if (const auto made = bus::MigratePostgresBus(database->admin_dsn); !made) return made.error();

  const std::filesystem::path file = folder / "deployments";
  if (!(std::ofstream(file) << deployments.SerializeAsString()).flush()) {
    return Error{ErrorCode::kUnavailable, "cannot write " + file.string()};
  }
  testing::SubprocessOptions options;
  options.pipe_stdout = true;
  // A process of its own: a server's threads would answer for this one's clients, and slow them.
  auto registry =
      testing::Subprocess::Start({"/proc/self/exe", "--registry-server", file}, options);
  if (!registry) return registry.error();
  backing.registry = std::make_unique<testing::Subprocess>(*std::move(registry));
  const std::string address = backing.registry->ReadLine(kStartLimit).value_or("");
  if (address.empty()) {
    return Error{ErrorCode::kUnavailable, "the registry's stand-in does not listen"};
  }

  options.stderr_file = folder / "platform.log";
  // What the launcher sets for every service: parallelism by workers, never inside an operation.
  options.environment = {{"OMP_NUM_THREADS", "1"},
                         {"TIDEWHEEL_INFERENCE_BUS_DSN", database->DsnOf("tidewheel_inference")},
                         {"TIDEWHEEL_INFERENCE_PAYLOADS_ROOT", folder / "payloads"},
                         {"TIDEWHEEL_INFERENCE_REGISTRY_ADDRESS", address},
                         {"TIDEWHEEL_INFERENCE_SPILL_FOLDER", folder / "spill"}};
  auto service = testing::Subprocess::Start({program}, options);
  if (!service) return service.error();
  platform->service_ = std::make_unique<testing::Subprocess>(*std::move(service));
  platform->address_ = AddressIn(platform->service_->ReadLine(kStartLimit).value_or(""), "grpc");
  if (platform->address_.empty()) {
    return Error{ErrorCode::kUnavailable, "the inference service did not say where it listens"};
  }
  return platform;
}

std::string Platform::PictureRequest(const std::string& task) {
  std::string picture = "P5\n" + std::to_string(kSide) + " " + std::to_string(kSide) + "\n255\n";
  for (int i = 0; i < kSide * kSide; ++i) picture.push_back(static_cast<char>((i * 37) % 251));
  inference::v1::PredictRequest request;
  request.set_task(task);
  request.mutable_pictures()->add_payloads(picture);
  return request.SerializeAsString();
}

int ServeDeployments(const std::string& file) {
  FixedDeployments deployments;
  std::ifstream in(file, std::ios::binary);
  if (!deployments.answer.ParseFromIstream(&in)) return 1;
  return Serve(deployments);
}

std::string AddressIn(const std::string& ready_line, const std::string& key) {
  const std::string mark = "\"" + key + "\":\"";
  const auto at = ready_line.find(mark);
  if (at == std::string::npos) return "";
  const auto begin = at + mark.size();
  return ready_line.substr(begin, ready_line.find('"', begin) - begin);
}

}  // namespace tidewheel::bench
