#include "tidewheel/inference/oip_http/oip_http_server.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "tidewheel/base/bounded_queue.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/inference/core/model_config.h"
#include "tidewheel/inference/core/request_parameters.h"
#include "tidewheel/inference/oip_http/content_coding.h"
#include "tidewheel/inference/oip_http/http_server.h"
#include "tidewheel/inference/oip_http/infer_json.h"
#include "tidewheel/inference/oip_http/json_text.h"
#include "tidewheel/inference/oip_http/model_json.h"
#include "tidewheel/log/log.h"
#include "tidewheel/log/trace.h"

namespace tidewheel::inference {
namespace {

using http::Exchange;
using http::Response;

// What takes longer than this to decode or to encode does not hold up the connections of a thread.
constexpr std::size_t kLongBytes = std::size_t{512} << 10;
// The same for what is packed: a body that may unpack to a thousand times its size, an answer to
// be packed.
constexpr std::size_t kLongPackedBody = std::size_t{4} << 10;
constexpr std::size_t kLongToPack = std::size_t{64} << 10;
// Smaller answers gain nothing by being packed.
constexpr std::size_t kLeastPacked = 1'024;
constexpr std::size_t kMostWaitingTasks = 128;

int StatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCancelled:
      return 499;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kFailedPrecondition:
      return 400;
    case ErrorCode::kOutOfRange:
      return 413;
    case ErrorCode::kDeadlineExceeded:
      return 504;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kAborted:
      return 409;
    case ErrorCode::kPermissionDenied:
      return 403;
    case ErrorCode::kUnauthenticated:
      return 401;
    case ErrorCode::kResourceExhausted:
      return 429;
    case ErrorCode::kUnimplemented:
      return 501;
    case ErrorCode::kUnavailable:
      return 503;
    case ErrorCode::kInternal:
    case ErrorCode::kDataLoss:
      return 500;
  }
  return 500;
}

Response Words(int status, std::string_view words) {
  Response response{.status = status, .body = ErrorJson(words)};
  if (status == 429 || status == 503) response.headers = "Retry-After: 1\r\n";
  return response;
}

// What went wrong inside is for our log, not for the caller.
std::string_view ToldOf(const Error& error) {
  if (error.code != ErrorCode::kInternal && error.code != ErrorCode::kDataLoss) {
    return error.message;
  }
  log::Error("a request over http failed", {{"error", error}});
  return "internal error";
}

Response Problem(const Error& error) { return Words(StatusOf(error.code), ToldOf(error)); }

/// As the console words the errors of the platform's rpcs.
Response PlatformProblem(const Error& error) {
  std::string json = "{\"error\":{\"code\":";
  AppendQuoted(Name(error.code), &json);
  json += ",\"message\":";
  AppendQuoted(ToldOf(error), &json);
  return {.status = StatusOf(error.code), .body = json + "}}\n"};
}

Response Json(std::string json) { return {.body = std::move(json)}; }

template <typename T>
Response JsonOr(const Result<T>& result, std::string (*write)(const T&)) {
  return result ? Json(write(*result)) : Problem(result.error());
}

/// Threads for what may block.
class Tasks {
 public:
  Tasks(std::string name, std::size_t threads, std::size_t waiting) : queue_(waiting) {
    for (std::size_t i = 0; i < std::max<std::size_t>(threads, 1); ++i) {
      workers_.push_back(std::make_unique<Worker>(name, [this](const std::stop_token& stop) {
        while (true) {
          auto tasks = queue_.PopSome(stop, 1);
          if (tasks.empty()) return;
          for (auto& task : tasks) task();
        }
      }));
    }
  }
  ~Tasks() { Stop(); }
  Tasks(const Tasks&) = delete;
  Tasks& operator=(const Tasks&) = delete;

  /// Does what waits, and no more.
  void Stop() {
    queue_.Close();
    workers_.clear();
  }
  /// False: too many wait.
  bool Try(std::function<void()>&& task) { return queue_.TryPush(std::move(task)); }

