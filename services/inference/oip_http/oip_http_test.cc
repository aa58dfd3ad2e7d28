// The protocol over real sockets, call by call, and what the server does to those who misuse it.
#include "tidewheel/inference/oip_http/oip_http_server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/inference/core/repository_server.h"
#include "tidewheel/inference/core/testing/fake_executor.h"
#include "tidewheel/inference/core/testing/identity_models.h"
#include "tidewheel/inference/oip_http/content_coding.h"
#include "tidewheel/inference/oip_http/testing/http_client.h"
#include "tidewheel/testing/eventually.h"

namespace tidewheel::inference {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::FakeExecutor;
using testing::Gate;
using ::testing::HasSubstr;
using testing::HttpAnswer;
using testing::HttpClient;

std::string Floats(const std::vector<float>& values) { return testing::FloatBytes(values); }

/// {"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]} and so on.
constexpr char kOneRow[] =
    R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2.5]}]})";

/// What the platform's own rpcs do here: say what they were asked.
class EchoPlatform final : public PlatformRpcs {
 public:
  void Handle(Call call, Answered answered) override {
    if (call.rpc != "Predict") return answered(Error{ErrorCode::kNotFound, "no rpc " + call.rpc});
    answered("{\"asked\":" + call.json + "}");
  }
};

/// Adds nothing; waits at a gate, on no thread of a caller.
class HeldExecutor final : public Executor {
 public:
  HeldExecutor(Gate& gate, const std::atomic<bool>& fails) : gate_(gate), fails_(fails) {}
  const ModelSpec& spec() const override { return spec_; }
  bool may_block() const override { return true; }
  Result<std::vector<Tensor>> Execute(std::span<const Tensor> inputs) override {
    gate_.Pass();
    if (fails_) return Error{ErrorCode::kUnavailable, "the runner has gone"};
    return std::vector<Tensor>{
        Tensor::Of("y", DataType::kFp32, inputs[0].shape, std::string(inputs[0].data))};
  }

 private:
  const ModelSpec spec_ = FakeExecutor::Spec(1);
  Gate& gate_;
  const std::atomic<bool>& fails_;
};

class Count final : public Counter {
 public:
  void Add(double amount) override { count_ += static_cast<int>(amount); }
  int value() const { return count_; }

 private:
  std::atomic<int> count_{0};
};

class OipHttpServerTest : public ::testing::Test {
 protected:
  OipHttpServerTest() {
    root_ = fs::temp_directory_path() /
            ("tidewheel-oip-http-" + std::to_string(::getpid()) + "-" +
             ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    fs::create_directories(root_ / "models");
  }
  ~OipHttpServerTest() override {
    gate_.Open();
    server_.reset();
    models_.reset();
    fs::remove_all(root_);
  }

  void Write(const fs::path& path, const std::string& text) {
    fs::create_directories((root_ / "models" / path).parent_path());
    std::ofstream(root_ / "models" / path, std::ios::binary) << text;
  }
  /// With the identity of every datatype, "plus" (adds 1), "held" (waits at the gate), "broken".
  HttpClient& Start(OipHttpServer::Options options = {}) {
    RepositoryServer::Options repository;
    repository.repository = root_ / "models";
    repository.mode = RepositoryServer::Mode::kExplicit;
    repository.scratch = root_ / "scratch";
    models_ = std::make_unique<RepositoryServer>(repository, loader_);
    EXPECT_TRUE(models_->Start().ok());
    EXPECT_TRUE(testing::PutIdentityModels(*models_).ok());
    EXPECT_TRUE(models_->Put("plus", 3, std::make_unique<FakeExecutor>(FakeExecutor::Spec())).ok());
    return Serve(options);
  }
  void PutHeld() {
    // Its warm-up passes the open gate.
    ASSERT_TRUE(models_->Put("held", 1, std::make_unique<HeldExecutor>(gate_, held_fails_)).ok());
    warmed_ = gate_.arrivals();
    gate_.Shut();
  }
  HttpClient& Serve(const OipHttpServer::Options& options) {
    auto started = OipHttpServer::Start(options, *models_, regions_, &platform_);
    EXPECT_TRUE(started.ok()) << started.error().message;
    server_ = *std::move(started);
    client_ = std::make_unique<HttpClient>(server_->address());
    return *client_;
  }
  std::unique_ptr<HttpClient> Another() const {
    return std::make_unique<HttpClient>(server_->address());
  }

  static std::string ErrorOf(const HttpAnswer& answer) {
    simdjson::dom::parser parser;
    std::string_view words;
    if (parser.parse(answer.body).at_key("error").get_string().get(words)) return "";
    return std::string(words);
  }
  static bool Eventually(const std::function<bool()>& condition) {
    return tidewheel::testing::Eventually(60s, condition);
  }

  fs::path root_;
  Gate gate_;
  std::atomic<bool> held_fails_{false};
  int warmed_ = 0;  // Arrivals at the gate before the first request.
  testing::IdentityLoader loader_;
  SharedMemoryTable regions_;
  EchoPlatform platform_;
  std::unique_ptr<RepositoryServer> models_;
  std::unique_ptr<OipHttpServer> server_;
  std::unique_ptr<HttpClient> client_;
};

// ---- The specification, call by call -----------------------------------------------------------

TEST_F(OipHttpServerTest, HealthSaysYesWithAStatusOf200) {
  HttpClient& client = Start();
  for (const std::string what : {"live", "ready"}) {
    const HttpAnswer answer = client.Get("/v2/health/" + what);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "{\"" + what + "\":true}");
    EXPECT_EQ(answer.headers.at("content-type"), "application/json");
  }
  EXPECT_EQ(client.Get("/v2/health/lively").status, 404);
}

