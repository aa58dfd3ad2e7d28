#include "tidewheel/inference/core/repository_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>
#include <thread>
#include <utility>

#include "tidewheel/inference/core/testing/fake_executor.h"

namespace tidewheel::inference {
namespace {

namespace fs = std::filesystem;
using std::chrono::microseconds;
using testing::Answers;
using ::testing::ElementsAre;
using testing::FakeExecutor;
using testing::FloatBytes;
using testing::Floats;
using testing::Gate;
using ::testing::HasSubstr;
using testing::Row;

/// A model file here is the number that the model adds; "bad" cannot be loaded.
class NumberLoader final : public ExecutorLoader {
 public:
  std::atomic<int> alive{0};
  std::atomic<int> loads{0};
  Gate* gate = nullptr;

  Result<std::unique_ptr<Executor>> Load(const ModelSource& source) override {
    ++loads;
    const auto text = ReadWholeFile(source.folder / "model.onnx", 100);
    if (!text) return text.error();
    if (*text == "bad") return Error{ErrorCode::kInvalidArgument, "operator Frobnicate is unknown"};
    FakeExecutor::Behaviour behaviour{.offset = std::stof(*text), .gate = gate, .alive = &alive};
    return std::make_unique<FakeExecutor>(FakeExecutor::Spec(), std::move(behaviour));
  }
};

class RepositoryServerTest : public ::testing::Test {
 protected:
  RepositoryServerTest() {
    root_ = fs::temp_directory_path() /
            ("tidewheel-repository-" + std::to_string(::getpid()) + "-" +
             ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    fs::create_directories(root_ / "models");
  }
  ~RepositoryServerTest() override {
    server_.reset();
    fs::remove_all(root_);
  }

  void Write(const fs::path& path, const std::string& text) {
    fs::create_directories((root_ / "models" / path).parent_path());
    std::ofstream(root_ / "models" / path, std::ios::binary) << text;
  }
  RepositoryServer& Start(RepositoryServer::Options options = {}) {
    options.repository = root_ / "models";
    server_ = std::make_unique<RepositoryServer>(std::move(options), loader_);
    EXPECT_TRUE(server_->Start().ok());
    return *server_;
  }
  RepositoryServer& StartExplicit() {
    return Start({.mode = RepositoryServer::Mode::kExplicit, .scratch = root_ / "scratch"});
  }

  static InferRequest Asking(const std::string& name, float value,
                             const std::string& version = "") {
    InferRequest request;
    request.model_name = name;
    request.model_version = version;
    request.inputs.push_back(Row("x", {value, 0}));
    return request;
  }
  static Result<InferResponse> Ask(RepositoryServer& server, InferRequest request) {
    Answers answers;
    server.Infer(std::move(request), answers.At(0));
    answers.Await(1);
    return answers.Only(0);
  }
  /// What the model makes of 10.
  static float Value(RepositoryServer& server, const std::string& name,
                     const std::string& version = "") {
    const auto answer = Ask(server, Asking(name, 10, version));
    EXPECT_TRUE(answer.ok()) << answer.error().message;
    return answer ? Floats(answer->outputs[0])[0] : -1;
  }
  static std::string ReasonOf(RepositoryServer& server, const std::string& name,
                              const std::string& version) {
    for (const IndexEntry& entry : server.Index(false)) {
      if (entry.name == name && entry.version == version) return entry.reason;
    }
    return "not listed";
  }
  std::unique_ptr<FakeExecutor> Plus(float offset, Gate* gate = nullptr) {
    FakeExecutor::Behaviour behaviour{.offset = offset, .gate = gate, .alive = &loader_.alive};
    return std::make_unique<FakeExecutor>(FakeExecutor::Spec(), std::move(behaviour));
  }

  fs::path root_;
  NumberLoader loader_;
  std::unique_ptr<RepositoryServer> server_;
};

TEST_F(RepositoryServerTest, ServesTheNewestVersionOfEveryFolder) {
  Write("plus/1/model.onnx", "1");
  Write("plus/12/model.onnx", "12");
  Write("plus/007/model.onnx", "7");
  Write("other/3/model.onnx", "3");
  RepositoryServer& server = Start();

  EXPECT_TRUE(server.ready());
  EXPECT_EQ(Value(server, "plus"), 22);
  EXPECT_EQ(Value(server, "other", "3"), 13);
  EXPECT_EQ(Ask(server, Asking("plus", 1, "1")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Ask(server, Asking("none", 1)).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Ask(server, Asking("plus", 1, "new")).error().code, ErrorCode::kInvalidArgument);
  const auto description = server.Describe("plus", "");
  ASSERT_TRUE(description.ok());
  EXPECT_EQ(description->spec.version, "12");
  EXPECT_THAT(description->versions, ElementsAre("12"));
  const auto config = server.Config("plus", "");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->max_batch_size, 8U);
  EXPECT_THAT(config->inputs[0].shape, ElementsAre(2));
  EXPECT_TRUE(config->batching);
  EXPECT_EQ(server.Load("plus", std::nullopt, {}).error().code, ErrorCode::kFailedPrecondition);
}

TEST_F(RepositoryServerTest, AVersionPolicyServesSeveral) {
  Write("plus/config.pbtxt",
        "max_batch_size: 4 version_policy { specific { versions: [1, 3] } } colour: RED");
  for (const char* version : {"1", "2", "3"}) {
    Write(fs::path("plus") / version / "model.onnx", version);
  }
  RepositoryServer& server = Start();

  EXPECT_EQ(Value(server, "plus"), 13);
  EXPECT_EQ(Value(server, "plus", "1"), 11);
  EXPECT_FALSE(Ask(server, Asking("plus", 1, "2")).ok());
  EXPECT_THAT(server.Describe("plus", "")->versions, ElementsAre("1", "3"));
  EXPECT_THAT(server.Warnings(),
              ElementsAre(HasSubstr("model \"plus\", line 1: colour has no effect")));
}

TEST_F(RepositoryServerTest, RequestsAreCheckedAgainstTheSpecBeforeAnythingIsQueued) {
  Write("plus/1/model.onnx", "1");
  RepositoryServer& server = Start();
  const auto error = [&](auto change) {
    InferRequest request = Asking("plus", 1);
    change(request);
    const auto answer = Ask(server, std::move(request));
    EXPECT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, ErrorCode::kInvalidArgument);
    return answer.error().message;
  };

