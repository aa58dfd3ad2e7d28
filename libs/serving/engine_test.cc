#include "tidewheel/serving/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <thread>

#include "tidewheel/base/random.h"
#include "tidewheel/ml/graph/embedding.h"
#include "tidewheel/ml/graph/onnx_graph.h"

namespace tidewheel::serving {
namespace {

using ::testing::HasSubstr;

constexpr ml::ImageShape kShape{3, 12, 10};
constexpr int kClasses = 4;

std::string OnnxOf(std::string_view recipe, std::uint64_t seed = 7) {
  const auto architecture = ml::MakeArchitecture(recipe, kShape, kClasses).value();
  const auto plan = ml::PlanArchitecture(architecture).value();
  return ml::PrintOnnx(architecture, ml::InitialWeights(plan, seed)).value();
}

std::vector<float> Noise(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> floats(count);
  for (float& number : floats) number = static_cast<float>(random.Uniform());
  return floats;
}

std::vector<float> InferAll(const Model& model, std::span<const float> input) {
  const std::size_t rows = input.size() / model.signature().input.elements();
  std::vector<float> output(rows * model.signature().output.elements());
  const auto ran = model.Infer(input, rows, output);
  EXPECT_TRUE(ran.ok()) << (ran ? "" : ran.error().message);
  return output;
}

/// Replaces every occurrence, which must have the same length so that protobuf's sizes stay right.
std::string Replaced(std::string bytes, std::string_view from, std::string_view to) {
  for (auto at = bytes.find(from); at != std::string::npos; at = bytes.find(from, at + 1)) {
    bytes.replace(at, from.size(), to);
  }
  return bytes;
}

long ResidentKilobytes() {
  std::ifstream statm("/proc/self/statm");
  long total = 0;
  long resident = 0;
  statm >> total >> resident;
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

class EngineTest : public ::testing::Test {
 protected:
  std::unique_ptr<Engine> engine_ = Engine::Create({}).value();
};

TEST_F(EngineTest, SignatureNamesInputAndOutputWithAFreeBatch) {
  const auto model = engine_->LoadBytes(OnnxOf("image-cnn"));
  ASSERT_TRUE(model.ok()) << model.error().message;

  EXPECT_EQ((*model)->signature().input, (TensorInfo{ml::kInputName, {-1, 3, 12, 10}}));
  EXPECT_EQ((*model)->signature().output, (TensorInfo{ml::kOutputName, {-1, kClasses}}));
  EXPECT_EQ((*model)->signature().input.elements(), 360u);
}

TEST_F(EngineTest, AnswersAreProbabilities) {
  for (const auto recipe : ml::RecipeNames()) {
    const auto model = engine_->LoadBytes(OnnxOf(recipe)).value();

    const auto answers = InferAll(*model, Noise(17 * 360, 1));

    for (std::size_t row = 0; row < 17; ++row) {
      double sum = 0;
      for (std::size_t i = 0; i < kClasses; ++i) {
        EXPECT_GE(answers[row * kClasses + i], 0);
        sum += double{answers[row * kClasses + i]};
      }
      EXPECT_NEAR(sum, 1, 1e-5);
    }
  }
}

TEST_F(EngineTest, LinearModelAnswersWhatArithmeticSays) {
  const auto architecture = ml::MakeArchitecture("image-linear", {1, 2, 2}, 2).value();
  const std::vector<ml::NamedTensor> weights = {{"layer1_weight", {2, 4}, {1, 2, 3, 4, 0, 0, 0, 0}},
                                                {"layer1_bias", {2}, {0.5, 0}}};
  const auto onnx = ml::PrintOnnx(architecture, weights, /*temperature=*/2.0).value();
  const auto model = engine_->LoadBytes(onnx).value();

  const auto answers = InferAll(*model, std::vector<float>{0.1f, 0.2f, 0.3f, 0.4f});

  const double logit = (0.1 + 0.4 + 0.9 + 1.6 + 0.5) / 2.0;
  EXPECT_NEAR(double{answers[0]}, 1 / (1 + std::exp(-logit)), 1e-6);
}

TEST_F(EngineTest, ARowsAnswerDoesNotDependOnItsBatch) {
  const auto model = engine_->LoadBytes(OnnxOf("image-cnn")).value();
  const auto input = Noise(70 * 360, 2);
  const auto one_by_one = [&] {
    std::vector<float> all;
    for (std::size_t row = 0; row < 70; ++row) {
      const auto answer = InferAll(*model, std::span(input).subspan(row * 360, 360));
      all.insert(all.end(), answer.begin(), answer.end());
    }
    return all;
  }();

  // Also in sizes that were not warmed up, growing and shrinking.
  for (const std::size_t rows : {70u, 3u, 33u, 2u}) {
    const auto together = InferAll(*model, std::span(input).first(rows * 360));
    for (std::size_t i = 0; i < together.size(); ++i) {
      EXPECT_NEAR(double{together[i]}, double{one_by_one[i]}, 1e-6);
    }
  }
}

TEST_F(EngineTest, FixedBatchesAnswerWhatAnyBatchDoes) {
  EngineOptions options;
  options.fixed_rows = kServedRows;
  options.concurrency = 2;
  const auto fixing = Engine::Create(options).value();
  const auto architecture = ml::MakeArchitecture("image-cnn", kShape, kClasses).value();
  const auto plan = ml::PlanArchitecture(architecture).value();
  const auto onnx = ml::PrintOnnx(architecture, ml::InitialWeights(plan, 5)).value();
  const auto free = engine_->LoadBytes(onnx).value();
  const auto fixed = fixing->LoadBytes(onnx).value();
  const auto graph = fixing->LoadGraph(onnx, {.concurrency = 2}).value();

  for (const std::size_t rows : {1, 2, 3, 7, 8, 15, 21}) {
    const auto input = Noise(rows * 360, rows);
    const std::size_t numbers = free->signature().embedding->elements();
    std::vector<float> embedding(rows * numbers);
    std::vector<float> wanted_embedding(rows * numbers);
    std::vector<float> output(rows * kClasses);
    std::vector<float> wanted(rows * kClasses);
    ASSERT_TRUE(free->Infer(input, rows, wanted, wanted_embedding).ok());
    ASSERT_TRUE(fixed->Infer(input, rows, output, embedding).ok());
    const std::vector<std::int64_t> shape{static_cast<std::int64_t>(rows), 3, 12, 10};
    const TensorView view{
        shape, {reinterpret_cast<const char*>(input.data()), input.size() * sizeof(float)}};
    const auto answers = graph->Infer(std::span(&view, 1));
    ASSERT_TRUE(answers.ok()) << answers.error().message;
    ASSERT_EQ((*answers)[0].shape, (std::vector<std::int64_t>{shape[0], kClasses}));
    ASSERT_EQ((*answers)[0].data.size(), output.size() * sizeof(float));
    ASSERT_EQ((*answers)[1].shape,
              (std::vector<std::int64_t>{shape[0], static_cast<std::int64_t>(numbers)}));
    for (std::size_t i = 0; i < output.size(); ++i) {
      float served = 0;
      std::memcpy(&served, (*answers)[0].data.data() + i * sizeof served, sizeof served);
      EXPECT_NEAR(output[i], wanted[i], 1e-5) << rows;
      EXPECT_NEAR(served, wanted[i], 1e-5) << rows;
    }
    for (std::size_t i = 0; i < embedding.size(); ++i) {
      EXPECT_NEAR(embedding[i], wanted_embedding[i], 1e-4) << rows;
    }
  }
}

TEST_F(EngineTest, TheEmbeddingComesBesideTheAnswer) {
  EXPECT_EQ(kEmbeddingOutput, ml::kEmbeddingName);
  // One hidden value and no bias: what goes into the last layer is known.
  const ml::Architecture architecture{
      {1, 1, 2}, 2, {ml::Flatten{}, ml::Linear{1}, ml::Relu{}, ml::Linear{2}}, /*embedding=*/3};
  const auto plan = ml::PlanArchitecture(architecture).value();
  const std::vector<ml::NamedTensor> weights = {{"layer1_weight", {1, 2}, {2, 1}},
                                                {"layer1_bias", {1}, {0}},
                                                {"layer3_weight", {2, 1}, {1, 0}},
                                                {"layer3_bias", {2}, {0, 0}}};
  const auto model =
      engine_->LoadBytes(ml::PrintOnnx(architecture, weights, /*temperature=*/3.0).value()).value();
  ASSERT_EQ(model->signature().embedding, (TensorInfo{"embedding", {-1, 3}}));
  EXPECT_EQ(model->signature().output, (TensorInfo{ml::kOutputName, {-1, 2}}));

  const std::vector<float> input = {1, 3, -1, 1};
  std::vector<float> answers(4);
  std::vector<float> embedding(6);
  ASSERT_TRUE(model->Infer(input, 2, answers, embedding).ok());

  const auto matrix = ml::ProjectionOf(architecture, plan).matrix;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(double{embedding[i]}, 5 * double{matrix[i]}, 1e-5);
    EXPECT_EQ(embedding[3 + i], 0);
  }
  EXPECT_EQ(answers, InferAll(*model, input));
}

TEST_F(EngineTest, AModelWithoutEmbeddingIsServedAsBefore) {
  const auto architecture = ml::MakeArchitecture("image-cnn", kShape, kClasses, 0).value();
  const auto plan = ml::PlanArchitecture(architecture).value();
  const auto bare =
      engine_->LoadBytes(ml::PrintOnnx(architecture, ml::InitialWeights(plan, 7)).value()).value();
  EXPECT_FALSE(bare->signature().embedding.has_value());
  // The embedding changes no bit of an answer.
  const auto input = Noise(9 * 360, 5);
  EXPECT_EQ(InferAll(*bare, input),
            InferAll(*engine_->LoadBytes(OnnxOf("image-cnn")).value(), input));

  std::vector<float> answers(9 * kClasses);
  std::vector<float> embedding(9 * 16);
  const auto refused = bare->Infer(input, 9, answers, embedding);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("no embedding"));
}

TEST_F(EngineTest, ASecondOutputOfAnotherNameIsRefused) {
  const auto model = engine_->LoadBytes(Replaced(OnnxOf("image-cnn"), "embedding", "attention"));
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.error().message, HasSubstr("2 outputs"));
}

