// Servers with direct methods: our own HTTP/2 at the door, gRPC's server behind it.
#include <arpa/inet.h>
#include <curl/curl.h>
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/server.h"
#include "tidewheel/rpc/testing/echo_handler.h"
#include "tidewheel/testing/eventually.h"

namespace tidewheel::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::EchoRequest;
using testing::EchoResponse;
using testing::EchoService;
using ::testing::HasSubstr;
using tidewheel::testing::Eventually;

constexpr char kEchoPath[] = "/tidewheel.rpc.testing.EchoService/Echo";
constexpr milliseconds kLong{30'000};

/// What is behind: answers each message of a chat, tells what it was sent as metadata, and ends the
/// chat at "stop" whatever the client still has to say.
class Chatty final : public EchoService::Service {
 public:
  grpc::Status FailEcho(grpc::ServerContext* context, const EchoRequest* request,
                        EchoResponse* response) override {
    for (const char* const name : {"x-asked", "data-bin"}) {
      const auto found = context->client_metadata().find(name);
      if (found == context->client_metadata().end()) continue;
      const std::string value(found->second.data(), found->second.size());
      context->AddInitialMetadata(name, value);
      context->AddTrailingMetadata(std::string("end-") + name, value);
    }
    const auto left = context->deadline() - std::chrono::system_clock::now();
    response->set_request_id(std::to_string(std::chrono::duration_cast<seconds>(left).count()));
    response->set_text(request->text());
    if (request->text() == "fail") {
      return {grpc::StatusCode::ABORTED, "100 % \xC3\xA9\n", "details"};
    }
    return grpc::Status::OK;
  }
  grpc::Status Chat(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<EchoResponse, EchoRequest>* stream) override {
    EchoRequest request;
    while (stream->Read(&request)) {
      if (request.text() == "stop") return {grpc::StatusCode::OUT_OF_RANGE, "stopped"};
      EchoResponse response;
      response.set_text(request.text());
      if (!stream->Write(response)) break;
    }
    cancelled = cancelled || context->IsCancelled();
    return grpc::Status::OK;
  }
  std::atomic<bool> cancelled{false};
};

class FrontTest : public ::testing::Test {
 protected:
  void Start(ServerOptions options = {}) {
    options.direct_methods = {
        {.path = kEchoPath, .handle = [this](auto call) { Handle(std::move(call)); }}};
    server_ = std::make_unique<Server>(std::move(options), registry_);
    server_->Add(chatty_);
    const auto started = server_->Start();
    ASSERT_TRUE(started.ok()) << started.error().message;
    server_->SetServing(true);
  }

  void TearDown() override {
    const std::lock_guard lock(mutex_);
    over_ = true;
    held_.clear();
  }

  void Handle(std::shared_ptr<DirectCall> call) {
    EchoRequest request;
    if (!request.ParseFromString(std::string(call->message()))) {
      return call->Refuse({grpc::StatusCode::INVALID_ARGUMENT, "no EchoRequest"});
    }
    if (request.text() == "drop") return;
    if (request.text().starts_with("fail")) {
      return call->Refuse({grpc::StatusCode::NOT_FOUND, request.text()});
    }
    if (request.wait()) {
      const std::lock_guard lock(mutex_);
      // The server's end waits for all that has not been let go.
      if (over_) return;
      held_.push_back(std::move(call));
      changed_.notify_all();
      return;
    }
    Answer(*call);
  }
  static void Answer(DirectCall& call) {
    EchoRequest request;
    request.ParseFromString(std::string(call.message()));
    EchoResponse response;
    response.set_text(request.text());
    response.set_request_id(std::string(call.Header("x-asked")));
    call.Answer(MessageParts::Of(response.SerializeAsString()));
  }
  std::vector<std::shared_ptr<DirectCall>> Held(std::size_t calls) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kLong, [&] { return held_.size() >= calls; }));
    return std::exchange(held_, {});
  }

  std::unique_ptr<EchoService::Stub> Stub() {
    ChannelOptions once;
    once.attempts = 1;
    return EchoService::NewStub(OpenChannel(server_->address(), once));
  }
  static EchoRequest Request(const std::string& text, bool wait = false) {
    EchoRequest request;
    request.set_text(text);
    request.set_wait(wait);
    return request;
  }
  static grpc::Status Echo(EchoService::Stub& stub, const EchoRequest& request,
                           EchoResponse* response, milliseconds limit = kLong) {
    ClientContextWithDeadline context(limit);
    return stub.Echo(&context, request, response);
  }
  /// A connection that says nothing yet.
  int Connect() const {
    const std::string& address = server_->address();
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    const int file = ::socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(::connect(file, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    return file;
  }
  /// One call of its own connection, that is fine.
  void ExpectServes() {
    EchoResponse response;
    const auto status = Echo(*Stub(), Request("well"), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.text(), "well");
  }

  metrics::Registry registry_{"test"};
  Chatty chatty_;
  std::mutex mutex_;  // Guards held_ and over_.
  std::condition_variable changed_;
  std::vector<std::shared_ptr<DirectCall>> held_;
  bool over_ = false;
  std::unique_ptr<Server> server_;  // Stops before what it serves.
};

TEST_F(FrontTest, ADirectCallIsAnsweredAndCounted) {
  Start();
  ClientContextWithDeadline context(kLong);
  context.AddMetadata("x-asked", "who");
  EchoResponse response;
  const auto status = Stub()->Echo(&context, Request("hello"), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.text(), "hello");
  EXPECT_EQ(response.request_id(), "who");
  server_->Shutdown();
  const std::string text = registry_.Text();
  const std::string labels = "method=\"Echo\",service=\"tidewheel.rpc.testing.EchoService\"}";
  EXPECT_THAT(text, HasSubstr("tidewheel_rpc_calls_started_total{" + labels + " 1\n"));
  EXPECT_THAT(text, HasSubstr("tidewheel_rpc_calls_handled_total{code=\"OK\"," + labels + " 1\n"));
  EXPECT_THAT(text, HasSubstr("tidewheel_rpc_call_seconds_count{" + labels + " 1\n"));
}

TEST_F(FrontTest, ListensByNameAndNumber) {
  ServerOptions options;
  options.listen = {"localhost:0", "127.0.0.1:0"};
  Start(options);
  ASSERT_EQ(server_->addresses().size(), 2U);
  const std::string& named = server_->addresses()[0];
  EXPECT_TRUE(named.starts_with("localhost:")) << named;
  ExpectServes();
  ServerOptions wrong;
  wrong.listen = {"no.such.host.invalid:0"};
  wrong.direct_methods = {{.path = kEchoPath, .handle = [](const auto&) {}}};
  Server other(wrong, registry_);
  other.Add(chatty_);
  const auto started = other.Start();
  ASSERT_FALSE(started.ok());
  EXPECT_THAT(started.error().message, HasSubstr("no.such.host.invalid:0"));
}

TEST_F(FrontTest, AnErrorKeepsItsCodeAndItsWords) {
  Start();
  EchoResponse response;
  const auto status = Echo(*Stub(), Request("fail at 100 % \xC3\xA9\n"), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "fail at 100 % \xC3\xA9\n");
  // One that was forgotten is an error as well, and no call that never ends.
  EXPECT_EQ(Echo(*Stub(), Request("drop"), &response).error_code(), grpc::StatusCode::INTERNAL);
}

TEST_F(FrontTest, ACallKnowsItsDeadlineAndWhetherAnybodyWaits) {
  Start();
  const auto stub = Stub();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds(20));
  EchoResponse response;
  auto call = std::async(std::launch::async,
                         [&] { return stub->Echo(&context, Request("x", true), &response); });
  const auto held = Held(1);
  ASSERT_TRUE(held[0]->deadline().has_value());
  const auto left = *held[0]->deadline() - std::chrono::system_clock::now();
  EXPECT_GT(left, seconds(10));
  EXPECT_LT(left, seconds(21));
  EXPECT_FALSE(held[0]->cancelled());
  context.TryCancel();
  EXPECT_EQ(call.get().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually(seconds(20), [&] { return held[0]->cancelled(); }));
  Answer(*held[0]);  // To nobody.
  ExpectServes();
}

