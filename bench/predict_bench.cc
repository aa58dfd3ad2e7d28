// Predict over gRPC: the real inference service, beside a handler that answers the same messages at
// once, and beside the engine alone. The bus is a private PostgreSQL; the registry only stands in.
#include <benchmark/benchmark.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/random.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/bus/postgres_broker.h"
#include "tidewheel/inference/v1/inference_service.grpc.pb.h"
#include "tidewheel/ml/graph/onnx_graph.h"
#include "tidewheel/ml/package/golden.h"
#include "tidewheel/ml/package/manifest.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/serving/engine.h"
#include "tidewheel/testing/postgres_server.h"
#include "tidewheel/testing/subprocess.h"
#include "tidewheel/testing/temp_folder.h"
#include "tidewheel/vision/preprocess_entries.h"

namespace tidewheel {
namespace {

using inference::v1::InferenceService;
using inference::v1::PredictRequest;
using inference::v1::PredictResponse;
using std::chrono::steady_clock;

constexpr char kTask[] = "bench";
constexpr int kSide = 28;
constexpr std::size_t kRowElements = kSide * kSide;
constexpr int kClasses = 10;
constexpr std::chrono::milliseconds kBurst{400};
constexpr std::chrono::milliseconds kWarmUp{150};
constexpr std::chrono::seconds kStartLimit{60};

[[noreturn]] void Die(const std::string& message) {
  std::cerr << "predict_bench: " << message << "\n";
  std::exit(1);
}

template <typename T>
T OrDie(Result<T> result, const std::string& what) {
  if (!result) Die(what + ": " + result.error().message);
  return std::move(*result);
}

// ---- the floor -------------------------------------------------------------------------------

/// Answers a message of Predict's size at once.
class NullService final : public InferenceService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Predict(grpc::CallbackServerContext* context,
                                    const PredictRequest* request,
                                    PredictResponse* response) override {
    response->set_request_id(request->request_id());
    response->set_model_version_id("00000000-0000-7000-8000-000000000000");
    response->set_model_version(1);
    auto* prediction = response->add_predictions();
    for (int i = 0; i < kClasses; ++i) {
      response->add_classes("class-" + std::to_string(i));
      prediction->add_probabilities(0.1F);
    }
    prediction->set_class_name("class-0");
    prediction->set_confidence(0.1F);
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

/// A process of its own, as the service is: prints its port and serves until it is killed.
int ServeNull() {
  NullService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (server == nullptr || port == 0) return 1;
  std::cout << "127.0.0.1:" << port << std::endl;
  server->Wait();
  return 0;
}

// ---- the model -------------------------------------------------------------------------------

std::vector<float> Noise(std::size_t count) {
  Random random(3);
  std::vector<float> floats(count);
  for (float& number : floats) number = static_cast<float>(random.Uniform());
  return floats;
}

/// The recipe image-cnn on 28 x 28 grey with fresh weights: as fast as a trained one.
std::string Onnx() {
  const auto architecture =
      OrDie(ml::MakeArchitecture("image-cnn", {1, kSide, kSide}, kClasses), "the recipe");
  const auto plan = OrDie(ml::PlanArchitecture(architecture), "the recipe");
  return OrDie(ml::PrintOnnx(architecture, ml::InitialWeights(plan, 1)), "the graph");
}

std::vector<std::string> Classes() {
  std::vector<std::string> classes;
  for (int i = 0; i < kClasses; ++i) classes.push_back("class-" + std::to_string(i));
  return classes;
}

/// Puts what the service needs of a package into the payload store.
model_registry::v1::Deployment Deploy(blob::Store& payloads, const std::string& onnx,
                                      const serving::Model& engine) {
  vision::PreprocessSpec preprocessing;
  preprocessing.width = kSide;
  preprocessing.height = kSide;
  preprocessing.channels = 1;
  preprocessing.mean = {0};
  preprocessing.std = {1};

  ml::PackageManifest manifest;
  manifest.task = kTask;
  manifest.recipe = "image-cnn";
  manifest.input = {ml::kInputName, "FP32", engine.signature().input.shape};
  manifest.output = {ml::kOutputName, "FP32", engine.signature().output.shape};
  manifest.classes = Classes();
  manifest.preprocessing = vision::ToEntries(preprocessing);

  ml::GoldenSamples golden;
  golden.rows = 4;
  golden.input_elements = kRowElements;
  golden.output_elements = kClasses;
  golden.inputs = Noise(golden.rows * golden.input_elements);
  golden.probabilities.resize(golden.rows * golden.output_elements);
  if (const auto ran = engine.Infer(golden.inputs, golden.rows, golden.probabilities); !ran) {
    Die("the engine: " + ran.error().message);
  }

  model_registry::v1::Deployment deployment;
  deployment.set_task(kTask);
  deployment.set_revision(1);
  auto& version = *deployment.mutable_production();
  version.set_model_version_id(NewUuid());
  version.set_task(kTask);
  version.set_version(1);
  version.set_package_digest(std::string(64, '0'));
  for (const auto& name : manifest.classes) version.add_classes(name);
  const auto add = [&](std::string_view name, const std::string& bytes) {
    const auto ref = OrDie(payloads.Put(bytes), "the payload store");
    auto& file = *version.add_files();
    file.set_name(std::string(name));
    file.set_sha256(ref.digest().Hex());
    file.set_payload_ref(ref.text());
  };
  add(ml::kManifestFile, ml::PrintPackageManifest(manifest));
  add(ml::kOnnxFile, onnx);
  add(ml::kGoldenFile, OrDie(ml::PrintGoldenSamples(golden), "the golden samples"));
  return deployment;
}

/// Stands in for model-registry: one deployment.
class OneDeployment final : public model_registry::v1::ModelRegistryService::Service {
 public:
  explicit OneDeployment(model_registry::v1::Deployment deployment)
      : deployment_(std::move(deployment)) {}

  grpc::Status ListDeployments(grpc::ServerContext* /*context*/,
                               const model_registry::v1::ListDeploymentsRequest* /*request*/,
                               model_registry::v1::ListDeploymentsResponse* response) override {
    *response->add_deployments() = deployment_;
    response->set_revision(deployment_.revision());
    return grpc::Status::OK;
  }

 private:
  const model_registry::v1::Deployment deployment_;
};

// ---- the client ------------------------------------------------------------------------------

PredictRequest Request() {
  const auto row = Noise(kRowElements);
  PredictRequest request;
  request.set_task(kTask);
  for (const std::int64_t size : {1, 1, kSide, kSide}) request.mutable_tensor()->add_shape(size);
  request.mutable_tensor()->set_data(row.data(), row.size() * sizeof(float));
  return request;
}

/// CPU time of a process so far, of all its threads (proc(5), schedstat).
double CpuSeconds(pid_t pid) {
  double nanoseconds = 0;
  std::error_code failure;
  const std::filesystem::path tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, failure)) {
    double running = 0;
    if (std::ifstream(task.path() / "schedstat") >> running) nanoseconds += running;
  }
  return nanoseconds / 1e9;
}

/// One server, and what a burst of calls to it was like.
class Target {
 public:
  Target(const std::string& address, pid_t pid)
      : pid_(pid),
        stub_(InferenceService::NewStub(
            grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {}

  /// Until it answers; the service loads its model first.
  void WaitForAnswer() {
    const auto end = steady_clock::now() + kStartLimit;
    while (true) {
      rpc::ClientContextWithDeadline context(std::chrono::seconds(5));
      PredictResponse response;
      const auto status = stub_->Predict(&context, request_, &response);
      if (status.ok() && response.predictions_size() == 1) return;
      if (steady_clock::now() > end) Die("no prediction: " + status.error_message());
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  double ServerCpuSeconds() const { return CpuSeconds(pid_); }

  /// Keeps `outstanding` calls under way for `length`; seconds of each, and how long all took.
  std::pair<std::vector<double>, double> Burst(int outstanding, std::chrono::milliseconds length) {
    grpc::CompletionQueue queue;
    std::vector<double> seconds;
    std::vector<std::unique_ptr<Call>> calls(static_cast<std::size_t>(outstanding));
    const auto began = steady_clock::now();
    for (auto& call : calls) Send(call, queue);
    auto under_way = calls.size();
    void* tag = nullptr;
    bool ok = false;
    while (under_way > 0 && queue.Next(&tag, &ok)) {
      auto& call = *static_cast<std::unique_ptr<Call>*>(tag);
      const auto now = steady_clock::now();
      if (!call->status.ok()) Die("Predict: " + call->status.error_message());
      seconds.push_back(std::chrono::duration<double>(now - call->began).count());
      if (now - began < length) {
        Send(call, queue);
      } else {
        --under_way;
      }
    }
    return {std::move(seconds), std::chrono::duration<double>(steady_clock::now() - began).count()};
  }

 private:
  struct Call {
    grpc::ClientContext context;
    PredictResponse response;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<PredictResponse>> reader;
    steady_clock::time_point began;
  };

  void Send(std::unique_ptr<Call>& call, grpc::CompletionQueue& queue) {
    call = std::make_unique<Call>();
    call->began = steady_clock::now();
    call->context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    call->reader = stub_->AsyncPredict(&call->context, request_, &queue);
    call->reader->Finish(&call->response, &call->status, &call);
  }

  const pid_t pid_;
  const std::unique_ptr<InferenceService::Stub> stub_;
  const PredictRequest request_ = Request();
};

void Calls(benchmark::State& state, Target& target) {
  const int outstanding = static_cast<int>(state.range(0));
  for (auto _ : state) {
    target.Burst(outstanding, kWarmUp);
    const double cpu_before = target.ServerCpuSeconds();
    auto [seconds, took] = target.Burst(outstanding, kBurst);
    state.counters["server_cpu"] =
        (target.ServerCpuSeconds() - cpu_before) / static_cast<double>(seconds.size());
    const auto quantile = [&](double share) {
      const auto at = seconds.begin() +
                      static_cast<std::ptrdiff_t>(share * static_cast<double>(seconds.size() - 1));
      std::nth_element(seconds.begin(), at, seconds.end());
      return *at;
    };
    state.counters["p50"] = quantile(0.5);
    state.counters["p99"] = quantile(0.99);
    state.counters["per_second"] = static_cast<double>(seconds.size()) / took;
    state.SetIterationTime(took / static_cast<double>(seconds.size()));
  }
}

void Infer(benchmark::State& state, const serving::Model& model) {
  const auto rows = static_cast<std::size_t>(state.range(0));
  const auto input = Noise(rows * kRowElements);
  std::vector<float> output(rows * kClasses);
  for (auto _ : state) {
    if (const auto ran = model.Infer(input, rows, output); !ran) {
      state.SkipWithError(ran.error().message.c_str());
      break;
    }
    benchmark::DoNotOptimize(output.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

// ---- the service -----------------------------------------------------------------------------

std::string GrpcAddress(testing::Subprocess& service) {
  const auto line = service.ReadLine(kStartLimit);
  const std::string mark = "\"grpc\":\"";
  std::string text = line.value_or("");
  std::erase(text, ' ');
  const auto at = text.find(mark);
  if (at == std::string::npos) Die("the inference service did not say where it listens");
  const auto begin = at + mark.size();
  return text.substr(begin, text.find('"', begin) - begin);
}

int Main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;

  const auto self = std::filesystem::canonical("/proc/self/exe");
  const testing::TempFolder folder;
  const auto payloads = OrDie(blob::OpenFileStore(folder.path() / "payloads"), "the payload store");
  const auto engine = OrDie(serving::Engine::Create({}), "the engine");
  const std::string onnx = Onnx();
  const auto model = OrDie(engine->LoadBytes(onnx), "the model");
  OneDeployment registry(Deploy(*payloads, onnx, *model));

  testing::PostgresServerOptions postgres_options;
  postgres_options.durable = true;  // As the platform runs it.
  const auto postgres = OrDie(testing::PostgresServer::Start(postgres_options), "PostgreSQL");
  const auto database = OrDie(postgres->CreateDatabase(), "PostgreSQL");
  if (const auto made = bus::MigratePostgresBus(database.admin_dsn); !made) {
    Die("the bus: " + made.error().message);
  }

  grpc::ServerBuilder builder;
  int registry_port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &registry_port);
  builder.RegisterService(&registry);
  const auto registry_server = builder.BuildAndStart();
  if (registry_server == nullptr || registry_port == 0)
    Die("the registry's stand-in cannot listen");

  testing::SubprocessOptions options;
  options.pipe_stdout = true;
  options.stderr_file = folder.path() / "inference.log";
  // What the launcher sets for every service: parallelism by workers, never inside an operation.
  options.environment = {
      {"OMP_NUM_THREADS", "1"},
      {"TIDEWHEEL_INFERENCE_BUS_DSN", database.DsnOf("tidewheel_inference")},
      {"TIDEWHEEL_INFERENCE_PAYLOADS_ROOT", folder.path() / "payloads"},
      {"TIDEWHEEL_INFERENCE_REGISTRY_ADDRESS", "127.0.0.1:" + std::to_string(registry_port)},
      {"TIDEWHEEL_INFERENCE_SPILL_FOLDER", folder.path() / "spill"}};
  auto service =
      OrDie(testing::Subprocess::Start({self.parent_path() / "tidewheel-inference"}, options),
            "inference");
  options.environment.clear();
  auto null_server =
      OrDie(testing::Subprocess::Start({self, "--null-server"}, options), "the floor");

  Target product(GrpcAddress(service), service.pid());
  Target floor(null_server.ReadLine(kStartLimit).value_or(""), null_server.pid());
  product.WaitForAnswer();
  floor.WaitForAnswer();

  benchmark::RegisterBenchmark("predict", Calls, std::ref(product))
      ->Arg(1)
      ->Arg(8)
      ->Arg(64)
      ->Iterations(1)
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
  benchmark::RegisterBenchmark("null", Calls, std::ref(floor))
      ->Arg(1)
      ->Arg(8)
      ->Arg(64)
      ->Iterations(1)
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
  benchmark::RegisterBenchmark("engine", Infer, std::cref(*model))
      ->Arg(1)
      ->Arg(2)
      ->Arg(4)
      ->Arg(8)
      ->Arg(16)
      ->Arg(32)
      ->Arg(64)
      ->Unit(benchmark::kMicrosecond);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();

  service.Kill(SIGTERM);
  if (!service.Wait(std::chrono::seconds(15))) service.Kill();
  registry_server->Shutdown();
  return 0;
}

}  // namespace
}  // namespace tidewheel

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--null-server") == 0) return tidewheel::ServeNull();
  return tidewheel::Main(argc, argv);
}
