#include "tidewheel/inference/oip_http/infer_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "tidewheel/inference/oip_http/model_json.h"

namespace tidewheel::inference {
namespace {

using ::testing::HasSubstr;

/// Kept with the bytes behind it that a reader may look at.
Result<InferCall> Read(const std::string& json, const std::string& binary = "",
                       std::optional<std::size_t> json_length = {}) {
  auto body = std::make_shared<net::AlignedBytes>();
  body->AlignAt(json.size());
  body->Append(json);
  body->Append(binary);
  if (!json_length && !binary.empty()) json_length = json.size();
  static const SharedMemoryTable kNoRegions;
  return ReadInferCall(body->view(), json_length, kNoRegions, body);
}

std::string InputJson(const std::string& type, const std::string& shape, const std::string& data) {
  return R"({"inputs":[{"name":"x","datatype":")" + type + R"(","shape":)" + shape + R"(,"data":)" +
         data + "}]}";
}

/// The first input as values; its error as a message.
template <typename T>
std::vector<T> Values(const std::string& type, const std::string& shape, const std::string& data) {
  const auto call = Read(InputJson(type, shape, data));
  EXPECT_TRUE(call.ok()) << call.error().message;
  if (!call) return {};
  const std::string_view bytes = call->request.inputs[0].data;
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::string Problem(const std::string& json) {
  const auto call = Read(json);
  if (call) return "none";
  EXPECT_EQ(call.error().code, ErrorCode::kInvalidArgument) << call.error().message;
  return call.error().message;
}
std::string Problem(const std::string& type, const std::string& shape, const std::string& data) {
  return Problem(InputJson(type, shape, data));
}

InferResponse Answer(Tensor tensor) {
  InferResponse answer;
  answer.model_name = "m";
  answer.model_version = "1";
  answer.outputs.push_back(std::move(tensor));
  return answer;
}

/// `data` of the only output as it is written.
std::string Written(DataType type, const std::string& bytes, std::int64_t count) {
  static const SharedMemoryTable kNoRegions;
  const auto written =
      WriteInferAnswer(Answer(Tensor::Of("y", type, {count}, bytes)), {}, kNoRegions);
  if (!written) return written.error().message;
  const auto at = written->body.find("\"data\":");
  return written->body.substr(at + 7, written->body.size() - at - 10);
}
template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST(InferJsonTest, WholeNumbersAreExact) {
  EXPECT_EQ(
      Values<std::int64_t>("INT64", "[3]",
                           "[9223372036854775807,-9223372036854775808,9007199254740993]"),
      (std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::max(),
                                 std::numeric_limits<std::int64_t>::min(), 9007199254740993}));
  EXPECT_EQ(Values<std::uint64_t>("UINT64", "[2]", "[18446744073709551615,0]"),
            (std::vector<std::uint64_t>{std::numeric_limits<std::uint64_t>::max(), 0}));
  EXPECT_EQ(Values<std::int8_t>("INT8", "[2]", "[-128,127]"),
            (std::vector<std::int8_t>{-128, 127}));
  EXPECT_EQ(Values<std::uint8_t>("UINT8", "[1,1]", "[[255]]"), (std::vector<std::uint8_t>{255}));
  EXPECT_EQ(Values<std::int16_t>("INT16", "[1]", "[-32768]"), (std::vector<std::int16_t>{-32768}));
  EXPECT_EQ(Values<std::uint16_t>("UINT16", "[1]", "[65535]"), (std::vector<std::uint16_t>{65535}));
  EXPECT_EQ(Values<std::int32_t>("INT32", "[1]", "[-2147483648]"),
            (std::vector<std::int32_t>{std::numeric_limits<std::int32_t>::min()}));
  EXPECT_EQ(Values<std::uint32_t>("UINT32", "[1]", "[4294967295]"),
            (std::vector<std::uint32_t>{std::numeric_limits<std::uint32_t>::max()}));
}

TEST(InferJsonTest, WhatDoesNotFitItsDatatypeIsRefusedByName) {
  EXPECT_THAT(Problem("INT8", "[2]", "[1,128]"), HasSubstr("input \"x\" of type INT8: element 1"));
  for (const auto& [type, data] :
       std::vector<std::pair<std::string, std::string>>{{"INT8", "[-129]"},
                                                        {"UINT8", "[256]"},
                                                        {"UINT8", "[-1]"},
                                                        {"INT16", "[32768]"},
                                                        {"UINT16", "[65536]"},
                                                        {"INT32", "[2147483648]"},
                                                        {"UINT32", "[4294967296]"},
                                                        {"INT64", "[9223372036854775808]"},
                                                        {"UINT64", "[18446744073709551616]"},
                                                        {"UINT64", "[-1]"},
                                                        {"INT32", "[1.0]"},
                                                        {"INT32", "[1e3]"},
                                                        {"INT32", "[\"1\"]"},
                                                        {"INT32", "[true]"},
                                                        {"INT32", "[null]"},
                                                        {"BOOL", "[2]"},
                                                        {"BOOL", "[\"true\"]"},
                                                        {"FP32", "[1e39]"},
                                                        {"FP32", "[-3.5e38]"},
                                                        {"FP64", "[1e400]"},
                                                        {"FP16", "[65520]"},
                                                        {"BF16", "[3.4e38]"},
                                                        {"FP32", "[\"1\"]"},
                                                        {"FP32", "[\"nan\"]"},
                                                        {"FP32", "[NaN]"},
                                                        {"FP32", "[Infinity]"},
                                                        {"FP32", "[01]"},
                                                        {"FP32", "[1.]"},
                                                        {"FP32", "[.5]"},
                                                        {"FP32", "[+1]"},
                                                        {"FP32", "[{}]"},
                                                        {"BYTES", "[1]"},
                                                        {"BYTES", "[\"\\ud800\"]"}}) {
    EXPECT_NE(Problem(type, "[1]", data), "none") << type << " " << data;
  }
}

TEST(InferJsonTest, TruthsMayBeNumbersToo) {
  EXPECT_EQ(Values<char>("BOOL", "[4]", "[true,false,1,0]"), (std::vector<char>{1, 0, 1, 0}));
}

TEST(InferJsonTest, WhatIsNoNumberComesInQuotes) {
  const auto values = Values<float>("FP32", "[3]", R"(["NaN","Infinity","-Infinity"])");
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_EQ(values[1], std::numeric_limits<float>::infinity());
  EXPECT_EQ(values[2], -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(Values<double>("FP64", "[1]", R"(["NaN"])")[0]));
}

TEST(InferJsonTest, EveryFloatSurvivesTheWayThroughWords) {
  std::mt19937 random(11);
  std::vector<float> values = {0.0F,
                               -0.0F,
                               std::numeric_limits<float>::min(),
                               std::numeric_limits<float>::denorm_min(),
                               std::numeric_limits<float>::max(),
                               1.0F / 3};
  while (values.size() < 20'000) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (std::isfinite(value)) values.push_back(value);
  }
  const std::string words =
      Written(DataType::kFp32, BytesOf(values), static_cast<std::int64_t>(values.size()));
  const auto read = Values<float>("FP32", "[" + std::to_string(values.size()) + "]", words);
  ASSERT_EQ(read.size(), values.size());
  EXPECT_EQ(std::memcmp(read.data(), values.data(), values.size() * sizeof(float)), 0);
}

TEST(InferJsonTest, ANumberBetweenTwoFloatsIsRoundedOnce) {
  // 1 + 2^-24 and a bit: as a double it is the very middle, as a float the upper one is nearer.
  EXPECT_EQ(Values<float>("FP32", "[1]", "[1.00000005960464477540]")[0],
            std::nextafter(1.0F, 2.0F));
  EXPECT_EQ(Values<float>("FP32", "[1]", "[1.000000059604644775390625 ]")[0], 1.0F);
}

TEST(InferJsonTest, EveryNarrowNumberIsReadAsItWasWritten) {
  for (const DataType type : {DataType::kFp16, DataType::kBf16}) {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
      const auto narrow = static_cast<std::uint16_t>(bits);
      const double wide = WidenNumber(narrow, type);
      const auto back = NarrowNumber(wide, type);
      ASSERT_TRUE(back.has_value()) << bits;
      if (std::isnan(wide)) {
        EXPECT_TRUE(std::isnan(WidenNumber(*back, type)));
      } else {
        EXPECT_EQ(*back, narrow);
      }
    }
  }
  EXPECT_EQ(NarrowNumber(1.0, DataType::kFp16), 0x3c00);
  EXPECT_EQ(NarrowNumber(65504.0, DataType::kFp16), 0x7bff);
  EXPECT_EQ(NarrowNumber(65519.9, DataType::kFp16), 0x7bff);
  EXPECT_EQ(NarrowNumber(65520.0, DataType::kFp16), std::nullopt);
  EXPECT_EQ(NarrowNumber(1.0, DataType::kBf16), 0x3f80);
  // Halfway goes to the even one.
  EXPECT_EQ(NarrowNumber(1.0 + 1.0 / 2'048, DataType::kFp16), 0x3c00);
  EXPECT_EQ(NarrowNumber(1.0 + 3.0 / 2'048, DataType::kFp16), 0x3c02);
  EXPECT_EQ(Values<std::uint16_t>("FP16", "[2]", "[1.5,-2]"),
            (std::vector<std::uint16_t>{0x3e00, 0xc000}));
}

TEST(InferJsonTest, StringsAreBytesWithTheirLengths) {
  const auto call = Read(InputJson("BYTES", "[3]", R"(["one","","\u00e4\n\u0000"])"));
  ASSERT_TRUE(call.ok()) << call.error().message;
  EXPECT_EQ(call->request.inputs[0].data,
            std::string("\3\0\0\0one\0\0\0\0\4\0\0\0\xC3\xA4\n\0", 19));
  EXPECT_TRUE(call->request.inputs[0].Check().ok());
}

TEST(InferJsonTest, DataIsFlatOrNestedAsTheShapeSays) {
  const std::vector<float> expected = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(Values<float>("FP32", "[2,3]", "[1,2,3,4,5,6]"), expected);
  EXPECT_EQ(Values<float>("FP32", "[2,3]", "[[1,2,3],[4,5,6]]"), expected);
  EXPECT_EQ(Values<float>("FP32", "[1,2,1,3]", "[[[[1,2,3]],[[4,5,6]]]]"), expected);
  EXPECT_EQ(Values<float>("FP32", "[]", "[7]"), std::vector<float>{7});
  EXPECT_EQ(Values<float>("FP32", "[0]", "[]"), std::vector<float>{});
  EXPECT_EQ(Values<float>("FP32", "[2,0]", "[[],[]]"), std::vector<float>{});

  EXPECT_THAT(Problem("FP32", "[2,3]", "[[1,2],[3,4],[5,6]]"),
              HasSubstr("not nested as FP32 [2,3]"));
  EXPECT_THAT(Problem("FP32", "[2,3]", "[1,2,3,4,5]"), HasSubstr("has 5 elements"));
  EXPECT_THAT(Problem("FP32", "[2,3]", "[1,2,3,4,5,6,7]"), HasSubstr("more than the 6"));
  EXPECT_NE(Problem("FP32", "[2,3]", "[[1,2,3],[4,5]]"), "none");
  EXPECT_NE(Problem("FP32", "[2,3]", "[[1,2,3],4,5,6]"), "none");
  EXPECT_NE(Problem("FP32", "[2,3]", "[[[1,2,3]],[[4,5,6]]]"), "none");
  EXPECT_NE(Problem("FP32", "[2,3]", "[[1,2,3,4,5,6]]"), "none");
  EXPECT_NE(Problem("FP32", "[2,3]", "[[],[]]"), "none");
  EXPECT_NE(Problem("FP32", "[2]", "7"), "none");
  EXPECT_NE(Problem("FP32", "[1099511627776,16]", "[1]"), "none");
  EXPECT_NE(Problem("FP32", "[1099511627776]", "[1]"), "none");
}

TEST(InferJsonTest, MembersMayComeInAnyOrderAndOthersAreLeftAlone) {
  const auto call =
      Read(R"({"later":{"a":[1,{"b":null}]},"inputs":[{"data":[[1,2]],"parameters":{"note":"n"},)"
           R"("extra":[[1]],"shape":[1,2],"name":"x","datatype":"INT32"},)"
           R"({"data":["s"],"datatype":"BYTES","shape":[1],"name":"z"}],)"
           R"("outputs":[{"name":"y"},{"parameters":{"binary_data":false},"name":"w"}],"id":"7",)"
           R"("parameters":{"priority":2,"timeout":1500,"binary_data_output":true,"sequence_id":3,)"
           R"("colour":"red","deep":1.5,"huge":18446744073709551615,"on":true}})");
  ASSERT_TRUE(call.ok()) << call.error().message;
  const InferRequest& request = call->request;
  EXPECT_EQ(request.id, "7");
  EXPECT_EQ(request.priority, 2u);
  EXPECT_EQ(request.timeout, std::chrono::microseconds(1'500));
  EXPECT_EQ(request.parameters, (Parameters{{"colour", "red"},
                                            {"deep", 1.5},
                                            {"huge", std::numeric_limits<std::uint64_t>::max()},
                                            {"on", true}}));
  ASSERT_EQ(request.inputs.size(), 2u);
  EXPECT_EQ(request.inputs[0].data.size(), 8u);
  EXPECT_EQ(request.inputs[1].data, std::string("\1\0\0\0s", 5));
  EXPECT_EQ(request.outputs, (std::vector<std::string>{"y", "w"}));
  EXPECT_TRUE(call->form.binary);
  EXPECT_EQ(call->form.outputs[0].binary, std::nullopt);
  EXPECT_EQ(call->form.outputs[1].binary, false);
}

TEST(InferJsonTest, WhatIsNotARequestIsRefused) {
  for (const std::string text :
       {"",
        " ",
        "null",
        "[]",
        "1",
        "{",
        "{}",
        R"({"inputs":)",
        R"({"inputs":{}})",
        R"({"inputs":[1]})",
        R"({"inputs":[{}]})",
        R"({"inputs":[]} x)",
        R"({"inputs":[]}{})",
        R"({"inputs":[],"inputs":[]})",
        R"({"inputs":[],"id":7})",
        R"({"inputs":[],"outputs":[{}]})",
        R"({"inputs":[],"outputs":["y"]})",
        R"({"inputs":[],"parameters":[]})",
        R"({"inputs":[],"parameters":{"a":{}}})",
        R"({"inputs":[],"parameters":{"a":null}})",
        R"({"inputs":[],"parameters":{"a":1,"a":2}})",
        R"({"inputs":[],"parameters":{"priority":-1}})",
        R"({"inputs":[],"parameters":{"timeout":"soon"}})",
        R"({"inputs":[],"parameters":{"binary_data_output":1}})",
        R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32"}]})",
        R"({"inputs":[{"name":"x","shape":[1],"data":[1]}]})",
        R"({"inputs":[{"name":"x","datatype":"FP32","data":[1]}]})",
        R"({"inputs":[{"shape":[1],"datatype":"FP32","data":[1]}]})",
        R"({"inputs":[{"name":"x","shape":[-1],"datatype":"FP32","data":[1]}]})",
        R"({"inputs":[{"name":"x","shape":[1.5],"datatype":"FP32","data":[1]}]})",
        R"({"inputs":[{"name":"x","shape":1,"datatype":"FP32","data":[1]}]})",
        R"({"inputs":[{"name":"x","shape":[1],"datatype":"FLOAT","data":[1]}]})",
        R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1],"data":[1]}]})",
        R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1],)"
        R"("parameters":{"binary_data_size":4}}]})",
        R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32",)"
        R"("parameters":{"binary_data_size":4}}]})",
        "{\"inputs\":[],\"id\":\"\xff\"}"}) {
    EXPECT_NE(Problem(text), "none") << text;
  }
  EXPECT_THAT(
      Problem(R"({"inputs":[],"outputs":[{"name":"y","parameters":{"classification":0}}]})"),
      HasSubstr("none"));
  EXPECT_EQ(Read(R"({"inputs":[],"outputs":[{"name":"y","parameters":{"classification":3}}]})")
                .error()
                .code,
            ErrorCode::kUnimplemented);
}