TEST_F(FrontTest, AConnectionThatGoesTakesItsCallsAlong) {
  Start();
  const auto frame = [](char type, char flags, char stream, const std::string& payload) {
    return std::string{0, 0, static_cast<char>(payload.size()), type, flags, 0, 0, 0, stream} +
           payload;
  };
  std::string headers;
  const std::pair<std::string, std::string> fields[] = {{":method", "POST"},
                                                        {":authority", "here"},
                                                        {":scheme", "http"},
                                                        {":path", kEchoPath},
                                                        {"content-type", "application/grpc"}};
  for (const auto& [name, value] : fields) {  // Literal, without an index (RFC 7541, 6.2.2).
    headers += std::string{0, static_cast<char>(name.size())} + name;
    headers += std::string{static_cast<char>(value.size())} + value;
  }
  const std::string message = Request("x", true).SerializeAsString();
  const int file = Connect();
  const std::string all =
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, "") + frame(1, 4, 1, headers) +
      frame(0, 1, 1, std::string{0, 0, 0, 0, static_cast<char>(message.size())} + message);
  ASSERT_EQ(::send(file, all.data(), all.size(), MSG_NOSIGNAL), static_cast<ssize_t>(all.size()));
  const auto held = Held(1);
  EXPECT_FALSE(held[0]->cancelled());
  ::close(file);
  EXPECT_TRUE(Eventually(seconds(20), [&] { return held[0]->cancelled(); }));
  Answer(*held[0]);
  ExpectServes();
}

