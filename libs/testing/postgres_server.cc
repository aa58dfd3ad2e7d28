#include "tidewheel/testing/postgres_server.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

#include "tidewheel/postgres/bootstrap.h"
#include "tidewheel/postgres/dsn.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/testing/eventually.h"

namespace tidewheel::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kStartTimeout{30'000};

std::string ReadFile(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// State and parent of a process as /proc says; nothing when there is none.
struct ProcessState {
  char state = 'X';
  pid_t parent = 0;
};
std::optional<ProcessState> StateOf(pid_t pid) {
  const std::string stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream rest(stat.substr(name_end + 1));
  ProcessState found;
  rest >> found.state >> found.parent;
  return found;
}

bool Gone(pid_t pid) {
  const auto found = StateOf(pid);
  return !found || found->state == 'Z' || found->state == 'X';
}

std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    const auto found = StateOf(pid);
    if (found && found->parent == parent) children.push_back(pid);
  }
  return children;
}

/// Waits for the other end of a pipe to close, then ends the server and removes its folder.
pid_t StartReaper(const std::filesystem::path& folder, int& write_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
  const std::string script = "read -r nothing; pid=$(head -n 1 '" + folder.string() +
                             "/data/postmaster.pid' 2>/dev/null); " +
                             "if [ -n \"$pid\" ]; then kill -QUIT $pid; i=0; " +
                             "while kill -0 $pid && [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); done; "
                             "fi 2>/dev/null; rm -rf '" +
                             folder.string() + "'";
  const pid_t pid = fork();
  if (pid < 0) std::abort();
  if (pid == 0) {
    setsid();  // Ctrl-C ends the test; the reaper still has work to do then.
    dup2(ends[0], STDIN_FILENO);
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execl("/bin/sh", "sh", "-c", script.c_str(), nullptr);
    _exit(127);
  }
  close(ends[0]);
  write_end = ends[1];
  return pid;
}

}  // namespace

std::string TestDatabase::DsnOf(std::string_view role) const {
  return postgres::WithParameter(admin_dsn, "user", role);
}

PostgresServer::PostgresServer(const PostgresServerOptions& options, std::filesystem::path binaries)
    : options_(options), binaries_(std::move(binaries)), socket_folder_(folder_.path().string()) {
  if (geteuid() == 0) {
    const passwd* user = getpwnam("postgres");
    if (user == nullptr) user = getpwnam("nobody");
    if (user != nullptr) {
      user_ = user->pw_uid;
      group_ = user->pw_gid;
    }
  }
  reaper_ = StartReaper(folder_.path(), reaper_fd_);
}

Result<std::unique_ptr<PostgresServer>> PostgresServer::Start(
    const PostgresServerOptions& options) {
  const char* set = std::getenv("TIDEWHEEL_POSTGRES_BIN");
  const std::filesystem::path binaries = set != nullptr ? set : "/usr/lib/postgresql/15/bin";
  if (!std::filesystem::exists(binaries / "postgres")) {
    return Error{ErrorCode::kNotFound, "PostgreSQL 15 is not installed in " + binaries.string()};
  }
  std::unique_ptr<PostgresServer> server(new PostgresServer(options, binaries));
  if (const auto made = server->Initialize(); !made) return made.error();
  if (const auto started = server->Restart(); !started) return started.error();
  return server;
}

PostgresServer::~PostgresServer() {
  if (server_) {
    // Nobody will read the data again.
    server_->Kill(SIGQUIT);
    if (!server_->Wait(seconds(10))) Kill();
  }
  close(reaper_fd_);
  waitpid(reaper_, nullptr, 0);
}

SubprocessOptions PostgresServer::AsServerUser() const {
  return {.folder = folder_.path(),
          .stdout_file = folder_.path() / "log",
          .stderr_file = folder_.path() / "log",
          .user = user_,
          .group = group_,
          .signal_at_parent_death = SIGQUIT};
}