TEST_F(OipHttpServerTest, AServerThatIsNotReadySaysSoWith4xx) {
  models_ = std::make_unique<RepositoryServer>(RepositoryServer::Options{}, loader_);
  HttpClient& client = Serve({});
  EXPECT_EQ(client.Get("/v2/health/live").status, 200);
  const HttpAnswer answer = client.Get("/v2/health/ready");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body, "{\"ready\":false}");
}

TEST_F(OipHttpServerTest, TheServerDescribesItself) {
  HttpClient& client = Start();
  for (const std::string path : {"/v2", "/v2/"}) {
    const HttpAnswer answer = client.Get(path);
    EXPECT_EQ(answer.status, 200);
    EXPECT_THAT(answer.body, HasSubstr(R"({"name":"tidewheel","version":")"));
    EXPECT_THAT(answer.body, HasSubstr(R"("binary_tensor_data")"));
  }
}

TEST_F(OipHttpServerTest, AModelDescribesItself) {
  HttpClient& client = Start();
  const std::string expected = R"({"name":"plus","versions":["3"],"platform":"fake_fake",)"
                               R"("inputs":[{"name":"x","datatype":"FP32","shape":[-1,2]}],)"
                               R"("outputs":[{"name":"y","datatype":"FP32","shape":[-1,2]}]})";
  EXPECT_EQ(client.Get("/v2/models/plus").body, expected);
  EXPECT_EQ(client.Get("/v2/models/plus/versions/3").body, expected);
  EXPECT_EQ(client.Get("/v2/models/plus/versions/4").status, 404);
  EXPECT_EQ(client.Get("/v2/models/plus/versions/x").status, 404);
  const HttpAnswer unknown = client.Get("/v2/models/minus");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_THAT(ErrorOf(unknown), HasSubstr("minus"));
}

TEST_F(OipHttpServerTest, AModelSaysWhetherItIsReady) {
  Write("lazy/1/model.onnx", "");
  HttpClient& client = Start();
  HttpAnswer answer = client.Get("/v2/models/plus/ready");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"name":"plus","ready":true})");
  EXPECT_EQ(client.Get("/v2/models/plus/versions/3/ready").status, 200);
  answer = client.Get("/v2/models/lazy/ready");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body, R"({"name":"lazy","ready":false})");
  EXPECT_EQ(client.Get("/v2/models/minus/ready").status, 404);
}

TEST_F(OipHttpServerTest, InferenceAnswersJson) {
  HttpClient& client = Start();
  const HttpAnswer answer = client.Post(
      "/v2/models/plus/infer",
      R"({"id":"42","inputs":[{"name":"x","datatype":"FP32","shape":[2,2],"data":[[1,2],[3,4]]}]})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.headers.at("content-type"), "application/json");
  EXPECT_EQ(answer.body, R"({"model_name":"plus","model_version":"3","id":"42","outputs":[)"
                         R"({"name":"y","datatype":"FP32","shape":[2,2],"data":[2,3,4,5]}]})");
  EXPECT_EQ(client.Post("/v2/models/plus/versions/3/infer", kOneRow).status, 200);
  EXPECT_EQ(client.Post("/v2/models/plus/versions/2/infer", kOneRow).status, 404);
}

TEST_F(OipHttpServerTest, InferenceAnswersBinaryTensorsWhenAsked) {
  HttpClient& client = Start();
  const std::string json =
      R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}],)"
      R"("parameters":{"binary_data_output":true}})";
  const HttpAnswer answer =
      client.Post("/v2/models/plus/infer", json + Floats({1, 2}),
                  "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.headers.at("content-type"), "application/octet-stream");
  const auto length =
      static_cast<std::size_t>(std::stoul(answer.headers.at("inference-header-content-length")));
  EXPECT_EQ(answer.body.substr(0, length),
            R"({"model_name":"plus","model_version":"3","outputs":[{"name":"y","datatype":"FP32",)"
            R"("shape":[1,2],"parameters":{"binary_data_size":8}}]})");
  EXPECT_EQ(answer.body.substr(length), Floats({2, 3}));
}

TEST_F(OipHttpServerTest, OneAnswerMayMixBinaryAndJson) {
  HttpClient& client = Start();
  const std::string json =
      R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[1]},)"
      R"({"name":"x1","datatype":"BYTES","shape":[1,1],"parameters":{"binary_data_size":6}}],)"
      R"("outputs":[{"name":"y1"},{"name":"y","parameters":{"binary_data":true}}]})";
  const HttpAnswer answer =
      client.Post("/v2/models/pair/infer", json + std::string("\2\0\0\0hi", 6),
                  "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body,
              HasSubstr(R"("name":"y1","datatype":"BYTES","shape":[1,1],"data":["hi"])"));
  EXPECT_TRUE(answer.body.ends_with("]}" + Floats({1})));
}

