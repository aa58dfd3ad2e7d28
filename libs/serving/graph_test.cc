#include "tidewheel/serving/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tidewheel/base/random.h"
#include "tidewheel/ml/onnx/testing/onnx_maker.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::serving {
namespace {

using ml::OnnxMaker;
using ::testing::HasSubstr;
namespace type = ml::onnx_type;

template <typename T>
std::string BytesOf(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}
template <typename T>
std::vector<T> NumbersOf(std::string_view bytes) {
  std::vector<T> numbers(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

/// A tensor with what its view views.
struct Given {
  std::vector<std::int64_t> shape;
  std::string bytes;
  operator TensorView() const { return {shape, bytes}; }  // NOLINT(google-explicit-constructor)
};
template <typename T>
Given Of(std::vector<std::int64_t> shape, const std::vector<T>& numbers) {
  return {std::move(shape), BytesOf(numbers)};
}

struct TypeCase {
  int onnx;
  ElementType ours;
  const char* name;
};
constexpr TypeCase kNumbers[] = {
    {type::kUint8, ElementType::kUint8, "uint8"},
    {type::kInt8, ElementType::kInt8, "int8"},
    {type::kUint16, ElementType::kUint16, "uint16"},
    {type::kInt16, ElementType::kInt16, "int16"},
    {type::kInt32, ElementType::kInt32, "int32"},
    {type::kInt64, ElementType::kInt64, "int64"},
    {type::kUint32, ElementType::kUint32, "uint32"},
    {type::kUint64, ElementType::kUint64, "uint64"},
    {type::kFloat16, ElementType::kFp16, "float16"},
    {type::kBfloat16, ElementType::kBf16, "bfloat16"},
    {type::kFloat, ElementType::kFp32, "float32"},
    {type::kDouble, ElementType::kFp64, "float64"},
};

/// Small whole numbers in any datatype, and back.
std::string Encoded(ElementType type, const std::vector<int>& numbers) {
  std::string bytes;
  for (const int number : numbers) {
    const auto add = [&](auto value) {
      bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    };
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(static_cast<float>(number));
    switch (type) {
      case ElementType::kBool:
      case ElementType::kUint8:
      case ElementType::kInt8:
        add(static_cast<std::uint8_t>(number));
        break;
      case ElementType::kUint16:
      case ElementType::kInt16:
        add(static_cast<std::uint16_t>(number));
        break;
      case ElementType::kUint32:
      case ElementType::kInt32:
        add(static_cast<std::uint32_t>(number));
        break;
      case ElementType::kUint64:
      case ElementType::kInt64:
        add(static_cast<std::int64_t>(number));
        break;
      case ElementType::kFp64:
        add(static_cast<double>(number));
        break;
      case ElementType::kFp32:
        add(static_cast<float>(number));
        break;
      case ElementType::kBf16:
        add(static_cast<std::uint16_t>(bits >> 16));
        break;
      case ElementType::kFp16: {
        // Exact: the numbers have few bits.
        const std::uint32_t exponent = (bits >> 23) & 255;
        const auto half = number == 0 ? 0U
                                      : ((bits >> 16) & 0x8000U) | ((exponent - 112) << 10) |
                                            ((bits >> 13) & 1023U);
        add(static_cast<std::uint16_t>(half));
        break;
      }
      case ElementType::kBytes:
        ADD_FAILURE();
    }
  }
  return bytes;
}

class GraphTest : public ::testing::Test {
 protected:
  std::unique_ptr<Graph> Load(const OnnxMaker& maker, const GraphOptions& options = {}) {
    auto graph = engine_->LoadGraph(maker.Bytes(), options);
    EXPECT_TRUE(graph.ok()) << (graph ? "" : graph.error().message);
    return graph ? std::move(*graph) : nullptr;
  }
  static std::vector<OutputTensor> Ask(const Graph& graph, const std::vector<TensorView>& inputs) {
    auto answers = graph.Infer(inputs);
    EXPECT_TRUE(answers.ok()) << (answers ? "" : answers.error().message);
    return answers ? std::move(*answers) : std::vector<OutputTensor>(graph.outputs().size());
  }
  std::string Refusal(const OnnxMaker& maker, ErrorCode code = ErrorCode::kInvalidArgument) {
    const auto graph = engine_->LoadGraph(maker.Bytes(), {});
    EXPECT_FALSE(graph.ok());
    if (graph) return {};
    EXPECT_EQ(graph.error().code, code) << graph.error().message;
    return graph.error().message;
  }

  std::unique_ptr<Engine> engine_ = Engine::Create({}).value();
};

TEST_F(GraphTest, SumsOfEveryDatatype) {
  for (const TypeCase& one : kNumbers) {
    SCOPED_TRACE(one.name);
    const auto graph = Load(OnnxMaker(14)
                                .Input("a", one.onnx, {"n", 3})
                                .Input("b", one.onnx, {"n", 3})
                                .Output("sum", one.onnx, {"n", 3})
                                .Node("Add", {"a", "b"}, {"sum"}));
    ASSERT_NE(graph, nullptr);
    EXPECT_EQ(graph->inputs()[0], (Port{"a", one.ours, {-1, 3}}));
    EXPECT_EQ(graph->outputs()[0], (Port{"sum", one.ours, {-1, 3}}));
    EXPECT_TRUE(graph->batches());

    const Given a{{2, 3}, Encoded(one.ours, {1, 2, 3, 4, 5, 6})};
    const Given b{{2, 3}, Encoded(one.ours, {10, 20, 30, 40, 50, 60})};
    const auto answers = Ask(*graph, {a, b});

    EXPECT_EQ(answers[0].shape, (std::vector<std::int64_t>{2, 3}));
    EXPECT_EQ(answers[0].data, Encoded(one.ours, {11, 22, 33, 44, 55, 66}));
  }
}

TEST_F(GraphTest, ProductsAndConvolutionsOfEveryFloat) {
  for (const TypeCase& one : kNumbers) {
    if (one.ours != ElementType::kFp16 && one.ours != ElementType::kBf16 &&
        one.ours != ElementType::kFp32 && one.ours != ElementType::kFp64) {
      continue;
    }
    SCOPED_TRACE(one.name);
    const auto graph =
        Load(OnnxMaker(13)
                 .Input("x", one.onnx, {"n", 1, 2, 2})
                 .Output("y", one.onnx, {"n", 2})
                 .Raw("kernel", one.onnx, {1, 1, 2, 2}, Encoded(one.ours, {1, 0, 0, 1}))
                 .Raw("by", one.onnx, {1, 2}, Encoded(one.ours, {1, 2}))
                 .Raw("plus", one.onnx, {2}, Encoded(one.ours, {0, 1}))
                 .Raw("more", one.onnx, {2, 2}, Encoded(one.ours, {1, 0, 0, 2}))
                 .Node("Conv", {"x", "kernel"}, {"c"},
                       {{"kernel_shape", std::vector<std::int64_t>{2, 2}}})
                 .Node("Flatten", {"c"}, {"f"})
                 .Node("MatMul", {"f", "by"}, {"m"})
                 .Node("Gemm", {"m", "more", "plus"}, {"y"}));
    ASSERT_NE(graph, nullptr);

    const auto answers =
        Ask(*graph, {Given{{2, 1, 2, 2}, Encoded(one.ours, {1, 9, 9, 2, 3, 9, 9, 4})}});

    EXPECT_EQ(answers[0].data, Encoded(one.ours, {3, 13, 7, 29}));
  }
}

TEST_F(GraphTest, WhatIsPassedThroughKeepsEveryBit) {
  struct Case {
    int onnx;
    std::string bytes;
    std::int64_t elements;
  };
  const std::vector<Case> cases = {
      {type::kInt64, BytesOf<std::int64_t>({INT64_MIN, INT64_MAX}), 2},
      {type::kUint64, BytesOf<std::uint64_t>({UINT64_MAX, 1}), 2},
      {type::kDouble, BytesOf<double>({1.0 / 3, -1e300}), 2},
      {type::kBool, std::string("\1\0", 2), 2},
      {type::kFloat16, std::string("\x01\x7c\xff\xff", 4), 2},  // Not numbers.
      {type::kString, std::string("\3\0\0\0abc\0\0\0\0", 11), 2},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.onnx);
    const auto graph = Load(OnnxMaker(13)
                                .Input("x", one.onnx, {"n"})
                                .Output("y", one.onnx, {"n"})
                                .Node("Identity", {"x"}, {"y"}));
    ASSERT_NE(graph, nullptr);
    EXPECT_TRUE(graph->batches());

    const auto answers = Ask(*graph, {Given{{one.elements}, one.bytes}});

    EXPECT_EQ(answers[0].data, one.bytes);
    EXPECT_EQ(answers[0].shape, std::vector<std::int64_t>{one.elements});
  }
}

TEST_F(GraphTest, NumbersThatTheEngineWouldChangeAreRefused) {
  const auto graph = Load(OnnxMaker(14)
                              .Input("x", type::kInt64, {"n"})
                              .Output("y", type::kInt64, {"n"})
                              .Node("Add", {"x", "x"}, {"y"}));

  const auto refused =
      graph->Infer(std::vector<TensorView>{Of<std::int64_t>({3}, {1, 2, INT64_C(1) << 40})});

  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("\"x\", element 2"));
}

TEST_F(GraphTest, TextsThatWouldBeComputedWithAreRefusedByName) {
  const auto message = Refusal(OnnxMaker(13)
                                   .Input("words", type::kString, {"n", 2})
                                   .Output("y", type::kString, {2, "n"})
                                   .Node("Transpose", {"words"}, {"y"}));

  EXPECT_THAT(message, HasSubstr("\"words\""));
}

TEST_F(GraphTest, ScalarsAndTensorsWithoutElements) {
  const auto graph = Load(OnnxMaker(13)
                              .Input("x", type::kFloat, {"n", 3})
                              .Input("by", type::kFloat, {})
                              .Output("y", type::kFloat, {"n", 3})
                              .Output("sum", type::kFloat, {})
                              .Node("Mul", {"x", "by"}, {"y"})
                              .Node("ReduceSum", {"y"}, {"sum"}, {{"keepdims", std::int64_t{0}}}));
  ASSERT_NE(graph, nullptr);
  EXPECT_FALSE(graph->batches());
  EXPECT_EQ(graph->inputs()[1].shape, std::vector<std::int64_t>{});

  auto answers = Ask(*graph, {Of<float>({2, 3}, {1, 2, 3, 4, 5, 6}), Of<float>({}, {2})});
  EXPECT_EQ(NumbersOf<float>(answers[0].data), (std::vector<float>{2, 4, 6, 8, 10, 12}));
  EXPECT_EQ(NumbersOf<float>(answers[1].data), std::vector<float>{42});
  EXPECT_TRUE(answers[1].shape.empty());

  answers = Ask(*graph, {Of<float>({0, 3}, {}), Of<float>({}, {2})});
  EXPECT_EQ(answers[0].shape, (std::vector<std::int64_t>{0, 3}));
  EXPECT_TRUE(answers[0].data.empty());
  EXPECT_EQ(NumbersOf<float>(answers[1].data), std::vector<float>{0});
}

TEST_F(GraphTest, InnerSizesMayBeOpenAndBatchesFixed) {
  const auto open =
      Load(OnnxMaker(13)
               .Input("x", type::kFloat, {"batch", "length", 2})
               .Output("y", type::kFloat, {"batch", 2})
               .Node("ReduceMax", {"x"}, {"y"},
                     {{"axes", std::vector<std::int64_t>{1}}, {"keepdims", std::int64_t{0}}}));
  ASSERT_NE(open, nullptr);
  EXPECT_TRUE(open->batches());
  EXPECT_EQ(open->inputs()[0].shape, (std::vector<std::int64_t>{-1, -1, 2}));
  for (const std::int64_t length : {1, 7, 3, 100}) {
    std::vector<float> numbers(static_cast<std::size_t>(length) * 4);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
    const auto answers = Ask(*open, {Of<float>({2, length, 2}, numbers)});
    const float last = static_cast<float>(numbers.size() - 1);
    EXPECT_EQ(NumbersOf<float>(answers[0].data).back(), last);
  }

  const auto fixed = Load(OnnxMaker(13)
                              .Input("x", type::kFloat, {4, 2})
                              .Output("y", type::kFloat, {4, 2})
                              .Node("Relu", {"x"}, {"y"}));
  ASSERT_NE(fixed, nullptr);
  EXPECT_FALSE(fixed->batches());
  const auto refused = fixed->Infer(std::vector<TensorView>{Of<float>({1, 2}, {1, 2})});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("input \"x\" has the shape [4,2], [1,2]"));
}