 private:
  BoundedQueue<std::function<void()>> queue_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

/// Where a model is named: /models/NAME[/versions/VERSION].
struct ModelPath {
  std::string name{};
  std::string version{};
  std::string verb{};  // What follows, or empty.
};

bool IsVersion(const std::string& text) {
  return !text.empty() && text.size() <= 20 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// `parts` begins with "v2", "models" and a name. Nothing: no such path.
std::optional<ModelPath> ReadModelPath(const std::vector<std::string>& parts) {
  ModelPath path{.name = parts[2]};
  std::size_t at = 3;
  if (parts.size() > 4 && parts[3] == "versions") {
    if (!IsVersion(parts[4])) return std::nullopt;
    path.version = parts[4];
    at = 5;
  }
  if (parts.size() > at + 2) return std::nullopt;
  for (; at < parts.size(); ++at) path.verb += (path.verb.empty() ? "" : "/") + parts[at];
  return path;
}

}  // namespace

struct OipHttpServer::Parts : std::enable_shared_from_this<OipHttpServer::Parts> {
  Parts(const Options& its_options, ModelServer& its_models, SharedMemoryTable& its_regions,
        PlatformRpcs* its_platform)
      : options(its_options),
        models(its_models),
        regions(its_regions),
        platform(its_platform),
        long_work("http-long", 1, kMostWaitingTasks),
        blocking("http-blocking", its_options.blocking_threads, kMostWaitingTasks) {}

  using Shared = std::shared_ptr<Exchange>;

  // ---- One request ------------------------------------------------------------------------------

  void Handle(const Shared& exchange) {
    options.requests.Add();
    const auto trace = log::ParseTraceParent(exchange->head().Find("traceparent"));
    if (!trace) return Route(exchange);
    const log::Context context(log::NextStep(*trace));
    Route(exchange);
  }

  void Send(const Shared& exchange, Response response) {
    Finish(*exchange, &response);
    exchange->Answer(std::move(response));
  }

  void Finish(const Exchange& exchange, Response* response) {
    if (response->status >= 500) options.failures.Add();
    options.seconds.Observe(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - exchange.arrived())
            .count());
    if (response->size() < kLeastPacked) return;
    const http::Coding coding = http::ChooseCoding(exchange.head().Find("accept-encoding"));
    if (coding == http::Coding::kIdentity) return;
    response->body = http::Pack(coding, *response);
    response->pieces.clear();
    response->headers +=
        "Content-Encoding: " + std::string(http::Name(coding)) + "\r\nVary: Accept-Encoding\r\n";
  }

  void SendNoPath(const Shared& exchange) {
    Send(exchange, Words(404, "there is no such path here"));
  }

  /// Whether the method is the one; else it has been answered.
  bool Demand(const Shared& exchange, std::string_view method) {
    const std::string_view given = exchange->head().method;
    if (given == method || (method == "GET" && given == "HEAD")) return true;
    Response response = Words(405, "the method of this path is " + std::string(method));
    response.headers =
        method == "GET" ? std::string("Allow: GET, HEAD\r\n") : std::string("Allow: POST\r\n");
    Send(exchange, std::move(response));
    return false;
  }

  void Route(const Shared& exchange) {
    const auto parts = http::SplitPath(exchange->head().path);
    if (!parts) return Send(exchange, Words(400, "the path has a broken escape"));
    const std::size_t size = parts->size();
    const auto is = [&](std::size_t at, std::string_view word) {
      return at < size && (*parts)[at] == word;
    };
    if (is(0, "v2")) {
      if (size == 1) {
        if (Demand(exchange, "GET")) Send(exchange, Json(ServerMetadataJson()));
        return;
      }
      if (is(1, "models")) return RouteModels(exchange, *parts);
      if (is(1, "health") && size == 3) return RouteHealth(exchange, (*parts)[2]);
      if (is(1, "repository")) return RouteRepository(exchange, *parts);
      if (is(1, "systemsharedmemory")) return RouteRegions(exchange, *parts);
      if (is(1, "cudasharedmemory")) return RouteCuda(exchange, *parts);
      if ((is(1, "trace") && is(2, "setting") && size == 3) || (is(1, "logging") && size == 2)) {
        return Send(exchange, Words(501, "settings of traces and logs cannot be changed here"));
      }
    }
    if (is(0, "api") && is(1, "v1") && is(2, "inference") && size == 4 && platform != nullptr) {
      return CallPlatform(exchange, (*parts)[3]);
    }
    SendNoPath(exchange);
  }