TEST_F(OipHttpServerTest, ABodyWithoutJsonIsTheOnlyInput) {
  HttpClient& client = Start();
  const HttpAnswer answer = client.Post("/v2/models/plus/infer", Floats({7, 8}),
                                        "Inference-Header-Content-Length: 0\r\n");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_TRUE(answer.body.ends_with(Floats({8, 9})));
  EXPECT_EQ(
      client.Post("/v2/models/plus/infer", Floats({7}), "Inference-Header-Content-Length: 0\r\n")
          .status,
      400);
}

TEST_F(OipHttpServerTest, EveryDatatypeComesBackAsItWent) {
  HttpClient& client = Start();
  for (const auto& [type, data] :
       std::vector<std::pair<std::string, std::string>>{{"BOOL", "[true,false]"},
                                                        {"UINT8", "[0,255]"},
                                                        {"UINT16", "[0,65535]"},
                                                        {"UINT32", "[0,4294967295]"},
                                                        {"UINT64", "[0,18446744073709551615]"},
                                                        {"INT8", "[-128,127]"},
                                                        {"INT16", "[-32768,32767]"},
                                                        {"INT32", "[-2147483648,2147483647]"},
                                                        {"INT64", "[-9223372036854775808,1]"},
                                                        {"FP16", "[0.5,-65504]"},
                                                        {"BF16", "[0.5,-128]"},
                                                        {"FP32", "[0.1,\"NaN\"]"},
                                                        {"FP64", "[0.1,1e+300]"},
                                                        {"BYTES", "[\"\",\"\xC3\xA4\\n\"]"}}) {
    std::string name = type;
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    const HttpAnswer answer = client.Post("/v2/models/identity_" + name + "/infer",
                                          R"({"inputs":[{"name":"x","datatype":")" + type +
                                              R"(","shape":[1,2],"data":)" + data + "}]}");
    EXPECT_EQ(answer.status, 200) << type << answer.body;
    EXPECT_THAT(answer.body, HasSubstr("\"datatype\":\"" + type + "\",\"shape\":[1,2],\"data\":" +
                                       (data.find('\xC3') == std::string::npos ? data : "")));
  }
}

TEST_F(OipHttpServerTest, ErrorsAreObjectsWithTheirStatus) {
  HttpClient& client = Start();
  const auto status = [&](const std::string& body, const std::string& headers = "") {
    const HttpAnswer answer = client.Post("/v2/models/plus/infer", body, headers);
    EXPECT_FALSE(ErrorOf(answer).empty()) << answer.body;
    return answer.status;
  };
  EXPECT_EQ(status("not json"), 400);
  EXPECT_EQ(status(R"({"inputs":[]})"), 400);
  EXPECT_EQ(status(R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]})"),
            400);
  EXPECT_EQ(status(R"({"inputs":[{"name":"x","datatype":"INT32","shape":[1,2],"data":[1,2]}]})"),
            400);
  EXPECT_EQ(status(R"({"inputs":[{"name":"z","datatype":"FP32","shape":[1,2],"data":[1,2]}]})"),
            400);
  EXPECT_EQ(status(kOneRow, "Inference-Header-Content-Length: x\r\n"), 400);
  EXPECT_EQ(status(kOneRow, "Inference-Header-Content-Length: 9999\r\n"), 400);
  EXPECT_EQ(status(kOneRow, "Content-Encoding: br\r\n"), 501);
  EXPECT_EQ(client.Post("/v2/models/minus/infer", kOneRow).status, 404);

  const HttpAnswer shape =
      client.Post("/v2/models/plus/infer",
                  R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]})");
  EXPECT_THAT(ErrorOf(shape), HasSubstr("FP32 [-1,2]"));
  EXPECT_THAT(ErrorOf(shape), HasSubstr("FP32 [1,3]"));
}

TEST_F(OipHttpServerTest, WhatFailsInsideIsNotTold) {
  HttpClient& client = Start();
  // The warm-up must pass, the request must not.
  std::atomic<bool> fails{false};
  class Failing final : public Executor {
   public:
    explicit Failing(std::atomic<bool>& fails) : fails_(fails) {}
    const ModelSpec& spec() const override { return spec_; }
    Result<std::vector<Tensor>> Execute(std::span<const Tensor> inputs) override {
      if (fails_) return Error{ErrorCode::kInternal, "secret of the engine"};
      return std::vector<Tensor>{
          Tensor::Of("y", DataType::kFp32, inputs[0].shape, std::string(inputs[0].data))};
    }

   private:
    const ModelSpec spec_ = FakeExecutor::Spec();
    std::atomic<bool>& fails_;
  };
  ASSERT_TRUE(models_->Put("broken", 1, std::make_unique<Failing>(fails)).ok());
  fails = true;
  const HttpAnswer answer = client.Post("/v2/models/broken/infer", kOneRow);
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(ErrorOf(answer), "internal error");
}

TEST_F(OipHttpServerTest, PathsAndMethodsThatAreNotThereAreErrorsToo) {
  HttpClient& client = Start();
  for (const std::string path :
       {"/", "/v1", "/v2/models", "/v2/models/", "/v2/models/plus/fly", "/v2/models//infer",
        "/v2/models/plus/versions", "/v2/models/plus/versions/3/x/y", "/v2/repository",
        "/v2/systemsharedmemory", "/v2/health", "/api/v1/inference", "/%"}) {
    const HttpAnswer answer = client.Get(path);
    EXPECT_EQ(answer.status, path == "/%" ? 400 : 404) << path;
    EXPECT_FALSE(ErrorOf(answer).empty()) << path;
  }
  HttpAnswer answer = client.Get("/v2/models/plus/infer");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers.at("allow"), "POST");
  answer = client.Post("/v2/health/live", "");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers.at("allow"), "GET, HEAD");
  EXPECT_EQ(client.Post("/v2/models/plus/generate", "{}").status, 501);
  EXPECT_EQ(client.Get("/v2/trace/setting").status, 501);
  EXPECT_EQ(client.Post("/v2/logging", "{}").status, 501);
}