  EXPECT_THAT(error([](auto& request) {
                request.inputs[0] = Row("x", {1, 2, 3});
              }),
              HasSubstr("input \"x\" is FP32 [-1,2], the request gives FP32 [1,3]"));
  EXPECT_THAT(error([](auto& request) { request.inputs[0].type = DataType::kInt32; }),
              HasSubstr("the request gives INT32 [1,2]"));
  EXPECT_THAT(error([](auto& request) { request.inputs[0].name = "z"; }),
              HasSubstr("no input \"z\"; the inputs are \"x\" FP32 [-1,2]"));
  EXPECT_THAT(error([](auto& request) { request.inputs.clear(); }),
              HasSubstr("input \"x\", FP32 [-1,2], is not given"));
  EXPECT_THAT(error([](auto& request) { request.inputs.push_back(request.inputs[0]); }),
              HasSubstr("input \"x\" is given twice"));
  EXPECT_THAT(error([](auto& request) { request.outputs = {"q"}; }),
              HasSubstr("no output \"q\"; the outputs are \"y\" FP32 [-1,2]"));
  EXPECT_THAT(error([](auto& request) {
                request.outputs = {"y", "y"};
              }),
              HasSubstr("output \"y\" is asked for twice"));
  EXPECT_THAT(error([](auto& request) { request.inputs[0].data.remove_suffix(1); }),
              HasSubstr("has 7 bytes"));
  EXPECT_THAT(error([](auto& request) {
                request.inputs[0] = Tensor::Of("x", DataType::kFp32, {9, 2}, std::string(72, '\0'));
              }),
              HasSubstr("a batch of 9 rows, it takes at most 8"));
  EXPECT_THAT(error([](auto& request) {
                request.inputs[0] = Tensor::Of("x", DataType::kFp32, {0, 2}, "");
              }),
              HasSubstr("has no rows"));
}

TEST_F(RepositoryServerTest, WhatCannotBeLoadedLeavesWhatServedAndSaysWhy) {
  Write("plus/1/model.onnx", "1");
  RepositoryServer& server = StartExplicit();
  EXPECT_THAT(Ask(server, Asking("plus", 1)).error().message, HasSubstr("is not loaded"));
  EXPECT_EQ(*server.ModelReady("plus", ""), false);
  ASSERT_TRUE(server.Load("plus", std::nullopt, {}).ok());
  EXPECT_EQ(*server.ModelReady("plus", ""), true);

  Write("plus/1/model.onnx", "bad");
  const auto again = server.Load("plus", std::nullopt, {});

  ASSERT_FALSE(again.ok());
  EXPECT_THAT(again.error().message,
              HasSubstr("model \"plus\", version 1: operator Frobnicate is unknown"));
  EXPECT_EQ(Value(server, "plus"), 11);
  EXPECT_THAT(ReasonOf(server, "plus", "1"), HasSubstr("Frobnicate"));
  EXPECT_EQ(server.Index(true).size(), 1U);

  Write("plus/2/model.onnx", "bad");
  EXPECT_FALSE(server.Load("plus", std::nullopt, {}).ok());
  EXPECT_THAT(ReasonOf(server, "plus", "2"), HasSubstr("Frobnicate"));
  EXPECT_EQ(Value(server, "plus"), 11);
  EXPECT_EQ(loader_.alive.load(), 1);

  Write("plus/2/model.onnx", "2");
  ASSERT_TRUE(server.Load("plus", std::nullopt, {}).ok());
  EXPECT_EQ(Value(server, "plus"), 12);
  EXPECT_EQ(ReasonOf(server, "plus", "1"), "unloaded");
  EXPECT_EQ(loader_.alive.load(), 1);
}

TEST_F(RepositoryServerTest, ABrokenModelMakesTheServerNotReadyAndHarmsNoOther) {
  Write("bad/1/model.onnx", "bad");
  Write("good/1/model.onnx", "1");
  Write("odd/config.pbtxt", "max_batch_size: lots");
  RepositoryServer& server = Start();

  EXPECT_FALSE(server.ready());
  EXPECT_EQ(Value(server, "good"), 11);
  EXPECT_THAT(Ask(server, Asking("bad", 1)).error().message, HasSubstr("Frobnicate"));
  EXPECT_THAT(ReasonOf(server, "odd", ""), HasSubstr("field \"max_batch_size\""));
}

TEST_F(RepositoryServerTest, LoadTakesAConfigurationAndFiles) {
  RepositoryServer& server = StartExplicit();
  const auto loaded = server.Load(
      "brought", R"({"max_batch_size": 2, "input": [{"name": "x", "data_type": "TYPE_FP32",
                     "dims": [2]}], "instance_group": [{"count": 2}]})",
      {{"file:4/model.onnx", "40"}});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(Value(server, "brought"), 50);
  EXPECT_EQ(server.Config("brought", "4")->instances, 2U);
  EXPECT_EQ(server.Describe("brought", "")->spec.max_batch_size, 2U);
  EXPECT_FALSE(fs::is_empty(root_ / "scratch"));
  ASSERT_TRUE(server.Unload("brought").ok());
  EXPECT_TRUE(fs::is_empty(root_ / "scratch"));

  EXPECT_THAT(server.Load("x", "{}", {{"../model.onnx", "1"}}).error().message,
              HasSubstr("not named <version>/<file>"));
  EXPECT_FALSE(server.Load("x", "{}", {{"1/../../m", "1"}}).ok());
  EXPECT_FALSE(server.Load("x", "{}", {{"1/model.onnx", "bad"}}).ok());
  EXPECT_TRUE(server.ready());  // Nobody relies on what never served.
  EXPECT_FALSE(server.Load("../x", "{}", {{"1/model.onnx", "1"}}).ok());
  EXPECT_THAT(server.Load("x", std::nullopt, {{"1/model.onnx", "1"}}).error().message,
              HasSubstr("need a configuration"));
  EXPECT_THAT(server.Load("x", R"({"name": "y"})", {{"1/model.onnx", "1"}}).error().message,
              HasSubstr("is named \"y\""));
}

