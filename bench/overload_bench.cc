// What clients feel when there is more than the server can do, when others hold on to connections,
// and when a shadow is slow. The real tidewheel-inference on a folder of models; for the shadow its
// parts in this process, as no package sleeps.
#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "inference/grpc_service.grpc.pb.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/inference/api/inference_handler.h"
#include "tidewheel/inference/background/capture_keeper.h"
#include "tidewheel/inference/background/shadow_runner.h"
#include "tidewheel/log/log.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/ml/graph/onnx_graph.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/server.h"
#include "tidewheel/testing/subprocess.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kSide = 96;  // Heavy enough that the client costs little beside it.
constexpr std::size_t kIdle = 1'000;
constexpr milliseconds kBurst{3'000};
constexpr std::chrono::seconds kStartLimit{60};

[[noreturn]] void Die(const std::string& message) {
  std::cerr << "overload_bench: " << message << "\n";
  std::exit(1);
}

template <typename T>
T OrDie(Result<T> result, const std::string& what) {
  if (!result) Die(what + ": " + result.error().message);
  return std::move(*result);
}

double Quantile(std::vector<double>& seconds, double share) {
  if (seconds.empty()) return 0;
  const auto at = seconds.begin() +
                  static_cast<std::ptrdiff_t>(share * static_cast<double>(seconds.size() - 1));
  std::nth_element(seconds.begin(), at, seconds.end());
  return *at;
}

/// What became of calls.
struct Outcome {
  std::vector<double> answered;  // Seconds of each.
  std::vector<double> refused;
  double took = 0;
};

/// Asks one rpc with one request, in a rhythm or one after another. `Send` starts a call and says
/// how it ended.
class Load {
 public:
  using Ended = std::function<void(const grpc::Status&)>;
  using Send = std::function<void(Ended)>;

  explicit Load(Send send) : send_(std::move(send)) {}

  /// Calls begin at equal distances, whatever becomes of those before.
  Outcome InRhythm(double per_second, milliseconds length) {
    const auto began = steady_clock::now();
    const auto distance = std::chrono::duration<double>(1 / per_second);
    for (std::uint64_t i = 0;; ++i) {
      const auto due = began + std::chrono::duration_cast<steady_clock::duration>(
                                   distance * static_cast<double>(i));
      if (due - began >= length) break;
      std::this_thread::sleep_until(due);
      Start({});
    }
    return Finish(began);
  }

  /// So many under way all the time.
  Outcome Outstanding(int count, milliseconds length) {
    const auto began = steady_clock::now();
    for (int i = 0; i < count; ++i) Start(began + length);
    return Finish(began);
  }

 private:
  void Start(std::optional<steady_clock::time_point> again_until) {
    {
      const std::lock_guard lock(mutex_);
      ++under_way_;
    }
    const auto began = steady_clock::now();
    send_([this, began, again_until](const grpc::Status& status) {
      const auto now = steady_clock::now();
      const double seconds = std::chrono::duration<double>(now - began).count();
      if (again_until && now < *again_until) Start(again_until);
      const std::lock_guard lock(mutex_);
      if (status.ok()) {
        outcome_.answered.push_back(seconds);
      } else if (status.error_code() == grpc::RESOURCE_EXHAUSTED) {
        outcome_.refused.push_back(seconds);
      } else {
        Die("a call: " + status.error_message());
      }
      if (--under_way_ == 0) changed_.notify_all();
    });
  }
  Outcome Finish(steady_clock::time_point began) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return under_way_ == 0; });
    outcome_.took = std::chrono::duration<double>(steady_clock::now() - began).count();
    return std::exchange(outcome_, {});
  }

  const Send send_;
  std::mutex mutex_;  // Guards the rest.
  std::condition_variable changed_;
  int under_way_ = 0;
  Outcome outcome_;
};