TEST_F(OipHttpServerTest, NamesMayBeEscaped) {
  HttpClient& client = Start();
  EXPECT_EQ(client.Get("/v2/models/%70lus/ready").status, 200);
  EXPECT_EQ(client.Get("/v2/models/%22%0A%ff").status, 404);
  EXPECT_FALSE(ErrorOf(client.Get("/v2/models/%22%0A%ff")).empty());
}

TEST_F(OipHttpServerTest, ExpiredRequestsAreNotRun) {
  HttpClient& client = Start();
  PutHeld();
  auto first = Another();
  first->Send(HttpClient::Request("POST", "/v2/models/held/infer", kOneRow));
  gate_.AwaitArrivals(warmed_ + 1);
  client.Send(HttpClient::Request(
      "POST", "/v2/models/held/infer",
      R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}],"parameters":{"timeout":1000}})"));
  // Refused at once where it is known that the time will not do; else when its turn comes.
  ASSERT_TRUE(Eventually([&] {
    const auto statistics = models_->Statistics("held", "")->at(0);
    return statistics.pending == 1 || statistics.refused == 1;
  }));
  std::this_thread::sleep_for(5ms);
  gate_.Open();
  const auto answer = client.Read();
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->status == 504 || answer->status == 429) << answer->status << answer->body;
  EXPECT_EQ(first->Read()->status, 200);
}

// ---- Extensions --------------------------------------------------------------------------------

TEST_F(OipHttpServerTest, ConfigurationAndStatisticsAreTold) {
  HttpClient& client = Start();
  EXPECT_EQ(client.Post("/v2/models/plus/infer", kOneRow).status, 200);
  const HttpAnswer config = client.Get("/v2/models/plus/config");
  EXPECT_EQ(config.status, 200);
  EXPECT_THAT(config.body, HasSubstr("\"name\":\"plus\""));
  EXPECT_THAT(config.body, HasSubstr("TYPE_FP32"));
  EXPECT_EQ(client.Get("/v2/models/plus/versions/3/config").body, config.body);
  EXPECT_EQ(client.Get("/v2/models/minus/config").status, 404);

  for (const std::string path : {"/v2/models/plus/stats", "/v2/models/plus/versions/3/stats"}) {
    const HttpAnswer stats = client.Get(path);
    EXPECT_EQ(stats.status, 200);
    simdjson::dom::parser parser;
    simdjson::dom::element model;
    ASSERT_FALSE(parser.parse(stats.body).at_key("model_stats").at(0).get(model)) << stats.body;
    EXPECT_EQ(std::string_view(model["name"]), "plus");
    EXPECT_EQ(std::uint64_t(model["inference_count"]), 1u);
    EXPECT_EQ(std::uint64_t(model["execution_count"]), 1u);
    EXPECT_GT(std::uint64_t(model["last_inference"]), 1'600'000'000'000u);
    for (const char* part :
         {"success", "queue", "compute_input", "compute_infer", "compute_output"}) {
      EXPECT_EQ(std::uint64_t(model["inference_stats"][part]["count"]), 1u) << part;
    }
    EXPECT_EQ(std::uint64_t(model["inference_stats"]["fail"]["count"]), 0u);
    EXPECT_EQ(std::uint64_t(model["batch_stats"].at(0)["batch_size"]), 1u);
  }
  EXPECT_THAT(client.Get("/v2/models/stats").body, HasSubstr("identity_fp32"));
}

