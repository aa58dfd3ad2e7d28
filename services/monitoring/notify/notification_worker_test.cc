#include "tidewheel/monitoring/notify/notification_worker.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <simdjson.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/monitoring/notify/alert_message.h"
#include "tidewheel/monitoring/storage/alert_postgres_store.h"
#include "tidewheel/monitoring/storage/testing/storage_test.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/free_port.h"
#include "tidewheel/testing/subprocess.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::monitoring {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using tidewheel::testing::Eventually;

int Connect(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

/// The body of an answer to GET; empty when nobody answers.
std::string Get(std::uint16_t port, const std::string& path) {
  const int fd = Connect(port);
  if (fd < 0) return "";
  const std::string request =
      "GET " + path + " HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) {
    ::close(fd);
    return "";
  }
  std::string answer;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
    answer.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(fd);
  const auto body = answer.find("\r\n\r\n");
  return body == std::string::npos ? "" : answer.substr(body + 4);
}

/// A real HTTP server of one thread that keeps what it is sent.
class WebhookServer {
 public:
  WebhookServer() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](std::stop_token stop) { Serve(stop); });
  }
  ~WebhookServer() {
    thread_.request_stop();
    thread_.join();
    ::close(listener_);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/hook"; }
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  std::atomic<int> status = 200;

 private:
  void Serve(std::stop_token stop) {
    while (!stop.stop_requested()) {
      pollfd ready{listener_, POLLIN, 0};
      if (::poll(&ready, 1, 20) <= 0) continue;
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      std::string request;
      char buffer[4096];
      std::size_t wanted = std::string::npos;
      while (request.size() < wanted) {
        const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0) break;
        request.append(buffer, static_cast<std::size_t>(got));
        const auto head = request.find("\r\n\r\n");
        const auto length = request.find("Content-Length: ");
        if (head != std::string::npos && length != std::string::npos) {
          wanted = head + 4 + std::stoul(request.substr(length + 16));
        }
      }
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      const std::string answer = "HTTP/1.1 " + std::to_string(status.load()) +
                                 " x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      (void)!::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::close(fd);
    }
  }

  int listener_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;  // Guards requests_.
  std::vector<std::string> requests_;
  std::jthread thread_;
};

Alert MakeAlert() {
  Alert alert;
  alert.id = NewUuid();
  alert.model = {"lights", "model-1"};
  alert.diagnosis.cause = "data_drift";
  alert.diagnosis.title = "a \"title\"\nof two lines";
  alert.diagnosis.damage = 0.25;
  Finding finding;
  finding.id = NewUuid();
  finding.model = alert.model;
  finding.subject = "aspect";
  finding.method = "ks";
  alert.diagnosis.findings = {finding};
  alert.diagnosis.telling_predictions = {"r-1#0"};
  alert.raised_at = SystemClock().Now();
  alert.updated_at = alert.raised_at;
  return alert;
}

TEST(AlertMessageTest, BothFormsAreJson) {
  Alert alert = MakeAlert();
  simdjson::dom::parser parser;

  simdjson::dom::element hook;
  ASSERT_EQ(parser.parse(WebhookJson(alert, AlertChange::kRaised)).get(hook), simdjson::SUCCESS);
  EXPECT_EQ(std::string_view(hook["event"]), "alert.raised");
  EXPECT_EQ(std::string_view(hook["title"]), alert.diagnosis.title);
  EXPECT_DOUBLE_EQ(double(hook["damage"]), 0.25);
  EXPECT_EQ(std::string_view(hook["findings"].at(0)["subject"]), "aspect");

  alert.resolved_at = alert.raised_at;
  simdjson::dom::element posted;
  ASSERT_EQ(parser.parse(AlertmanagerJson({&alert, 1})).get(posted), simdjson::SUCCESS);
  EXPECT_EQ(std::string_view(posted.at(0)["labels"]["cause"]), "data_drift");
  EXPECT_EQ(std::string_view(posted.at(0)["endsAt"]), FormatUtc(*alert.resolved_at));
}

class NotificationWorkerTest : public StorageTest {
 protected:
  void Open(std::vector<std::string> targets) {
    store_ = std::make_unique<PostgresAlertStore>(
        *pool_, [targets = std::move(targets)](const Alert& alert, AlertChange change) {
          std::vector<NotificationDraft> drafts;
          for (const auto& target : targets) {
            drafts.push_back({target, target == kAlertmanagerTarget ? AlertmanagerJson({&alert, 1})
                                                                    : WebhookJson(alert, change)});
          }
          return drafts;
        });
  }
  void Save(const Alert& alert, AlertChange change) {
    const auto saved = store_->InTask(
        "lights", [&](AlertLedger& ledger) { return ledger.Save(alert, change, clock_.Now()); });
    ASSERT_TRUE(saved.ok()) << saved.error().message;
  }
  static NotificationWorker::Options Quick(const std::string& alertmanager = "") {
    NotificationWorker::Options options;
    options.alertmanager_url = alertmanager;
    options.look = milliseconds(20);
    options.first_pause = milliseconds(20);
    options.longest_pause = milliseconds(100);
    return options;
  }

  const SystemClock clock_;
  CurlPoster poster_{seconds(5)};
  std::unique_ptr<PostgresAlertStore> store_;
};