TEST_F(GraphTest, RowsThatKnowOfEachOtherAreNoBatch) {
  // Without names the rows are tried out.
  const auto alone = Load(OnnxMaker(13)
                              .Input("x", type::kFloat, {"", 2})
                              .Output("y", type::kFloat, {"", 2})
                              .Node("Relu", {"x"}, {"y"}));
  EXPECT_TRUE(alone->batches());
  const auto together = Load(OnnxMaker(13)
                                 .Input("x", type::kFloat, {"", 2})
                                 .Output("y", type::kFloat, {"", 2})
                                 .Node("Softmax", {"x"}, {"y"}, {{"axis", std::int64_t{0}}}));
  EXPECT_FALSE(together->batches());
  // A name that says what it counts.
  const auto sequence = Load(OnnxMaker(13)
                                 .Input("x", type::kFloat, {"seq_len", 2})
                                 .Output("y", type::kFloat, {"seq_len", 2})
                                 .Node("Softmax", {"x"}, {"y"}, {{"axis", std::int64_t{0}}}));
  EXPECT_FALSE(sequence->batches());
}

TEST_F(GraphTest, InputsLieWhereverTheyLie) {
  const auto graph = Load(OnnxMaker(13)
                              .Input("x", type::kFloat, {"n", 2})
                              .Output("y", type::kFloat, {"n", 2})
                              .Node("Neg", {"x"}, {"y"}));
  const std::vector<float> numbers = {1, 2, 3, 4};
  for (const std::size_t shift : {0u, 1u, 2u, 3u, 4u, 8u}) {
    const std::string bytes = std::string(shift, 'x') + BytesOf(numbers);
    const std::vector<std::int64_t> shape = {2, 2};
    const auto answers = Ask(*graph, {TensorView{shape, std::string_view(bytes).substr(shift)}});
    EXPECT_EQ(NumbersOf<float>(answers[0].data), (std::vector<float>{-1, -2, -3, -4}));
  }
}