  void RouteHealth(const Shared& exchange, const std::string& what) {
    if (what != "live" && what != "ready") return SendNoPath(exchange);
    if (!Demand(exchange, "GET")) return;
    const bool well = what == "live" ? models.live() : models.ready();
    Response response = Json("{\"" + what + "\":" + (well ? "true" : "false") + "}");
    // The specification wants a status of 4xx for "no".
    if (!well) response.status = 400;
    Send(exchange, std::move(response));
  }

  // ---- Models -----------------------------------------------------------------------------------

  void RouteModels(const Shared& exchange, const std::vector<std::string>& parts) {
    if (parts.size() == 3 && parts[2] == "stats") {
      if (!Demand(exchange, "GET")) return;
      return Send(exchange, JsonOr(models.Statistics("", ""), &StatisticsJson));
    }
    const auto path = parts.size() >= 3 && !parts[2].empty() ? ReadModelPath(parts) : std::nullopt;
    if (!path) return SendNoPath(exchange);
    if (path->verb == "infer") {
      if (Demand(exchange, "POST")) Infer(exchange, *path);
      return;
    }
    if (path->verb == "generate" || path->verb == "generate_stream") {
      return Send(exchange, Words(501, "models here answer tensors: " + path->verb +
                                           " is not offered, infer is"));
    }
    if (path->verb == "trace/setting") {
      return Send(exchange, Words(501, "settings of traces cannot be changed here"));
    }
    const bool known = path->verb.empty() || path->verb == "ready" || path->verb == "config" ||
                       path->verb == "stats";
    if (!known) return SendNoPath(exchange);
    if (!Demand(exchange, "GET")) return;
    if (path->verb == "stats") {
      return Send(exchange, JsonOr(models.Statistics(path->name, path->version), &StatisticsJson));
    }
    if (path->verb == "config") {
      return Send(exchange, JsonOr(models.Config(path->name, path->version), &ModelConfigJson));
    }
    if (path->verb == "ready") {
      const auto ready = models.ModelReady(path->name, path->version);
      if (!ready) return Send(exchange, Problem(ready.error()));
      std::string json = "{\"name\":";
      AppendQuoted(path->name, &json);
      Response response = Json(json + ",\"ready\":" + (*ready ? "true}" : "false}"));
      if (!*ready) response.status = 400;
      return Send(exchange, std::move(response));
    }
    Send(exchange, JsonOr(models.Describe(path->name, path->version), &MetadataJson));
  }

  void Infer(const Shared& exchange, const ModelPath& path) {
    const bool packed = !exchange->head().Find("content-encoding").empty();
    const std::size_t most = packed ? kLongPackedBody : kLongBytes;
    if (exchange->body().size() <= most) return InferNow(exchange, path);
    if (!long_work.Try([this, exchange, path] { InferNow(exchange, path); })) {
      Send(exchange, Words(503, "too many large requests at once; try again later"));
    }
  }

  // The body without its packing, or what is answered instead.
  Result<void> UnpackBody(const Shared& exchange, std::optional<std::size_t> json_length) {
    const auto coding = http::ParseCoding(exchange->head().Find("content-encoding"));
    if (!coding) return coding.error();
    if (*coding == http::Coding::kIdentity) return {};
    net::AlignedBytes unpacked;
    if (json_length) unpacked.AlignAt(*json_length);
    if (auto done =
            http::Unpack(*coding, exchange->body().view(), options.max_body_bytes, &unpacked);
        !done) {
      return done;
    }
    exchange->Account(unpacked.size());
    exchange->body() = std::move(unpacked);
    return {};
  }