TEST_F(RepositoryServerTest, AConfigurationThatContradictsTheModelIsRefused) {
  RepositoryServer& server = StartExplicit();
  const auto message = [&](const std::string& json) {
    const auto loaded = server.Load("plus", json, {{"1/model.onnx", "1"}});
    return loaded ? std::string("loaded") : loaded.error().message;
  };
  EXPECT_THAT(message(R"({"max_batch_size": 9})"), HasSubstr("is 9, the model takes 8"));
  EXPECT_THAT(message(R"({"max_batch_size": 4, "input": [{"name": "x", "data_type": "TYPE_FP32",
                          "dims": [3]}]})"),
              HasSubstr("input \"x\" as FP32 [-1,3], the model as FP32 [-1,2]"));
  EXPECT_THAT(message(R"({"max_batch_size": 4, "output": [{"name": "z", "data_type": "TYPE_FP32",
                          "dims": [2]}]})"),
              HasSubstr("output \"z\", which the model has not"));
  EXPECT_EQ(message(R"({"max_batch_size": 0, "parameters": {"cpus": "0;0,1"}})"), "loaded");
  EXPECT_EQ(loader_.alive.load(), 1);
}

TEST_F(RepositoryServerTest, AVersionThatFailsItsGoldenCaseOrItsWarmUpIsNotServed) {
  Write("plus/1/model.onnx", "1");
  Write("plus/1/golden/one/x.raw", FloatBytes({5, 6, 7, 8}));
  Write("plus/1/golden/one/y.raw", FloatBytes({6, 7, 8, 9}));
  RepositoryServer& server = StartExplicit();
  ASSERT_TRUE(server.Load("plus", std::nullopt, {}).ok());

  Write("plus/1/model.onnx", "1.5");
  EXPECT_THAT(server.Load("plus", std::nullopt, {}).error().message,
              HasSubstr("golden case \"one\", output \"y\": element 0 is 6.5"));
  EXPECT_EQ(Value(server, "plus"), 11);

  Write("plus/1/model.onnx", "1");
  Write("plus/config.pbtxt", R"(max_batch_size: 8 model_warmup { name: "w" batch_size: 9
    inputs { key: "x" value { data_type: TYPE_FP32 dims: 2 zero_data: true } } })");
  EXPECT_THAT(server.Load("plus", std::nullopt, {}).error().message,
              HasSubstr("warm-up \"w\": model \"plus\": a batch of 9 rows"));
  Write("plus/config.pbtxt", R"(max_batch_size: 8 model_warmup { name: "w" batch_size: 3
    inputs { key: "x" value { data_type: TYPE_FP32 dims: 2 input_data_file: "row" } } })");
  Write("plus/warmup/row", FloatBytes({1, 2}));
  EXPECT_TRUE(server.Load("plus", std::nullopt, {}).ok());
}

