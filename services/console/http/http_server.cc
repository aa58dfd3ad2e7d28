#include "tidewheel/console/http/http_server.h"

#include <civetweb.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <charconv>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

namespace tidewheel::console {
namespace {

// Nothing from elsewhere is loaded or run, nobody frames us, nothing is guessed about what we send.
constexpr char kSecurityHeaders[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src "
    "'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n";

const char* PhraseOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 421:
      return "Misdirected Request";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Status";
  }
}

std::string LowerCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// A value must not end its header and begin another.
std::string OneLine(std::string text) {
  std::erase_if(text, [](char c) { return c == '\r' || c == '\n'; });
  return text;
}

class CivetExchange final : public HttpExchange {
 public:
  CivetExchange(mg_connection* connection, bool head_only, const std::atomic<bool>& stopping)
      : connection_(connection), head_only_(head_only), stopping_(stopping) {}

  void Send(const HttpResponse& response) override {
    WriteHead(response, "Content-Length: " + std::to_string(response.body.size()));
    if (!head_only_) mg_write(connection_, response.body.data(), response.body.size());
  }

  void Begin(const HttpResponse& head) override {
    chunked_ = true;
    WriteHead(head, "Transfer-Encoding: chunked");
  }

  bool Write(std::string_view bytes) override {
    if (bytes.empty()) return !stopping_;
    return mg_send_chunk(connection_, bytes.data(), static_cast<unsigned>(bytes.size())) > 0 &&
           !stopping_;
  }

  bool stopping() const override { return stopping_; }

  void End() {
    if (chunked_) mg_send_chunk(connection_, "", 0);
  }
  int status() const { return status_; }

 private:
  void WriteHead(const HttpResponse& response, const std::string& length) {
    status_ = response.status;
    std::string head = "HTTP/1.1 " + std::to_string(response.status) + " " +
                       PhraseOf(response.status) + "\r\n" + kSecurityHeaders +
                       "Content-Type: " + OneLine(response.content_type) + "\r\n" + length +
                       "\r\nConnection: close\r\n";
    bool cached = false;
    for (const auto& [name, value] : response.headers) {
      head += name + ": " + OneLine(value) + "\r\n";
      cached = cached || name == "Cache-Control";
    }
    if (!cached) head += "Cache-Control: no-store\r\n";
    head += "\r\n";
    mg_write(connection_, head.data(), head.size());
  }

  mg_connection* const connection_;
  const bool head_only_;
  const std::atomic<bool>& stopping_;
  bool chunked_ = false;
  int status_ = 0;
};

HttpResponse Problem(int status, const std::string& code, const std::string& message) {
  return {status,
          "application/json; charset=utf-8",
          "{\"error\":{\"code\":\"" + code + "\",\"message\":\"" + message + "\"}}\n",
          {}};
}

}  // namespace

const std::string& HttpRequest::Header(const std::string& lower_case_name) const {
  static const std::string none;
  const auto found = headers.find(lower_case_name);
  return found == headers.end() ? none : found->second;
}

struct HttpServer::Engine {
  Options options;
  HttpHandler handler;
  std::atomic<bool> stopping = false;
  mg_context* context = nullptr;
  std::string host;
  int port = 0;

