// The whole service in this process, over HTTP and gRPC, with fake services behind real gRPC
// servers.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tidewheel/console/app.h"
#include "tidewheel/console/testing/raw_http.h"
#include "tidewheel/ingestion/v1/ingestion_service.grpc.pb.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/training/v1/cycle_service.grpc.pb.h"
#include "tidewheel/training/v1/training_service.grpc.pb.h"

namespace tidewheel::console {
namespace {

using grpc::ServerContext;
using grpc::Status;
using grpc::StatusCode;
using namespace std::chrono_literals;

class FakeRegistry final : public model_registry::v1::ModelRegistryService::Service {
 public:
  Status ListTasks(ServerContext* context, const model_registry::v1::ListTasksRequest* request,
                   model_registry::v1::ListTasksResponse* response) override {
    const auto header = context->client_metadata().find("traceparent");
    if (header != context->client_metadata().end()) {
      traceparent = std::string(header->second.data(), header->second.size());
    }
    page_size = request->page_size();
    response->add_tasks()->mutable_spec()->set_name("<b>hostile</b>");
    return Status::OK;
  }
  Status GetTask(ServerContext*, const model_registry::v1::GetTaskRequest* request,
                 model_registry::v1::GetTaskResponse*) override {
    return {StatusCode::NOT_FOUND, "no task \"" + request->name() + "\""};
  }
  Status PromoteModelVersion(ServerContext*,
                             const model_registry::v1::PromoteModelVersionRequest* request,
                             model_registry::v1::PromoteModelVersionResponse* response) override {
    ++promotions;
    response->mutable_deployment()->mutable_production()->set_model_version_id(
        request->model_version_id());
    return Status::OK;
  }
  Status SignOff(ServerContext*, const model_registry::v1::SignOffRequest* request,
                 model_registry::v1::SignOffResponse* response) override {
    if (!request->approved() && request->reason().empty()) {
      return {StatusCode::INVALID_ARGUMENT, "who refuses says why"};
    }
    response->mutable_record()->set_role(request->role());
    response->mutable_record()->set_actor(request->actor());
    return Status::OK;
  }
  std::string traceparent;
  std::atomic<int> page_size = -1;
  std::atomic<int> promotions = 0;
};

class FakeIngestion final : public ingestion::v1::IngestionService::Service {
 public:
  Status GetSamplePayload(ServerContext*, const ingestion::v1::GetSamplePayloadRequest* request,
                          ingestion::v1::GetSamplePayloadResponse* response) override {
    if (request->sample_id() == "none") return {StatusCode::NOT_FOUND, "no such sample"};
    response->set_payload(std::string("\xFF\xD8\0picture", 10));
    response->set_content_type(request->sample_id() == "html" ? "text/html" : "image/jpeg");
    return Status::OK;
  }
};

class FakeTraining final : public training::v1::TrainingService::Service {
 public:
  Status WatchRun(ServerContext* context, const training::v1::WatchRunRequest* request,
                  grpc::ServerWriter<training::v1::WatchRunResponse>* writer) override {
    training::v1::WatchRunResponse response;
    response.mutable_run()->set_run_id(request->run_id());
    if (request->run_id() == "none") return {StatusCode::NOT_FOUND, "no such run"};
    writer->Write(response);
    if (request->run_id() == "broken") return {StatusCode::UNAVAILABLE, "restarting"};
    watched = true;
    while (request->run_id() == "endless" && !context->IsCancelled())
      std::this_thread::sleep_for(5ms);
    if (context->IsCancelled()) cancelled = true;
    response.mutable_run()->set_state(training::v1::RUN_STATE_SUCCEEDED);
    writer->Write(response);
    return Status::OK;
  }
  std::atomic<bool> watched = false;
  std::atomic<bool> cancelled = false;
};

/// A second service of training's package.
class FakeCycles final : public training::v1::CycleService::Service {
 public:
  Status GetCycle(ServerContext*, const training::v1::GetCycleRequest* request,
                  training::v1::GetCycleResponse* response) override {
    response->mutable_cycle()->set_cycle_id(request->cycle_id());
    response->mutable_cycle()->set_state(training::v1::CYCLE_STATE_CANARY);
    response->mutable_cycle()->add_criteria()->set_difference(0.25);
    return Status::OK;
  }
  Status PauseCycle(ServerContext*, const training::v1::PauseCycleRequest* request,
                    training::v1::PauseCycleResponse* response) override {
    ++changes;
    actor = request->actor();
    response->mutable_cycle()->set_paused(true);
    return Status::OK;
  }
  Status CancelCycle(ServerContext*, const training::v1::CancelCycleRequest* request,
                     training::v1::CancelCycleResponse* response) override {
    if (request->cycle_id() == "ended") {
      return {StatusCode::FAILED_PRECONDITION, "cycle ended has been promoted"};
    }
    ++changes;
    response->mutable_cycle()->set_reason(request->actor() + ": " + request->reason());
    return Status::OK;
  }
  std::atomic<int> changes = 0;
  std::string actor;
};

class ConsoleTest : public ::testing::Test {
 protected:
  ConsoleTest() {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&registry_);
    builder.RegisterService(&ingestion_);
    builder.RegisterService(&training_);
    builder.RegisterService(&cycles_);
    server_ = builder.BuildAndStart();
    // The console's own server brings a health service of its own.
    grpc::EnableDefaultHealthCheckService(false);
    const std::string address = "127.0.0.1:" + std::to_string(port);
    Config config;
    for (const char* service :
         {"model-registry", "ingestion", "training", "labeling", "curation", "inference"}) {
      config.backends[service] = address;
    }
    config.backends["monitoring"] = "127.0.0.1:1";
    config.http_max_body = 10'000;
    config.call_deadline = 5s;
    app_ = std::make_unique<App>(config);
    const auto started = app_->Start();
    EXPECT_TRUE(started) << started.error().message;
    http_ = app_->addresses().at("http");
  }