TEST_F(RepositoryServerTest, UnloadAnswersWhatItHasAndGivesTheMemoryBack) {
  Gate gate;
  Write("plus/1/model.onnx", "1");
  loader_.gate = &gate;
  RepositoryServer& server = StartExplicit();
  ASSERT_TRUE(server.Load("plus", std::nullopt, {}).ok());
  // Twice each of one row and of eight.
  gate.AwaitArrivals(4);
  gate.Shut();
  Answers answers;
  // From another thread, for a cheap model runs on the caller's.
  std::thread caller([&] { server.Infer(Asking("plus", 10), answers.At(0)); });
  gate.AwaitArrivals(5);
  std::thread unloads([&] {
    EXPECT_TRUE(server.Unload("plus").ok());
    EXPECT_EQ(answers.count(), 1U);
    EXPECT_EQ(loader_.alive.load(), 0);
  });
  while (*server.ModelReady("plus", "")) std::this_thread::yield();
  EXPECT_EQ(Ask(server, Asking("plus", 1)).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(loader_.alive.load(), 1);
  gate.Open();
  caller.join();
  unloads.join();
  EXPECT_TRUE(answers.Only(0).ok());
  EXPECT_EQ(ReasonOf(server, "plus", "1"), "unloaded");
  EXPECT_TRUE(server.Unload("plus").ok());
  EXPECT_EQ(server.Unload("none").error().code, ErrorCode::kNotFound);
}

TEST_F(RepositoryServerTest, AThousandLoadsAndUnloadsLeaveNothing) {
  Write("plus/1/model.onnx", "1");
  RepositoryServer& server = StartExplicit();
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_TRUE(server.Load("plus", std::nullopt, {}).ok());
    ASSERT_EQ(loader_.alive.load(), 1);
    ASSERT_TRUE(server.Unload("plus").ok());
    ASSERT_EQ(loader_.alive.load(), 0);
  }
  EXPECT_EQ(loader_.loads.load(), 1'000);
}

TEST_F(RepositoryServerTest, LoadsAndUnloadsOfOneNameAtTheSameTimeWaitForEachOther) {
  Write("plus/1/model.onnx", "1");
  RepositoryServer& server = StartExplicit();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 30; ++k) {
        EXPECT_TRUE((i + k) % 2 == 0 ? server.Load("plus", std::nullopt, {}).ok()
                                     : server.Unload("plus").ok());
        EXPECT_LE(loader_.alive.load(), 2);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(server.Unload("plus").ok());
  EXPECT_EQ(loader_.alive.load(), 0);
}

TEST_F(RepositoryServerTest,
       TwoHundredSwapsUnderLoadFailNoRequestAndNoneIsAnsweredByAWrongVersion) {
  RepositoryServer& server = StartExplicit();
  ASSERT_TRUE(server.Put("task", 1, Plus(1)).ok());
  std::atomic<bool> stop{false};
  // The version that the last finished Put gave, and that a Put under way may already have given.
  std::atomic<std::uint64_t> least{1};
  std::atomic<std::uint64_t> most{1};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> asked{0};
  std::atomic<std::uint64_t> answered{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      while (!stop.load()) {
        if (asked.load() - answered.load() > 200) {
          std::this_thread::yield();
          continue;
        }
        const std::uint64_t from = least.load();
        ++asked;
        server.Infer(Asking("task", 10), [&, from](Result<InferResponse> answer) {
          if (!answer) {
            ++failed;
          } else {
            const auto version =
                static_cast<std::uint64_t>(Floats(answer->outputs[0])[0] - 10 + 0.5F);
            if (version < from || version > most.load() ||
                answer->model_version != std::to_string(version)) {
              ++wrong;
            }
          }
          ++answered;
        });
      }
    });
  }
  for (std::uint64_t version = 2; version <= 201; ++version) {
    most = version;
    ASSERT_TRUE(server.Put("task", version, Plus(static_cast<float>(version))).ok());
    least = version;
    ASSERT_TRUE(server.Remove("task", version - 1).ok());
    ASSERT_EQ(loader_.alive.load(), 1);
    const std::uint64_t before = answered.load();
    while (answered.load() < before + 5) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& caller : callers) caller.join();
  while (answered.load() < asked.load()) std::this_thread::yield();
  EXPECT_EQ(failed.load(), 0U);
  EXPECT_EQ(wrong.load(), 0U);
  EXPECT_GT(asked.load(), 1'000U);
}