/// A call's own memory, until it has ended.
template <typename Request, typename Response, typename Method>
Load::Send Sender(const Request& request, Method method) {
  struct Call {
    grpc::ClientContext context;
    Response response;
  };
  return [&request, method](Load::Ended ended) {
    auto call = std::make_shared<Call>();
    call->context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    method(&call->context, &request, &call->response,
           [call, ended = std::move(ended)](const grpc::Status& status) { ended(status); });
  };
}

// ---- the real server -------------------------------------------------------------------------

/// image-cnn with fresh weights, one request a call.
void WriteModel(const std::filesystem::path& models) {
  const auto architecture =
      OrDie(ml::MakeArchitecture("image-cnn", {1, kSide, kSide}, 4), "the recipe");
  const auto plan = OrDie(ml::PlanArchitecture(architecture), "the recipe");
  std::filesystem::create_directories(models / "heavy" / "1");
  std::ofstream(models / "heavy" / "1" / "model.onnx", std::ios::binary)
      << OrDie(ml::PrintOnnx(architecture, ml::InitialWeights(plan, 1)), "the graph");
  std::ofstream(models / "heavy" / "config.pbtxt") << "max_batch_size: 1";
}

::inference::ModelInferRequest HeavyRequest() {
  ::inference::ModelInferRequest request;
  request.set_model_name("heavy");
  auto* input = request.add_inputs();
  input->set_name(ml::kInputName);
  input->set_datatype("FP32");
  for (const std::int64_t size : {1, 1, kSide, kSide}) input->add_shape(size);
  const std::vector<float> values(static_cast<std::size_t>(kSide * kSide), 0.5F);
  request.add_raw_input_contents(values.data(), values.size() * sizeof(float));
  request.add_outputs()->set_name(ml::kOutputName);
  return request;
}

std::string AddressIn(const std::string& ready, const std::string& key) {
  const std::string before = "\"" + key + "\":\"";
  const auto at = ready.find(before);
  if (at == std::string::npos) Die("the server did not say where it listens");
  const auto begin = at + before.size();
  return ready.substr(begin, ready.find('"', begin) - begin);
}

/// Connections that begin and say no more.
class IdleConnections {
 public:
  IdleConnections(const std::string& address, const std::string& begin, std::size_t count) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(
        static_cast<std::uint16_t>(std::atoi(address.substr(address.rfind(':') + 1).c_str())));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (std::size_t i = 0; i < count; ++i) {
      const int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (file < 0 || connect(file, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
        Die("connection " + std::to_string(i) + " of " + address + ": " + std::strerror(errno));
      }
      files_.push_back(file);
      if (!begin.empty() && send(file, begin.data(), begin.size(), MSG_NOSIGNAL) < 0) {
        Die("connection " + std::to_string(i) + " of " + address + " was closed");
      }
    }
  }
  ~IdleConnections() {
    for (const int file : files_) close(file);
  }
  IdleConnections(const IdleConnections&) = delete;
  IdleConnections& operator=(const IdleConnections&) = delete;

 private:
  std::vector<int> files_;
};

/// The server, what it can do, and calls to it.
class HeavyServer {
 public:
  explicit HeavyServer(const std::filesystem::path& folder) {
    WriteModel(folder / "models");
    testing::SubprocessOptions options;
    options.pipe_stdout = true;
    options.stderr_file = folder / "inference.log";
    options.environment = {{"OMP_NUM_THREADS", "1"}};
    const auto self = std::filesystem::canonical("/proc/self/exe");
    process_ = OrDie(testing::Subprocess::Start(
                         {self.parent_path() / "tidewheel-inference", "--model-repository",
                          folder / "models", "--grpc-port=0", "--http-port=0", "--metrics-port=0"},
                         options),
                     "the server");
    ready_ = process_->ReadLine(kStartLimit).value_or("");
    stub_ = ::inference::GRPCInferenceService::NewStub(rpc::OpenChannel(AddressIn(ready_, "grpc")));
    load_.emplace(Sender<::inference::ModelInferRequest, ::inference::ModelInferResponse>(
        request_, [this](auto* context, auto* request, auto* response, auto ended) {
          stub_->async()->ModelInfer(context, request, response, std::move(ended));
        }));
    load_->Outstanding(4, milliseconds(500));
    const Outcome outcome = load_->Outstanding(4, kBurst);
    capacity_ = static_cast<double>(outcome.answered.size()) / outcome.took;
  }