TEST_F(FrontTest, CallsThatAreTakenBackCostTheOthersNothing) {
  Start();
  const auto stub = Stub();
  EchoResponse response;
  auto first =
      std::async(std::launch::async, [&] { return Echo(*stub, Request("1st", true), &response); });
  const auto held = Held(1);
  for (int i = 0; i < 3'000; ++i) {
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    EchoResponse none;
    grpc::Status status;
    const auto reader = stub->AsyncEcho(&context, Request("x", true), &queue);
    reader->Finish(&none, &status, nullptr);
    context.TryCancel();
    void* tag = nullptr;
    bool ok = false;
    ASSERT_TRUE(queue.Next(&tag, &ok));
  }
  EXPECT_FALSE(held[0]->cancelled());
  Answer(*held[0]);
  EXPECT_TRUE(first.get().ok());
}

TEST_F(FrontTest, CallsAreAnsweredFromAnyThreadInAnyOrder) {
  Start();
  constexpr int kCalls = 400;
  const auto stub = Stub();
  grpc::CompletionQueue queue;
  struct Pending {
    grpc::ClientContext context;
    EchoResponse response;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<EchoResponse>> reader;
  };
  std::vector<std::unique_ptr<Pending>> calls;
  for (int i = 0; i < kCalls; ++i) {
    auto& call = *calls.emplace_back(std::make_unique<Pending>());
    call.reader = stub->AsyncEcho(&call.context, Request(std::to_string(i), true), &queue);
    call.reader->Finish(&call.response, &call.status, &call);
  }
  auto held = Held(kCalls);
  std::shuffle(held.begin(), held.end(), std::mt19937(7));
  std::vector<std::jthread> threads;
  for (std::size_t part = 0; part < 4; ++part) {
    threads.emplace_back([&, part] {
      for (std::size_t i = part; i < held.size(); i += 4) Answer(*held[i]);
    });
  }
  for (int i = 0; i < kCalls; ++i) {
    void* tag = nullptr;
    bool ok = false;
    ASSERT_TRUE(queue.Next(&tag, &ok));
  }
  for (int i = 0; i < kCalls; ++i) {
    const auto& call = *calls[static_cast<std::size_t>(i)];
    EXPECT_TRUE(call.status.ok());
    EXPECT_EQ(call.response.text(), std::to_string(i));
  }
}