TEST_F(EngineTest, SizesThatDoNotFitAreRefused) {
  const auto model = engine_->LoadBytes(OnnxOf("image-linear")).value();
  std::vector<float> output(kClasses);

  EXPECT_EQ(model->Infer(Noise(359, 1), 1, output).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(model->Infer(Noise(720, 1), 1, output).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(model->Infer({}, 0, {}).error().code, ErrorCode::kInvalidArgument);
  std::vector<float> embedding(15);
  EXPECT_EQ(model->Infer(Noise(360, 1), 1, output, embedding).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(model->Infer(Noise(720, 1), 2, output).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(EngineTest, ManyCallersAtOnceGetTheirOwnAnswers) {
  const auto engine = Engine::Create({.concurrency = 2}).value();
  const auto model = engine->LoadBytes(OnnxOf("image-cnn")).value();
  constexpr std::size_t kCallers = 6;
  std::vector<std::vector<float>> inputs;
  std::vector<std::vector<float>> expected;
  for (std::size_t i = 0; i < kCallers; ++i) {
    inputs.push_back(Noise((i + 1) * 360, 100 + i));
    expected.push_back(InferAll(*model, inputs.back()));
  }

  std::vector<int> wrong(kCallers);
  {
    std::vector<std::jthread> callers;
    for (std::size_t i = 0; i < kCallers; ++i) {
      callers.emplace_back([&, i] {
        std::vector<float> output(expected[i].size());
        for (int turn = 0; turn < 50; ++turn) {
          if (!model->Infer(inputs[i], i + 1, output) || output != expected[i]) ++wrong[i];
        }
      });
    }
  }

  EXPECT_EQ(wrong, std::vector<int>(kCallers));
}

TEST_F(EngineTest, ModelsOutliveTheEngine) {
  auto model = engine_->LoadBytes(OnnxOf("image-linear")).value();
  const auto before = InferAll(*model, Noise(360, 3));

  engine_.reset();

  EXPECT_EQ(InferAll(*model, Noise(360, 3)), before);
}

TEST_F(EngineTest, TheCallersThreadIsNotPinnedToACore) {
  cpu_set_t before;
  cpu_set_t after;
  sched_getaffinity(0, sizeof before, &before);

  const auto model = engine_->LoadBytes(OnnxOf("image-cnn")).value();
  InferAll(*model, Noise(8 * 360, 3));

  sched_getaffinity(0, sizeof after, &after);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

TEST_F(EngineTest, BytesThatAreNoModelAreAnError) {
  const std::string good = OnnxOf("image-cnn");
  for (const std::string& bytes :
       {std::string("this is not a model"), std::string(), good.substr(0, good.size() / 2),
        std::string(1000, '\xff'), std::string("<?xml version=\"1.0\"?><net name=\"x\"/>")}) {
    const auto model = engine_->LoadBytes(bytes);

    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.error().code, ErrorCode::kInvalidArgument) << model.error().message;
    EXPECT_THAT(model.error().message, HasSubstr("ONNX model"));
  }
}

TEST_F(EngineTest, AnyDamagedFileIsAnErrorOrAModelButNeverAnException) {
  const std::string good = OnnxOf("image-linear");
  Random random(11);
  for (int turn = 0; turn < 200; ++turn) {
    std::string damaged = good;
    for (int i = 0; i < 3; ++i) {
      damaged[random.Below(std::min<std::size_t>(damaged.size(), 200))] =
          static_cast<char>(random.Below(256));
    }
    if (const auto model = engine_->LoadBytes(damaged); !model) {
      EXPECT_FALSE(model.error().message.empty());
    }
  }
}

TEST_F(EngineTest, AnUnknownOperatorIsNamed) {
  const auto model = engine_->LoadBytes(Replaced(OnnxOf("image-cnn"), "MaxPool", "MixPool"));

  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().code, ErrorCode::kUnimplemented);
  EXPECT_THAT(model.error().message, HasSubstr("MixPool"));
}

TEST_F(EngineTest, WeightsThatDoNotFitAreAnErrorThatNamesThem) {
  // The initializer is renamed, the node that wants it is not.
  std::string bytes = OnnxOf("image-linear");
  const auto last = bytes.rfind("layer1_weight");
  bytes.replace(last, 13, "layer1_waight");

  const auto model = engine_->LoadBytes(bytes);

  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.error().message, HasSubstr("layer1_w"));
}

TEST_F(EngineTest, TensorsInOtherFilesAreRefused) {
  const auto model = engine_->LoadBytes(OnnxOf("image-linear") + "\x0a\x08location\x12\x01x");

  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.error().message, HasSubstr("other files"));
}

TEST_F(EngineTest, FilesAreFoundOrNamed) {
  const auto absent = engine_->Load("/nowhere/model.onnx");
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(absent.error().message, HasSubstr("/nowhere/model.onnx"));

  const auto path = std::filesystem::path(::testing::TempDir()) / "serving_test.onnx";
  std::ofstream(path, std::ios::binary) << OnnxOf("image-linear");
  EXPECT_TRUE(engine_->Load(path).ok());

  const auto small = Engine::Create({.at_most_model_bytes = 100}).value();
  EXPECT_EQ(small->Load(path).error().code, ErrorCode::kResourceExhausted);
  std::filesystem::remove(path);
}

TEST_F(EngineTest, GoldenRowsPassOrNameTheFirstThatDiffers) {
  const auto model = engine_->LoadBytes(OnnxOf("image-cnn")).value();
  const auto input = Noise(5 * 360, 4);
  auto expected = InferAll(*model, input);

  const auto same = model->VerifyGolden(input, 5, expected, 1e-5);
  ASSERT_TRUE(same.ok());
  EXPECT_LE(*same, 1e-6);

  expected[3 * kClasses] += 1e-4f;
  const auto different = model->VerifyGolden(input, 5, expected, 1e-5);
  ASSERT_FALSE(different.ok());
  EXPECT_EQ(different.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(different.error().message, HasSubstr("golden row 3"));

  expected[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(model->VerifyGolden(input, 5, expected, 1e-5).ok());
}

TEST_F(EngineTest, MemoryIsGivenBackWithTheModel) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer keeps freed memory";
#endif
  const auto architecture = ml::MakeArchitecture("image-cnn", {3, 64, 64}, 10).value();
  const auto plan = ml::PlanArchitecture(architecture).value();
  const auto onnx = ml::PrintOnnx(architecture, ml::InitialWeights(plan, 1)).value();
  const auto load_and_drop = [&] {
    InferAll(*engine_->LoadBytes(onnx).value(), Noise(3 * 64 * 64, 1));
  };
  for (int turn = 0; turn < 3; ++turn) load_and_drop();
  const long before = ResidentKilobytes();

  for (int turn = 0; turn < 12; ++turn) load_and_drop();

  // A model of 8 MB: kept twelve times it would be more than 100 MB.
  EXPECT_LT(ResidentKilobytes() - before, 40'000);
}

TEST(EngineOptionsTest, WrongOptionsAreRefused) {
  EXPECT_FALSE(Engine::Create({.threads = 0}).ok());
  EXPECT_FALSE(Engine::Create({.concurrency = 1000}).ok());
  EXPECT_FALSE(Engine::Create({.warm_up_rows = {0}}).ok());
}

}  // namespace
}  // namespace tidewheel::serving