  std::string Address(const std::string& key) const { return AddressIn(ready_, key); }
  double capacity() const { return capacity_; }
  Load& load() { return *load_; }

 private:
  const ::inference::ModelInferRequest request_ = HeavyRequest();
  std::optional<testing::Subprocess> process_;
  std::string ready_;
  std::unique_ptr<::inference::GRPCInferenceService::Stub> stub_;
  std::optional<Load> load_;
  double capacity_ = 0;
};

void Tell(benchmark::State& state, Outcome& outcome) {
  const auto all = static_cast<double>(outcome.answered.size() + outcome.refused.size());
  state.counters["p50"] = Quantile(outcome.answered, 0.5);
  state.counters["p99"] = Quantile(outcome.answered, 0.99);
  state.counters["answered_per_second"] =
      static_cast<double>(outcome.answered.size()) / outcome.took;
  state.counters["refused_share"] = static_cast<double>(outcome.refused.size()) / all;
  state.counters["refused_p50"] = Quantile(outcome.refused, 0.5);
  state.counters["refused_p99"] = Quantile(outcome.refused, 0.99);
  state.SetIterationTime(outcome.took);
}

/// At so many percent of what the server can do.
void AtShare(benchmark::State& state, HeavyServer& server) {
  for (auto _ : state) {
    auto outcome = server.load().InRhythm(
        server.capacity() * static_cast<double>(state.range(0)) / 100, kBurst);
    Tell(state, outcome);
    state.counters["capacity"] = server.capacity();
  }
}

void BesideIdle(benchmark::State& state, HeavyServer& server) {
  for (auto _ : state) {
    std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    preface += std::string("\0\0\0\4\0\0\0\0\0", 9);
    const auto count = static_cast<std::size_t>(state.range(0));
    const IdleConnections grpc_idle(server.Address("grpc"), preface, count);
    const IdleConnections http_idle(server.Address("http"), "", count);
    std::this_thread::sleep_for(milliseconds(300));  // The server greets them.
    auto outcome = server.load().InRhythm(server.capacity() / 2, kBurst);
    Tell(state, outcome);
  }
}

// ---- a shadow --------------------------------------------------------------------------------

using inference::v1::InferenceService;

constexpr char kTask[] = "bench";

/// Answers after a while.
class TimedModel final : public inference::ServedModel {
 public:
  TimedModel(std::uint32_t version, microseconds takes)
      : identity_{kTask, "id-" + std::to_string(version), version, "digest", {"a", "b"}},
        takes_(takes) {}
  const inference::ModelIdentity& identity() const override { return identity_; }
  Result<std::vector<inference::Answer>> PredictPictures(
      std::span<const std::string_view> payloads,
      const inference::QualityRules& /*rules*/) const override {
    return After(payloads.size());
  }
  Result<std::vector<inference::Answer>> PredictRows(
      std::span<const std::int64_t> shape, std::span<const float> /*values*/) const override {
    return After(static_cast<std::size_t>(shape[0]));
  }

 private:
  std::vector<inference::Answer> After(std::size_t rows) const {
    if (takes_.count() > 0) std::this_thread::sleep_for(takes_);
    return std::vector<inference::Answer>(rows, inference::Answer{0, {1, 0}, "", {}, {}, {}});
  }
  const inference::ModelIdentity identity_;
  const microseconds takes_;
};

class NoFacts final : public inference::FactSink {
 public:
  void Tell(const inference::PredictionFact& /*fact*/) override {}
  bool Tell(const inference::OutcomeFact& /*fact*/) override { return true; }
  bool Tell(const inference::CaptureFact& /*fact*/) override { return true; }
};

