#include "tidewheel/tests/platform/platform.h"

#include <cstdlib>
#include <fstream>
#include <pqxx/pqxx>
#include <sstream>

#include "tidewheel/rpc/client.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/free_port.h"

namespace tidewheel::tests {
namespace {

using std::chrono::seconds;

constexpr seconds kStartLimit{60};
constexpr int kStarts = 3;  // Ports chosen beforehand may be taken meanwhile.
constexpr std::size_t kLogTold = 4'000;

/// What each service is told beside `listen` and `metrics_listen`.
enum Need : unsigned {
  kPostgres = 1,
  kBus = 2,
  kPayloads = 4,
  kRegistry = 8,
};

struct Description {
  const char* name;
  const char* role;
  unsigned needs;
};

constexpr Description kServices[] = {
    {"model-registry", "tidewheel_registry", kPostgres | kBus | kPayloads},
    {"ingestion", "tidewheel_ingestion", kPostgres | kBus | kPayloads | kRegistry},
    {"labeling", "tidewheel_labeling", kPostgres | kBus | kRegistry},
    {"curation", "tidewheel_curation", kPostgres | kBus | kPayloads | kRegistry},
    {"training", "tidewheel_training", kPostgres | kBus | kPayloads | kRegistry},
    {"monitoring", "tidewheel_monitoring", kPostgres | kBus | kPayloads | kRegistry},
    {"inference", "tidewheel_inference", kBus | kPayloads | kRegistry},
    {"console", "tidewheel_console", kRegistry},
};

const Description& Describe(const std::string& service) {
  for (const auto& description : kServices) {
    if (service == description.name) return description;
  }
  std::abort();
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string Loopback(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

}  // namespace

std::filesystem::path ProgramFolder() {
  const char* folder = std::getenv("TIDEWHEEL_BINARY_DIR");
  return std::filesystem::path(folder != nullptr ? folder : ".") / "bin";
}

Result<std::unique_ptr<Platform>> Platform::Start(PlatformOptions options) {
  for (int attempt = 1;; ++attempt) {
    std::unique_ptr<Platform> platform(new Platform(options));
    if (auto started = platform->StartServers(); !started) return started.error();
    auto launched = platform->LaunchAll();
    if (launched) return platform;
    const bool taken = launched.error().message.find("ddress") != std::string::npos;
    if (!taken || attempt == kStarts) return launched.error();
  }
}

Platform::~Platform() {
  for (auto& service : services_) {
    if (service.process) service.process->Kill(SIGTERM);
  }
  for (auto& service : services_) {
    if (service.process && !service.process->Wait(seconds(20))) {
      ADD_FAILURE() << service.name
                    << " did not stop within 20 s of SIGTERM: " << Log(service.name);
    }
  }
}

Result<void> Platform::StartServers() {
  testing::PostgresServerOptions durable;
  durable.durable = true;
  durable.max_connections = 200;
  auto postgres = testing::PostgresServer::Start(durable);
  if (!postgres) return postgres.error();
  postgres_ = *std::move(postgres);
  auto database = postgres_->CreateDatabase(/*bootstrapped=*/false);
  if (!database) return database.error();
  database_ = *database;
  if (!options_.kafka) return {};
  auto kafka = testing::KafkaBroker::Start();
  if (!kafka) return kafka.error();
  kafka_ = *std::move(kafka);
  return {};
}

Result<void> Platform::LaunchAll() {
  for (const auto& description : kServices) {
    services_.push_back({description.name, testing::FreePort(), testing::FreePort(), {}});
    const bool keeps_data = (description.needs & kPostgres) != 0;
    if (!keeps_data) continue;
    if (auto migrated = Migrate(description.name); !migrated) return migrated;
  }
  for (auto& service : services_) {
    if (auto launched = Launch(service); !launched) return launched;
    // The others ask the registry from their first moment on.
    if (service.name == "model-registry") {
      if (auto ready = WaitUntilReady(service); !ready) return ready;
    }
  }
  for (auto& service : services_) {
    if (auto ready = WaitUntilReady(service); !ready) return ready;
  }
  return WriteFile();
}

Result<void> Platform::Migrate(const std::string& service) {
  const auto end = RunProgram({"tidewheel-" + service, "--migrate"}, kStartLimit,
                              {{"TIDEWHEEL_ADMIN_DSN", database_.admin_dsn}});
  if (end.status == 0) return {};
  return Error{ErrorCode::kInternal,
               service + " --migrate ended with " + std::to_string(end.status) + ": " + end.errors};
}

std::map<std::string, std::string> Platform::SettingsOf(const Service& service) const {
  const Description& description = Describe(service.name);
  const std::string dsn = database_.DsnOf(description.role);
  std::map<std::string, std::string> settings = {
      {"listen", Loopback(service.port)}, {"metrics_listen", Loopback(service.metrics_port)}};
  if ((description.needs & kPostgres) != 0) settings["postgres.dsn"] = dsn;
  if ((description.needs & kBus) != 0) {
    settings["bus.driver"] = options_.kafka ? "kafka" : "postgres";
    settings[options_.kafka ? "bus.brokers" : "bus.dsn"] =
        options_.kafka ? kafka_->bootstrap_servers() : dsn;
  }
  if ((description.needs & kPayloads) != 0) {
    settings["payloads.root"] = (folder_.path() / "payloads").string();
  }
  if ((description.needs & kRegistry) != 0) {
    settings["registry.address"] = AddressOf("model-registry");
  }
  const auto knows = [&](std::initializer_list<const char*> others) {
    for (const char* other : others) settings[std::string(other) + ".address"] = AddressOf(other);
  };
  if (service.name == "curation") knows({"training", "monitoring"});
  if (service.name == "console") {
    knows({"ingestion", "labeling", "curation", "training", "inference", "monitoring"});
  }
  if (service.name == "training") {
    knows({"monitoring", "labeling", "curation"});
    settings["worker.folder"] = (folder_.path() / "runs").string();
  }
  if (service.name == "inference") {
    settings["spill.folder"] = (folder_.path() / "spill").string();
  }
  const auto further = options_.settings.find(service.name);
  if (further != options_.settings.end()) {
    for (const auto& [key, value] : further->second) settings[key] = value;
  }
  return settings;
}

Result<void> Platform::Launch(Service& service) {
  std::vector<std::string> argv = {(ProgramFolder() / ("tidewheel-" + service.name)).string(),
                                   "--ready-file", ReadyFile(service.name).string()};
  for (const auto& [key, value] : SettingsOf(service)) {
    argv.push_back("--set");
    argv.push_back(key + "=" + value);
  }
  std::error_code ignored;
  std::filesystem::remove(ReadyFile(service.name), ignored);
  testing::SubprocessOptions options;
  options.environment = {{"OMP_NUM_THREADS", "1"}};
  options.folder = folder_.path();
  options.stdout_file = "/dev/null";
  options.stderr_file = LogFile(service.name);
  auto process = testing::Subprocess::Start(argv, options);
  // A program that was not built is a failure, not a reason to skip.
  if (!process) return Error{ErrorCode::kInternal, process.error().message};
  service.process = *std::move(process);
  return {};
}

Result<void> Platform::WaitUntilReady(Service& service) {
  const bool decided = testing::Eventually(kStartLimit, [&] {
    return std::filesystem::exists(ReadyFile(service.name)) || !service.process->Running();
  });
  if (!decided || !service.process->Running()) {
    return Error{ErrorCode::kInternal,
                 service.name + (decided ? " ended" : " is not ready") + ": " + Log(service.name)};
  }
  auto serving = rpc::WaitUntilServing(Loopback(service.port), kStartLimit);
  if (!serving) {
    return Error{ErrorCode::kInternal,
                 service.name + ": " + serving.error().message + ": " + Log(service.name)};
  }
  return {};
}

Result<void> Platform::WriteFile() const {
  std::ofstream out(file(), std::ios::trunc);
  out << "{\"services\": {";
  for (std::size_t i = 0; i < services_.size(); ++i) {
    out << (i == 0 ? "" : ", ") << '"' << services_[i].name << R"(": {"grpc": ")"
        << Loopback(services_[i].port) << R"(", "metrics": ")"
        << Loopback(services_[i].metrics_port) << "\"}";
  }
  out << "}}\n";
  out.flush();
  if (!out) return Error{ErrorCode::kUnavailable, file().string() + " cannot be written"};
  return {};
}

std::string Platform::AddressOf(const std::string& service) const {
  return Loopback(Find(service).port);
}

std::string Platform::MetricsAddressOf(const std::string& service) const {
  return Loopback(Find(service).metrics_port);
}

cli::Platform Platform::Client(std::chrono::milliseconds deadline) const {
  cli::Platform::Options options;
  options.file = file().string();
  options.deadline = deadline;
  return cli::Platform(options);
}

void Platform::Kill(const std::string& service) {
  auto& process = Find(service).process;
  if (!process) return;
  process->Kill(SIGKILL);
  process->Wait(seconds(10));
  process.reset();
}

Result<void> Platform::Restart(const std::string& service) {
  Service& found = Find(service);
  if (auto launched = Launch(found); !launched) return launched;
  return WaitUntilReady(found);
}

bool Platform::Running(const std::string& service) {
  auto& process = Find(service).process;
  return process && process->Running();
}

std::uint64_t Platform::PeakMemory(const std::string& service) const {
  const auto& process = Find(service).process;
  if (!process) return 0;
  std::istringstream status(ReadFile("/proc/" + std::to_string(process->pid()) + "/status"));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1'024;
  }
  return 0;
}

std::string Platform::Log(const std::string& service) const {
  std::string log = ReadFile(LogFile(service));
  if (log.size() > kLogTold) log.erase(0, log.size() - kLogTold);
  return log;
}

Result<std::string> Platform::Ask(const std::string& sql) const {
  try {
    pqxx::connection connection(database_.admin_dsn);
    pqxx::read_transaction transaction(connection);
    const auto rows = transaction.exec(sql);
    if (rows.empty() || rows[0][0].is_null()) return std::string();
    return std::string(rows[0][0].c_str());
  } catch (const std::exception& failure) {
    return Error{ErrorCode::kInternal, sql + ": " + failure.what()};
  }
}

std::filesystem::path Platform::LogFile(const std::string& service) const {
  return folder_.path() / (service + ".log");
}

std::filesystem::path Platform::ReadyFile(const std::string& service) const {
  return folder_.path() / (service + ".ready");
}

Platform::Service& Platform::Find(const std::string& service) {
  for (auto& candidate : services_) {
    if (candidate.name == service) return candidate;
  }
  std::abort();  // A test that names no service.
}

const Platform::Service& Platform::Find(const std::string& service) const {
  return const_cast<Platform*>(this)->Find(service);
}

ProgramEnd RunProgram(std::vector<std::string> argv, std::chrono::milliseconds at_most,
                      const std::map<std::string, std::string>& environment) {
  if (argv.front().find('/') == std::string::npos) {
    argv.front() = (ProgramFolder() / argv.front()).string();
  }
  const testing::TempFolder folder;
  testing::SubprocessOptions options;
  options.environment = environment;
  options.stdout_file = folder.path() / "output";
  options.stderr_file = folder.path() / "errors";
  auto process = testing::Subprocess::Start(argv, options);
  if (!process) return {-1, "", process.error().message};
  const auto status = process->Wait(at_most * testing::Patience());
  if (!status) process->Kill();
  return {status.value_or(-1), ReadFile(options.stdout_file), ReadFile(options.stderr_file)};
}

void PlatformTest::StartPlatform(PlatformOptions options) {
  auto platform = Platform::Start(std::move(options));
  if (!platform && platform.error().code == ErrorCode::kNotFound) {
    GTEST_SKIP() << platform.error().message;
  }
  ASSERT_TRUE(platform.ok()) << platform.error().message;
  platform_ = *std::move(platform);
}

void PlatformTest::TearDown() {
  if (!platform_ || !HasFailure()) return;
  for (const auto& service : cli::ServiceNames()) {
    std::fprintf(stderr, "---- the end of the log of %s ----\n%s\n", service.c_str(),
                 platform_->Log(service).c_str());
  }
}

}  // namespace tidewheel::tests