TEST(InferJsonTest, BinaryTensorsLieBehindTheJsonInOrder) {
  const auto call = Read(
      R"({"inputs":[{"name":"a","shape":[3],"datatype":"BOOL","parameters":{"binary_data_size":3}},)"
      R"({"name":"b","shape":[1],"datatype":"INT8","data":[7]},)"
      R"({"name":"c","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}}]})",
      std::string("\1\0\1", 3) + BytesOf(std::vector<float>{1, 2}));
  ASSERT_TRUE(call.ok()) << call.error().message;
  EXPECT_EQ(call->request.inputs[0].data, std::string("\1\0\1", 3));
  const Tensor& floats = call->request.inputs[2];
  EXPECT_EQ(std::string(floats.data), BytesOf(std::vector<float>{1, 2}));
  // Behind three bytes they lay badly.
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(floats.data.data()) % 4, 0u);
}

TEST(InferJsonTest, BinarySizesMustAddUp) {
  const std::string one =
      R"({"inputs":[{"name":"a","shape":[2],"datatype":"INT8","parameters":{"binary_data_size":2}}]})";
  EXPECT_TRUE(Read(one, "ab").ok());
  EXPECT_THAT(Read(one, "abc").error().message, HasSubstr("3 bytes behind its JSON"));
  EXPECT_THAT(Read(one, "a").error().message, HasSubstr("input \"a\": says 2 bytes"));
  EXPECT_FALSE(Read(one, "ab", one.size() + 3).ok());
  EXPECT_FALSE(Read(one, "ab", one.size() - 1).ok());
  EXPECT_FALSE(Read(R"({"inputs":[{"name":"a","shape":[2],"datatype":"INT8",)"
                    R"("parameters":{"binary_data_size":18446744073709551615}}]})",
                    "ab")
                   .ok());
}

