#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::console {

/// One request, read in full.
struct HttpRequest {
  std::string method;                          // "GET".
  std::string path;                            // Decoded, without the query.
  std::string query;                           // As it came.
  std::map<std::string, std::string> headers;  // Names in lower case; of a repeated one the first.
  std::string body;

  /// Empty when there is none.
  const std::string& Header(const std::string& lower_case_name) const;
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json; charset=utf-8";
  std::string body;
  HttpHeaders headers;
};

/// Where a handler answers: once by Send, or by Begin and then any number of Write.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual void Send(const HttpResponse& response) = 0;
  virtual void Begin(const HttpResponse& head) = 0;
  /// False: the client has gone, or the server stops.
  virtual bool Write(std::string_view bytes) = 0;
  /// Whether a handler that waits should give up.
  virtual bool stopping() const = 0;
};

/// Called by many threads at once; must not throw.
using HttpHandler = std::function<void(const HttpRequest&, HttpExchange&)>;

/// An HTTP/1.1 server: bounded threads, bounded headers and bodies, a time limit for reading a
/// request; one request a connection. Adds the security headers to every answer.
class HttpServer {
 public:
  struct Options {
    std::string listen = "127.0.0.1:0";  // Numeric host; port 0 takes a free one.
    int threads = 16;
    std::size_t max_body_bytes = std::size_t{8} << 20;
    std::chrono::milliseconds read_timeout{10'000};
  };

  /// kInvalidArgument: not HOST:PORT; kUnavailable names the address that cannot be bound.
  static Result<std::unique_ptr<HttpServer>> Start(const Options& options, HttpHandler handler);
  /// Lets requests under way end; streams are told to stop.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// "127.0.0.1:40123".
  const std::string& address() const { return address_; }

 private:
  struct Engine;
  explicit HttpServer(std::unique_ptr<Engine> engine, std::string address);

  std::unique_ptr<Engine> engine_;
  std::string address_;
};

}  // namespace tidewheel::console