  Result<InferCall> ReadCall(const Shared& exchange, const ModelPath& path) {
    std::optional<std::size_t> json_length;
    const std::string_view length = exchange->head().Find("inference-header-content-length");
    if (!length.empty()) {
      std::size_t value = 0;
      const char* end = length.data() + length.size();
      const auto parsed = std::from_chars(length.data(), end, value);
      if (parsed.ec != std::errc() || parsed.ptr != end) {
        return Error{ErrorCode::kInvalidArgument,
                     "Inference-Header-Content-Length is not a number"};
      }
      json_length = value;
    }
    if (auto unpacked = UnpackBody(exchange, json_length); !unpacked) return unpacked.error();
    const std::string_view body = exchange->body().view();
    if (json_length != std::size_t{0}) {
      return ReadInferCall(body, json_length, regions, exchange);
    }
    const auto described = models.Describe(path.name, path.version);
    if (!described) return described.error();
    return ReadRawCall(body, described->spec, exchange);
  }

  void InferNow(const Shared& exchange, const ModelPath& path) {
    auto call = ReadCall(exchange, path);
    if (!call) return Send(exchange, Problem(call.error()));
    InferRequest& request = call->request;
    request.model_name = path.name;
    request.model_version = path.version;
    request.arrived = exchange->arrived();
    if (request.routing_key.empty()) {
      request.routing_key = exchange->head().Find(kRoutingKeyHeader);
    }
    request.cancelled = [exchange] { return exchange->gone(); };
    // The answer may come when the server has stopped waiting for it.
    models.Infer(std::move(request),
                 [this, self = shared_from_this(), exchange,
                  form = std::move(call->form)](Result<InferResponse> answer) mutable {
                   if (!answer) return Send(exchange, Problem(answer.error()));
                   // On the connection's thread, not on the one that runs models.
                   auto kept = std::make_shared<std::pair<InferResponse, AnswerForm>>(
                       *std::move(answer), std::move(form));
                   const bool takes_long = TakesLong(*exchange, kept->first, kept->second);
                   auto make = [this, exchange, kept] { return WriteAnswer(exchange, kept); };
                   if (takes_long && long_work.Try([exchange, make] { exchange->Answer(make()); }))
                     return;
                   exchange->Answer(std::move(make));
                 });
  }

  static bool TakesLong(const Exchange& exchange, const InferResponse& answer,
                        const AnswerForm& form) {
    if (JsonBytesOf(answer, form) > kLongBytes) return true;
    std::size_t bytes = 0;
    for (const Tensor& tensor : answer.outputs) bytes += tensor.data.size();
    return bytes > kLongToPack &&
           http::ChooseCoding(exchange.head().Find("accept-encoding")) != http::Coding::kIdentity;
  }

  Response WriteAnswer(const Shared& exchange,
                       const std::shared_ptr<std::pair<InferResponse, AnswerForm>>& kept) {
    auto written = WriteInferAnswer(kept->first, kept->second, regions);
    Response response = written ? *std::move(written) : Problem(written.error());
    // Outputs may be views into what belongs to the request.
    if (!response.pieces.empty()) response.pieces.push_back({{}, exchange});
    Finish(*exchange, &response);
    return response;
  }

  // ---- The repository ---------------------------------------------------------------------------

  void Block(const Shared& exchange, std::function<Response()> work) {
    if (!blocking.Try([this, exchange, work = std::move(work)] {
          if (auto unpacked = UnpackBody(exchange, {}); !unpacked) {
            return Send(exchange, Problem(unpacked.error()));
          }
          Send(exchange, work());
        })) {
      Send(exchange, Words(503, "too many calls that take long; try again later"));
    }
  }