TEST_F(OipHttpServerTest, TheRepositoryIsListedLoadedAndUnloaded) {
  Write("lazy/1/model.onnx", "");
  Write("wrong/1/model.onnx", "bad");
  OipHttpServer::Options options;
  std::atomic<int> changes{0};
  options.models_changed = [&] { ++changes; };
  HttpClient& client = Start(options);

  HttpAnswer index = client.Post("/v2/repository/index", "");
  EXPECT_EQ(index.status, 200);
  EXPECT_THAT(index.body,
              HasSubstr(R"({"name":"plus","version":"3","state":"READY","reason":""})"));
  EXPECT_THAT(index.body, HasSubstr(R"({"name":"lazy")"));
  index = client.Post("/v2/repository/index", R"({"ready":true})");
  EXPECT_EQ(index.body.find("lazy"), std::string::npos);
  EXPECT_EQ(client.Post("/v2/repository/index", "[").status, 400);
  EXPECT_EQ(client.Get("/v2/repository/index").status, 405);

  EXPECT_EQ(client.Post("/v2/models/lazy/infer", kOneRow).status, 503);
  HttpAnswer answer = client.Post("/v2/repository/models/lazy/load", "{}");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(client.Post("/v2/models/lazy/infer", kOneRow).status, 200);
  answer = client.Post("/v2/repository/models/lazy/unload",
                       R"({"parameters":{"unload_dependents":false}})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(client.Post("/v2/models/lazy/infer", kOneRow).status, 503);
  EXPECT_EQ(changes, 2);

  EXPECT_EQ(client.Post("/v2/repository/models/none/load", "").status, 404);
  answer = client.Post("/v2/repository/models/wrong/load", "");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(ErrorOf(answer), HasSubstr("Frobnicate"));
  EXPECT_EQ(client.Post("/v2/repository/models/lazy/load", R"({"parameters":{"x":1}})").status,
            400);
  EXPECT_EQ(client.Post("/v2/repository/mine/index", "").status, 400);
  EXPECT_EQ(client.Post("/v2/repository/mine/models/lazy/load", "").status, 400);
}

TEST_F(OipHttpServerTest, ModelsMayComeWithTheCall) {
  HttpClient& client = Start();
  const HttpAnswer answer =
      client.Post("/v2/repository/models/brought/load",
                  R"({"parameters":{"config":"{\"max_batch_size\":8,\"input\":[{\"name\":\"x\",)"
                  R"(\"data_type\":\"TYPE_FP32\",\"dims\":[-1]}],\"output\":[{\"name\":\"y\",)"
                  R"(\"data_type\":\"TYPE_FP32\",\"dims\":[-1]}]}","file:7/model.onnx":"Zmlu"}})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const HttpAnswer inferred = client.Post("/v2/models/brought/infer", kOneRow);
  EXPECT_EQ(inferred.status, 200) << inferred.body;
  EXPECT_THAT(inferred.body, HasSubstr(R"("model_version":"7")"));
}

TEST_F(OipHttpServerTest, TensorsMayLieInSharedMemory) {
  HttpClient& client = Start();
  const std::string key = "/oip_http_test." + std::to_string(::getpid());
  const int file = ::shm_open(key.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  ASSERT_GE(file, 0);
  const std::string bytes = Floats({1, 2, 0, 0});
  ASSERT_EQ(::pwrite(file, bytes.data(), bytes.size(), 0), 16);

  EXPECT_EQ(client.Get("/v2/systemsharedmemory/status").body, "[]");
  const HttpAnswer registered =
      client.Post("/v2/systemsharedmemory/region/frames/register",
                  R"({"key":")" + key + R"(","offset":0,"byte_size":16})");
  EXPECT_EQ(registered.status, 200) << registered.body;
  ::shm_unlink(key.c_str());
  const std::string region =
      R"({"name":"frames","key":")" + key + R"(","offset":0,"byte_size":16})";
  EXPECT_EQ(client.Get("/v2/systemsharedmemory/status").body, "[" + region + "]");
  EXPECT_EQ(client.Get("/v2/systemsharedmemory/region/frames/status").body, "[" + region + "]");
  EXPECT_EQ(client.Get("/v2/systemsharedmemory/region/none/status").status, 404);

  const HttpAnswer answer = client.Post(
      "/v2/models/plus/infer",
      R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"parameters":)"
      R"({"shared_memory_region":"frames","shared_memory_byte_size":8}}],"outputs":[{"name":"y",)"
      R"("parameters":{"shared_memory_region":"frames","shared_memory_offset":8,)"
      R"("shared_memory_byte_size":8}}]})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body,
              HasSubstr(R"("shape":[1,2],"parameters":{"shared_memory_region":"frames",)"
                        R"("shared_memory_byte_size":8,"shared_memory_offset":8}})"));
  std::string out(8, '\0');
  EXPECT_EQ(::pread(file, out.data(), 8, 8), 8);
  EXPECT_EQ(out, Floats({2, 3}));
  ::close(file);

  EXPECT_EQ(client
                .Post("/v2/models/plus/infer",
                      R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"parameters":)"
                      R"({"shared_memory_region":"frames","shared_memory_byte_size":17}}]})")
                .status,
            400);
  EXPECT_EQ(client.Post("/v2/systemsharedmemory/region/frames/unregister", "").status, 200);
  EXPECT_EQ(client.Post("/v2/systemsharedmemory/unregister", "").status, 200);
  EXPECT_EQ(client.Get("/v2/systemsharedmemory/status").body, "[]");
  EXPECT_EQ(
      client.Post("/v2/systemsharedmemory/region/a/register", R"({"key":"/none","byte_size":1})")
          .status,
      400);
}

TEST_F(OipHttpServerTest, MemoryOfGpusIsRefusedAndCleaningUpIsNot) {
  HttpClient& client = Start();
  EXPECT_EQ(client.Get("/v2/cudasharedmemory/status").body, "[]");
  EXPECT_EQ(client.Post("/v2/cudasharedmemory/unregister", "").status, 200);
  EXPECT_EQ(client.Post("/v2/cudasharedmemory/region/a/unregister", "").status, 200);
  const HttpAnswer answer = client.Post("/v2/cudasharedmemory/region/a/register", "{}");
  EXPECT_EQ(answer.status, 501);
  EXPECT_THAT(ErrorOf(answer), HasSubstr("system shared memory"));
}

TEST_F(OipHttpServerTest, SharedMemoryCanBeSwitchedOff) {
  OipHttpServer::Options options;
  options.shared_memory = false;
  HttpClient& client = Start(options);
  EXPECT_EQ(client.Post("/v2/systemsharedmemory/region/a/register", R"({"key":"/a","byte_size":1})")
                .status,
            501);
}

