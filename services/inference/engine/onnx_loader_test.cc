#include "tidewheel/inference/engine/onnx_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "tidewheel/ml/onnx/testing/onnx_maker.h"
#include "tidewheel/ml/package/file.h"
#include "tidewheel/ml/package/golden.h"

namespace tidewheel::inference {
namespace {

namespace fs = std::filesystem;
namespace type = ml::onnx_type;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

/// y = factor * x.
std::string Scaled(float factor) {
  return ml::OnnxMaker(13)
      .Input("x", type::kFloat, {"batch", 2})
      .Output("y", type::kFloat, {"batch", 2})
      .Weights("by", {1}, {factor})
      .Node("Mul", {"x", "by"}, {"y"})
      .Bytes();
}

class OnnxLoaderTest : public ::testing::Test {
 protected:
  OnnxLoaderTest() { fs::create_directories(folder_); }
  ~OnnxLoaderTest() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  /// A package of Scaled(1) whose variants are these.
  void WritePackage(const std::vector<ml::Variant>& variants) {
    Write("model.onnx", Scaled(1));
    const ml::PackageManifest manifest{.task = "t",
                                       .recipe = "r",
                                       .input = {.name = "x", .shape = {-1, 2}},
                                       .output = {.name = "y", .shape = {-1, 2}},
                                       .classes = {"a", "b"},
                                       .variants = variants};
    Write("model.yaml", ml::PrintPackageManifest(manifest));
    Write("golden.bin", ml::PrintGoldenSamples({.rows = 1,
                                                .input_elements = 2,
                                                .output_elements = 2,
                                                .inputs = {0.25F, 0.5F},
                                                .probabilities = {0.25F, 0.5F}})
                            .value());
  }
  Result<std::unique_ptr<Executor>> Load(std::map<std::string, std::string> parameters = {},
                                         const std::string& file = {}) {
    ModelSource source{.name = "m", .version = 3, .folder = folder_};
    source.config.parameters = std::move(parameters);
    source.config.file = file;
    return loader_.Load(source);
  }
  std::string Refusal(ErrorCode code, std::map<std::string, std::string> parameters = {},
                      const std::string& file = {}) {
    const auto loaded = Load(std::move(parameters), file);
    EXPECT_FALSE(loaded.ok());
    if (loaded) return {};
    EXPECT_EQ(loaded.error().code, code) << loaded.error().message;
    return loaded.error().message;
  }
  static float First(Executor& executor) {
    const std::vector<float> numbers = {2, 4};
    const Tensor x{
        .name = "x", .shape = {1, 2}, .data = {reinterpret_cast<const char*>(numbers.data()), 8}};
    const auto answers = executor.Execute(std::span(&x, 1));
    EXPECT_TRUE(answers.ok()) << (answers ? "" : answers.error().message);
    float first = 0;
    if (answers) std::memcpy(&first, (*answers)[0].data.data(), sizeof first);
    return first;
  }