TEST_F(RepositoryServerTest, ReloadsUnderLoadFailNoRequest) {
  Write("plus/1/model.onnx", "1");
  RepositoryServer& server = StartExplicit();
  ASSERT_TRUE(server.Load("plus", std::nullopt, {}).ok());
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> answered{0};
  std::thread caller([&] {
    while (!stop.load()) {
      if (!Ask(server, Asking("plus", 1))) ++failed;
      ++answered;
    }
  });
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(server.Load("plus", std::nullopt, {}).ok());
    const std::uint64_t before = answered.load();
    while (answered.load() < before + 3) std::this_thread::yield();
  }
  stop = true;
  caller.join();
  EXPECT_EQ(failed.load(), 0U);
}

TEST_F(RepositoryServerTest, WhatIsPutServesUntilItIsTakenAway) {
  Write("folder/1/model.onnx", "1");
  RepositoryServer& server = Start();
  ASSERT_TRUE(server.Put("task", 5, Plus(5)).ok());
  ASSERT_TRUE(server.Put("task", 3, Plus(3)).ok());  // A rollback.
  EXPECT_EQ(Value(server, "task"), 13);
  EXPECT_EQ(Value(server, "task", "5"), 15);
  ASSERT_TRUE(server.Remove("task", 3).ok());
  EXPECT_EQ(Value(server, "task"), 15);

  EXPECT_EQ(server.Put("folder", 2, Plus(2)).error().code, ErrorCode::kFailedPrecondition);
  GoldenCase golden{.name = "kept", .inputs = {Row("x", {1, 1})}, .outputs = {Row("y", {7, 7})}};
  EXPECT_THAT(server.Put("task", 6, Plus(5), std::nullopt, {golden}).error().message,
              HasSubstr("golden case \"kept\""));
  EXPECT_EQ(Value(server, "task"), 15);
  ASSERT_TRUE(server.Put("task", 6, Plus(6), std::nullopt, {golden}).ok());
  EXPECT_EQ(server.Remove("task", 9).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(server.Remove("task", 5).ok());
  ASSERT_TRUE(server.Remove("task", 6).ok());
  EXPECT_EQ(Ask(server, Asking("task", 1)).error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(server.ready());
}

TEST_F(RepositoryServerTest, APollFindsWhatIsNewChangedAndGone) {
  Write("plus/1/model.onnx", "1");
  // The poller sleeps: the test looks.
  RepositoryServer& server =
      Start({.mode = RepositoryServer::Mode::kPoll, .poll_every = std::chrono::hours{1}});
  EXPECT_EQ(Value(server, "plus"), 11);
  server.Poll();
  EXPECT_EQ(loader_.loads.load(), 1);
  Write("plus/2/model.onnx", "2");
  Write("late/1/model.onnx", "7");
  server.Poll();
  EXPECT_EQ(Value(server, "plus"), 12);
  EXPECT_EQ(Value(server, "late"), 17);
  fs::remove_all(root_ / "models" / "late");
  server.Poll();
  EXPECT_FALSE(Ask(server, Asking("late", 1)).ok());
  EXPECT_EQ(loader_.alive.load(), 1);
}

TEST_F(RepositoryServerTest, ACachedAnswerRunsNothing) {
  Write("plus/config.pbtxt", "max_batch_size: 8 response_cache { enable: true }");
  Write("plus/1/model.onnx", "1");
  RepositoryServer& server =
      Start({.mode = RepositoryServer::Mode::kExplicit, .cache_bytes = 1 << 20});
  ASSERT_TRUE(server.Load("plus", std::nullopt, {}).ok());
  EXPECT_EQ(Value(server, "plus"), 11);
  EXPECT_EQ(Value(server, "plus"), 11);
  auto statistics = server.Statistics("plus", "");
  ASSERT_TRUE(statistics.ok());
  EXPECT_EQ((*statistics)[0].cache_hit.count, 1U);
  EXPECT_EQ((*statistics)[0].cache_miss.count, 1U);
  EXPECT_EQ((*statistics)[0].execution_count, 1U);
  EXPECT_EQ((*statistics)[0].success.count, 2U);
  Write("plus/1/model.onnx", "2");
  ASSERT_TRUE(server.Load("plus", std::nullopt, {}).ok());
  EXPECT_EQ(Value(server, "plus"), 12);
  EXPECT_EQ(server.cache().entries, 1U);
}

constexpr char kDiamond[] = R"(max_batch_size: 4
  input { name: "x" data_type: TYPE_FP32 dims: 2 }
  output [ { name: "LEFT" data_type: TYPE_FP32 dims: 2 }, { name: "END" data_type: TYPE_FP32 dims: -1 } ]
  ensemble_scheduling { step [
    { model_name: "c" input_map { key: "x" value: "right" } output_map { key: "y" value: "END" } },
    { model_name: "a" input_map { key: "x" value: "x" } output_map { key: "y" value: "LEFT" } },
    { model_name: "b" input_map { key: "x" value: "LEFT" } output_map { key: "y" value: "right" } }
  ] })";

TEST_F(RepositoryServerTest, AGraphOfModelsIsServedAsOne) {
  Write("a/1/model.onnx", "1");
  Write("b/1/model.onnx", "20");
  Write("c/1/model.onnx", "300");
  Write("aa_graph/config.pbtxt", kDiamond);
  RepositoryServer& server = Start();
  ASSERT_TRUE(server.ready()) << ReasonOf(server, "aa_graph", "1");

  const auto answer = Ask(server, Asking("aa_graph", 10));

  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->model_name, "aa_graph");
  ASSERT_EQ(answer->outputs.size(), 2U);
  EXPECT_EQ(answer->outputs[0].name, "LEFT");
  EXPECT_THAT(Floats(answer->outputs[0]), ElementsAre(11, 1));
  EXPECT_THAT(Floats(answer->outputs[1]), ElementsAre(331, 321));
  InferRequest one = Asking("aa_graph", 10);
  one.outputs = {"END"};
  EXPECT_EQ(Ask(server, std::move(one))->outputs.size(), 1U);
  EXPECT_EQ(server.Describe("aa_graph", "")->spec.platform, "tidewheel_ensemble");
  const auto statistics = server.Statistics("aa_graph", "1");
  EXPECT_EQ((*statistics)[0].success.count, 2U);
  EXPECT_EQ((*server.Statistics("a", ""))[0].success.count, 2U);
}