TEST_F(OipHttpServerTest, BodiesAndAnswersMayBePacked) {
  HttpClient& client = Start();
  std::string data;
  for (int i = 0; i < 1'000; ++i) data += (i == 0 ? "" : ",") + std::to_string(i);
  const std::string json =
      R"({"inputs":[{"name":"x","datatype":"INT32","shape":[1,1000],"data":[)" + data + "]}]}";
  for (const http::Coding coding : {http::Coding::kGzip, http::Coding::kDeflate}) {
    const std::string name(http::Name(coding));
    const HttpAnswer answer =
        client.Post("/v2/models/identity_int32/infer", http::Pack(coding, {.body = json}),
                    "Content-Encoding: " + name + "\r\nAccept-Encoding: " + name + "\r\n");
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.headers.at("content-encoding"), name);
    net::AlignedBytes unpacked;
    ASSERT_TRUE(http::Unpack(coding, answer.body, 1 << 20, &unpacked).ok());
    EXPECT_THAT(std::string(unpacked.view()), HasSubstr("\"data\":[" + data + "]"));
    EXPECT_EQ(client
                  .Post("/v2/models/identity_int32/infer", "this is not packed",
                        "Content-Encoding: " + name + "\r\n")
                  .status,
              400);
  }
  // The length of the JSON is that of the unpacked body.
  const std::string head =
      R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]})";
  EXPECT_EQ(client
                .Post("/v2/models/plus/infer",
                      http::Pack(http::Coding::kGzip, {.body = head + Floats({1, 2})}),
                      "Content-Encoding: gzip\r\nInference-Header-Content-Length: " +
                          std::to_string(head.size()) + "\r\n")
                .status,
            200);
}

TEST_F(OipHttpServerTest, ThePlatformsOwnRpcsAreThereToo) {
  HttpClient& client = Start();
  HttpAnswer answer = client.Post("/api/v1/inference/Predict", R"({"task":"t"})",
                                  "Content-Type: application/json\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"asked":{"task":"t"}})");
  answer = client.Post("/api/v1/inference/Fly", "{}", "Content-Type: application/json; x=y\r\n");
  EXPECT_EQ(answer.status, 404);
  EXPECT_THAT(answer.body, HasSubstr(R"({"error":{"code":"NOT_FOUND","message":"no rpc Fly"}})"));
  EXPECT_EQ(client.Post("/api/v1/inference/Predict", "{}").status, 415);
  EXPECT_EQ(client.Get("/api/v1/inference/Predict").status, 405);
}

// ---- Connections -------------------------------------------------------------------------------

TEST_F(OipHttpServerTest, OneConnectionCarriesManyRequests) {
  HttpClient& client = Start();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(client.Post("/v2/models/plus/infer", kOneRow).status, 200);
  }
  // All at once, too: the answers come in order.
  std::string requests;
  for (int i = 0; i < 50; ++i) {
    requests += HttpClient::Request("POST", "/v2/models/plus/infer",
                                    R"({"id":")" + std::to_string(i) + R"(",)" + (kOneRow + 1));
    requests += HttpClient::Request("GET", "/v2/health/live");
  }
  client.Send(requests);
  for (int i = 0; i < 50; ++i) {
    const auto answer = client.Read();
    ASSERT_TRUE(answer.has_value());
    EXPECT_THAT(answer->body, HasSubstr("\"id\":\"" + std::to_string(i) + "\""));
    EXPECT_EQ(client.Read()->body, "{\"live\":true}");
  }
}

TEST_F(OipHttpServerTest, BodiesMayComeInChunks) {
  HttpClient& client = Start();
  std::string chunked =
      "POST /v2/models/plus/infer HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char c : std::string(kOneRow)) chunked += std::string("1\r\n") + c + "\r\n";
  client.Send(chunked + "0\r\n\r\n");
  EXPECT_EQ(client.Read()->status, 200);
  EXPECT_EQ(client.Get("/v2/health/live").status, 200);
}

TEST_F(OipHttpServerTest, ClientsMayAskBeforeTheySendTheBody) {
  HttpClient& client = Start();
  const std::string body = kOneRow;
  client.Send(
      "POST /v2/models/plus/infer HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
      "Content-Length: " +
      std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_EQ(client.Read()->status, 100);
  client.Send(body);
  EXPECT_EQ(client.Read()->status, 200);
}

TEST_F(OipHttpServerTest, HeadersAloneAreAnsweredToHead) {
  HttpClient& client = Start();
  const HttpAnswer answer = client.Call("HEAD", "/v2/health/live");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("content-length"), "13");
  EXPECT_EQ(client.Get("/v2/health/live").body, "{\"live\":true}");
}

