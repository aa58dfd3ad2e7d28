#include "tidewheel/inference/core/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tidewheel/base/random.h"
#include "tidewheel/inference/core/response_cache.h"

namespace tidewheel::inference {
namespace {

using std::chrono::microseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kFull[] = R"(
# A comment, and one more
name: "resnet"
platform: 'onnxruntime_onnx'  backend: "onnx" "runtime"
max_batch_size: 16
input [
  { name: "image" data_type: TYPE_FP32 dims: [ 3, 224, -1 ] format: FORMAT_NCHW },
  { name: "words"; data_type: TYPE_STRING, dims: 1 dims: 2 }
]
output { name: "scores" data_type: TYPE_INT8 dims: [ 1000 ] }
version_policy: { specific { versions: [ 1, 3 ] } }
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  max_queue_delay_microseconds: 100
  preserve_ordering: true
  priority_levels: 2
  default_priority_level: 1
  default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 5000 max_queue_size: 0x10 }
  priority_queue_policy { key: 2 value: { allow_timeout_override: true max_queue_size: 7 } }
}
instance_group [ { count: 2 kind: KIND_CPU }, < count: 1 > ]
default_model_filename: "net.onnx"
parameters { key: "EXECUTION\x4Dode" value { string_value: "a\"b\n\101\u00e9" } }
parameters: { key: "threads" value: { string_value: "2" } }
model_warmup [ {
  name: "zero" batch_size: 4 count: 2
  inputs { key: "image" value { data_type: TYPE_FP32 dims: [ 3, 224, 224 ] zero_data: true } }
  inputs { key: "words" value { data_type: TYPE_STRING dims: 1 input_data_file: "w.raw" } }
} ]
response_cache { enable: true }
optimization { execution_accelerators { cpu_execution_accelerator : [ { name : "openvino" } ] } }
)";

TEST(ModelConfigTest, ReadsWhatTheFieldWrites) {
  const auto read = ReadModelConfigText(kFull);
  ASSERT_TRUE(read.ok()) << read.error().message;
  const ModelConfig& config = read->config;
  EXPECT_EQ(config.name, "resnet");
  EXPECT_EQ(config.platform, "onnxruntime_onnx");
  EXPECT_EQ(config.backend, "onnxruntime");
  EXPECT_EQ(config.max_batch_size, 16U);
  ASSERT_EQ(config.inputs.size(), 2U);
  EXPECT_THAT(config.inputs[0].shape, ElementsAre(3, 224, -1));
  EXPECT_EQ(config.inputs[1].type, DataType::kBytes);
  EXPECT_THAT(config.inputs[1].shape, ElementsAre(1, 2));
  EXPECT_EQ(config.outputs[0].type, DataType::kInt8);
  EXPECT_EQ(config.versions.kind, VersionPolicy::Kind::kSpecific);
  EXPECT_THAT(config.versions.specific, ElementsAre(1, 3));
  ASSERT_TRUE(config.batching);
  EXPECT_THAT(config.batching->preferred_batch_sizes, ElementsAre(4, 8));
  EXPECT_EQ(config.batching->max_queue_delay, microseconds{100});
  EXPECT_TRUE(config.batching->preserve_ordering);
  EXPECT_TRUE(config.batching->default_queue_policy.delays_on_timeout);
  EXPECT_EQ(config.batching->default_queue_policy.max_queue_size, 16U);
  EXPECT_TRUE(config.batching->priority_queue_policy.at(2).allow_timeout_override);
  EXPECT_EQ(config.instances, 3U);
  EXPECT_EQ(config.instance_kind, "KIND_CPU");
  EXPECT_EQ(config.file, "net.onnx");
  EXPECT_EQ(config.parameters.at("EXECUTIONMode"), "a\"b\nA\xC3\xA9");
  EXPECT_EQ(config.parameters.at("threads"), "2");
  ASSERT_EQ(config.warmup.size(), 1U);
  EXPECT_EQ(config.warmup[0].count, 2U);
  EXPECT_EQ(config.warmup[0].inputs[1].file, "w.raw");
  EXPECT_TRUE(config.response_cache);
  EXPECT_THAT(read->warnings, ElementsAre("line 7: input.format has no effect here",
                                          "line 31: optimization has no effect here"));
}