TEST_F(GraphTest, WrongInputsAreRefusedByName) {
  const auto graph = Load(OnnxMaker(13)
                              .Input("x", type::kFloat, {"n", 2})
                              .Output("y", type::kFloat, {"n", 2})
                              .Node("Neg", {"x"}, {"y"}));
  const auto refused = [&](const std::vector<TensorView>& inputs) {
    const auto answers = graph->Infer(inputs);
    EXPECT_FALSE(answers.ok());
    return answers ? "" : answers.error().message;
  };

  EXPECT_THAT(refused({}), HasSubstr("takes 1 inputs, 0"));
  EXPECT_THAT(refused({Of<float>({1, 3}, {1, 2, 3})}), HasSubstr("[-1,2], [1,3]"));
  EXPECT_THAT(refused({Of<float>({2}, {1, 2})}), HasSubstr("[2]"));
  EXPECT_THAT(refused({Of<float>({-1, 2}, {})}), HasSubstr("[-1,2]"));
  EXPECT_THAT(refused({Of<float>({2, 2}, {1, 2, 3})}), HasSubstr("cannot have 12 bytes"));
  EXPECT_THAT(refused({Of<float>({INT64_MAX, 2}, {1, 2})}), HasSubstr("was given"));
}

TEST_F(GraphTest, OperatorsThatTheEngineDoesNotKnowAreNamed) {
  const auto unknown = Refusal(OnnxMaker(13)
                                   .Domain("com.example", 1)
                                   .Input("x", type::kFloat, {"n", 2})
                                   .Output("y", type::kFloat, {"n", 2})
                                   .Node("Wobble", {"x"}, {"y"}, {}, "com.example"),
                               ErrorCode::kUnimplemented);
  EXPECT_THAT(unknown, HasSubstr("Wobble"));
  const auto classical =
      Refusal(OnnxMaker(13)
                  .Domain("ai.onnx.ml", 2)
                  .Input("x", type::kFloat, {"n", 2})
                  .Output("y", type::kFloat, {"n", 2})
                  .Node("Normalizer", {"x"}, {"y"}, {{"norm", std::string("L7")}}, "ai.onnx.ml"));
  EXPECT_THAT(classical, HasSubstr("Normalizer has the norm L7"));
}