TEST_F(OipHttpServerTest, ConnectionsCloseWhenAsked) {
  HttpClient& client = Start();
  EXPECT_EQ(client.Call("GET", "/v2", "", "Connection: close\r\n").headers.at("connection"),
            "close");
  EXPECT_TRUE(client.ReadsEnd());
  auto old = Another();
  old->Send("GET /v2/health/live HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old->Read()->status, 200);
  EXPECT_TRUE(old->ReadsEnd());
}

TEST_F(OipHttpServerTest, LargeRequestsAndAnswersPass) {
  HttpClient& client = Start();
  const std::vector<float> values(3'000'000, 1.5F);
  const std::string json =
      R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,3000000],)"
      R"("parameters":{"binary_data_size":12000000}}],"parameters":{"binary_data_output":true}})";
  const HttpAnswer answer =
      client.Post("/v2/models/identity_fp32/infer", json + Floats(values),
                  "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n");
  ASSERT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body.ends_with(Floats(values)));

  std::string data = "1.5";
  for (int i = 1; i < 300'000; ++i) data += ",1.5";
  const HttpAnswer words = client.Post(
      "/v2/models/identity_fp32/infer",
      R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,300000],"data":[)" + data + "]}]}");
  ASSERT_EQ(words.status, 200);
  EXPECT_TRUE(words.body.ends_with("[" + data + "]}]}"));
}