TEST(ModelConfigTest, TheJsonFormIsReadBackTheSame) {
  const auto text = ReadModelConfigText(kFull);
  ASSERT_TRUE(text.ok());
  const std::string json = ModelConfigJson(text->config);

  const auto read = ReadModelConfigJson(json);

  ASSERT_TRUE(read.ok()) << read.error().message << json;
  EXPECT_EQ(ModelConfigJson(read->config), json);
  EXPECT_THAT(read->warnings, IsEmpty());
  EXPECT_THAT(json, HasSubstr(R"("max_batch_size":16,"input":[{"name":"image",)"));
}

TEST(ModelConfigTest, JsonMayComeInCamelCaseAndWithNumbersAsText) {
  const auto read = ReadModelConfigJson(
      R"({"maxBatchSize": "4", "backend": null, "input": [{"name": "x", "dataType": "TYPE_FP16",
          "dims": ["-1", 3]}], "dynamicBatching": {},
          "parameters": {"aB": {"stringValue": "\u00e9\ud83d\ude00"}}})");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->config.max_batch_size, 4U);
  EXPECT_THAT(read->config.inputs[0].shape, ElementsAre(-1, 3));
  EXPECT_TRUE(read->config.batching);
  EXPECT_EQ(read->config.parameters.at("aB"), "\xC3\xA9\xF0\x9F\x98\x80");
}

TEST(ModelConfigTest, AnEnsembleIsAGraphOfSteps) {
  const auto read = ReadModelConfigText(R"(platform: "ensemble"
    ensemble_scheduling { step [
      { model_name: "a" model_version: -1 input_map { key: "x" value: "IN" } output_map { key: "y" value: "mid" } },
      { model_name: "b" model_version: 3 input_map { key: "x" value: "mid" } output_map { key: "y" value: "OUT" } } ] })");
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->config.ensemble.size(), 2U);
  EXPECT_EQ(read->config.ensemble[0].version, "");
  EXPECT_EQ(read->config.ensemble[1].version, "3");
  EXPECT_EQ(read->config.ensemble[1].inputs.at("x"), "mid");
  const std::string json = ModelConfigJson(read->config);
  EXPECT_EQ(ModelConfigJson(ReadModelConfigJson(json)->config), json);
}

TEST(ModelConfigTest, AnErrorNamesTheLineTheFieldAndWhatItMayBe) {
  const auto message = [](std::string_view text) {
    const auto read = ReadModelConfigText(text);
    return read ? std::string("no error") : read.error().message;
  };
  EXPECT_THAT(message("\n\nmax_batch_size: many"),
              HasSubstr("line 3, field \"max_batch_size\": a whole number from 0 to 65536"));
  EXPECT_THAT(message("max_batch_size: -1"), HasSubstr("not -1"));
  EXPECT_THAT(message("max_batch_size: 99999999999999999999"), HasSubstr("whole number"));
  EXPECT_THAT(message("input { name: \"x\" data_type: FP32 }"), HasSubstr("no datatype \"FP32\""));
  EXPECT_THAT(message("input { name: \"x\" data_type: TYPE_FP32 dims: 0 }"), HasSubstr("not 0"));
  EXPECT_THAT(message("input { data_type: TYPE_FP32 }"), HasSubstr("needs a name"));
  EXPECT_THAT(message("name: \"a"), HasSubstr("line 1: a string is not closed"));
  EXPECT_THAT(message("input {\n name: \"x\""), HasSubstr("message of line 1 is not closed"));
  EXPECT_THAT(message("name \"x\""), HasSubstr("':' or '{' is expected"));
  EXPECT_THAT(message("name: x"), HasSubstr("a text in quotes is expected"));
  EXPECT_THAT(message("name: \"\\xff\""), HasSubstr("not UTF-8"));
  EXPECT_THAT(message("}"), HasSubstr("a field's name is expected, not '}'"));
  EXPECT_THAT(message("dynamic_batching { }"), HasSubstr("needs a max_batch_size"));
  EXPECT_THAT(message("max_batch_size: 4 dynamic_batching { preferred_batch_size: 8 }"),
              HasSubstr("preferred_batch_size 8 is above max_batch_size 4"));
  EXPECT_THAT(message("max_batch_size: 4 dynamic_batching { priority_levels: 2 }"),
              HasSubstr("default_priority_level is 0"));
  EXPECT_THAT(message("default_model_filename: \"../x\""), HasSubstr("a file's name"));
  EXPECT_THAT(message("instance_group { count: 65 }"), HasSubstr("0 to 64"));
  EXPECT_THAT(ReadModelConfigJson("[]").error().message, HasSubstr("a JSON object is expected"));
  EXPECT_THAT(ReadModelConfigJson("{} x").error().message, HasSubstr("after the JSON object"));
  EXPECT_THAT(ReadModelConfigJson(R"({"a": [[1]]})").error().message,
              HasSubstr("an array within an array"));
}