TEST(InferJsonTest, ABodyWithoutJsonIsTheOnlyInput) {
  ModelSpec spec;
  spec.name = "m";
  spec.max_batch_size = 8;
  spec.inputs = {{"x", DataType::kFp32, {-1, -1, 2}}};
  const auto call = ReadRawCall("0123456789abcdef", spec, nullptr);
  ASSERT_TRUE(call.ok()) << call.error().message;
  EXPECT_EQ(call->request.inputs[0].shape, (std::vector<std::int64_t>{1, 2, 2}));
  EXPECT_TRUE(call->request.inputs[0].Check().ok());
  EXPECT_TRUE(call->form.binary);

  spec.inputs = {{"x", DataType::kBytes, {-1, 1}}};
  EXPECT_EQ(ReadRawCall("abc", spec, nullptr)->request.inputs[0].data,
            std::string("\3\0\0\0abc", 7));
  spec.inputs = {{"x", DataType::kFp32, {-1, -1, -1}}};
  EXPECT_FALSE(ReadRawCall("abcd", spec, nullptr).ok());
  spec.inputs = {{"x", DataType::kFp32, {-1}}, {"z", DataType::kFp32, {-1}}};
  EXPECT_FALSE(ReadRawCall("abcd", spec, nullptr).ok());
}