TEST_F(RepositoryServerTest, AGraphSaysWhichOfItsModelsIsMissingOrFails) {
  Write("a/1/model.onnx", "1");
  Write("b/1/model.onnx", "1");
  Write("c/1/model.onnx", "1");
  Write("graph/config.pbtxt", kDiamond);
  RepositoryServer& server = StartExplicit();
  EXPECT_THAT(server.Load("graph", std::nullopt, {}).error().message,
              HasSubstr("step 1, model \"c\": model \"c\" is not loaded"));
  for (const char* name : {"a", "b", "c", "graph"}) {
    ASSERT_TRUE(server.Load(name, std::nullopt, {}).ok());
  }
  ASSERT_TRUE(server.Unload("b").ok());
  const auto answer = Ask(server, Asking("graph", 1));
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(answer.error().message, HasSubstr("step 3: model \"b\" is not ready: unloaded"));
}

TEST_F(RepositoryServerTest, GraphsThatCannotBeAreRefused) {
  Write("a/1/model.onnx", "1");
  Write("b/1/model.onnx", "1");
  RepositoryServer& server = StartExplicit();
  ASSERT_TRUE(server.Load("a", std::nullopt, {}).ok());
  ASSERT_TRUE(server.Load("b", std::nullopt, {}).ok());
  const auto message = [&](const std::string& dims, const std::string& steps) {
    Write("graph/config.pbtxt",
          "max_batch_size: 4 input { name: \"x\" data_type: TYPE_FP32 dims: " + dims +
              " } output { name: \"OUT\" data_type: TYPE_FP32 dims: 2 } ensemble_scheduling { " +
              steps + " }");
    const auto loaded = server.Load("graph", std::nullopt, {});
    return loaded ? std::string("loaded") : loaded.error().message;
  };
  const auto step = [](const std::string& model, const std::string& in, const std::string& out) {
    return "step { model_name: \"" + model + "\" input_map { key: \"x\" value: \"" + in +
           "\" } output_map { key: \"y\" value: \"" + out + "\" } } ";
  };
  EXPECT_EQ(message("2", step("a", "x", "OUT")), "loaded");
  EXPECT_THAT(message("3", step("a", "x", "OUT")),
              HasSubstr("its input \"x\" is FP32 [-1,2], tensor \"x\" is FP32 [-1,3]"));
  EXPECT_THAT(message("2", step("a", "m", "n") + step("b", "n", "m") + step("a", "x", "OUT")),
              HasSubstr("is in a circle"));
  EXPECT_THAT(message("2", step("a", "nowhere", "OUT")),
              HasSubstr("nothing makes tensor \"nowhere\""));
  EXPECT_THAT(message("2", step("a", "x", "OUT") + step("b", "x", "OUT")),
              HasSubstr("\"OUT\" is made twice"));
  EXPECT_THAT(message("2", step("a", "x", "m")), HasSubstr("nothing makes output \"OUT\""));
  EXPECT_THAT(message("2", step("graph", "x", "m") + step("a", "m", "OUT")),
              HasSubstr("has no output \"y\""));
  EXPECT_THAT(message("2", "step { model_name: \"a\" output_map { key: \"y\" value: \"OUT\" } }"),
              HasSubstr("its input \"x\" is mapped to nothing"));
  EXPECT_EQ(Value(server, "graph"), 11);  // The one that was loaded.

  // Through another graph it would be a step of itself.
  Write("outer/config.pbtxt",
        "max_batch_size: 4 input { name: \"x\" data_type: TYPE_FP32 dims: 2 } output { name: \"y\" "
        "data_type: TYPE_FP32 dims: 2 } ensemble_scheduling { step { model_name: \"graph\" "
        "input_map { key: \"x\" value: \"x\" } output_map { key: \"OUT\" value: \"y\" } } }");
  ASSERT_TRUE(server.Load("outer", std::nullopt, {}).ok());
  EXPECT_EQ(Value(server, "outer"), 11);
  EXPECT_THAT(message("2", step("outer", "x", "OUT")), HasSubstr("a step of itself"));
  EXPECT_EQ(Value(server, "outer"), 11);
}