  struct Answer {
    int status = 0;
    std::string head;
    std::string body;
    google::protobuf::Struct json() const {
      google::protobuf::Struct object;
      EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(body, &object).ok()) << body;
      return object;
    }
    std::string error() const {
      const auto object = json();
      const auto found = object.fields().find("error");
      return found == object.fields().end()
                 ? ""
                 : found->second.struct_value().fields().at("code").string_value();
    }
  };

  Answer Ask(const std::string& method, const std::string& target, const std::string& body = "",
             const std::string& headers = "") {
    std::string request = method + " " + target + " HTTP/1.1\r\n";
    if (headers.find("Host:") == std::string::npos) request += "Host: " + http_ + "\r\n";
    if (!body.empty()) request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    const std::string raw = RawHttp(http_, request + headers + "\r\n" + body);
    Answer answer;
    const auto end = raw.find("\r\n\r\n");
    if (raw.size() < 12 || end == std::string::npos) return answer;
    answer.status = std::stoi(raw.substr(9, 3));
    answer.head = raw.substr(0, end);
    answer.body = raw.substr(end + 4);
    return answer;
  }
  Answer Get(const std::string& target, const std::string& headers = "") {
    return Ask("GET", target, "", headers);
  }
  Answer Post(const std::string& target, const std::string& body, const std::string& headers = "") {
    return Ask("POST", target, body, "Content-Type: application/json\r\n" + headers);
  }

  FakeRegistry registry_;
  FakeIngestion ingestion_;
  FakeTraining training_;
  FakeCycles cycles_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<App> app_;
  std::string http_;
};

constexpr char kPromote[] = "/api/v1/model-registry/PromoteModelVersion";

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(ConsoleTest, RpcThatReadsAnswersToGetAndToPost) {
  const auto get = Get("/api/v1/model-registry/ListTasks?page_size=7");
  EXPECT_EQ(get.status, 200) << get.body;
  EXPECT_EQ(registry_.page_size, 7);
  EXPECT_EQ(get.json().fields().at("tasks").list_value().values_size(), 1);

  EXPECT_EQ(Post("/api/v1/model_registry/ListTasks", "{\"page_size\": 9}").status, 200);
  EXPECT_EQ(registry_.page_size, 9);
}