Result<void> PostgresServer::Initialize() {
  std::ofstream(folder_.path() / "log").flush();
  if (user_ && (chown(folder_.path().c_str(), *user_, *group_) != 0 ||
                chown((folder_.path() / "log").c_str(), *user_, *group_) != 0)) {
    return Error{ErrorCode::kInternal,
                 "cannot give " + folder_.path().string() + " to another user"};
  }
  auto initdb = Subprocess::Start(
      {(binaries_ / "initdb").string(), "-D", folder_.path() / "data", "-U", "postgres", "-A",
       "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"},
      AsServerUser());
  if (!initdb) return initdb.error();
  if (initdb->Wait(kStartTimeout) != 0) {
    return Error{ErrorCode::kInternal, "initdb failed: " + Log()};
  }
  return {};
}

Result<void> PostgresServer::Restart() {
  const char* durable = options_.durable ? "on" : "off";
  auto started = Subprocess::Start(
      {(binaries_ / "postgres").string(), "-D", folder_.path() / "data", "-c",
       "listen_addresses=", "-c", "unix_socket_directories=" + socket_folder_, "-c",
       std::string("fsync=") + durable, "-c", std::string("full_page_writes=") + durable, "-c",
       "shared_buffers=64MB", "-c", "max_connections=" + std::to_string(options_.max_connections),
       "-c", "timezone=UTC", "-c", "log_timezone=UTC"},
      AsServerUser());
  if (!started) return started.error();
  server_.emplace(std::move(*started));

  postgres::Pool pool({.dsn = Dsn("postgres"), .connections = 1});
  // The server writes its state into this file; asking it before costs it a process each time.
  const auto ready = [&] {
    return ReadFile(folder_.path() / "data/postmaster.pid").find("\nready") != std::string::npos &&
           pool.Ping().ok();
  };
  const bool up = Eventually(kStartTimeout, [&] { return !server_->Running() || ready(); });
  if (!up || !server_->Running()) {
    return Error{ErrorCode::kInternal, "PostgreSQL did not start: " + Log()};
  }
  return {};
}

void PostgresServer::Stop() {
  if (!server_) return;
  server_->Kill(SIGINT);
  if (!server_->Wait(seconds(30))) Kill();
  server_.reset();
}

void PostgresServer::Kill() {
  if (!server_) return;
  // Stopped first, so that it starts no process while we look at what it has.
  server_->Kill(SIGSTOP);
  const std::vector<pid_t> children = ChildrenOf(server_->pid());
  for (const pid_t child : children) kill(child, SIGKILL);
  server_->Kill(SIGKILL);
  server_->Wait(seconds(10));
  server_.reset();
  for (const pid_t child : children) {
    Eventually(seconds(10), [&] { return Gone(child); });
  }
}

std::string PostgresServer::Dsn(std::string_view database) const {
  return "host=" + socket_folder_ + " user=postgres dbname=" + std::string(database);
}

Result<TestDatabase> PostgresServer::CreateDatabase(bool bootstrapped) {
  TestDatabase database;
  database.name = "test_" + std::to_string(++databases_);
  database.admin_dsn = Dsn(database.name);
  try {
    pqxx::connection connection(Dsn("postgres"));
    pqxx::nontransaction statement(connection);
    statement.exec("CREATE DATABASE " + database.name + " TEMPLATE template0");
  } catch (const std::exception& failure) {
    return Error{ErrorCode::kInternal, "cannot make a database: " + std::string(failure.what())};
  }
  if (bootstrapped) {
    if (const auto ready = postgres::Bootstrap(database.admin_dsn); !ready) return ready.error();
  }
  return database;
}

std::string PostgresServer::Log() const { return ReadFile(folder_.path() / "log"); }

Result<PostgresServer*> SharedPostgresServer() {
  static const auto server = PostgresServer::Start();
  if (!server) return server.error();
  return server->get();
}

void PostgresTest::SetUp() {
  const auto server = SharedPostgresServer();
  if (!server && server.error().code == ErrorCode::kNotFound)
    GTEST_SKIP() << server.error().message;
  ASSERT_TRUE(server.ok()) << server.error().message;
  auto database = (*server)->CreateDatabase();
  ASSERT_TRUE(database.ok()) << database.error().message;
  database_ = *database;
}

}  // namespace tidewheel::testing