TEST_F(GraphTest, ClassicalModelsAnswerLabelsAndScores) {
  const auto make = [](const OnnxMaker::Attributes& labels, int label_type) {
    OnnxMaker maker(13);
    OnnxMaker::Attributes attributes = {{"coefficients", std::vector<float>{1, 0, 0, 1, -1, -1}},
                                        {"intercepts", std::vector<float>{0, 0, 0.5F}},
                                        {"post_transform", std::string("SOFTMAX")}};
    attributes.insert(attributes.end(), labels.begin(), labels.end());
    maker.Domain("ai.onnx.ml", 1)
        .Input("x", type::kFloat, {"", 2})
        .Output("label", label_type, {""})
        .Output("scores", type::kFloat, {"", 3})
        .Node("Scaler", {"x"}, {"scaled"},
              {{"offset", std::vector<float>{1, 1}}, {"scale", std::vector<float>{2, 2}}},
              "ai.onnx.ml")
        .Node("LinearClassifier", {"scaled"}, {"label", "scores"}, attributes, "ai.onnx.ml");
    return maker;
  };
  const auto numbers =
      Load(make({{"classlabels_ints", std::vector<std::int64_t>{7, 8, 9}}}, type::kInt64));
  ASSERT_NE(numbers, nullptr);
  EXPECT_TRUE(numbers->batches());
  const Given x = Of<float>({3, 2}, {2, 1, 1, 2, 0, 0});
  auto answers = Ask(*numbers, {x});
  EXPECT_EQ(NumbersOf<std::int64_t>(answers[0].data), (std::vector<std::int64_t>{7, 8, 9}));
  const auto scores = NumbersOf<float>(answers[1].data);
  const double sum = std::exp(2.0) + 1 + std::exp(-1.5);
  EXPECT_NEAR(double{scores[0]}, std::exp(2.0) / sum, 1e-5);

  const auto texts = Load(make(
      {{"classlabels_strings", std::vector<std::string>{"red", "green", "blue"}}}, type::kString));
  ASSERT_NE(texts, nullptr);
  EXPECT_EQ(texts->outputs()[0].type, ElementType::kBytes);
  answers = Ask(*texts, {x});
  EXPECT_EQ(answers[0].data, std::string("\3\0\0\0red\5\0\0\0green\4\0\0\0blue", 24));
  EXPECT_EQ(answers[0].shape, std::vector<std::int64_t>{3});
}