TEST_F(FrontTest, LargeMessagesPassInBothDirections) {
  Start();
  const std::string large(std::size_t{24} << 20, 'L');
  EchoResponse response;
  const auto status = Echo(*Stub(), Request(large), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(response.text() == large);
  ClientContextWithDeadline context(kLong);
  const auto behind = Stub()->FailEcho(&context, Request(large), &response);
  ASSERT_TRUE(behind.ok()) << behind.error_message();
  EXPECT_TRUE(response.text() == large);
}

TEST_F(FrontTest, PackedMessagesAreRead) {
  Start();
  const std::string words(200'000, 'w');
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    for (const bool direct : {true, false}) {
      ClientContextWithDeadline context(kLong);
      context.set_compression_algorithm(algorithm);
      EchoResponse response;
      const auto stub = Stub();
      const auto status = direct ? stub->Echo(&context, Request(words), &response)
                                 : stub->FailEcho(&context, Request(words), &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
      EXPECT_EQ(response.text(), words);
    }
  }
}

TEST_F(FrontTest, TooLargeAMessageIsRefusedPackedOrNot) {
  ServerOptions options;
  options.max_message = config::KiB(64);
  Start(options);
  for (const auto algorithm : {GRPC_COMPRESS_NONE, GRPC_COMPRESS_GZIP}) {
    ClientContextWithDeadline context(kLong);
    context.set_compression_algorithm(algorithm);
    EchoResponse response;
    const auto status = Stub()->Echo(&context, Request(std::string(70'000, 'x')), &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_THAT(status.error_message(), HasSubstr("Received message larger than max"));
  }
  ExpectServes();
}

TEST_F(FrontTest, OtherCallsPassThroughWithAllTheyCarry) {
  Start();
  const std::string bytes("\0\xFF\1", 3);
  for (const std::string text : {"fine", "fail"}) {
    ClientContextWithDeadline context(seconds(25));
    context.AddMetadata("x-asked", "who");
    context.AddMetadata("data-bin", bytes);
    EchoResponse response;
    const auto status = Stub()->FailEcho(&context, Request(text), &response);
    const auto first = [](const auto& metadata, const char* name) {
      const auto found = metadata.find(name);
      return found == metadata.end() ? std::string("none")
                                     : std::string(found->second.data(), found->second.size());
    };
    EXPECT_EQ(first(context.GetServerTrailingMetadata(), "end-x-asked"), "who");
    EXPECT_EQ(first(context.GetServerTrailingMetadata(), "end-data-bin"), bytes);
    EXPECT_EQ(first(context.GetServerInitialMetadata(), "x-asked"), "who");
    EXPECT_EQ(first(context.GetServerInitialMetadata(), "data-bin"), bytes);
    if (text == "fail") {
      EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
      EXPECT_EQ(status.error_message(), "100 % \xC3\xA9\n");
      EXPECT_EQ(status.error_details(), "details");
    } else {
      EXPECT_TRUE(status.ok()) << status.error_message();
      EXPECT_EQ(response.text(), "fine");
      EXPECT_GT(std::stoi(response.request_id()), 15);
      EXPECT_LE(std::stoi(response.request_id()), 25);
    }
  }
}

TEST_F(FrontTest, AStreamRunsBothWaysAtOnce) {
  Start();
  ClientContextWithDeadline context(kLong);
  const auto stub = Stub();
  const auto stream = stub->Chat(&context);
  constexpr int kMessages = 300;
  const std::string tail(50'000, 't');
  std::jthread writer([&] {
    for (int i = 0; i < kMessages; ++i) {
      if (!stream->Write(Request(std::to_string(i) + tail))) return;
    }
    stream->WritesDone();
  });
  EchoResponse response;
  for (int i = 0; i < kMessages; ++i) {
    ASSERT_TRUE(stream->Read(&response)) << i;
    ASSERT_EQ(response.text(), std::to_string(i) + tail);
  }
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(FrontTest, AStreamMayEndWhileTheClientStillSpeaks) {
  Start();
  ClientContextWithDeadline context(kLong);
  const auto stub = Stub();
  const auto stream = stub->Chat(&context);
  EchoResponse response;
  ASSERT_TRUE(stream->Write(Request("one")));
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_TRUE(stream->Write(Request("stop")));
  EXPECT_FALSE(stream->Read(&response));
  while (stream->Write(Request("more"))) {
  }
  const auto status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(status.error_message(), "stopped");
}

TEST_F(FrontTest, ACancelledStreamIsToldToItsHandler) {
  Start();
  ClientContextWithDeadline context(kLong);
  const auto stub = Stub();
  const auto stream = stub->Chat(&context);
  EchoResponse response;
  ASSERT_TRUE(stream->Write(Request("one")));
  ASSERT_TRUE(stream->Read(&response));
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually(seconds(20), [&] { return chatty_.cancelled.load(); }));
}

/// Without gRPC's help: HTTP/2 as curl speaks it.
class WireTest : public FrontTest {
 protected:
  struct Answer {
    long status = 0;
    std::map<std::string, std::string> headers;  // And trailers.
  };
  /// This curl loses an answer that comes before its body is out; then it is asked again.
  Answer Post(const std::string& body, const std::vector<std::string>& headers = {},
              const std::string& type = "application/grpc") {
    Answer answer;
    for (int i = 0; i < 100 && answer.status == 0; ++i) answer = PostOnce(body, headers, type);
    return answer;
  }
  Answer PostOnce(const std::string& body, const std::vector<std::string>& headers,
                  const std::string& type) {
    Answer answer;
    CURL* const curl = curl_easy_init();
    const std::string url = "http://" + server_->address() + kEchoPath;
    curl_slist* list = curl_slist_append(nullptr, ("content-type: " + type).c_str());
    for (const auto& header : headers) list = curl_slist_append(list, header.c_str());
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    if (body != kGet) {
      curl_easy_setopt(curl, CURLOPT_POST, 1L);
      curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
      curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    }
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer);
    curl_easy_setopt(
        curl, CURLOPT_HEADERFUNCTION, +[](char* data, std::size_t one, std::size_t size, void* to) {
          const std::string line(data, one * size);
          const auto colon = line.find(": ");
          if (colon != std::string::npos) {
            static_cast<Answer*>(to)->headers[line.substr(0, colon)] =
                line.substr(colon + 2, line.size() - colon - 4);
          }
          return one * size;
        });
    curl_easy_setopt(
        curl, CURLOPT_WRITEFUNCTION,
        +[](char*, std::size_t one, std::size_t size, void*) { return one * size; });
    curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    curl_slist_free_all(list);
    curl_easy_cleanup(curl);
    return answer;
  }
  static constexpr char kGet[] = "GET";
  static std::string Framed(const std::string& text, char flags = 0) {
    const std::string bytes = Request(text).SerializeAsString();
    return std::string{flags, 0, 0, static_cast<char>(bytes.size() >> 8),
                       static_cast<char>(bytes.size())} +
           bytes;
  }
};

TEST_F(WireTest, WhatIsNoCallIsRefusedByItsStatus) {
  Start();
  const Answer fine = Post(Framed("x"));
  EXPECT_EQ(fine.status, 200);
  EXPECT_EQ(fine.headers.at("content-type"), "application/grpc");
  EXPECT_EQ(fine.headers.at("grpc-status"), "0");
  EXPECT_EQ(Post(kGet).status, 405);
  EXPECT_EQ(Post("{}", {}, "application/json").status, 415);
  const auto status = [&](const std::string& body, const std::vector<std::string>& headers = {}) {
    const Answer answer = Post(body, headers);
    EXPECT_EQ(answer.status, 200);
    const auto found = answer.headers.find("grpc-status");
    return found == answer.headers.end() ? "none" : found->second;
  };
  EXPECT_EQ(status(""), "13");                          // No message.
  EXPECT_EQ(status(Framed("abc").substr(0, 7)), "13");  // Cut short.
  EXPECT_EQ(status(Framed("a") + Framed("b")), "13");   // Two of them.
  EXPECT_EQ(status(Framed("a", 1)), "13");              // Packed, but how?
  EXPECT_EQ(status(Framed("a"), {"grpc-encoding: snappy"}), "12");
  EXPECT_EQ(status(Framed("a", 1), {"grpc-encoding: gzip"}), "13");  // It is not.
  EXPECT_EQ(status(std::string("\0\x7F\0\0\0", 5)), "8");            // Announces 2 GB.
  EXPECT_EQ(status(std::string("\0\0\0\0\2\xFF\xFF", 7)), "3");      // No EchoRequest.
  EXPECT_EQ(status(Framed("a"), {"x-umlaut: \xC3\xA4"}), "3");
  EXPECT_EQ(status(Framed("a"), {"x+y: z"}), "3");
  EXPECT_EQ(status(Framed("a"), {"x-bin: %%%"}), "3");
  EXPECT_EQ(status(Framed("a"), {"x-bin: AAE", "x-text: ~ !"}), "0");
  EXPECT_EQ(status(Framed("a"), {"x-much: " + std::string(17'000, 'm')}), "8");
  ExpectServes();
}

TEST_F(WireTest, NoiseClosesItsConnectionAndNoOther) {
  Start();
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    std::string noise = round % 2 == 0 ? "" : "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (int i = 0; i < 200; ++i) noise += static_cast<char>(random());
    const int file = Connect();
    ASSERT_GT(::send(file, noise.data(), noise.size(), MSG_NOSIGNAL), 0);
    ::shutdown(file, SHUT_WR);
    char answer[4'096];
    while (::recv(file, answer, sizeof answer, 0) > 0) {
    }
    ::close(file);
  }
  ExpectServes();
}

TEST_F(FrontTest, TheEndWaitsForDirectCallsUnderWay) {
  Start();
  EchoResponse response;
  const auto stub = Stub();
  auto call =
      std::async(std::launch::async, [&] { return Echo(*stub, Request("last", true), &response); });
  auto held = Held(1);
  auto shutdown = std::async(std::launch::async, [&] { server_->Shutdown(); });
  EXPECT_EQ(shutdown.wait_for(milliseconds(100)), std::future_status::timeout);
  Answer(*held[0]);
  held.clear();
  EXPECT_TRUE(call.get().ok());
  EXPECT_EQ(response.text(), "last");
  shutdown.get();
}

TEST_F(FrontTest, AfterTheDrainCallsAreCutOffAndTheirHandlersWaitedFor) {
  ServerOptions options;
  options.drain = milliseconds(100);
  Start(options);
  EchoResponse response;
  const auto stub = Stub();
  auto call =
      std::async(std::launch::async, [&] { return Echo(*stub, Request("late", true), &response); });
  auto held = Held(1);
  auto shutdown = std::async(std::launch::async, [&] { server_->Shutdown(); });
  EXPECT_EQ(call.get().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Eventually(seconds(20), [&] { return held[0]->cancelled(); }));
  EXPECT_EQ(shutdown.wait_for(milliseconds(50)), std::future_status::timeout);
  held.clear();
  shutdown.get();
}

}  // namespace
}  // namespace tidewheel::rpc
