#include "tidewheel/console/http/http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "tidewheel/console/testing/raw_http.h"

namespace tidewheel::console {
namespace {

using namespace std::chrono_literals;

class HttpServerTest : public ::testing::Test {
 protected:
  void Start(HttpHandler handler) {
    auto started = HttpServer::Start(
        {.listen = "127.0.0.1:0", .threads = 4, .max_body_bytes = 1'000, .read_timeout = 500ms},
        std::move(handler));
    ASSERT_TRUE(started) << started.error().message;
    server_ = *std::move(started);
  }

  void StartEcho() {
    Start([](const HttpRequest& request, HttpExchange& exchange) {
      exchange.Send({200,
                     "text/plain",
                     request.method + " " + request.path + " " + request.query + " " +
                         request.Header("x-thing") + " " + request.body,
                     {{"X-Split", "a\r\nX-Injected: b"}}});
    });
  }

  std::string Ask(const std::string& bytes) { return RawHttp(server_->address(), bytes); }

  std::unique_ptr<HttpServer> server_;
};

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(HttpServerTest, RequestReachesTheHandlerAndItsAnswerCarriesTheSecurityHeaders) {
  StartEcho();

  const std::string answer =
      Ask("POST /a%20b?x=%20y HTTP/1.1\r\nHost: h\r\nX-Thing: 7\r\nContent-Length: 4\r\n\r\nbody");

  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\nPOST /a b x=%20y 7 body")) << answer;
  EXPECT_TRUE(Contains(answer, "Content-Security-Policy: default-src 'none'"));
  EXPECT_TRUE(Contains(answer, "X-Content-Type-Options: nosniff"));
  EXPECT_TRUE(Contains(answer, "Cache-Control: no-store"));
  EXPECT_FALSE(Contains(answer, "Access-Control"));
  EXPECT_FALSE(Contains(answer, "\nX-Injected"));
}

TEST_F(HttpServerTest, ChunkedBodyIsReadAndBounded) {
  StartEcho();
  const std::string head = "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

  EXPECT_TRUE(Contains(Ask(head + "4\r\nbody\r\n2\r\n!!\r\n0\r\n\r\n"), "body!!"));
  EXPECT_TRUE(Ask(head + "7d0\r\n" + std::string(2'000, 'x') + "\r\n0\r\n\r\n")
                  .starts_with("HTTP/1.1 413"));
}

TEST_F(HttpServerTest, BodyOverTheLimitIsRefusedByItsHeaderAlone) {
  StartEcho();

  EXPECT_TRUE(Ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n")
                  .starts_with("HTTP/1.1 413"));
}

TEST_F(HttpServerTest, WhatIsNoHttpAndEndlessHeadersAreRefused) {
  StartEcho();

  EXPECT_FALSE(Contains(Ask("\x16\x03\x01 this is TLS\r\n\r\n"), "200 OK"));
  EXPECT_FALSE(Contains(
      Ask("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n"), "200 OK"));
  EXPECT_TRUE(Contains(Ask("GET /still-here HTTP/1.1\r\nHost: h\r\n\r\n"), "/still-here"));
}

TEST_F(HttpServerTest, ClientThatNeverFinishesItsRequestDoesNotHoldAThreadForLong) {
  StartEcho();
  std::vector<std::thread> slow;
  for (int i = 0; i < 4; ++i) {
    slow.emplace_back(
        [this] { Ask("POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nx"); });
  }

  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(Contains(Ask("GET /quick HTTP/1.1\r\nHost: h\r\n\r\n"), "/quick"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  for (auto& thread : slow) thread.join();
}

TEST_F(HttpServerTest, PathCannotClimb) {
  StartEcho();

  const std::string answer = Ask("GET /a/../../etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n");

  EXPECT_FALSE(Contains(answer, "..")) << answer;
}

TEST_F(HttpServerTest, HeadIsAnsweredWithoutABody) {
  StartEcho();

  EXPECT_TRUE(Ask("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n").ends_with("\r\n\r\n"));
}

TEST_F(HttpServerTest, StreamEndsWhenTheServerStops) {
  std::atomic<int> written = 0;
  Start([&](const HttpRequest&, HttpExchange& exchange) {
    exchange.Begin({200, "application/x-ndjson", "", {}});
    while (exchange.Write("{}\n")) {
      ++written;
      std::this_thread::sleep_for(5ms);
    }
  });
  auto answer = std::async(std::launch::async, [&, address = server_->address()] {
    return RawHttp(address, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  });
  while (written < 3) std::this_thread::sleep_for(1ms);

  server_ = nullptr;

  const std::string text = answer.get();
  EXPECT_TRUE(Contains(text, "Transfer-Encoding: chunked"));
  EXPECT_TRUE(Contains(text, "{}\n"));
}

TEST_F(HttpServerTest, HandlerLearnsThatItsClientHasGone) {
  std::promise<void> gone;
  Start([&](const HttpRequest&, HttpExchange& exchange) {
    exchange.Begin({200, "application/x-ndjson", "", {}});
    while (exchange.Write("{}\n")) std::this_thread::sleep_for(1ms);
    gone.set_value();
  });
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(server_->address().substr(10))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  ASSERT_GT(::send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 27, 0), 0);
  ::close(fd);

  EXPECT_EQ(gone.get_future().wait_for(10s), std::future_status::ready);
}

TEST(HttpServerStartTest, AddressMustBeHostAndPortAndFree) {
  const auto handler = [](const HttpRequest&, HttpExchange&) {};
  for (const char* listen : {"", "8080", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:99999", ":80",
                             "127.0.0.1:0,127.0.0.1:0"}) {
    const auto started = HttpServer::Start({.listen = listen}, handler);
    ASSERT_FALSE(started) << listen;
    EXPECT_EQ(started.error().code, ErrorCode::kInvalidArgument);
  }
  const auto first = HttpServer::Start({}, handler);
  ASSERT_TRUE(first);
  const auto second = HttpServer::Start({.listen = (*first)->address()}, handler);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace tidewheel::console