TEST_F(GraphTest, TensorsInOtherFilesAreReadFromTheModelsFolderAlone) {
  const auto folder =
      std::filesystem::path(::testing::TempDir()) / ("graph_test" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder / "model" / "deep");
  const std::string weights = BytesOf<float>({1, 2, 3, 4});
  std::ofstream(folder / "outside.bin", std::ios::binary) << weights;
  std::ofstream(folder / "model" / "deep" / "weights.bin", std::ios::binary) << "pad." << weights;
  std::filesystem::create_symlink(folder / "outside.bin", folder / "model" / "link.bin");
  const auto at = [&](const std::string& location, std::int64_t offset, std::int64_t length = 16) {
    OnnxMaker maker(13);
    maker.Input("x", type::kFloat, {"n", 2})
        .Output("y", type::kFloat, {"n", 2})
        .External("w", {2, 2}, location, offset, length)
        .Node("MatMul", {"x", "w"}, {"y"});
    std::ofstream(folder / "model" / "model.onnx", std::ios::binary) << maker.Bytes();
    return engine_->LoadGraphFile(folder / "model" / "model.onnx", {});
  };

  auto good = at("deep/weights.bin", 4);
  ASSERT_TRUE(good.ok()) << good.error().message;
  const auto answers = Ask(**good, {Of<float>({1, 2}, {1, 1})});
  EXPECT_EQ(NumbersOf<float>(answers[0].data), (std::vector<float>{4, 6}));

  for (const auto& [location, offset, length, words] :
       {std::tuple{"../outside.bin", 0, 16, "not inside"},
        std::tuple{"/etc/passwd", 0, 16, "not inside"},
        std::tuple{"deep/../../outside.bin", 0, 16, "not inside"},
        std::tuple{"link.bin", 0, 16, "not a file inside"}, std::tuple{"deep", 0, 16, "not a file"},
        std::tuple{"", 0, 16, "not inside"}, std::tuple{"absent.bin", 0, 16, "absent.bin"},
        std::tuple{"deep/weights.bin", 8, 16, "ends beyond"},
        std::tuple{"deep/weights.bin", 0, 12, "its shape asks for 16"}}) {
    const auto refused = at(location, offset, length);
    ASSERT_FALSE(refused.ok()) << location;
    EXPECT_THAT(refused.error().message, HasSubstr(words));
  }
  std::filesystem::remove_all(folder);
}