TEST_F(NotificationWorkerTest, AWebhookHearsOfEveryChangeWithAKeyThatRepeatsShare) {
  WebhookServer server;
  server.status = 503;
  Open({server.url()});
  Alert alert = MakeAlert();
  Save(alert, AlertChange::kRaised);

  {
    const NotificationWorker worker(*store_, *store_, poster_, clock_, Quick());
    ASSERT_TRUE(Eventually(seconds(20), [&] { return server.requests().size() >= 3; }));
  }
  server.status = 200;
  const std::size_t refused = server.requests().size();
  alert.state = AlertState::kResolved;
  alert.resolved_at = clock_.Now();
  Save(alert, AlertChange::kResolved);
  // Another copy of the service goes on where the first ended, once its lease is over.
  ASSERT_TRUE(pool_
                  ->InTransaction([](pqxx::work& tx) -> Result<void> {
                    tx.exec0("UPDATE notifications SET due_at = now()");
                    return {};
                  })
                  .ok());
  const NotificationWorker worker(*store_, *store_, poster_, clock_, Quick());
  ASSERT_TRUE(Eventually(seconds(20), [&] { return server.requests().size() >= refused + 2; }));

  const auto requests = server.requests();
  for (std::size_t i = 0; i <= refused; ++i) {
    EXPECT_THAT(requests[i], HasSubstr("POST /hook HTTP/1.1"));
    EXPECT_THAT(requests[i], HasSubstr("Idempotency-Key: " + alert.id + "/raised\r\n"));
    EXPECT_THAT(requests[i], HasSubstr("\"event\":\"alert.raised\""));
  }
  EXPECT_THAT(requests.back(), HasSubstr("Idempotency-Key: " + alert.id + "/resolved\r\n"));
  EXPECT_TRUE(Eventually(seconds(10), [&] {
    return store_->Take(clock_.Now() + seconds(3'600), seconds(1), 10)->empty();
  }));
  EXPECT_EQ(server.requests().size(), refused + 2);
}

TEST_F(NotificationWorkerTest, WhatIsRefusedForGoodIsGivenUp) {
  WebhookServer server;
  server.status = 404;
  Open({server.url(), "ftp://127.0.0.1/", "not a url"});
  Save(MakeAlert(), AlertChange::kRaised);
  struct Seen final : Counter {
    void Add(double amount) override { value = value + amount; }
    std::atomic<double> value = 0;
  } abandoned;

  const NotificationWorker worker(*store_, *store_, poster_, clock_, Quick(),
                                  {.abandoned = abandoned});

  EXPECT_TRUE(Eventually(seconds(20), [&] { return abandoned.value >= 3; }));
  EXPECT_THAT(server.requests(), SizeIs(1));
}

TEST_F(NotificationWorkerTest, ARealAlertmanagerShowsTheAlertUntilItIsResolved) {
  const tidewheel::testing::TempFolder folder;
  std::ofstream(folder.path() / "alertmanager.yml") << "route: {receiver: none}\n"
                                                       "receivers: [{name: none}]\n";
  std::optional<tidewheel::testing::Subprocess> server;
  std::uint16_t port = 0;
  for (int attempt = 0; attempt < 5; ++attempt) {
    port = tidewheel::testing::FreePort();
    tidewheel::testing::SubprocessOptions options;
    options.stderr_file = "/dev/null";
    options.stdout_file = "/dev/null";
    auto started = tidewheel::testing::Subprocess::Start(
        {"prometheus-alertmanager",
         "--config.file=" + (folder.path() / "alertmanager.yml").string(),
         "--storage.path=" + folder.path().string(),
         "--web.listen-address=127.0.0.1:" + std::to_string(port), "--cluster.listen-address="},
        options);
    if (!started && started.error().code == ErrorCode::kNotFound) {
      GTEST_SKIP() << "no Alertmanager; ./tidewheel setup --test installs Debian's "
                      "prometheus-alertmanager";
    }
    ASSERT_TRUE(started.ok()) << started.error().message;
    server = *std::move(started);
    if (Eventually(seconds(20),
                   [&] { return !Get(port, "/-/ready").empty() || !server->Running(); }) &&
        server->Running()) {
      break;
    }
  }
  ASSERT_TRUE(server->Running());
  const auto shown = [&] { return Get(port, "/api/v2/alerts?active=true"); };
  Open({kAlertmanagerTarget});
  Alert alert = MakeAlert();
  Save(alert, AlertChange::kRaised);

  auto options = Quick("http://127.0.0.1:" + std::to_string(port));
  options.refresh = milliseconds(100);
  const NotificationWorker worker(*store_, *store_, poster_, clock_, options);

  ASSERT_TRUE(Eventually(seconds(20), [&] { return shown().find(alert.id) != std::string::npos; }))
      << shown();
  simdjson::dom::parser parser;
  simdjson::dom::element alerts;
  const simdjson::padded_string text(shown());
  ASSERT_EQ(parser.parse(text).get(alerts), simdjson::SUCCESS) << shown();
  EXPECT_EQ(std::string_view(alerts.at(0)["annotations"]["summary"]), alert.diagnosis.title);
  EXPECT_EQ(std::string_view(alerts.at(0)["status"]["state"]), "active");

  alert.state = AlertState::kResolved;
  alert.resolved_at = clock_.Now();
  Save(alert, AlertChange::kResolved);

  EXPECT_TRUE(Eventually(seconds(20), [&] { return shown().find(alert.id) == std::string::npos; }))
      << shown();
}

}  // namespace
}  // namespace tidewheel::monitoring