  const fs::path folder_ =
      fs::path(::testing::TempDir()) / ("onnx_loader_test" + std::to_string(::getpid()));
  const std::unique_ptr<serving::Engine> engine_ = serving::Engine::Create({}).value();
  OnnxLoader loader_{*engine_};
};

TEST_F(OnnxLoaderTest, TheFileSaysWhatTheModelIs) {
  Write("model.onnx", Scaled(3));

  const auto loaded = Load();

  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  const ModelSpec& spec = (*loaded)->spec();
  EXPECT_EQ(spec.name, "m");
  EXPECT_EQ(spec.version, "3");
  EXPECT_EQ(spec.platform, "onnx_onnxv1");
  EXPECT_EQ(spec.max_batch_size, kMostRowsOfACall);
  EXPECT_EQ(spec.inputs, (std::vector<TensorSpec>{{"x", DataType::kFp32, {-1, 2}}}));
  EXPECT_EQ(spec.outputs, (std::vector<TensorSpec>{{"y", DataType::kFp32, {-1, 2}}}));
  EXPECT_THAT(spec.properties, UnorderedElementsAre(Pair("variant", "f32")));
  EXPECT_EQ(First(**loaded), 6);
  EXPECT_GT((*loaded)->memory_bytes(), 0u);
}

TEST_F(OnnxLoaderTest, FilesAreThoseOfTheFolderAlone) {
  EXPECT_THAT(Refusal(ErrorCode::kNotFound), HasSubstr("model.onnx"));
  Write("other.onnx", Scaled(5));
  EXPECT_EQ(First(**Load({}, "other.onnx")), 10);
  Refusal(ErrorCode::kInvalidArgument, {}, "../other.onnx");
  Refusal(ErrorCode::kInvalidArgument, {}, "/etc/passwd");
  Refusal(ErrorCode::kInvalidArgument, {}, "..");
  Write("model.pt", "x");
  Refusal(ErrorCode::kNotFound, {}, "model.pt");
}

TEST_F(OnnxLoaderTest, ParametersAreReadOrNamed) {
  Write("model.onnx", Scaled(3));
  EXPECT_THAT(Refusal(ErrorCode::kInvalidArgument, {{"precision", "fp7"}}), HasSubstr("fp7"));
  EXPECT_THAT(Refusal(ErrorCode::kInvalidArgument, {{"inference_num_threads", "few"}}),
              HasSubstr("few"));
  EXPECT_TRUE(Load({{"precision", "f32"}, {"inference_num_threads", "1"}, {"else", "x"}}).ok());
  // No package: the file is taken at its word.
  EXPECT_THAT(Refusal(ErrorCode::kFailedPrecondition, {{"precision", "int8"}}),
              HasSubstr("model.int8.onnx"));
  Write("model.int8.onnx", Scaled(4));
  const auto int8 = Load({{"precision", "int8"}});
  ASSERT_TRUE(int8.ok());
  EXPECT_EQ(First(**int8), 8);
  EXPECT_EQ((*int8)->spec().properties.at("variant"), "int8");
}

TEST_F(OnnxLoaderTest, PackagesServeTheVariantsThatTheyOffer) {
  WritePackage({{.name = "int8",
                 .file = "model.int8.onnx",
                 .offered = true,
                 .reason = "fine",
                 .samples = 1'000,
                 .largest_difference = 0.01},
                {.name = "bf16", .reason = "lost too many"}});
  Write("model.int8.onnx", Scaled(1.01F));

  EXPECT_EQ((*Load())->spec().properties.at("variant"), "f32");
  const auto int8 = Load({{"precision", "int8"}});
  ASSERT_TRUE(int8.ok()) << int8.error().message;
  EXPECT_NEAR(double{First(**int8)}, 2.02, 1e-5);
  EXPECT_EQ((*Load({{"precision", "fastest"}}))->spec().properties.at("variant"), "int8");
  EXPECT_THAT(Refusal(ErrorCode::kFailedPrecondition, {{"precision", "bf16"}}),
              HasSubstr("lost too many"));

  WritePackage({{.name = "int8", .reason = "too few rows"}});
  EXPECT_THAT(Refusal(ErrorCode::kFailedPrecondition, {{"precision", "int8"}}),
              HasSubstr("too few rows"));
  EXPECT_EQ((*Load({{"precision", "fastest"}}))->spec().properties.at("variant"), "f32");
}

TEST_F(OnnxLoaderTest, PackagesThatAnswerOtherwiseThanTheyShouldAreRefused) {
  WritePackage({});
  EXPECT_TRUE(Load().ok());
  Write("model.onnx", Scaled(1.01F));
  EXPECT_THAT(Refusal(ErrorCode::kFailedPrecondition), HasSubstr("golden samples: row 0"));
}

}  // namespace
}  // namespace tidewheel::inference