TEST_F(RepositoryServerTest, StepsThatDoNotWaitForEachOtherRunAtTheSameTime) {
  Gate left;
  Gate right;
  Write("graph/config.pbtxt",
        R"(max_batch_size: 4 input { name: "x" data_type: TYPE_FP32 dims: 2 }
    output [ { name: "p" data_type: TYPE_FP32 dims: 2 }, { name: "q" data_type: TYPE_FP32 dims: 2 } ]
    ensemble_scheduling { step [
      { model_name: "a" input_map { key: "x" value: "x" } output_map { key: "y" value: "p" } },
      { model_name: "b" input_map { key: "x" value: "x" } output_map { key: "y" value: "q" } } ] })");
  RepositoryServer& server = Start({.mode = RepositoryServer::Mode::kExplicit,
                                    .scheduling = {.inline_limit = std::chrono::nanoseconds{0}}});
  ASSERT_TRUE(server.Put("a", 1, Plus(1, &left)).ok());
  ASSERT_TRUE(server.Put("b", 1, Plus(2, &right)).ok());
  ASSERT_TRUE(server.Load("graph", std::nullopt, {}).ok());
  left.Shut();
  right.Shut();
  Answers answers;
  server.Infer(Asking("graph", 10), answers.At(0));
  left.AwaitArrivals(5);   // Four of the warm-up, and this one.
  right.AwaitArrivals(5);  // Both are inside at once.
  EXPECT_EQ(answers.count(), 0U);
  right.Open();
  left.Open();
  answers.Await(1);
  EXPECT_THAT(Floats(answers.Only(0)->outputs[1]), ElementsAre(12, 2));
}

}  // namespace
}  // namespace tidewheel::inference