  ~Engine() {
    stopping = true;
    if (context != nullptr) {
      // civetweb looks for its stop flag only when a connection comes, or every two seconds: we
      // knock.
      std::jthread knock([this](std::stop_token stopped) {
        while (!stopped.stop_requested()) {
          Knock();
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
      });
      mg_stop(context);
    }
    mg_exit_library();
  }

  void Knock() const {
    char problem[100];
    mg_connection* connection = mg_connect_client(host.c_str(), port, 0, problem, sizeof problem);
    if (connection != nullptr) mg_close_connection(connection);
  }

  static int OnRequest(mg_connection* connection) {
    const mg_request_info* info = mg_get_request_info(connection);
    auto* engine = static_cast<Engine*>(info->user_data);
    HttpRequest request;
    request.method = info->request_method == nullptr ? "" : info->request_method;
    request.path = info->local_uri == nullptr ? "" : info->local_uri;
    request.query = info->query_string == nullptr ? "" : info->query_string;
    for (int i = 0; i < info->num_headers; ++i) {
      request.headers.emplace(LowerCase(info->http_headers[i].name), info->http_headers[i].value);
    }
    CivetExchange exchange(connection, request.method == "HEAD", engine->stopping);
    if (const auto problem = engine->ReadBody(connection, info->content_length, &request)) {
      exchange.Send(*problem);
    } else {
      engine->handler(request, exchange);
    }
    exchange.End();
    // What is not zero tells civetweb that the request is done with.
    return exchange.status() == 0 ? 500 : exchange.status();
  }

  // What must be answered instead, when the body cannot be taken.
  std::optional<HttpResponse> ReadBody(mg_connection* connection, long long length,
                                       HttpRequest* request) const {
    const std::string limit = std::to_string(options.max_body_bytes);
    if (length > 0 && static_cast<unsigned long long>(length) > options.max_body_bytes) {
      return Problem(413, "OUT_OF_RANGE", "a body of more than " + limit + " bytes");
    }
    if (length == 0 || (length < 0 && request->Header("transfer-encoding").empty())) return {};
    char buffer[16 * 1024];
    while (true) {
      const int read = mg_read(connection, buffer, sizeof buffer);
      if (read < 0) return Problem(400, "INVALID_ARGUMENT", "the body cannot be read");
      if (read == 0) break;
      if (request->body.size() + static_cast<std::size_t>(read) > options.max_body_bytes) {
        return Problem(413, "OUT_OF_RANGE", "a body of more than " + limit + " bytes");
      }
      request->body.append(buffer, static_cast<std::size_t>(read));
    }
    if (length > 0 && request->body.size() != static_cast<std::size_t>(length)) {
      return Problem(400, "INVALID_ARGUMENT", "the body is shorter than its Content-Length");
    }
    return {};
  }
};

HttpServer::HttpServer(std::unique_ptr<Engine> engine, std::string address)
    : engine_(std::move(engine)), address_(std::move(address)) {}

HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const Options& options, HttpHandler handler) {
  const auto colon = options.listen.rfind(':');
  int port = -1;
  if (colon != std::string::npos && colon > 0) {
    const char* end = options.listen.data() + options.listen.size();
    const auto parsed = std::from_chars(options.listen.data() + colon + 1, end, port);
    if (parsed.ec != std::errc() || parsed.ptr != end) port = -1;
  }
  if (port < 0 || port > 65'535 || options.listen.find(',') != std::string::npos) {
    return Error{ErrorCode::kInvalidArgument,
                 options.listen + ": must be HOST:PORT with a numeric host"};
  }
  mg_init_library(0);
  auto engine = std::make_unique<Engine>();
  engine->options = options;
  engine->handler = std::move(handler);
  const std::string threads = std::to_string(options.threads);
  const std::string timeout = std::to_string(options.read_timeout.count());
  const char* settings[] = {"listening_ports",
                            options.listen.c_str(),
                            "num_threads",
                            threads.c_str(),
                            "request_timeout_ms",
                            timeout.c_str(),
                            "enable_keep_alive",
                            "no",
                            nullptr};
  mg_callbacks callbacks{};
  callbacks.begin_request = &Engine::OnRequest;
  engine->context = mg_start(&callbacks, engine.get(), settings);
  if (engine->context == nullptr) {
    return Error{ErrorCode::kUnavailable, options.listen + ": cannot be bound"};
  }
  mg_server_port ports[1] = {};
  if (mg_get_server_ports(engine->context, 1, ports) == 1) port = ports[0].port;
  engine->host = options.listen.substr(0, colon);
  engine->port = port;
  std::string address = options.listen.substr(0, colon) + ":" + std::to_string(port);
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(engine), std::move(address)));
}

}  // namespace tidewheel::console