  void RouteRepository(const Shared& exchange, std::vector<std::string> parts) {
    // /v2/repository[/REPOSITORY]/index and /v2/repository[/REPOSITORY]/models/NAME/(load|unload)
    const auto is_index = [](const std::vector<std::string>& its) {
      return its.size() == 3 && its[2] == "index";
    };
    const auto is_model = [](const std::vector<std::string>& its) {
      return its.size() == 5 && its[2] == "models" && !its[3].empty() &&
             (its[4] == "load" || its[4] == "unload");
    };
    if (!is_index(parts) && !is_model(parts) && parts.size() > 3) {
      const std::string repository = parts[2];
      parts.erase(parts.begin() + 2);
      if (!is_index(parts) && !is_model(parts)) return SendNoPath(exchange);
      return Send(exchange, Words(400, "repositories have no names here: leave out \"" +
                                           repository.substr(0, 80) + "\""));
    }
    if (!is_index(parts) && !is_model(parts)) return SendNoPath(exchange);
    if (!Demand(exchange, "POST")) return;
    if (is_index(parts)) {
      return Block(exchange, [this, exchange] {
        const auto ready_only = ReadReadyOnly(exchange->body().view());
        if (!ready_only) return Problem(ready_only.error());
        return Json(IndexJson(models.Index(*ready_only)));
      });
    }
    const std::string name = parts[3];
    if (parts[4] == "load") {
      return Block(exchange, [this, exchange, name] {
        const auto call = ReadLoadCall(exchange->body().view());
        if (!call) return Problem(call.error());
        const auto loaded = models.Load(name, call->config, call->files);
        if (loaded) log::Info("model loaded", {{"model", name.substr(0, 200)}});
        if (options.models_changed) options.models_changed();
        return loaded ? Json("{}") : Problem(loaded.error());
      });
    }
    Block(exchange, [this, exchange, name] {
      const auto dependents = ReadUnloadDependents(exchange->body().view());
      if (!dependents) return Problem(dependents.error());
      std::set<std::string> inner;
      if (*dependents) {
        // Of one that is not loaded the steps are not known any more: it is as asked.
        if (const auto config = models.Config(name, "")) {
          for (const EnsembleStep& step : config->ensemble) inner.insert(step.model);
        }
      }
      auto unloaded = models.Unload(name);
      for (auto model = inner.begin(); unloaded && model != inner.end(); ++model) {
        unloaded = models.Unload(*model);
      }
      if (unloaded) log::Info("model unloaded", {{"model", name.substr(0, 200)}});
      if (options.models_changed) options.models_changed();
      return unloaded ? Json("{}") : Problem(unloaded.error());
    });
  }

  // ---- Shared memory ----------------------------------------------------------------------------

  /// /v2/KIND[/region/NAME]/VERB: the verb, and the name.
  static std::pair<std::string, std::string> RegionPath(const std::vector<std::string>& parts) {
    if (parts.size() == 3) return {parts[2], ""};
    if (parts.size() == 5 && parts[2] == "region" && !parts[3].empty()) return {parts[4], parts[3]};
    return {};
  }

  void RouteRegions(const Shared& exchange, const std::vector<std::string>& parts) {
    const auto [verb, name] = RegionPath(parts);
    if (verb == "status") {
      if (!Demand(exchange, "GET")) return;
      return Send(exchange, JsonOr(regions.Status(name), &RegionsJson));
    }
    if (verb == "unregister") {
      if (!Demand(exchange, "POST")) return;
      regions.Unregister(name);
      return Send(exchange, Json("{}"));
    }
    if (verb != "register" || name.empty()) return SendNoPath(exchange);
    if (!Demand(exchange, "POST")) return;
    if (!options.shared_memory) {
      return Send(exchange, Words(501, "shared memory is switched off here"));
    }
    if (auto unpacked = UnpackBody(exchange, {}); !unpacked) {
      return Send(exchange, Problem(unpacked.error()));
    }
    auto region = ReadRegion(exchange->body().view());
    if (!region) return Send(exchange, Problem(region.error()));
    region->name = name;
    const auto registered = regions.Register(*region);
    Send(exchange, registered ? Json("{}") : Problem(registered.error()));
  }