TEST_F(OipHttpServerTest, TooLargeIsRefusedBeforeItIsRead) {
  OipHttpServer::Options options;
  options.max_body_bytes = 1'000;
  HttpClient& client = Start(options);
  client.Send("POST /v2/models/plus/infer HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n");
  auto answer = client.Read();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status, 413);
  EXPECT_THAT(ErrorOf(*answer), HasSubstr("1000 bytes"));
  // What the client has sent already does not take the answer away from it.
  auto eager = Another();
  EXPECT_EQ(eager->Post("/v2/models/plus/infer", std::string(500'000, ' ')).status, 413);
  auto chunked = Another();
  chunked->Send(
      "POST /v2/models/plus/infer HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3e9\r\n");
  EXPECT_EQ(chunked->Read()->status, 413);
  auto packed = Another();
  EXPECT_EQ(packed
                ->Post("/v2/models/plus/infer",
                       http::Pack(http::Coding::kGzip, {.body = std::string(2'000, ' ')}),
                       "Content-Encoding: gzip\r\n")
                .status,
            413);
  auto head = Another();
  head->Send("GET /v2 HTTP/1.1\r\nHost: h\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n");
  EXPECT_EQ(head->Read()->status, 431);
}

TEST_F(OipHttpServerTest, WhoSpeaksNoHttpIsToldSo) {
  Start();
  for (const std::string noise :
       {"\x16\x03\x01\x02\n", "hello\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}) {
    auto other = Another();
    other->Send(noise);
    const auto answer = other->Read();
    ASSERT_TRUE(answer.has_value());
    EXPECT_GE(answer->status, 400);
    EXPECT_FALSE(ErrorOf(*answer).empty());
    EXPECT_TRUE(other->ReadsEnd());
  }
}

TEST_F(OipHttpServerTest, AThousandIdleConnectionsHarmNobody) {
  HttpClient& client = Start();
  std::vector<std::unique_ptr<HttpClient>> idle;
  for (int i = 0; i < 1'000; ++i) {
    idle.push_back(Another());
    ASSERT_TRUE(idle.back()->connected());
    // Half of them have asked something before, some are in the midst of a request.
    if (i % 2 == 0) {
      EXPECT_EQ(idle.back()->Get("/v2/health/live").status, 200);
    }
    if (i % 10 == 1) idle.back()->Send("POST /v2/models/plus/infer HT");
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(client.Post("/v2/models/plus/infer", kOneRow).status, 200);
  }
  EXPECT_EQ(Another()->Get("/v2/health/live").status, 200);
  EXPECT_EQ(idle[998]->Get("/v2/health/live").status, 200);
}

TEST_F(OipHttpServerTest, WhoeverHasBeenIdleLongestGivesWayToTheNext) {
  OipHttpServer::Options options;
  options.threads = 1;
  options.max_connections = 3;
  HttpClient& client = Start(options);
  EXPECT_EQ(client.Get("/v2/health/live").status, 200);
  auto second = Another();
  auto third = Another();
  EXPECT_EQ(second->Get("/v2/health/live").status, 200);
  EXPECT_EQ(third->Get("/v2/health/live").status, 200);
  // Nobody has been idle for a second yet, or somebody has: either answer is an answer.
  EXPECT_TRUE(Eventually([&] { return Another()->Get("/v2/health/live").status == 200; }));
  EXPECT_TRUE(client.ReadsEnd());
  EXPECT_EQ(third->Get("/v2/health/live").status, 200);
}

TEST_F(OipHttpServerTest, WhoSendsOrReadsTooSlowlyIsCutOff) {
  Count cut_off;
  const OipHttpServer::Options options{.idle_timeout = 600ms,
                                       .transfer_timeout = 300ms,
                                       .least_bytes_per_second = 100'000'000,
                                       .cut_off = cut_off};
  Start(options);

  auto slow_head = Another();
  slow_head->Send("GET /v2 HT");
  auto slow_body = Another();
  slow_body->Send("POST /v2/models/plus/infer HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{");
  for (HttpClient* slow : {slow_head.get(), slow_body.get()}) {
    const auto answer = slow->Read();
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->status, 408);
    EXPECT_TRUE(slow->ReadsEnd());
  }
  auto idle = Another();
  EXPECT_TRUE(idle->ReadsEnd());

  // An answer larger than what the sockets hold, for somebody who does not read it.
  auto greedy = std::make_unique<HttpClient>(server_->address(), 4'096);
  const std::string json =
      R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,4000000],)"
      R"("parameters":{"binary_data_size":16000000}}],"parameters":{"binary_data_output":true}})";
  // The server may give up on the body, or on the answer: in the end the connection is gone.
  greedy->Send(HttpClient::Request(
      "POST", "/v2/models/identity_fp32/infer", json + std::string(16'000'000, '\0'),
      "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n"));
  EXPECT_TRUE(Eventually([&] { return cut_off.value() >= 3; }));
  const auto answer = greedy->Read();
  EXPECT_TRUE(!answer.has_value() || answer->status == 408);
  EXPECT_EQ(Another()->Get("/v2/health/live").status, 200);
}

TEST_F(OipHttpServerTest, MoreRequestsThanAllowedAreRefusedAtOnce) {
  OipHttpServer::Options options;
  options.max_requests = 2;
  HttpClient& client = Start(options);
  PutHeld();
  auto first = Another();
  auto second = Another();
  first->Send(HttpClient::Request("POST", "/v2/models/held/infer", kOneRow));
  gate_.AwaitArrivals(warmed_ + 1);
  second->Send(HttpClient::Request("POST", "/v2/models/held/infer", kOneRow));
  HttpAnswer answer;
  EXPECT_TRUE(Eventually([&] {
    answer = client.Get("/v2/health/live");
    return answer.status == 503;
  }));
  EXPECT_EQ(answer.headers.at("retry-after"), "1");
  gate_.Open();
  EXPECT_EQ(first->Read()->status, 200);
  EXPECT_EQ(second->Read()->status, 200);
  EXPECT_TRUE(Eventually([&] { return client.Get("/v2/health/live").status == 200; }));
}

TEST_F(OipHttpServerTest, RequestsOfClientsThatWentAreNotRun) {
  OipHttpServer::Options options;
  options.threads = 1;
  HttpClient& client = Start(options);
  PutHeld();
  auto first = Another();
  first->Send(HttpClient::Request("POST", "/v2/models/held/infer", kOneRow));
  gate_.AwaitArrivals(warmed_ + 1);
  auto second = Another();
  second->Send(HttpClient::Request("POST", "/v2/models/held/infer", kOneRow));
  ASSERT_TRUE(Eventually([&] { return models_->Statistics("held", "")->at(0).pending == 1; }));
  second->Close();
  // The one thread sees what happened first before it answers what came later.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.Get("/v2/health/live").status, 200);
  gate_.Open();
  EXPECT_EQ(first->Read()->status, 200);
  EXPECT_TRUE(Eventually([&] { return models_->Statistics("held", "")->at(0).cancelled == 1; }));
}

TEST_F(OipHttpServerTest, WhatIsWorkedOnIsAnsweredBeforeTheEnd) {
  HttpClient& client = Start();
  PutHeld();
  client.Send(HttpClient::Request("POST", "/v2/models/held/infer", kOneRow));
  gate_.AwaitArrivals(warmed_ + 1);
  auto idle = Another();
  EXPECT_EQ(idle->Get("/v2/health/live").status, 200);
  std::thread end([this] { server_.reset(); });
  EXPECT_TRUE(idle->ReadsEnd());
  gate_.Open();
  const auto answer = client.Read();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->headers.at("connection"), "close");
  end.join();
}

TEST_F(OipHttpServerTest, TheEndDoesNotWaitForEver) {
  for (const bool fails : {false, true}) {
    OipHttpServer::Options options;
    options.drain = 100ms;
    HttpClient& client = Start(options);
    PutHeld();
    client.Send(HttpClient::Request("POST", "/v2/models/held/infer", kOneRow));
    gate_.AwaitArrivals(warmed_ + 1);
    server_.reset();
    EXPECT_FALSE(client.Read().has_value());
    // The answer comes when nobody is there any more.
    held_fails_ = fails;
    gate_.Open();
    EXPECT_TRUE(Eventually([&] {
      const auto statistics = models_->Statistics("held", "")->at(0);
      return statistics.success.count + statistics.fail.count > 0;
    }));
    models_.reset();
    held_fails_ = false;
  }
}

TEST_F(OipHttpServerTest, AnAddressThatIsTakenOrWrongIsAnError) {
  Start();
  const auto start = [&](const std::string& address) {
    OipHttpServer::Options options;
    options.listen = address;
    const auto started = OipHttpServer::Start(options, *models_, regions_);
    return started ? std::optional<ErrorCode>() : started.error().code;
  };
  EXPECT_EQ(start("localhost:0"), std::nullopt);
  EXPECT_EQ(start(server_->address()), ErrorCode::kUnavailable);
  EXPECT_EQ(start("127.0.0.1"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(start("127.0.0.1:x"), ErrorCode::kInvalidArgument);
}

TEST_F(OipHttpServerTest, ManyClientsAtOnceAreAnsweredRightly) {
  Start();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      HttpClient client(server_->address());
      for (int i = 0; i < 300; ++i) {
        const std::string value = std::to_string(t * 1'000 + i);
        const HttpAnswer answer =
            client.Post("/v2/models/plus/infer",
                        R"({"id":")" + value +
                            R"(","inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[)" +
                            value + ",0]}]}");
        const std::string expected = "[" + std::to_string(t * 1'000 + i + 1) + ",1]";
        if (answer.status != 200 || answer.body.find(expected) == std::string::npos ||
            answer.body.find("\"id\":\"" + value + "\"") == std::string::npos) {
          ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace tidewheel::inference