TEST_F(ConsoleTest, RpcThatWritesAnswersToPostAlone) {
  const auto get = Get(std::string(kPromote) + "?model_version_id=m");
  EXPECT_EQ(get.status, 405);
  EXPECT_TRUE(Contains(get.head, "Allow: POST"));
  EXPECT_EQ(registry_.promotions, 0);

  const auto post = Post(kPromote, "{\"model_version_id\":\"m\"}");
  EXPECT_EQ(post.status, 200) << post.body;
  EXPECT_TRUE(Contains(post.body, "\"model_version_id\":\"m\""));
}

TEST_F(ConsoleTest, SecondServiceOfAPackageAnswersUnderItsOneName) {
  const auto cycle = Get("/api/v1/training/GetCycle?cycle_id=c");
  EXPECT_EQ(cycle.status, 200) << cycle.body;
  EXPECT_TRUE(Contains(cycle.body, "\"state\":\"CYCLE_STATE_CANARY\"")) << cycle.body;
  EXPECT_TRUE(Contains(cycle.body, "\"difference\":0.25")) << cycle.body;
  // What was not measured is not there, rather than 0.
  EXPECT_FALSE(Contains(cycle.body, "\"gain\"")) << cycle.body;
  EXPECT_FALSE(Contains(cycle.body, "\"p_value\"")) << cycle.body;
  EXPECT_EQ(Get("/api/v1/training/PauseCycle?cycle_id=c").status, 405);
  EXPECT_EQ(Post("/api/v1/training/PauseCycle", "{\"cycle_id\":\"c\"}").status, 200);
}

TEST_F(ConsoleTest, WhatPeopleDoWithACycleIsAskedOfTheServiceWithTheirNameAndReason) {
  const std::string own = "Origin: http://" + http_ + "\r\nSec-Fetch-Site: same-origin\r\n";
  EXPECT_EQ(Post("/api/v1/training/PauseCycle", R"({"cycle_id":"c","actor":"ann"})", own).status,
            200);
  EXPECT_EQ(cycles_.actor, "ann");

  const auto cancelled = Post("/api/v1/training/CancelCycle",
                              R"({"cycle_id":"c","actor":"ann","reason":"too dear"})", own);
  EXPECT_TRUE(Contains(cancelled.body, "ann: too dear")) << cancelled.body;
  EXPECT_EQ(cycles_.changes, 2);

  const auto signed_off = Post("/api/v1/model-registry/SignOff",
                               R"({"model_version_id":"m","role":"owner","actor":"ann",)"
                               R"("approved":true})",
                               own);
  EXPECT_EQ(signed_off.status, 200) << signed_off.body;
  EXPECT_TRUE(Contains(signed_off.body, "\"role\":\"owner\"")) << signed_off.body;
}

TEST_F(ConsoleTest, WhatTheServiceRefusesOverGrpcIsRefusedHereInTheSameWords) {
  const auto ended = Post("/api/v1/training/CancelCycle", R"({"cycle_id":"ended"})");
  EXPECT_EQ(ended.status, 400);
  EXPECT_EQ(ended.error(), "FAILED_PRECONDITION");
  EXPECT_TRUE(Contains(ended.body, "cycle ended has been promoted")) << ended.body;

  const auto unsaid = Post("/api/v1/model-registry/SignOff", R"({"role":"owner","actor":"ann"})");
  EXPECT_EQ(unsaid.status, 400);
  EXPECT_TRUE(Contains(unsaid.body, "who refuses says why")) << unsaid.body;
}

