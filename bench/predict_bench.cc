// Predictions over gRPC and HTTP: the real inference service beside a gRPC handler that answers the
// same messages at once, the model alone in a loop, and other people's servers. What is compared is
// measured in turns of a quarter of a second, in random order, round by round.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "predict/floors.h"
#include "predict/load.h"
#include "predict/models.h"
#include "predict/platform.h"
#include "tidewheel/base/result.h"
#include "tidewheel/serving/engine.h"
#include "tidewheel/testing/subprocess.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::bench {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr char kInfer[] = "/inference.GRPCInferenceService/ModelInfer";
constexpr milliseconds kStartLimit{60'000};
constexpr milliseconds kPeerStartLimit{120'000};
constexpr int kOutstanding[] = {1, 8, 64};

constexpr char kUsage[] =
    "usage: predict_bench --out=FILE [--rounds=5] [--burst=250] [--only=REGEX] "
    "[--peer=NAME=COMMAND]...\n"
    "  --burst   milliseconds of each measurement\n"
    "  --only    of the groups of measurements, by name: cnn_28.f32/8, http/8, batching/64, ...\n"
    "  --peer    a server of others: COMMAND with the ONNX file as its last word prints "
    "HOST:PORT\n";

struct Options {
  fs::path out{};
  int rounds = 5;
  milliseconds burst{250};
  std::string only = ".*";
  std::vector<std::pair<std::string, std::string>> peers{};
};

[[noreturn]] void Die(const std::string& message) {
  std::cerr << "predict_bench: " << message << "\n";
  std::exit(1);
}

template <typename T>
T OrDie(Result<T> result, const std::string& what) {
  if (!result) Die(what + ": " + result.error().message);
  return std::move(*result);
}

/// CPU time of a process so far, of all its threads (proc(5), schedstat).
double CpuSeconds(pid_t pid) {
  double nanoseconds = 0;
  std::error_code failure;
  const fs::path tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : fs::directory_iterator(tasks, failure)) {
    double running = 0;
    if (std::ifstream(task.path() / "schedstat") >> running) nanoseconds += running;
  }
  return nanoseconds / 1e9;
}

double ResidentBytes(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::string word;
  while (status >> word) {
    double kilobytes = 0;
    if (word == "VmRSS:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

/// To a process and all that it started.
void SignalTree(pid_t pid, int signal) {
  ::kill(pid, signal);
  std::error_code failure;
  const fs::path tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : fs::directory_iterator(tasks, failure)) {
    std::ifstream children(task.path() / "children");
    for (pid_t child = 0; children >> child;) SignalTree(child, signal);
  }
}

/// Numbers by what they are called.
using Values = std::map<std::string, double>;
using Measure = std::function<Result<Values>()>;

/// What is compared with each other, and so measured next to each other.
struct Group {
  std::string name;
  std::vector<std::pair<std::string, Measure>> sides;
  int turns = 1;  // Of which each measurement is the mean, where sides differ by little.
};

/// Collects measurements as Google Benchmark writes them.
class Records {
 public:
  void Add(const std::string& name, const Result<Values>& measured) {
    std::string line = "{\"name\":\"" + name + "\",\"run_type\":\"iteration\"";
    if (!measured) {
      std::string message = measured.error().message;
      for (char& c : message)
        c = c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' ' ? ' ' : c;
      line += ",\"error_occurred\":true,\"error_message\":\"" + message + "\"";
    } else {
      for (const auto& [key, value] : *measured) {
        char number[64];
        std::snprintf(number, sizeof number, "%.9g", value);
        line += ",\"" + key + "\":" + number;
      }
    }
    lines_.push_back(line + "}");
  }
  void Write(const fs::path& file) const {
    std::ofstream out(file);
    out << "{\"benchmarks\":[\n";
    for (std::size_t i = 0; i < lines_.size(); ++i) out << (i == 0 ? "" : ",\n") << lines_[i];
    out << "\n]}\n";
    if (!out.flush()) Die("cannot write " + file.string());
  }

 private:
  std::vector<std::string> lines_;
};

/// A server in a process of its own.
struct Server {
  std::unique_ptr<testing::Subprocess> process{};
  std::string grpc{};
  std::string http{};
};

class Bench {
 public:
  explicit Bench(Options options) : options_(std::move(options)) {}

  void Run() {
    Prepare();
    AddModels();
    AddHttp();
    AddPairs();
    AddPlatform();
    AddPeers();
    AddStart();
    const std::regex only(options_.only);
    std::erase_if(groups_,
                  [&](const Group& group) { return !std::regex_search(group.name, only); });
    if (groups_.empty()) Die("--only leaves no measurement");
    std::mt19937 random(1);
    for (int round = 0; round < options_.rounds; ++round) {
      std::shuffle(groups_.begin(), groups_.end(), random);
      for (Group& group : groups_) {
        std::map<std::string, Result<Values>> measured;
        for (int turn = 0; turn < group.turns; ++turn) {
          std::shuffle(group.sides.begin(), group.sides.end(), random);
          for (auto& [name, measure] : group.sides) {
            AddTurn(measure(), group.turns, measured.try_emplace(name, Values()).first->second);
          }
        }
        for (const auto& [name, values] : measured) records_.Add(name, values);
      }
    }
    records_.Write(options_.out);
    // Servers of others have processes and folders of their own to tidy up.
    for (auto& [name, peer] : peers_) {
      SignalTree(peer.process->pid(), SIGCONT);
      peer.process->Kill(SIGTERM);
    }
    for (auto& [name, peer] : peers_) peer.process->Wait(milliseconds(10'000));
  }

 private:
  bool Wanted(const std::string& group) const {
    return std::regex_search(group, std::regex(options_.only));
  }

  void Prepare() {
    models_ = OrDie(MakeModels(), "the models");
    if (auto done = WriteRepository(folder_.path() / "models", models_); !done) {
      Die("the models: " + done.error().message);
    }
    serving::EngineOptions engine;
    engine.fixed_rows = serving::kServedRows;  // The floor is not to be slower than need be.
    engine_ = OrDie(serving::Engine::Create(engine), "the engine");
    null_.process = Start({self_, "--null-server"}, "null.log");
    null_.grpc = null_.process->ReadLine(kStartLimit).value_or("");
    if (null_.grpc.empty()) Die("the null handler did not start");
    // So long that 64 outstanding wait where a machine is slow, and batching off.
    product_ = StartService({"queue_budget=1s"});
  }

  /// One of so many turns to their mean, which an error of any spoils.
  static void AddTurn(const Result<Values>& turn, int turns, Result<Values>& mean) {
    if (!mean || !turn) {
      if (mean) mean = turn.error();
      return;
    }
    for (const auto& [name, value] : *turn) (*mean)[name] += value / turns;
  }

  std::unique_ptr<testing::Subprocess> Start(const std::vector<std::string>& argv,
                                             const std::string& log) {
    testing::SubprocessOptions options;
    options.pipe_stdout = true;
    options.stderr_file = folder_.path() / log;
    // What the launcher sets for every service: parallelism by workers, never inside an operation.
    options.environment = {{"OMP_NUM_THREADS", "1"}};
    return std::make_unique<testing::Subprocess>(
        OrDie(testing::Subprocess::Start(argv, options), argv.front()));
  }

  std::vector<std::string> ServiceWords(const fs::path& repository,
                                        const std::vector<std::string>& settings) const {
    std::vector<std::string> words = {self_.parent_path() / "tidewheel-inference",
                                      "--model-repository",
                                      repository,
                                      "--grpc-port",
                                      "0",
                                      "--http-port",
                                      "0",
                                      "--metrics-port",
                                      "0"};
    for (const std::string& setting : settings) words.insert(words.end(), {"--set", setting});
    return words;
  }

  Server StartService(const std::vector<std::string>& settings) {
    Server server;
    server.process = Start(ServiceWords(folder_.path() / "models", settings),
                           "service-" + std::to_string(services_++) + ".log");
    const std::string line = server.process->ReadLine(kStartLimit).value_or("");
    server.grpc = AddressIn(line, "grpc");
    server.http = AddressIn(line, "http");
    if (server.grpc.empty() || server.http.empty()) Die("the inference service did not start");
    return server;
  }

  Measure Calls(std::shared_ptr<Load> load, pid_t pid, int outstanding) const {
    return [load = std::move(load), pid, outstanding, burst = options_.burst]() -> Result<Values> {
      if (auto warm = load->Run(outstanding, burst / 4); !warm) return warm.error();
      const double cpu = CpuSeconds(pid);
      const auto ran = load->Run(outstanding, burst);
      if (!ran) return ran.error();
      return Values{
          {"per_second", ran->PerSecond()},
          {"p50", ran->Quantile(0.5)},
          {"p99", ran->Quantile(0.99)},
          {"server_cpu", (CpuSeconds(pid) - cpu) / static_cast<double>(ran->seconds.size())}};
    };
  }

  /// The measure of a server that stands still otherwise.
  static Measure Awake(pid_t pid, Measure measure) {
    return [pid, measure = std::move(measure)]() -> Result<Values> {
      SignalTree(pid, SIGCONT);
      auto values = measure();
      SignalTree(pid, SIGSTOP);
      return values;
    };
  }

  /// Rows a second of the model alone, in the best of the batch sizes up to so many.
  Measure Alone(std::shared_ptr<serving::Model> model, std::size_t most_rows) const {
    return [model = std::move(model), most_rows, burst = options_.burst]() -> Result<Values> {
      std::vector<std::size_t> sizes = {1};
      if (most_rows >= 8) sizes = {4, 8};
      if (most_rows >= 64) sizes = {8, 16, 32};
      double best = 0;
      for (const std::size_t rows : sizes) {
        const auto input = Noise(rows * model->signature().input.elements());
        std::vector<float> output(rows * model->signature().output.elements());
        const auto once = [&] { return model->Infer(input, rows, output); };
        for (int warm = 0; warm < 3; ++warm) {
          if (auto ran = once(); !ran) return ran.error();
        }
        const auto length = burst / static_cast<int>(sizes.size() + 1);
        const auto began = steady_clock::now();
        std::size_t done = 0;
        while (steady_clock::now() - began < length) {
          if (auto ran = once(); !ran) return ran.error();
          done += rows;
        }
        const std::chrono::duration<double> took = steady_clock::now() - began;
        best = std::max(best, static_cast<double>(done) / took.count());
      }
      return Values{{"rows_per_second", best}};
    };
  }

  /// Asks once, and dies unless the answer is the model's: a fast wrong answer is no measurement.
  Result<void> Check(Load& load, const serving::Model& model,
                     Result<std::vector<float>> (*floats_of)(const std::string&) = FloatsOf) const {
    const auto answer = load.Ask();
    if (!answer) return answer.error();
    const auto floats = floats_of(*answer);
    if (!floats) return floats.error();
    const auto row = Noise(model.signature().input.elements());
    std::vector<float> expected(model.signature().output.elements());
    if (auto ran = model.Infer(row, 1, expected); !ran) return ran;
    if (floats->size() != expected.size()) {
      return Error{ErrorCode::kInternal, "the server gives another number of answers"};
    }
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (!(std::abs((*floats)[i] - expected[i]) <= 1e-3F)) {
        return Error{ErrorCode::kInternal, "the server gives another answer than the model"};
      }
    }
    return {};
  }

  const BenchModel& ModelOf(const std::string& name) const {
    return *std::find_if(models_.begin(), models_.end(),
                         [&](const BenchModel& model) { return model.name == name; });
  }

  void AddModels() {
    for (const BenchModel& model : models_) {
      const std::shared_ptr<Load> null = GrpcLoad(null_.grpc, kInfer, model.Request(model.name));
      for (const std::string precision : {"f32", "int8"}) {
        const std::string& onnx = precision == "int8" ? model.int8_onnx : model.onnx;
        if (onnx.empty()) continue;
        const std::string served = precision == "int8" ? model.name + "_int8" : model.name;
        const std::shared_ptr<Load> load = GrpcLoad(product_.grpc, kInfer, model.Request(served));
        std::shared_ptr<serving::Model> alone;
        if (model.name != "identity") {
          alone = OrDie(engine_->LoadBytes(onnx), served);
          if (auto right = Check(*load, *alone); !right) Die(served + ": " + right.error().message);
        }
        const std::string variant = model.name + "." + precision;
        for (const int outstanding : kOutstanding) {
          const std::string suffix = "/" + variant + "/" + std::to_string(outstanding);
          Group group{variant + "/" + std::to_string(outstanding), {}};
          group.sides.emplace_back("null" + suffix, Calls(null, null_.process->pid(), outstanding));
          group.sides.emplace_back("ours" + suffix,
                                   Calls(load, product_.process->pid(), outstanding));
          if (alone != nullptr) {
            group.sides.emplace_back("alone" + suffix,
                                     Alone(alone, static_cast<std::size_t>(outstanding)));
          }
          groups_.push_back(std::move(group));
        }
      }
    }
  }

  void AddHttp() {
    const BenchModel& model = ModelOf("cnn_28");
    const auto row = model.Row();
    std::string shape;
    for (const std::int64_t size : model.shape) {
      shape += (shape.empty() ? "" : ",") + std::to_string(size);
    }
    const std::string input =
        "{\"name\":\"input\",\"datatype\":\"FP32\",\"shape\":[" + shape + "],";
    const std::size_t bytes = row.size() * sizeof(float);
    const std::string header = "{\"inputs\":[" + input +
                               "\"parameters\":{\"binary_data_size\":" + std::to_string(bytes) +
                               "}}],\"parameters\":{\"binary_data_output\":true}}";
    std::string raw(bytes, '\0');
    std::memcpy(raw.data(), row.data(), bytes);
    std::string json = "{\"inputs\":[" + input + "\"data\":[";
    for (std::size_t i = 0; i < row.size(); ++i) {
      char number[32];
      std::snprintf(number, sizeof number, "%s%.6g", i == 0 ? "" : ",",
                    static_cast<double>(row[i]));
      json += number;
    }
    json += "]}]}";
    const std::string path = "/v2/models/cnn_28/infer";
    const std::shared_ptr<Load> binary =
        HttpLoad(product_.http, path,
                 "Content-Type: application/octet-stream\r\nInference-Header-Content-Length: " +
                     std::to_string(header.size()) + "\r\n",
                 header + raw);
    const std::shared_ptr<Load> text =
        HttpLoad(product_.http, path, "Content-Type: application/json\r\n", json);
    const std::shared_ptr<Load> grpc = GrpcLoad(product_.grpc, kInfer, model.Request("cnn_28"));
    const pid_t pid = product_.process->pid();
    for (const int outstanding : kOutstanding) {
      const std::string suffix = "/" + std::to_string(outstanding);
      groups_.push_back({"http" + suffix,
                         {{"http_grpc" + suffix, Calls(grpc, pid, outstanding)},
                          {"http_binary" + suffix, Calls(binary, pid, outstanding)},
                          {"http_json" + suffix, Calls(text, pid, outstanding)}}});
    }
  }

  /// Batching and histograms, each with and without.
  void AddPairs() {
    const BenchModel& model = ModelOf("cnn_28");
    const std::shared_ptr<Load> batched = GrpcLoad(product_.grpc, kInfer, model.Request("cnn_28"));
    const std::shared_ptr<Load> alone =
        GrpcLoad(product_.grpc, kInfer, model.Request("cnn_28_alone"));
    const pid_t pid = product_.process->pid();
    for (const int outstanding : kOutstanding) {
      const std::string suffix = "/" + std::to_string(outstanding);
      groups_.push_back({"batching" + suffix,
                         {{"batching_on" + suffix, Calls(batched, pid, outstanding)},
                          {"batching_off" + suffix, Calls(alone, pid, outstanding)}}});
    }
    if (!Wanted("histograms/64")) return;
    quiet_ = StartService({"queue_budget=1s", "histograms=false"});
    for (const std::string name : {"identity", "cnn_28"}) {
      const std::string request = ModelOf(name).Request(name);
      const std::string suffix = "/" + name;
      groups_.push_back(
          {"histograms/64" + suffix,
           {{"histograms_on" + suffix, Calls(GrpcLoad(product_.grpc, kInfer, request), pid, 64)},
            {"histograms_off" + suffix,
             Calls(GrpcLoad(quiet_.grpc, kInfer, request), quiet_.process->pid(), 64)}},
           8});
    }
  }

  void AddPlatform() {
    if (!Wanted("platform/1") && !Wanted("platform/8") && !Wanted("platform/64")) return;
    platform_ = OrDie(Platform::Start(self_.parent_path() / "tidewheel-inference", folder_.path(),
                                      ModelOf("cnn_28")),
                      "the platform's service");
    const std::shared_ptr<Load> plain =
        GrpcLoad(platform_->address(), kPredictMethod, Platform::PictureRequest("plain"));
    const std::shared_ptr<Load> kept =
        GrpcLoad(platform_->address(), kPredictMethod, Platform::PictureRequest("kept"));
    const auto end = steady_clock::now() + kStartLimit;
    for (Load* const load : {plain.get(), kept.get()}) {
      while (true) {
        const auto answer = load->Ask();
        if (answer) break;
        if (steady_clock::now() > end) Die("no prediction: " + answer.error().message);
        std::this_thread::sleep_for(milliseconds(50));
      }
    }
    for (const int outstanding : kOutstanding) {
      const std::string suffix = "/" + std::to_string(outstanding);
      groups_.push_back({"platform" + suffix,
                         {{"capture_off" + suffix,
                           Awake(platform_->pid(), Calls(plain, platform_->pid(), outstanding))},
                          {"capture_on" + suffix,
                           Awake(platform_->pid(), Calls(kept, platform_->pid(), outstanding))}}});
    }
    // It goes on writing events for a while after the last answer.
    SignalTree(platform_->pid(), SIGSTOP);
  }

  void AddPeers() {
    if (!Wanted("peers/1") && !Wanted("peers/8") && !Wanted("peers/64")) return;
    const BenchModel& model = ModelOf("cnn_28");
    const std::shared_ptr<serving::Model> alone =
        OrDie(engine_->LoadBytes(model.onnx), "the model");
    const std::string onnx = folder_.path() / "models/cnn_28/1/model.onnx";
    std::map<std::string, std::vector<std::string>> commands = {
        {"openvino", {self_.string(), "--bare-server", onnx}}};
    for (const auto& [name, command] : options_.peers) {
      commands[name] = {"/bin/sh", "-c", "exec " + command + " '" + onnx + "'"};
    }
    struct Peer {
      std::shared_ptr<Load> load{};
      Error problem{};
    };
    std::map<std::string, Peer> peers;
    for (const auto& [name, command] : commands) {
      Server server;
      server.process = Start(command, name + ".log");
      server.grpc = server.process->ReadLine(kPeerStartLimit).value_or("");
      Peer& peer = peers[name];
      if (server.grpc.empty()) {
        peer.problem = {ErrorCode::kUnavailable,
                        name + " did not start: " + LastLine(name + ".log")};
      } else {
        const bool own_rpc = name == "torchserve";
        peer.load = own_rpc ? GrpcLoad(server.grpc, kTorchServePredictions,
                                       TorchServeRequest(model, "cnn_28"))
                            : GrpcLoad(server.grpc, kInfer, model.Request("cnn_28"));
        const auto right = Check(*peer.load, *alone, own_rpc ? FloatsOfTorchServe : FloatsOf);
        if (!right) {
          peer.load = nullptr;
          peer.problem = right.error();
        }
      }
      if (peer.load == nullptr) {
        std::cerr << "predict_bench: " << name << ": " << peer.problem.message << "\n";
        server.process->Kill(SIGTERM);
      } else {
        // What others do while they are asked nothing is not to be part of any measurement.
        SignalTree(server.process->pid(), SIGSTOP);
      }
      peers_[name] = std::move(server);
    }
    const std::shared_ptr<Load> ours = GrpcLoad(product_.grpc, kInfer, model.Request("cnn_28"));
    for (const int outstanding : kOutstanding) {
      const std::string suffix = "/" + std::to_string(outstanding);
      Group group{"peers" + suffix, {}};
      group.sides.emplace_back("peer/ours" + suffix,
                               Calls(ours, product_.process->pid(), outstanding));
      for (const auto& [name, peer] : peers) {
        group.sides.emplace_back(
            "peer/" + name + suffix,
            peer.load != nullptr
                ? Awake(peers_[name].process->pid(),
                        Calls(peer.load, peers_[name].process->pid(), outstanding))
                : Measure([problem = peer.problem]() -> Result<Values> { return problem; }));
      }
      groups_.push_back(std::move(group));
    }
  }

  /// From the start of the process to its first answer, and what it then holds.
  void AddStart() {
    const fs::path empty = folder_.path() / "empty";
    fs::create_directories(empty);
    // By a process of its own: to fork this one, with its models and clients, takes as long as the
    // server's start.
    const auto start = [this, empty]() -> Result<Values> {
      std::vector<std::string> words = {self_, "--time-start"};
      for (const std::string& word : ServiceWords(empty, {})) words.push_back(word);
      auto process = Start(words, "start.log");
      const auto line = process->ReadLine(kStartLimit);
      process->Wait(milliseconds(10'000));
      Values values{{"took", 0}, {"resident", 0}, {"cpu", 0}};
      std::istringstream numbers(line.value_or(""));
      if (!(numbers >> values["took"] >> values["resident"] >> values["cpu"])) {
        return Error{ErrorCode::kUnavailable, "it did not start"};
      }
      return values;
    };
    groups_.push_back({"start", {{"start", start}}});
  }

  std::string LastLine(const std::string& log) const {
    std::ifstream file(folder_.path() / log);
    std::string line;
    std::string last;
    while (std::getline(file, line)) {
      if (!line.empty()) last = line;
    }
    return last.substr(0, 300);
  }

  const Options options_;
  const fs::path self_ = fs::canonical("/proc/self/exe");
  const testing::TempFolder folder_;
  std::vector<BenchModel> models_;
  std::unique_ptr<serving::Engine> engine_;
  int services_ = 0;
  Server null_;
  Server product_;
  Server quiet_;
  std::unique_ptr<Platform> platform_;
  std::map<std::string, Server> peers_;
  std::vector<Group> groups_;
  Records records_;
};

Options Read(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto equals = word.find('=');
    const std::string key = word.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (key == "--out") {
      options.out = value;
    } else if (key == "--rounds") {
      options.rounds = std::atoi(value.c_str());
    } else if (key == "--burst") {
      options.burst = milliseconds(std::atoi(value.c_str()));
    } else if (key == "--only") {
      options.only = value;
    } else if (key == "--peer" && value.find('=') != std::string::npos) {
      const auto at = value.find('=');
      options.peers.emplace_back(value.substr(0, at), value.substr(at + 1));
    } else {
      Die("unknown word " + word + "\n" + kUsage);
    }
  }
  if (options.out.empty() || options.rounds < 1 || options.burst.count() < 1) Die(kUsage);
  return options;
}

/// Starts a server and prints the seconds to its word that it serves, its memory and its CPU time.
int TimeStart(const std::vector<std::string>& words) {
  testing::SubprocessOptions options;
  options.pipe_stdout = true;
  const auto began = std::chrono::steady_clock::now();
  auto process = OrDie(testing::Subprocess::Start(words, options), words.front());
  const auto line = process.ReadLine(kStartLimit);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  if (!line) return 1;
  std::cout << took.count() << " " << ResidentBytes(process.pid()) << " "
            << CpuSeconds(process.pid()) << std::endl;
  process.Kill(SIGTERM);
  process.Wait(std::chrono::milliseconds(10'000));
  return 0;
}

}  // namespace
}  // namespace tidewheel::bench

int main(int argc, char** argv) {
  using namespace tidewheel::bench;
  if (argc > 2 && std::strcmp(argv[1], "--time-start") == 0) {
    return TimeStart({argv + 2, argv + argc});
  }
  if (argc == 2 && std::strcmp(argv[1], "--null-server") == 0) return ServeNull();
  if (argc == 3 && std::strcmp(argv[1], "--bare-server") == 0) return ServeBare(argv[2]);
  if (argc == 3 && std::strcmp(argv[1], "--registry-server") == 0) return ServeDeployments(argv[2]);
  Bench(Read(argc, argv)).Run();
  return 0;
}