TEST(InferJsonTest, AnswersAreWrittenAsAsked) {
  static const SharedMemoryTable kNoRegions;
  InferResponse answer =
      Answer(Tensor::Of("y", DataType::kInt16, {1, 2}, BytesOf<std::int16_t>({-1, 2})));
  answer.outputs.push_back(Tensor::Of("w", DataType::kFp32, {2}, BytesOf<float>({1, 0.5F})));
  answer.id = "a\"b";
  answer.parameters = {{"variant", "int8"}, {"n", std::int64_t{-3}}, {"t", true}};

  auto written = WriteInferAnswer(answer, {}, kNoRegions);
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(written->content_type, "application/json");
  EXPECT_EQ(written->body,
            R"({"model_name":"m","model_version":"1","id":"a\"b","parameters":{"n":-3,"t":true,)"
            R"("variant":"int8"},"outputs":[{"name":"y","datatype":"INT16","shape":[1,2],)"
            R"("data":[-1,2]},{"name":"w","datatype":"FP32","shape":[2],"data":[1,0.5]}]})");

  AnswerForm form{.outputs = {{.name = "y"}, {.name = "w", .binary = true}}};
  written = WriteInferAnswer(answer, form, kNoRegions);
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(written->content_type, "application/octet-stream");
  EXPECT_EQ(written->headers,
            "Inference-Header-Content-Length: " + std::to_string(written->body.size()) + "\r\n");
  EXPECT_THAT(written->body, HasSubstr(R"("shape":[2],"parameters":{"binary_data_size":8}})"));
  ASSERT_EQ(written->pieces.size(), 1u);
  EXPECT_EQ(written->pieces[0].bytes, BytesOf<float>({1, 0.5F}));

  written = WriteInferAnswer(answer, {.binary = true}, kNoRegions);
  EXPECT_EQ(written->pieces.size(), 2u);
}

