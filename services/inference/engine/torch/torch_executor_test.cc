#include "tidewheel/inference/engine/torch/torch_executor.h"

#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "tidewheel/inference/core/repository_server.h"
#include "tidewheel/inference/engine/torch/testing/archives.h"
#include "tidewheel/inference/engine/torch/testing/torch_suite.h"
#include "tidewheel/inference/engine/torch/torch_loader.h"

namespace tidewheel::inference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TorchExecutorTest : public TorchSuite {};

TEST_F(TorchExecutorTest, ATuplesPartsAreOutputsAndArgumentsAreInputs) {
  const auto model = Start(Script("pair", "def forward(self, x, y):\n  return x + y, x - y\n"));
  ASSERT_TRUE(model.ok()) << model.error().message;
  const ModelSpec& spec = (*model)->spec();
  ASSERT_EQ(spec.inputs.size(), 2U);
  EXPECT_EQ(spec.inputs[0].name, "x");
  EXPECT_EQ(spec.inputs[1].name, "y");
  EXPECT_TRUE(spec.inputs[0].any);
  ASSERT_EQ(spec.outputs.size(), 2U);
  EXPECT_EQ(spec.outputs[1].name, "OUTPUT__1");
  EXPECT_EQ(spec.platform, "pytorch_torchscript");
  EXPECT_EQ(spec.max_batch_size, 0U);

  const auto answer =
      (*model)->Execute(std::vector{Floats({1, 2, 3, 4}, {2, 2}), Floats({10, 20}, {2})});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  ASSERT_EQ(answer->size(), 2U);
  EXPECT_EQ((*answer)[0].name, "OUTPUT__0");
  EXPECT_THAT((*answer)[0].shape, ElementsAre(2, 2));
  EXPECT_THAT(ValuesOf<float>((*answer)[0]), ElementsAre(11, 22, 13, 24));
  EXPECT_THAT(ValuesOf<float>((*answer)[1]), ElementsAre(-9, -18, -7, -16));
  EXPECT_GT((*model)->memory_bytes(), 0U);
}