TEST(ModelConfigTest, HasLimitsOfSizeAndNesting) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "a{";
  EXPECT_THAT(ReadModelConfigText(deep).error().message, HasSubstr("32 messages within"));
  deep.clear();
  for (int i = 0; i < 100'000; ++i) deep += "{\"a\":";
  EXPECT_THAT(ReadModelConfigJson(deep).error().message, HasSubstr("32 messages within"));
  std::string many;
  for (int i = 0; i < 100'001; ++i) many += "a:1 ";
  EXPECT_THAT(ReadModelConfigText(many).error().message, HasSubstr("100000 values"));
  EXPECT_THAT(ReadModelConfigText(std::string((1 << 20) + 1, ' ')).error().message,
              HasSubstr("its limit is 1048576"));
}

// What is cut, doubled or stirred is refused or read, and what is read is read back from JSON.
TEST(ModelConfigTest, BrokenTextNeverBreaksTheReader) {
  const std::string full = kFull;
  for (std::uint64_t seed = 0; seed < 4'000; ++seed) {
    Random random(seed);
    std::string text = full;
    for (std::uint64_t i = random.Below(6) + 1; i-- > 0;) {
      const std::size_t at = random.Below(text.size());
      switch (random.Below(4)) {
        case 0:
          text[at] = static_cast<char>(random.Below(256));
          break;
        case 1:
          text.erase(at, 1 + random.Below(20));
          break;
        case 2:
          text.insert(at, text.substr(random.Below(text.size()), random.Below(40)));
          break;
        default:
          text[at] = "{}[]<>:;,\"'\\#-0"[random.Below(15)];
      }
      if (text.empty()) text = " ";
    }
    const auto read = ReadModelConfigText(text);
    if (!read) {
      EXPECT_FALSE(read.error().message.empty());
      continue;
    }
    const std::string json = ModelConfigJson(read->config);
    const auto back = ReadModelConfigJson(json);
    ASSERT_TRUE(back.ok()) << back.error().message << "\n" << json;
    EXPECT_EQ(ModelConfigJson(back->config), json);
  }
}

TEST(VersionPolicyTest, ChoosesAmongWhatIsThere) {
  const std::vector<std::uint64_t> available = {1, 3, 7, 12};
  EXPECT_THAT(ChooseVersions({}, available), ElementsAre(12));
  EXPECT_THAT(ChooseVersions({.latest = 2}, available), ElementsAre(7, 12));
  EXPECT_THAT(ChooseVersions({.latest = 9}, available), ElementsAre(1, 3, 7, 12));
  EXPECT_THAT(ChooseVersions({.kind = VersionPolicy::Kind::kAll}, available),
              ElementsAre(1, 3, 7, 12));
  EXPECT_THAT(
      ChooseVersions({.kind = VersionPolicy::Kind::kSpecific, .specific = {7, 1, 2}}, available),
      ElementsAre(1, 7));
}

InferRequest Asking(const std::string& bytes) {
  InferRequest request;
  request.inputs.push_back(
      Tensor::Of("x", DataType::kUint8, {1, static_cast<std::int64_t>(bytes.size())}, bytes));
  return request;
}

TEST(ResponseCacheTest, AnswersTheSameInputsOfTheSameLoadOnly) {
  ResponseCache cache(1 << 20);
  const std::string key = ResponseCache::KeyOf(1, Asking("ab"));
  EXPECT_FALSE(cache.Find(key));
  cache.Store(key, {Tensor::Of("y", DataType::kUint8, {1, 1}, "z")});

  const auto found = cache.Find(ResponseCache::KeyOf(1, Asking("ab")));
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)[0].data, "z");
  EXPECT_FALSE(cache.Find(ResponseCache::KeyOf(2, Asking("ab"))));
  EXPECT_FALSE(cache.Find(ResponseCache::KeyOf(1, Asking("ac"))));
  InferRequest other = Asking("ab");
  other.inputs[0].shape = {2, 1};
  EXPECT_FALSE(cache.Find(ResponseCache::KeyOf(1, other)));
  other = Asking("ab");
  other.outputs = {"y"};
  EXPECT_FALSE(cache.Find(ResponseCache::KeyOf(1, other)));
  EXPECT_EQ(cache.counts().hits, 1U);
  EXPECT_EQ(cache.counts().misses, 5U);
}