  // Clients ask for it before they begin, and take away what they may have left.
  void RouteCuda(const Shared& exchange, const std::vector<std::string>& parts) {
    const auto [verb, name] = RegionPath(parts);
    if (verb == "status") {
      if (!Demand(exchange, "GET")) return;
      if (name.empty()) return Send(exchange, Json("[]"));
      return Send(exchange, Words(404, "there is no CUDA shared memory region here"));
    }
    if (verb == "unregister") {
      if (Demand(exchange, "POST")) Send(exchange, Json("{}"));
      return;
    }
    if (verb != "register" || name.empty()) return SendNoPath(exchange);
    Send(exchange, Words(501, "CUDA shared memory is not offered here: system shared memory is"));
  }

  // ---- The platform's own -----------------------------------------------------------------------

  void CallPlatform(const Shared& exchange, const std::string& rpc) {
    if (!Demand(exchange, "POST")) return;
    // A form of another site cannot send this type without asking first, and nobody says yes.
    std::string_view type = exchange->head().Find("content-type");
    type = type.substr(0, type.find(';'));
    if (type != "application/json") {
      Response response =
          PlatformProblem({ErrorCode::kInvalidArgument, "the body must be application/json"});
      response.status = 415;
      return Send(exchange, std::move(response));
    }
    const auto call = [this, exchange, rpc] {
      if (auto unpacked = UnpackBody(exchange, {}); !unpacked) {
        return Send(exchange, PlatformProblem(unpacked.error()));
      }
      platform->Handle({.rpc = rpc,
                        .json = std::string(exchange->body().view()),
                        .trace_parent = std::string(exchange->head().Find("traceparent")),
                        .cancelled = [exchange] { return exchange->gone(); }},
                       [this, self = shared_from_this(), exchange](Result<std::string> answer) {
                         Send(exchange,
                              answer ? Json(*std::move(answer)) : PlatformProblem(answer.error()));
                       });
    };
    if (!blocking.Try(call)) {
      Send(exchange, PlatformProblem({ErrorCode::kResourceExhausted,
                                      "too many calls at once; try again later"}));
    }
  }

  const Options options;
  ModelServer& models;
  SharedMemoryTable& regions;
  PlatformRpcs* const platform;
  // What is large, and what blocks, apart: a model that loads for minutes holds up no large
  // request.
  Tasks long_work;
  Tasks blocking;
  std::unique_ptr<http::Server> server;  // Last: it calls the rest.
};

OipHttpServer::OipHttpServer(std::shared_ptr<Parts> parts) : parts_(std::move(parts)) {}
OipHttpServer::~OipHttpServer() {
  parts_->server.reset();
  parts_->blocking.Stop();
  parts_->long_work.Stop();
}

const std::string& OipHttpServer::address() const { return parts_->server->address(); }

Result<std::unique_ptr<OipHttpServer>> OipHttpServer::Start(const Options& options,
                                                            ModelServer& models,
                                                            SharedMemoryTable& regions,
                                                            PlatformRpcs* platform) {
  auto parts = std::make_shared<Parts>(options, models, regions, platform);
  const http::ServerOptions server{.listen = options.listen,
                                   .threads = options.threads,
                                   .max_connections = options.max_connections,
                                   .head = {options.max_head_bytes, options.max_headers},
                                   .max_body_bytes = options.max_body_bytes,
                                   .max_buffered_bytes = options.max_buffered_bytes,
                                   .max_requests = options.max_requests,
                                   .idle_timeout = options.idle_timeout,
                                   .transfer_timeout = options.transfer_timeout,
                                   .least_bytes_per_second = options.least_bytes_per_second,
                                   .drain = options.drain,
                                   .cut_off = options.cut_off,
                                   .connections = options.connections};
  auto started = http::Server::Start(
      server, [its = parts.get()](std::shared_ptr<Exchange> exchange) { its->Handle(exchange); },
      [](int status, const std::string& words) { return Words(status, words); });
  if (!started) return started.error();
  parts->server = *std::move(started);
  return std::unique_ptr<OipHttpServer>(new OipHttpServer(std::move(parts)));
}

}  // namespace tidewheel::inference