TEST_F(TorchExecutorTest, TheConfigurationsNamesArePlacesOrArguments) {
  const auto file = Script("named", "def forward(self, x, y):\n  return x - y\n");
  const auto by_place =
      Start({.file = file,
             .inputs = {{.name = "INPUT__1", .shape = {-1}}, {.name = "INPUT__0", .shape = {-1}}},
             .outputs = {{.name = "difference", .shape = {-1}}}});
  ASSERT_TRUE(by_place.ok()) << by_place.error().message;
  const std::vector inputs{Floats({1}), Floats({5})};
  auto answer = (*by_place)->Execute(inputs);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ((*answer)[0].name, "difference");
  EXPECT_THAT(ValuesOf<float>((*answer)[0]), ElementsAre(4));

  const auto by_name =
      Start({.file = file, .inputs = {{.name = "y", .shape = {-1}}, {.name = "x", .shape = {-1}}}});
  ASSERT_TRUE(by_name.ok()) << by_name.error().message;
  EXPECT_THAT(ValuesOf<float>((*(*by_name)->Execute(inputs))[0]), ElementsAre(4));

  const auto too_few = Start({.file = file, .inputs = {{.name = "x", .shape = {-1}}}});
  ASSERT_FALSE(too_few.ok());
  EXPECT_EQ(too_few.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(too_few.error().message, HasSubstr("\"y\""));
  EXPECT_FALSE(Start({.file = file, .outputs = {{.name = "a"}, {.name = "b"}}}).ok());
}

TEST_F(TorchExecutorTest, DictsGoByKey) {
  const auto file = Script("dicts",
                           "def forward(self, x: Dict[str, Tensor]) -> Dict[str, Tensor]:\n"
                           "  return {'sum': x['a'] + x['b'], 'product': x['a'] * x['b']}\n");
  const auto unnamed = Start(file);
  ASSERT_FALSE(unnamed.ok());
  EXPECT_THAT(unnamed.error().message, HasSubstr("config.pbtxt"));

  const auto model =
      Start({.file = file,
             .inputs = {{.name = "b", .shape = {-1}}, {.name = "a", .shape = {-1}}},
             .outputs = {{.name = "product", .shape = {-1}}, {.name = "sum", .shape = {-1}}}});
  ASSERT_TRUE(model.ok()) << model.error().message;
  const auto answer = (*model)->Execute(std::vector{Floats({3}), Floats({4})});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_THAT(ValuesOf<float>((*answer)[0]), ElementsAre(12));
  EXPECT_THAT(ValuesOf<float>((*answer)[1]), ElementsAre(7));
}

TEST_F(TorchExecutorTest, ListsNumbersAndTextsAreTensorsOutside) {
  const auto lists =
      Start({.file = Script("lists",
                            "def forward(self, x: List[Tensor]):\n"
                            "  return [x[1], x[0], x[0] + x[1]]\n"),
             .inputs = {{.name = "p", .shape = {-1}}, {.name = "q", .shape = {-1}}},
             .outputs = {{.name = "r__2", .shape = {-1}}, {.name = "r__0", .shape = {-1}}}});
  ASSERT_TRUE(lists.ok()) << lists.error().message;
  auto answer = (*lists)->Execute(std::vector{Floats({1}), Floats({2})});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_THAT(ValuesOf<float>((*answer)[0]), ElementsAre(3));
  EXPECT_THAT(ValuesOf<float>((*answer)[1]), ElementsAre(2));

  const auto mixed = Start(
      {.file = Script("mixed",
                      "def forward(self, t: List[str], n: int, s: float, b: bool, d: int = 7):\n"
                      "  return [x + '!' for x in t], n + d, s, not b, t[0]\n")});
  ASSERT_TRUE(mixed.ok()) << mixed.error().message;
  const std::int64_t five = 5;
  answer = (*mixed)->Execute(std::vector{
      Tensor::Of("", DataType::kBytes, {2}, std::string("\2\0\0\0hi\0\0\0\0", 10)),
      Tensor::Of("", DataType::kInt64, {}, std::string(reinterpret_cast<const char*>(&five), 8)),
      Floats({0.5F}), Tensor::Of("", DataType::kBool, {1}, std::string(1, '\1'))});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  ASSERT_EQ(answer->size(), 5U);
  EXPECT_EQ((*answer)[0].type, DataType::kBytes);
  EXPECT_EQ((*answer)[0].data, std::string_view("\3\0\0\0hi!\1\0\0\0!", 12));
  EXPECT_THAT(ValuesOf<std::int64_t>((*answer)[1]), ElementsAre(12));
  EXPECT_THAT(ValuesOf<double>((*answer)[2]), ElementsAre(0.5));
  EXPECT_EQ((*answer)[3].data, std::string_view("\0", 1));
  EXPECT_EQ((*answer)[4].data, std::string_view("\2\0\0\0hi", 6));
}

TEST_F(TorchExecutorTest, EveryDatatypeComesBackAsItWent) {
  const auto model =
      Start({.file = Script("same", "def forward(self, x):\n  return x\n"), .instances = 2});
  ASSERT_TRUE(model.ok()) << model.error().message;
  for (int type = 0; type < static_cast<int>(DataType::kBytes); ++type) {
    const auto datatype = static_cast<DataType>(type);
    std::string bytes(6 * ElementSize(datatype), '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<char>(datatype == DataType::kBool ? i % 2 : 17 * i + 1);
    }
    const auto answer = (*model)->Execute(std::vector{Tensor::Of("x", datatype, {2, 1, 3}, bytes)});
    ASSERT_TRUE(answer.ok()) << Name(datatype) << ": " << answer.error().message;
    EXPECT_EQ((*answer)[0].type, datatype);
    EXPECT_THAT((*answer)[0].shape, ElementsAre(2, 1, 3));
    EXPECT_EQ((*answer)[0].data, bytes) << Name(datatype);
  }
  const auto nothing = (*model)->Execute(std::vector{Floats({}, {0, 4})});
  ASSERT_TRUE(nothing.ok());
  EXPECT_THAT((*nothing)[0].shape, ElementsAre(0, 4));
  // Larger than what a lane keeps.
  const std::vector<float> large(5U << 20, 0.25F);
  const auto answer = (*model)->Execute(std::vector{Floats(large)});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ((*answer)[0].data, Floats(large).data);
  const std::vector<float> too_large(9U << 20, 0.25F);
  EXPECT_EQ((*model)->Execute(std::vector{Floats(too_large)}).error().code,
            ErrorCode::kResourceExhausted);
}

TEST_F(TorchExecutorTest, WhatTheModelRaisesIsSaidAndHarmsNobody) {
  const auto file = Script("picky",
                           "def forward(self, x):\n"
                           "  assert bool(x.sum() < 0), 'only what is negative'\n"
                           "  return torch.mm(x, x)\n");
  const auto model = Start(file);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const auto raised = (*model)->Execute(std::vector{Floats({1})});
  ASSERT_FALSE(raised.ok());
  EXPECT_EQ(raised.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(raised.error().message, HasSubstr("only what is negative"));
  EXPECT_THAT(raised.error().message, HasSubstr("model \"picky\""));
  EXPECT_THAT((*model)->Execute(std::vector{Floats({-1})}).error().message, HasSubstr("matri"));
  EXPECT_TRUE((*model)->Execute(std::vector{Floats({-1}, {1, 1})}).ok());
  EXPECT_EQ((*model)->counts().starts, 1U);

  // An answer that is not what the configuration says is the model's fault.
  const auto wrong = Start({.file = file,
                            .inputs = {{.name = "x", .shape = {-1, -1}}},
                            .outputs = {{.name = "y", .type = DataType::kInt64, .shape = {-1}}}});
  ASSERT_TRUE(wrong.ok()) << wrong.error().message;
  const auto other = (*wrong)->Execute(std::vector{Floats({-1}, {1, 1})});
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, ErrorCode::kInternal);
  EXPECT_THAT(other.error().message, HasSubstr("FP32 [1,1]"));
  EXPECT_THAT(other.error().message, HasSubstr("INT64 [-1]"));
}

TEST_F(TorchExecutorTest, AModuleWithAStateKeepsNoMemoryOfACall) {
  const auto model = Start(Script("stateful",
                                  "def forward(self, x):\n"
                                  "  last = self.state\n"
                                  "  self.state = x\n"
                                  "  return last\n"));
  ASSERT_TRUE(model.ok()) << model.error().message;
  ASSERT_TRUE((*model)->Execute(std::vector{Floats({1, 2})}).ok());
  EXPECT_THAT(ValuesOf<float>((*(*model)->Execute(std::vector{Floats({3, 4})}))[0]),
              ElementsAre(1, 2));
  EXPECT_THAT(ValuesOf<float>((*(*model)->Execute(std::vector{Floats({5, 6})}))[0]),
              ElementsAre(3, 4));
}

TEST_F(TorchExecutorTest, ACompiledPackageAnswers) {
  const auto path = folder_.path() / "made.pt2";
  const auto written = WritePackage(path);
  ASSERT_TRUE(written.ok()) << written.error().message;
  const auto model = Start(path);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ((*model)->spec().platform, "pytorch_aotinductor");
  ASSERT_EQ((*model)->spec().inputs.size(), 1U);
  EXPECT_EQ((*model)->spec().inputs[0].name, "INPUT__0");
  EXPECT_EQ((*model)->spec().outputs[0].name, "OUTPUT__0");
  const auto answer = (*model)->Execute(std::vector{Floats({1, 2, 3})});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_THAT(ValuesOf<float>((*answer)[0]), ElementsAre(2, 4, 6));
}

TEST_F(TorchExecutorTest, WhatCannotBeLoadedSaysWhy) {
  const auto write = [&](const std::string& name, const std::string& bytes) {
    std::ofstream(folder_.path() / name, std::ios::binary) << bytes;
    return folder_.path() / name;
  };
  const auto refused = [&](const std::filesystem::path& file) {
    const auto model = Start(file);
    EXPECT_FALSE(model.ok()) << file;
    return model.ok() ? Error{} : model.error();
  };
  Error error = refused(write("noise.pt", std::string(10'000, 'n')));
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message, HasSubstr("the file is not TorchScript"));
  EXPECT_EQ(refused(write("empty.pt", "")).code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused(write("noise.pt2", "noise")).message, HasSubstr("AOTInductor"));

  const auto good = Script("good", "def forward(self, x):\n  return torch.relu(x)\n");
  std::ifstream stream(good, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  error = refused(write("half.pt", bytes.substr(0, bytes.size() / 2)));
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message, HasSubstr("not TorchScript"));
  error = refused(write("wrong.pt2", bytes));
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument) << error.message;

  ASSERT_TRUE(ReplaceInArchive(good, "torch.relu", "torch.rely").ok());
  error = refused(good);
  EXPECT_EQ(error.code, ErrorCode::kUnimplemented);
  EXPECT_THAT(error.message, HasSubstr("aten::rely"));

  const auto weights = folder_.path() / "weights.pt";
  ASSERT_TRUE(
      WriteArchive(weights, {{"weights/data.pkl", "no code"}, {"weights/version", "3\n"}}).ok());
  EXPECT_THAT(refused(weights).message, HasSubstr("torch.save"));
  EXPECT_THAT(refused(Script("idle", "def other(self, x):\n  return x\n")).message,
              HasSubstr("forward"));
  EXPECT_THAT(
      refused(Script("odd", "def forward(self, x: Dict[int, int]):\n  return x[0]\n")).message,
      HasSubstr("Dict(int, int)"));
  EXPECT_EQ(refused(folder_.path() / "none.pt").code, ErrorCode::kNotFound);

  const auto fine = Script("fine", "def forward(self, x):\n  return x\n");
  options_.device = "cuda:0";
  error = refused(fine);
  EXPECT_EQ(error.code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(error.message, HasSubstr("no CUDA"));
  options_.device = "tpu";
  EXPECT_THAT(refused(fine).message, HasSubstr("no device \"tpu\""));
  options_.device = "cpu";
  options_.file_bytes = 100;
  error = refused(fine);
  EXPECT_EQ(error.code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(error.message, HasSubstr("100"));
  options_.file_bytes = 1U << 20;
  options_.program = folder_.path() / "nothing";
  EXPECT_EQ(refused(fine).code, ErrorCode::kFailedPrecondition);
}

TEST_F(TorchExecutorTest, ARepositoryServesThem) {
  const auto root = folder_.path() / "models";
  std::filesystem::create_directories(root / "plain" / "1");
  std::filesystem::create_directories(root / "batched" / "3");
  const auto file = Script("model", "def forward(self, x):\n  return x * 2\n");
  std::filesystem::copy_file(file, root / "plain" / "1" / "model.pt");
  std::filesystem::copy_file(file, root / "batched" / "3" / "model.pt");
  std::ofstream(root / "batched" / "config.pbtxt")
      << "backend: \"pytorch\"\nmax_batch_size: 8\n"
         "input { name: \"INPUT__0\" data_type: TYPE_FP32 dims: [2] }\n"
         "output { name: \"OUTPUT__0\" data_type: TYPE_FP32 dims: [2] }\n"
         "instance_group { count: 2 kind: KIND_CPU }\ndynamic_batching { }\n"
         "parameters { key: \"memory_bytes\" value { string_value: \"1000000000\" } }\n";
  TorchLoader loader(options_);
  RepositoryServer server({.repository = root}, loader);
  ASSERT_TRUE(server.Start().ok());
  for (const IndexEntry& entry : server.Index(false)) EXPECT_EQ(entry.reason, "") << entry.name;
  ASSERT_TRUE(server.ready());
  for (const char* name : {"plain", "batched"}) {
    Tensor input = Floats({1, 2}, {1, 2});
    input.name = std::string(name) == "plain" ? "x" : "INPUT__0";
    std::optional<Result<InferResponse>> answer;
    std::mutex mutex;
    std::condition_variable answered;
    server.Infer({.model_name = name, .inputs = {input}}, [&](Result<InferResponse> response) {
      const std::lock_guard lock(mutex);
      answer.emplace(std::move(response));
      answered.notify_one();
    });
    std::unique_lock lock(mutex);
    answered.wait(lock, [&] { return answer.has_value(); });
    ASSERT_TRUE(answer->ok()) << answer->error().message;
    EXPECT_THAT(ValuesOf<float>((*answer)->outputs.at(0)), ElementsAre(2, 4));
  }
  EXPECT_EQ(server.Describe("batched", "")->spec.max_batch_size, 8U);
}

TEST_F(TorchExecutorTest, GradientsAreThoseOfTheChosenClassAndOfEachRowAlone) {
  // d softmax(x)_c / dx_j = p_c (delta_cj - p_j).
  const auto file = Script("softmax", "def forward(self, x):\n  return torch.softmax(x, 1)\n");
  const auto model = Start({.file = file, .gradients = true});
  ASSERT_TRUE(model.ok()) << model.error().message;
  const std::int64_t wanted = 1;
  const Tensor of_class =
      Tensor::Of("", DataType::kInt64, {1},
                 std::string(reinterpret_cast<const char*>(&wanted), sizeof wanted));
  const std::vector<float> rows{0.5F, -1, 2, 3, 0, -2};
  const auto answer = (*model)->Execute(std::vector{Floats(rows, {2, 3}), of_class});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  ASSERT_EQ(answer->size(), 2U);
  const auto answers = ValuesOf<float>((*answer)[0]);
  const auto slopes = ValuesOf<float>((*answer)[1]);
  EXPECT_THAT((*answer)[1].shape, ElementsAre(2, 3));
  for (std::size_t row = 0; row < 2; ++row) {
    std::array<double, 3> p{};
    double sum = 0;
    for (std::size_t j = 0; j < 3; ++j) sum += p[j] = std::exp(rows[row * 3 + j]);
    for (double& each : p) each /= sum;
    EXPECT_NEAR(answers[row], p[1], 1e-6);
    for (std::size_t j = 0; j < 3; ++j) {
      EXPECT_NEAR(slopes[row * 3 + j], p[1] * ((j == 1 ? 1 : 0) - p[j]), 1e-6);
    }
  }
  const std::int64_t none = 3;
  const Tensor of_none = Tensor::Of("", DataType::kInt64, {1},
                                    std::string(reinterpret_cast<const char*>(&none), sizeof none));
  const auto refused = (*model)->Execute(std::vector{Floats(rows, {2, 3}), of_none});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("class 3, the answer has 3"));
}

TEST_F(TorchExecutorTest, WhereThereIsNoGradientItIsSaid) {
  const auto two = Start(
      {.file = Script("two", "def forward(self, x, y):\n  return x + y\n"), .gradients = true});
  ASSERT_FALSE(two.ok());
  EXPECT_THAT(two.error().message, HasSubstr("takes one tensor and gives one"));

  const auto steps =
      Start({.file = Script("steps", "def forward(self, x):\n  return (x > 0).float()\n"),
             .gradients = true});
  ASSERT_TRUE(steps.ok()) << steps.error().message;
  const std::int64_t wanted = 0;
  const Tensor of_class =
      Tensor::Of("", DataType::kInt64, {1},
                 std::string(reinterpret_cast<const char*>(&wanted), sizeof wanted));
  const auto answer = (*steps)->Execute(std::vector{Floats({1, 2}, {1, 2}), of_class});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kUnimplemented);
}

}  // namespace
}  // namespace tidewheel::inference