TEST(ResponseCacheTest, KeepsItsBytesAndForgetsWhatWasUsedLongestAgo) {
  ResponseCache cache(20'000);
  const auto key = [](int i) {
    return ResponseCache::KeyOf(1, Asking(std::string(1'000, static_cast<char>('a' + i))));
  };
  const std::vector<Tensor> answer = {
      Tensor::Of("y", DataType::kUint8, {1, 1'000}, std::string(1'000, 'y'))};
  for (int i = 0; i < 7; ++i) cache.Store(key(i), answer);
  ASSERT_TRUE(cache.Find(key(0)));
  for (int i = 7; i < 12; ++i) cache.Store(key(i), answer);

  EXPECT_LE(cache.counts().bytes, 20'000U);
  EXPECT_EQ(cache.counts().entries, 7U);
  EXPECT_EQ(cache.counts().evicted, 5U);
  EXPECT_TRUE(cache.Find(key(0)));
  EXPECT_FALSE(cache.Find(key(1)));
  cache.Store(key(20), {Tensor::Of("y", DataType::kUint8, {1, 30'000}, std::string(30'000, 'y'))});
  EXPECT_FALSE(cache.Find(key(20)));
}

TEST(ResponseCacheTest, AnAnswerOutlivesItsEntryAndAGenerationIsForgotten) {
  ResponseCache cache(1 << 20);
  cache.Store(ResponseCache::KeyOf(1, Asking("a")),
              {Tensor::Of("y", DataType::kUint8, {1, 1}, "z")});
  cache.Store(ResponseCache::KeyOf(2, Asking("a")),
              {Tensor::Of("y", DataType::kUint8, {1, 1}, "q")});
  const auto found = cache.Find(ResponseCache::KeyOf(1, Asking("a")));
  cache.Forget(1);
  EXPECT_EQ((*found)[0].data, "z");
  EXPECT_FALSE(cache.Find(ResponseCache::KeyOf(1, Asking("a"))));
  EXPECT_TRUE(cache.Find(ResponseCache::KeyOf(2, Asking("a"))));
  EXPECT_EQ(cache.counts().entries, 1U);
}

}  // namespace
}  // namespace tidewheel::inference