TEST(InferJsonTest, EveryDatatypeIsWritten) {
  EXPECT_EQ(Written(DataType::kBool, std::string("\1\0", 2), 2), "[true,false]");
  EXPECT_EQ(Written(DataType::kUint8, "\xff", 1), "[255]");
  EXPECT_EQ(Written(DataType::kInt8, "\xff", 1), "[-1]");
  EXPECT_EQ(Written(DataType::kUint64, BytesOf<std::uint64_t>({18446744073709551615U}), 1),
            "[18446744073709551615]");
  EXPECT_EQ(Written(DataType::kInt64, BytesOf<std::int64_t>({-9007199254740993}), 1),
            "[-9007199254740993]");
  EXPECT_EQ(Written(DataType::kFp16, BytesOf<std::uint16_t>({0x3e00, 0x7c00}), 2),
            R"([1.5,"Infinity"])");
  EXPECT_EQ(Written(DataType::kBf16, BytesOf<std::uint16_t>({0x3fc0}), 1), "[1.5]");
  EXPECT_EQ(Written(DataType::kFp32,
                    BytesOf<float>({std::numeric_limits<float>::quiet_NaN(),
                                    -std::numeric_limits<float>::infinity(), 0.1F}),
                    3),
            R"(["NaN","-Infinity",0.1])");
  EXPECT_EQ(Written(DataType::kFp64, BytesOf<double>({0.1, 1e300}), 2), "[0.1,1e+300]");
  EXPECT_EQ(Written(DataType::kBytes, std::string("\2\0\0\0a\"\0\0\0\0", 10), 2), R"(["a\"",""])");
  EXPECT_THAT(Written(DataType::kBytes, std::string("\1\0\0\0\xff", 5), 1),
              HasSubstr("binary_data"));
}