TEST_F(GraphTest, CallersAtOnceGetTheirOwnAnswers) {
  const auto graph = Load(OnnxMaker(13)
                              .Input("x", type::kFloat, {"n", 64})
                              .Output("y", type::kFloat, {"n", 64})
                              .Node("Sigmoid", {"x"}, {"s"})
                              .Node("Mul", {"s", "x"}, {"y"}),
                          {.concurrency = 2});
  std::vector<int> wrong(4);
  {
    std::vector<std::jthread> callers;
    for (std::size_t caller = 0; caller < wrong.size(); ++caller) {
      callers.emplace_back([&, caller] {
        const auto rows = static_cast<std::int64_t>(caller + 1);
        const Given x = Of<float>(
            {rows, 64},
            std::vector<float>(static_cast<std::size_t>(rows) * 64, static_cast<float>(caller)));
        const double expected =
            static_cast<double>(caller) / (1 + std::exp(-static_cast<double>(caller)));
        for (int turn = 0; turn < 200; ++turn) {
          const auto answers = graph->Infer(std::vector<TensorView>{x});
          bool right = answers.ok() && (*answers)[0].data.size() == x.bytes.size();
          for (const float number :
               right ? NumbersOf<float>((*answers)[0].data) : std::vector<float>()) {
            right = right && std::abs(double{number} - expected) < 1e-5;
          }
          if (!right) ++wrong[caller];
        }
      });
    }
  }
  EXPECT_EQ(wrong, std::vector<int>(4));
}