TEST_F(ConsoleTest, NothingThatChangesACycleComesFromALinkAFormOrAnotherSite) {
  const std::string body = R"({"cycle_id":"c","actor":"mallory"})";
  for (const std::string rpc :
       {"PauseCycle", "ResumeCycle", "CancelCycle", "RetryCycle", "StartCycle"}) {
    const std::string path = "/api/v1/training/" + rpc;
    EXPECT_EQ(Get(path + "?cycle_id=c").status, 405) << rpc;
    for (const char* type :
         {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"}) {
      EXPECT_EQ(Ask("POST", path, body, "Content-Type: " + std::string(type) + "\r\n").status, 415)
          << rpc;
    }
    for (const char* header : {"Origin: http://evil.example", "Origin: null",
                               "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"}) {
      EXPECT_EQ(Post(path, body, std::string(header) + "\r\n").status, 403) << rpc << header;
    }
    EXPECT_EQ(Post(path, body, "Host: rebound.example\r\n").status, 421) << rpc;
  }
  EXPECT_EQ(cycles_.changes, 0);
}

TEST_F(ConsoleTest, OtherSitesCannotMakeABrowserWrite) {
  const std::string body = "{\"model_version_id\":\"m\"}";
  EXPECT_EQ(Post(kPromote, body, "Origin: http://evil.example\r\n").status, 403);
  EXPECT_EQ(Post(kPromote, body, "Origin: null\r\n").status, 403);
  EXPECT_EQ(Post(kPromote, body, "Sec-Fetch-Site: cross-site\r\n").status, 403);
  EXPECT_EQ(Ask("POST", kPromote, body, "Content-Type: text/plain\r\n").status, 415);
  EXPECT_EQ(Ask("POST", kPromote, body).status, 415);
  EXPECT_EQ(Ask("OPTIONS", kPromote).status, 405);
  EXPECT_EQ(registry_.promotions, 0);

  EXPECT_EQ(Post(kPromote, body, "Origin: http://" + http_ + "\r\nSec-Fetch-Site: same-origin\r\n")
                .status,
            200);
}

TEST_F(ConsoleTest, NameOfSomebodyElsesThatPointsHereIsNotAnswered) {
  EXPECT_EQ(Get("/api/v1/model-registry/ListTasks", "Host: rebound.example\r\n").status, 421);
  EXPECT_EQ(Get("/", "Host: rebound.example:80\r\n").status, 421);
  EXPECT_EQ(Get("/", "Host: localhost:1234\r\n").status, 200);
}

TEST_F(ConsoleTest, ErrorsKeepTheirCodeAndMessage) {
  const auto missing = Get("/api/v1/model-registry/GetTask?name=x");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.error(), "NOT_FOUND");
  EXPECT_TRUE(Contains(missing.body, "no task \\\"x\\\"")) << missing.body;

  EXPECT_EQ(Get("/api/v1/model-registry/ListTasks?colour=red").status, 400);
  EXPECT_EQ(Post(kPromote, "{\"colour\":1}").status, 400);
  EXPECT_EQ(Post(kPromote, "{").status, 400);
  EXPECT_EQ(Get("/api/v1/labeling/ListLabels?task=x").status, 501);
  EXPECT_EQ(Get("/api/v1/monitoring/ListWindows?task=x").status, 503);
  EXPECT_EQ(Get("/api/v1/nobody/ListTasks").status, 404);
  EXPECT_EQ(Get("/api/v1/ingestion/Nothing").status, 404);
  EXPECT_EQ(Get("/api/v2").status, 404);
  EXPECT_EQ(Get("/api/v1/a/b/c/d/e/f").status, 404);
  EXPECT_EQ(Post("/api/v1/ingestion/StreamSamples", "{}").status, 501);
  EXPECT_EQ(Post(kPromote, std::string(20'000, ' ')).status, 413);
}

TEST_F(ConsoleTest, TraceIsPassedOn) {
  const std::string trace = "0af7651916cd43dd8448eb211c80319c";

  Get("/api/v1/model-registry/ListTasks", "traceparent: 00-" + trace + "-b7ad6b7169203331-01\r\n");

  EXPECT_TRUE(Contains(registry_.traceparent, trace)) << registry_.traceparent;
}

TEST_F(ConsoleTest, StreamIsOneObjectALine) {
  const auto answer = Post("/api/v1/training/WatchRun", "{\"run_id\":\"r\"}");

  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(Contains(answer.head, "application/x-ndjson"));
  EXPECT_TRUE(Contains(answer.body, "\"state\":\"RUN_STATE_SUCCEEDED\""));
}

TEST_F(ConsoleTest, StreamThatFailsBeforeItsFirstMessageHasThatStatusAndLaterALastLine) {
  EXPECT_EQ(Post("/api/v1/training/WatchRun", "{\"run_id\":\"none\"}").status, 404);

  const auto broken = Post("/api/v1/training/WatchRun", "{\"run_id\":\"broken\"}");
  EXPECT_EQ(broken.status, 200);
  EXPECT_TRUE(Contains(broken.body, "\"code\":\"UNAVAILABLE\"")) << broken.body;
}

TEST_F(ConsoleTest, StreamUnderWayDoesNotKeepTheServiceFromStopping) {
  std::thread watcher([this] { Post("/api/v1/training/WatchRun", "{\"run_id\":\"endless\"}"); });
  EXPECT_TRUE(tidewheel::testing::Eventually(20s, [this] { return training_.watched.load(); }));
  const auto begin = std::chrono::steady_clock::now();

  app_ = nullptr;

  EXPECT_LT(std::chrono::steady_clock::now() - begin, 8s);
  watcher.join();
  EXPECT_TRUE(tidewheel::testing::Eventually(20s, [this] { return training_.cancelled.load(); }));
}

TEST_F(ConsoleTest, PayloadIsSentAsTheBytesItIsAndNeverAsAPage) {
  const auto picture = Get("/api/v1/samples/s/payload");
  EXPECT_EQ(picture.status, 200);
  EXPECT_TRUE(Contains(picture.head, "Content-Type: image/jpeg"));
  EXPECT_EQ(picture.body, std::string("\xFF\xD8\0picture", 10));

  EXPECT_TRUE(
      Contains(Get("/api/v1/samples/html/payload").head, "Content-Type: application/octet-stream"));
  EXPECT_EQ(Get("/api/v1/samples/none/payload").status, 404);
}

TEST_F(ConsoleTest, CatalogueListsEveryRpcWithItsFields) {
  const auto answer = Get("/api/v1");

  EXPECT_EQ(answer.status, 200);
  const auto json = answer.json();
  EXPECT_EQ(json.fields().at("services").list_value().values_size(), 8);
  EXPECT_TRUE(Contains(answer.body, "{\"name\":\"page_size\",\"type\":\"int32\"}"));
  EXPECT_TRUE(
      Contains(answer.body,
               "\"path\":\"/api/v1/training/WatchRun\",\"methods\":[\"POST\"],\"streams\":true"));
}

TEST_F(ConsoleTest, PageAndItsFilesAreServedAndRevalidated) {
  const auto page = Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_TRUE(Contains(page.head, "text/html"));
  EXPECT_TRUE(Contains(page.body, "<title>Tidewheel</title>"));
  EXPECT_TRUE(Contains(Get("/app.js").head, "text/javascript"));
  EXPECT_EQ(Get("/../config.h").status, 404);
  EXPECT_EQ(Post("/", "{}").status, 405);

  const auto tag = page.head.find("ETag: ");
  ASSERT_NE(tag, std::string::npos);
  const std::string value = page.head.substr(tag + 6, page.head.find("\r\n", tag) - tag - 6);
  EXPECT_EQ(Get("/", "If-None-Match: " + value + "\r\n").status, 304);
}

TEST_F(ConsoleTest, PlatformStatusTellsWhoServesAndWhoDoesNot) {
  const auto channel =
      grpc::CreateChannel(app_->addresses().at("grpc"), grpc::InsecureChannelCredentials());
  const auto stub = v1::ConsoleService::NewStub(channel);
  const auto ask = [&] {
    grpc::ClientContext context;
    v1::GetPlatformStatusResponse response;
    EXPECT_TRUE(stub->GetPlatformStatus(&context, {}, &response).ok());
    std::map<std::string, v1::Health> health;
    for (const auto& service : response.services()) health[service.name()] = service.health();
    return health;
  };

  auto health = ask();
  EXPECT_EQ(health.size(), 8u);
  EXPECT_EQ(health.at("ingestion"), v1::HEALTH_SERVING);
  EXPECT_EQ(health.at("console"), v1::HEALTH_SERVING);
  EXPECT_EQ(health.at("monitoring"), v1::HEALTH_UNREACHABLE);

  server_->GetHealthCheckService()->SetServingStatus(false);
  health = ask();
  EXPECT_EQ(health.at("ingestion"), v1::HEALTH_NOT_SERVING);
  EXPECT_EQ(Get("/api/v1/console/GetPlatformStatus").status, 200);
}

TEST_F(ConsoleTest, MetricsCountRequests) {
  Get("/api/v1/model-registry/ListTasks");

  const std::string text = RawHttp(app_->addresses().at("metrics"),
                                   "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

  EXPECT_TRUE(Contains(text, "tidewheel_console_http_requests_total 1"));
}

}  // namespace
}  // namespace tidewheel::console
