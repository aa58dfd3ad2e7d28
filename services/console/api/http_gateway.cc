#include "tidewheel/console/api/http_gateway.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "tidewheel/console/gateway/json_mapping.h"
#include "tidewheel/ingestion/v1/ingestion_service.pb.h"
#include "tidewheel/log/log.h"
#include "tidewheel/log/trace.h"
#include "tidewheel/web/assets.h"

namespace tidewheel::console {
namespace {

constexpr std::string_view kApi = "/api/v1";
constexpr char kNdjson[] = "application/x-ndjson; charset=utf-8";

int Send(HttpExchange& exchange, HttpResponse response) {
  exchange.Send(response);
  return response.status;
}

int Fail(HttpExchange& exchange, int status, const Error& error, HttpHeaders headers = {}) {
  return Send(exchange,
              {status, "application/json; charset=utf-8", ErrorToJson(error), std::move(headers)});
}

int Fail(HttpExchange& exchange, const Error& error) {
  return Fail(exchange, HttpStatusOf(error.code), error);
}

int RefuseMethod(HttpExchange& exchange, const std::string& allowed) {
  return Fail(exchange, 405, {ErrorCode::kUnimplemented, "only " + allowed + " is answered here"},
              {{"Allow", allowed}});
}

// "localhost:8080" -> "localhost"; "[::1]:8080" -> "[::1]".
std::string WithoutPort(const std::string& host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

// Why a request that may change something does not come from our own page or a plain client.
std::optional<Error> CrossSiteProblem(const HttpRequest& request) {
  const std::string& origin = request.Header("origin");
  const std::string& site = request.Header("sec-fetch-site");
  const std::string& host = request.Header("host");
  const bool foreign_origin =
      !origin.empty() && origin != "http://" + host && origin != "https://" + host;
  const bool foreign_site = !site.empty() && site != "same-origin" && site != "none";
  if (!foreign_origin && !foreign_site) return std::nullopt;
  return Error{ErrorCode::kPermissionDenied, "requests from other sites are refused"};
}

bool IsJson(const HttpRequest& request) {
  std::string type = request.Header("content-type");
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.pop_back();
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return type == "application/json";
}

// What a browser may be told a stored payload is; everything else stays bytes.
std::string SafeContentType(const std::string& type) {
  static constexpr std::array<std::string_view, 8> kPictures = {"image/jpeg",
                                                                "image/png",
                                                                "image/webp",
                                                                "image/gif",
                                                                "image/x-portable-anymap",
                                                                "image/x-portable-graymap",
                                                                "image/x-portable-pixmap",
                                                                "image/bmp"};
  return std::find(kPictures.begin(), kPictures.end(), type) != kPictures.end()
             ? type
             : "application/octet-stream";
}

}  // namespace

void HttpGateway::Handle(const HttpRequest& request, HttpExchange& exchange) {
  const auto begin = std::chrono::steady_clock::now();
  const auto given = log::ParseTraceParent(request.Header("traceparent"));
  log::Trace trace = given ? log::NextStep(*given) : log::NewTrace();
  trace.request_id = request.Header("x-request-id").substr(0, 128);
  const log::Context context(trace);
  const int status = Route(request, exchange);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  options_.requests.Add();
  if (status >= 500) options_.failures.Add();
  options_.seconds.Observe(took.count());
  // A page that refreshes itself would fill the log with what it reads.
  const bool reads = request.method == "GET" || request.method == "HEAD";
  const std::array<log::Field, 4> fields = {
      log::Field("method", request.method), log::Field("path", request.path),
      log::Field("status", status), log::Field("seconds", took)};
  log::Write(reads && status < 500 ? log::Level::kDebug : log::Level::kInfo, "http request",
             fields);
}

int HttpGateway::Route(const HttpRequest& request, HttpExchange& exchange) {
  if (!IsForUs(request)) {
    return Fail(exchange, 421,
                {ErrorCode::kPermissionDenied, "this is not the host you asked for"});
  }
  const std::string_view path = request.path;
  if (path != kApi && !path.starts_with("/api/")) return ServeAsset(request, exchange);
  if (auto problem = CrossSiteProblem(request)) return Fail(exchange, *problem);
  if (path == kApi || path == "/api/v1/") {
    if (request.method != "GET") return RefuseMethod(exchange, "GET");
    return Send(exchange, {200, "application/json; charset=utf-8", description_, {}});
  }
  std::vector<std::string> parts;
  for (std::size_t at = kApi.size() + 1;
       path.starts_with("/api/v1/") && at <= path.size() && parts.size() < 5;) {
    const auto slash = std::min(path.find('/', at), path.size());
    parts.emplace_back(path.substr(at, slash - at));
    at = slash + 1;
  }
  if (parts.size() == 3 && parts[0] == "samples" && parts[2] == "payload") {
    if (request.method != "GET") return RefuseMethod(exchange, "GET");
    return ServePayload(parts[1], exchange);
  }
  if (parts.size() == 2) return CallRpc(request, parts[0], parts[1], exchange);
  return Fail(exchange, {ErrorCode::kNotFound, "no such path; GET /api/v1 lists what there is"});
}

bool HttpGateway::IsForUs(const HttpRequest& request) const {
  const auto& hosts = options_.hosts;
  if (std::find(hosts.begin(), hosts.end(), "*") != hosts.end()) return true;
  return std::find(hosts.begin(), hosts.end(), WithoutPort(request.Header("host"))) != hosts.end();
}

int HttpGateway::ServeAsset(const HttpRequest& request, HttpExchange& exchange) const {
  if (request.method != "GET" && request.method != "HEAD")
    return RefuseMethod(exchange, "GET, HEAD");
  const web::Asset* asset = web::FindAsset(request.path == "/" ? "/index.html" : request.path);
  if (asset == nullptr) return Fail(exchange, {ErrorCode::kNotFound, "no such page"});
  const std::string tag = "\"" + std::string(asset->digest) + "\"";
  HttpHeaders headers = {{"Cache-Control", "no-cache"}, {"ETag", tag}};
  if (request.Header("if-none-match") == tag) {
    return Send(exchange, {304, std::string(asset->content_type), "", std::move(headers)});
  }
  return Send(exchange, {200, std::string(asset->content_type), std::string(asset->bytes),
                         std::move(headers)});
}

int HttpGateway::ServePayload(const std::string& sample_id, HttpExchange& exchange) const {
  ingestion::v1::GetSamplePayloadRequest request;
  request.set_sample_id(sample_id);
  auto answered =
      backends_.Call("ingestion", "/tidewheel.ingestion.v1.IngestionService/GetSamplePayload",
                     request.SerializeAsString(), options_.call_deadline);
  if (!answered) return Fail(exchange, answered.error());
  ingestion::v1::GetSamplePayloadResponse response;
  if (!response.ParseFromString(*answered)) {
    return Fail(exchange, {ErrorCode::kInternal, "ingestion: the answer cannot be read"});
  }
  // A sample's payload never changes; `private`, because not everybody may see it.
  return Send(exchange, {200,
                         SafeContentType(response.content_type()),
                         std::move(*response.mutable_payload()),
                         {{"Cache-Control", "private, max-age=3600, immutable"}}});
}

int HttpGateway::CallRpc(const HttpRequest& request, std::string_view service,
                         std::string_view name, HttpExchange& exchange) {
  const CataloguedRpc* rpc = catalog_.Find(service, name);
  if (rpc == nullptr) {
    return Fail(exchange, {ErrorCode::kNotFound, "no rpc " + std::string(name) + " of " +
                                                     std::string(service) +
                                                     "; GET /api/v1 lists what there is"});
  }
  if (!rpc->over_http()) {
    return Fail(exchange, {ErrorCode::kUnimplemented,
                           rpc->name + " takes a stream: it is there over gRPC alone"});
  }
  const bool get_too = rpc->reads() && !rpc->streams();
  const auto message = NewMessage(*rpc->method->input_type());
  Result<void> read;
  if (request.method == "GET" && get_too) {
    read = QueryToMessage(request.query, message.get());
  } else if (request.method == "POST") {
    // A form of another site cannot send this type without asking us first, and we never say yes.
    if (!IsJson(request)) {
      return Fail(exchange, 415,
                  {ErrorCode::kInvalidArgument, "the body must be application/json"});
    }
    if (!request.query.empty()) {
      return Fail(exchange, {ErrorCode::kInvalidArgument,
                             "a POST takes its fields from the body, not from the query"});
    }
    read = JsonToMessage(request.body, message.get());
  } else {
    return RefuseMethod(exchange, get_too ? "GET, POST" : "POST");
  }
  if (!read) return Fail(exchange, read.error());
  const std::string bytes = message->SerializeAsString();
  if (rpc->streams()) return StreamRpc(*rpc, bytes, exchange);

  const auto answered =
      backends_.Call(rpc->service, rpc->grpc_method, bytes, options_.call_deadline);
  if (!answered) return Fail(exchange, answered.error());
  const auto response = NewMessage(*rpc->method->output_type());
  if (!response->ParseFromString(*answered)) {
    return Fail(exchange, {ErrorCode::kInternal, rpc->service + ": the answer cannot be read"});
  }
  return Send(exchange,
              {200, "application/json; charset=utf-8", MessageToJson(*response) + "\n", {}});
}

int HttpGateway::StreamRpc(const CataloguedRpc& rpc, const std::string& bytes,
                           HttpExchange& exchange) {
  if (streams_.fetch_add(1) >= options_.max_streams) {
    --streams_;
    return Fail(exchange, {ErrorCode::kResourceExhausted, "more than " +
                                                              std::to_string(options_.max_streams) +
                                                              " streams at once; try again later"});
  }
  const auto response = NewMessage(*rpc.method->output_type());
  bool begun = false;
  int silent_seconds = 0;
  const auto begin = [&] {
    if (!std::exchange(begun, true)) exchange.Begin({200, kNdjson, "", {}});
  };
  const auto ended =
      backends_.Stream(rpc.service, rpc.grpc_method, bytes, [&](const std::string* message) {
        if (exchange.stopping()) return false;
        if (message == nullptr) {
          if (++silent_seconds < options_.heartbeat_seconds) return true;
          silent_seconds = 0;
          begin();
          return exchange.Write("\n");
        }
        silent_seconds = 0;
        if (!response->ParseFromString(*message)) return false;
        begin();
        return exchange.Write(MessageToJson(*response) + "\n");
      });
  --streams_;
  if (ended) {
    begin();
    return 200;
  }
  if (!begun) return Fail(exchange, ended.error());
  // The status has gone out already: the last line says how it ended.
  exchange.Write(ErrorToJson(ended.error()));
  return HttpStatusOf(ended.error().code);
}

}  // namespace tidewheel::console