TEST_F(GraphTest, ACallThatFailsIsAnErrorAndTheNextIsRight) {
  // Each input may have any sizes; not all of them can be added.
  const auto graph = Load(OnnxMaker(13)
                              .Input("a", type::kFloat, {"n", "k"})
                              .Input("b", type::kFloat, {"m", "l"})
                              .Output("y", type::kFloat, {"", ""})
                              .Node("Add", {"a", "b"}, {"y"}));
  ASSERT_NE(graph, nullptr);
  const Given small = Of<float>({1, 2}, {1, 2});
  const Given large = Of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  for (int turn = 0; turn < 3; ++turn) {
    EXPECT_EQ(NumbersOf<float>(Ask(*graph, {small, small})[0].data), (std::vector<float>{2, 4}));
    const auto failed = graph->Infer(std::vector<TensorView>{small, large});
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, ErrorCode::kInternal);
  }
  EXPECT_EQ(Ask(*graph, {large, large})[0].shape, (std::vector<std::int64_t>{2, 3}));
}

TEST_F(GraphTest, MemoryComesBackAfterManyLoads) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer keeps freed memory";
#endif
  const auto resident = [] {
    std::ifstream statm("/proc/self/statm");
    long total = 0;
    long pages = 0;
    statm >> total >> pages;
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
  };
  Random random(3);
  std::vector<float> weights(256 * 256);
  for (float& weight : weights) weight = static_cast<float>(random.Uniform());
  const std::string bytes = OnnxMaker(13)
                                .Input("x", type::kFloat, {"n", 256})
                                .Output("y", type::kFloat, {"n", 256})
                                .Weights("w", {256, 256}, weights)
                                .Node("MatMul", {"x", "w"}, {"m"})
                                .Node("Relu", {"m"}, {"y"})
                                .Bytes();
  const Given x = Of<float>({8, 256}, std::vector<float>(8 * 256, 1));
  const auto cycles = [&](int count) {
    for (int turn = 0; turn < count; ++turn) {
      const auto graph = engine_->LoadGraph(bytes, {});
      ASSERT_TRUE(graph.ok());
      Ask(**graph, {x});
    }
  };
  cycles(50);
  const long before = resident();

  cycles(250);

  // Weights of 256 KiB kept 250 times would be 64 MB.
  EXPECT_LT(resident() - before, 4'000);
}

TEST_F(GraphTest, Bf16IsRefusedOrNearFloat32) {
  Random random(5);
  std::vector<float> weights(64 * 64);
  for (float& weight : weights) weight = static_cast<float>(random.Uniform() - 0.5) / 8;
  const OnnxMaker maker = [&] {
    OnnxMaker made(13);
    made.Input("x", type::kFloat, {"n", 64})
        .Output("y", type::kFloat, {"n", 64})
        .Weights("w", {64, 64}, weights)
        .Node("MatMul", {"x", "w"}, {"m"})
        .Node("Relu", {"m"}, {"y"});
    return made;
  }();
  const auto graph = engine_->LoadGraph(maker.Bytes(), {.precision = Precision::kBf16});
  if (!engine_->HasBf16()) {
    ASSERT_FALSE(graph.ok());
    EXPECT_EQ(graph.error().code, ErrorCode::kUnimplemented);
    return;
  }
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  const Given x = Of<float>({4, 64}, std::vector<float>(4 * 64, 0.7F));
  const auto exact = NumbersOf<float>(Ask(*Load(maker), {x})[0].data);
  const auto rounded = NumbersOf<float>(Ask(**graph, {x})[0].data);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    EXPECT_NEAR(double{rounded[i]}, double{exact[i]}, 0.02);
  }
}

}  // namespace
}  // namespace tidewheel::serving