TEST(ModelJsonTest, CallsOfTheRepositoryAreRead) {
  const auto padded = [](const std::string& text) {
    static net::AlignedBytes body;
    body = net::AlignedBytes();
    body.Append(text);
    return body.view();
  };
  EXPECT_FALSE(*ReadReadyOnly(padded("")));
  EXPECT_TRUE(*ReadReadyOnly(padded(R"({"ready":true})")));
  EXPECT_FALSE(ReadReadyOnly(padded(R"({"ready":1})")).ok());
  EXPECT_FALSE(ReadReadyOnly(padded("[]")).ok());

  const auto load = ReadLoadCall(
      padded(R"({"parameters":{"config":"{\"name\":\"m\"}","file:1/model.onnx":"AAEC/w=="}})"));
  ASSERT_TRUE(load.ok()) << load.error().message;
  EXPECT_EQ(load->config, R"({"name":"m"})");
  EXPECT_EQ(load->files.at("1/model.onnx"), std::string("\0\1\2\xff", 4));
  EXPECT_FALSE(ReadLoadCall(padded(R"({"parameters":{"file:1/m":"a"}})")).ok());
  EXPECT_FALSE(ReadLoadCall(padded(R"({"parameters":{"colour":"red"}})")).ok());
  EXPECT_FALSE(ReadLoadCall(padded(R"({"parameters":{"config":{}}})")).ok());
  EXPECT_FALSE(ReadLoadCall(padded(""))->config.has_value());

  EXPECT_TRUE(*ReadUnloadDependents(padded(R"({"parameters":{"unload_dependents":true}})")));
  EXPECT_FALSE(*ReadUnloadDependents(padded("{}")));

  const auto region = ReadRegion(padded(R"({"key":"/k","offset":3,"byte_size":9})"));
  ASSERT_TRUE(region.ok());
  EXPECT_EQ(region->offset, 3u);
  EXPECT_FALSE(ReadRegion(padded(R"({"key":"/k"})")).ok());
  EXPECT_FALSE(ReadRegion(padded(R"({"key":"/k","byte_size":-1})")).ok());
}

TEST(ModelJsonTest, Base64IsReadStrictly) {
  EXPECT_EQ(DecodeBase64(""), "");
  EXPECT_EQ(DecodeBase64("TQ=="), "M");
  EXPECT_EQ(DecodeBase64("TWE="), "Ma");
  EXPECT_EQ(DecodeBase64("TWFu"), "Man");
  for (const std::string wrong : {"T", "TQ", "TQ=", "====", "T===", "TW_u", "TQ==TQ==", "TW u"}) {
    EXPECT_EQ(DecodeBase64(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace tidewheel::inference
