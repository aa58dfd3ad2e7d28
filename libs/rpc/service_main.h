#pragma once

#include <concepts>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/base/shutdown_signal.h"
#include "tidewheel/config/reader.h"
#include "tidewheel/log/log.h"

namespace tidewheel::rpc {

/// Where a running service can be reached: {"grpc": "127.0.0.1:40001", "metrics":
/// "127.0.0.1:40002"}.
using Addresses = std::map<std::string, std::string>;

/// The words every service understands:
///   --config FILE      settings; TIDEWHEEL_<SERVICE>_... goes before them
///   --set KEY=VALUE    one setting, before both; may be repeated
///   --ready-file PATH  written in one step when the service serves, taken away when it stops
///   --migrate          brings the schema up to date and ends
///   --check-config     reports every problem of the settings, or prints what holds, and ends
///   --version, --help
class ServiceLaunch {
 public:
  /// `service` is "model-registry"; its prefix is then TIDEWHEEL_MODEL_REGISTRY.
  ServiceLaunch(std::string_view service, int argc, char** argv);

  /// Reads the settings through `read`, starts the log and logs what holds; the process may then
  /// have as many open files as it is allowed. A value is main's exit code: there is nothing more
  /// to do (0), or a problem, already printed (1; 2 when the command line is wrong).
  std::optional<int> Configure(const std::function<void(config::Reader&)>& read);

  bool migrate() const { return migrate_; }
  /// Logs the outcome of the migration and gives the exit code.
  int Migrated(const Result<void>& outcome) const;

  /// Announces that the service serves: the ready file and one JSON line on stdout.
  /// kUnavailable: the ready file cannot be written.
  Result<void> Ready(const Addresses& addresses) const;
  /// Logs the signal and takes the ready file away.
  void Stopping(int signal) const;

 private:
  std::string service_;
  std::vector<std::string> arguments_;
  std::string ready_file_;
  bool migrate_ = false;
};

template <typename C>
concept ServiceConfig = std::default_initializable<C> && requires(C config, config::Reader reader) {
  /// Registers every member; problems stay in the reader.
  config.Read(reader);
};

template <typename A, typename C>
concept ServiceApp = std::constructible_from<A, const C&> && requires(A app, const A& running) {
  /// Checks what it needs, then opens its ports.
  { app.Start() } -> std::same_as<Result<void>>;
  { running.addresses() } -> std::convertible_to<Addresses>;
};

/// All of a service's main: signals, settings, the App, ready, wait; `~App` is the orderly end.
///   int main(int argc, char** argv) {
///     return rpc::ServiceMain<ingestion::Config, ingestion::App>("ingestion", argc, argv,
///     ingestion::Migrate);
///   }
template <ServiceConfig Config, ServiceApp<Config> App>
int ServiceMain(std::string_view service, int argc, char** argv,
                const std::function<Result<void>(const Config&)>& migrate = nullptr) {
  const ShutdownSignal shutdown;  // First: every thread must inherit its signal mask.
  ServiceLaunch launch(service, argc, argv);
  Config config;
  if (const auto code = launch.Configure([&](config::Reader& reader) { config.Read(reader); })) {
    return *code;
  }
  if (launch.migrate()) return launch.Migrated(migrate ? migrate(config) : Result<void>());

  App app(config);
  if (const auto started = app.Start(); !started) return log::Fatal(started.error());
  if (const auto ready = launch.Ready(app.addresses()); !ready) return log::Fatal(ready.error());
  launch.Stopping(shutdown.Wait());
  return 0;
}

}  // namespace tidewheel::rpc