class NoModels final : public inference::ExplainableModels {
 public:
  Result<std::shared_ptr<inference::ExplainableModel>> For(const std::string& task) override {
    return Error{ErrorCode::kNotFound, "no model for " + task};
  }
};

/// Production of 200 us behind the service's own handler; a shadow on request.
class ShadowedServer {
 public:
  explicit ShadowedServer(const std::filesystem::path& folder)
      : payloads_(OrDie(blob::OpenFileStore(folder / "payloads"), "the payload store")) {
    request_.set_task(kTask);
    request_.mutable_tensor()->add_shape(1);
    request_.mutable_tensor()->add_shape(1);
    request_.mutable_tensor()->set_data(std::string(sizeof(float), '\0'));
    SetShadow(false);
    server_.Add(handler_);
    if (const auto started = server_.Start(); !started) Die(started.error().message);
    stub_ = InferenceService::NewStub(rpc::OpenChannel(server_.address()));
    load_.emplace(Sender<inference::v1::PredictRequest, inference::v1::PredictResponse>(
        request_, [this](auto* context, auto* request, auto* response, auto ended) {
          stub_->async()->Predict(context, request, response, std::move(ended));
        }));
    load_->Outstanding(4, milliseconds(300));
  }

  void SetShadow(bool there) {
    inference::Route route;
    route.production = std::make_shared<inference::LoadedVersion>(
        std::make_shared<TimedModel>(1, microseconds(200)), clock_.Now());
    if (there) {
      route.candidate = std::make_shared<inference::LoadedVersion>(
          std::make_shared<TimedModel>(2, milliseconds(100)), clock_.Now());
      route.candidate_role = inference::Role::kShadow;
    }
    table_.Set(kTask, std::move(route));
  }
  Load& load() { return *load_; }

 private:
  const SystemClock clock_;
  metrics::Registry metrics_{"bench"};
  NoFacts sink_;
  const std::unique_ptr<blob::Store> payloads_;
  inference::ModelTable table_;
  inference::ShadowRunner shadows_{sink_, inference::BackgroundLimits{256, 64U << 20}, {}};
  inference::CaptureKeeper captures_{
      *payloads_, sink_, inference::BackgroundLimits{16, 1U << 20}, {}, nullptr};
  inference::Predictor predictor_{table_, sink_, shadows_, captures_, clock_, {}};
  NoModels no_models_;
  inference::ExplainQueue explanations_{no_models_, {}, {}};
  inference::InferenceHandler handler_{predictor_, table_, explanations_, clock_, {2, 1'024}};
  rpc::Server server_{{.direct_methods = {handler_.DirectPredict()}}, metrics_};
  inference::v1::PredictRequest request_;
  std::unique_ptr<InferenceService::Stub> stub_;
  std::optional<Load> load_;
};

void Shadowed(benchmark::State& state, ShadowedServer& server) {
  for (auto _ : state) {
    server.SetShadow(state.range(0) != 0);
    auto outcome = server.load().InRhythm(500, kBurst);
    Tell(state, outcome);
    server.SetShadow(false);
  }
}

int Main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  log::Initialise("overload_bench", log::Level::kWarning);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
  }
  const testing::TempFolder folder;
  HeavyServer heavy(folder.path());
  ShadowedServer shadowed(folder.path());
  const auto each = [](auto* benchmark) {
    benchmark->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);
  };
  each(benchmark::RegisterBenchmark("share", AtShare, std::ref(heavy))->Arg(100)->Arg(300));
  each(benchmark::RegisterBenchmark("idle", BesideIdle, std::ref(heavy))->Arg(0)->Arg(kIdle));
  each(benchmark::RegisterBenchmark("shadow", Shadowed, std::ref(shadowed))->Arg(0)->Arg(1));
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace tidewheel

int main(int argc, char** argv) { return tidewheel::Main(argc, argv); }
