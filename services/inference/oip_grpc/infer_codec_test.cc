#include "tidewheel/inference/oip_grpc/infer_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "inference/grpc_service.pb.h"
#include "tidewheel/base/random.h"
#include "tidewheel/inference/oip_grpc/wire.h"

namespace tidewheel::inference {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class InferCodecTest : public ::testing::Test {
 protected:
  Result<void> Parse(const std::string& bytes) {
    bytes_ = bytes;
    read_ = {};
    return ParseInferRequest(bytes_, regions_, read_);
  }
  Result<void> Parse(const ::inference::ModelInferRequest& request) {
    return Parse(request.SerializeAsString());
  }
  std::string Refusal(const ::inference::ModelInferRequest& request) {
    const auto parsed = Parse(request);
    if (parsed) return "";
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
    return parsed.error().message;
  }
  ::inference::ModelInferResponse Encoded(const InferResponse& response, const AnswerForm& form) {
    EncodedAnswer answer;
    const auto encoded = EncodeInferResponse(response, form, regions_, answer);
    EXPECT_TRUE(encoded.ok()) << (encoded ? "" : encoded.error().message);
    ::inference::ModelInferResponse out;
    EXPECT_TRUE(out.ParseFromString(answer.Joined()));
    return out;
  }

  SharedMemoryTable regions_;
  std::string bytes_;
  ReadInferRequest read_;
};

::inference::ModelInferRequest Request(const std::string& datatype, std::int64_t elements) {
  ::inference::ModelInferRequest request;
  request.set_model_name("m");
  auto* input = request.add_inputs();
  input->set_name("x");
  input->set_datatype(datatype);
  input->add_shape(elements);
  return request;
}

std::string Text(Random& random) {
  std::string text;
  for (std::uint64_t i = random.Below(30); i > 0; --i) {
    text += static_cast<char>('a' + random.Below(26));
  }
  return text;
}

TEST_F(InferCodecTest, ReadsWhatProtobufWrites) {
  Random random(3);
  for (int round = 0; round < 500; ++round) {
    ::inference::ModelInferRequest request;
    request.set_model_name(Text(random));
    request.set_model_version(Text(random));
    request.set_id(Text(random));
    if (random.Below(2) == 0) (*request.mutable_parameters())["b"].set_bool_param(true);
    if (random.Below(2) == 0) {
      (*request.mutable_parameters())["i"].set_int64_param(
          static_cast<std::int64_t>(random.Below(1'000'000)) - 500'000);
    }
    if (random.Below(2) == 0) (*request.mutable_parameters())["s"].set_string_param(Text(random));
    if (random.Below(2) == 0)
      (*request.mutable_parameters())["d"].set_double_param(random.Uniform());
    if (random.Below(2) == 0) (*request.mutable_parameters())["u"].set_uint64_param(~0ULL);
    const auto tensors = random.Below(4);
    for (std::uint64_t i = 0; i < tensors; ++i) {
      auto* input = request.add_inputs();
      input->set_name(Text(random));
      input->set_datatype(i % 2 == 0 ? "FP32" : "INT64");
      for (auto k = random.Below(5); k > 0; --k) {
        input->add_shape(static_cast<std::int64_t>(random.Below(1'000)) - 1);
      }
      std::string raw(random.Below(300), '\0');
      for (char& c : raw) c = static_cast<char>(random.Below(256));
      request.add_raw_input_contents(raw);
    }
    for (auto i = random.Below(3); i > 0; --i) request.add_outputs()->set_name(Text(random));

    ASSERT_TRUE(Parse(request).ok());

    const InferRequest& got = read_.request;
    EXPECT_EQ(got.model_name, request.model_name());
    EXPECT_EQ(got.model_version, request.model_version());
    EXPECT_EQ(got.id, request.id());
    ASSERT_EQ(got.parameters.size(), request.parameters().size());
    for (const auto& [name, parameter] : request.parameters()) {
      const Parameter& own = got.parameters.at(name);
      if (name == "b") {
        EXPECT_EQ(std::get<bool>(own), parameter.bool_param());
      }
      if (name == "i") {
        EXPECT_EQ(std::get<std::int64_t>(own), parameter.int64_param());
      }
      if (name == "s") {
        EXPECT_EQ(std::get<std::string>(own), parameter.string_param());
      }
      if (name == "d") {
        EXPECT_EQ(std::get<double>(own), parameter.double_param());
      }
      if (name == "u") {
        EXPECT_EQ(std::get<std::uint64_t>(own), parameter.uint64_param());
      }
    }
    ASSERT_EQ(got.inputs.size(), tensors);
    for (std::size_t i = 0; i < tensors; ++i) {
      const auto& input = request.inputs(static_cast<int>(i));
      EXPECT_EQ(got.inputs[i].name, input.name());
      EXPECT_EQ(Name(got.inputs[i].type), input.datatype());
      EXPECT_EQ(got.inputs[i].shape,
                std::vector<std::int64_t>(input.shape().begin(), input.shape().end()));
      EXPECT_EQ(got.inputs[i].data, request.raw_input_contents(static_cast<int>(i)));
    }
    ASSERT_EQ(got.outputs.size(), static_cast<std::size_t>(request.outputs_size()));
    // What is cut off anywhere is refused or read, and never read beyond its end.
    const std::string whole = request.SerializeAsString();
    const std::string cut = whole.substr(0, random.Below(whole.size() + 1));
    (void)Parse(std::string(cut)).ok();
  }
}

TEST_F(InferCodecTest, DamagedBytesAreRefusedOrReadButNeverCrash) {
  Random random(5);
  auto request = Request("INT32", 4);
  for (int i = 0; i < 4; ++i) request.mutable_inputs(0)->mutable_contents()->add_int_contents(-i);
  (*request.mutable_parameters())["priority"].set_uint64_param(1);
  request.add_outputs()->set_name("y");
  const std::string whole = request.SerializeAsString();
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = whole;
    for (auto flips = 1 + random.Below(4); flips > 0; --flips) {
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
    }
    if (!Parse(bytes)) ++refused;
  }
  EXPECT_GT(refused, 100);
}

TEST_F(InferCodecTest, TypedElementsBecomeRawBytesOfTheirType) {
  auto request = Request("INT8", 3);
  for (const int value : {-128, 0, 127}) {
    request.mutable_inputs(0)->mutable_contents()->add_int_contents(value);
  }
  ASSERT_TRUE(Parse(request).ok());
  EXPECT_TRUE(read_.form.typed);
  EXPECT_EQ(read_.request.inputs[0].data, std::string("\x80\x00\x7f", 3));

  request = Request("UINT16", 2);
  request.mutable_inputs(0)->mutable_contents()->add_uint_contents(1);
  request.mutable_inputs(0)->mutable_contents()->add_uint_contents(65'535);
  ASSERT_TRUE(Parse(request).ok());
  EXPECT_EQ(read_.request.inputs[0].data, std::string("\x01\x00\xff\xff", 4));

  request = Request("FP32", 2);
  request.mutable_inputs(0)->mutable_contents()->add_fp32_contents(1.5F);
  request.mutable_inputs(0)->mutable_contents()->add_fp32_contents(-2.0F);
  ASSERT_TRUE(Parse(request).ok());
  const float floats[] = {1.5F, -2.0F};
  EXPECT_EQ(read_.request.inputs[0].data,
            std::string(reinterpret_cast<const char*>(floats), sizeof floats));

  request = Request("BYTES", 2);
  request.mutable_inputs(0)->mutable_contents()->add_bytes_contents("ab");
  request.mutable_inputs(0)->mutable_contents()->add_bytes_contents("");
  ASSERT_TRUE(Parse(request).ok());
  EXPECT_EQ(read_.request.inputs[0].data, std::string("\x02\x00\x00\x00"
                                                      "ab"
                                                      "\x00\x00\x00\x00",
                                                      10));

  request = Request("BOOL", 2);
  request.mutable_inputs(0)->mutable_contents()->add_bool_contents(true);
  request.mutable_inputs(0)->mutable_contents()->add_bool_contents(false);
  ASSERT_TRUE(Parse(request).ok());
  EXPECT_EQ(read_.request.inputs[0].data, std::string("\x01\x00", 2));
}

TEST_F(InferCodecTest, RefusalsNameTheTensorAndTheRule) {
  auto request = Request("INT8", 1);
  request.mutable_inputs(0)->mutable_contents()->add_int_contents(128);
  EXPECT_THAT(Refusal(request), AllOf(HasSubstr("\"x\""), HasSubstr("no INT8")));

  request = Request("FP16", 1);
  request.mutable_inputs(0)->mutable_contents()->add_fp32_contents(1);
  EXPECT_THAT(Refusal(request), AllOf(HasSubstr("\"x\""), HasSubstr("only travel raw")));

  request = Request("INT64", 1);
  request.mutable_inputs(0)->mutable_contents()->add_int_contents(1);
  EXPECT_THAT(Refusal(request), AllOf(HasSubstr("int64_contents"), HasSubstr("int_contents")));

  request = Request("INT64", 1);
  request.mutable_inputs(0)->mutable_contents()->add_int64_contents(1);
  request.add_raw_input_contents("12345678");
  EXPECT_THAT(Refusal(request), HasSubstr("beside raw_input_contents"));

  request = Request("INT64", 1);
  request.add_raw_input_contents("12345678");
  request.add_raw_input_contents("12345678");
  EXPECT_THAT(Refusal(request), HasSubstr("2 entries for 1 inputs"));

  request = Request("INT64", 1);
  request.add_inputs()->set_name("second");
  request.mutable_inputs(1)->set_datatype("FP32");
  request.add_raw_input_contents("12345678");
  EXPECT_THAT(Refusal(request), HasSubstr("none is left for input \"second\""));

  EXPECT_THAT(Refusal(Request("FP8", 1)), AllOf(HasSubstr("FP8"), HasSubstr("FP32")));

  request = Request("FP32", 1);
  (*request.mutable_parameters())["priority"].set_string_param("high");
  EXPECT_THAT(Refusal(request), HasSubstr("priority"));

  request = Request("FP32", 1);
  (*request.mutable_inputs(0)->mutable_parameters())["shared_memory_region"].set_string_param("r");
  EXPECT_THAT(Refusal(request), HasSubstr("shared_memory_byte_size"));

  EXPECT_EQ(Parse(std::string("\x0a\x05zz")).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(InferCodecTest, KnownParametersLeaveTheMap) {
  auto request = Request("FP32", 1);
  request.add_raw_input_contents("1234");
  auto& parameters = *request.mutable_parameters();
  parameters["priority"].set_uint64_param(2);
  parameters["timeout"].set_int64_param(1'500);
  parameters["sequence_id"].set_int64_param(7);
  parameters["sequence_start"].set_bool_param(true);
  parameters["mine"].set_string_param("kept");

  ASSERT_TRUE(Parse(request).ok());

  EXPECT_EQ(read_.request.priority, 2U);
  EXPECT_EQ(read_.request.timeout, std::chrono::microseconds{1'500});
  EXPECT_EQ(read_.request.parameters, (Parameters{{"mine", std::string("kept")}}));
}

TEST_F(InferCodecTest, AnswersAreWhatProtobufReads) {
  InferResponse response{.model_name = "m", .model_version = "3", .id = "an id"};
  response.parameters = {{"variant", std::string("int8")}};
  const float floats[] = {0.5F, -1.0F};
  response.outputs.push_back(Tensor::Of("y", DataType::kFp32, {1, 2},
                                        {reinterpret_cast<const char*>(floats), sizeof floats}));
  response.outputs.push_back(
      Tensor::Of("n", DataType::kInt16, {2}, std::string("\xff\xff\x02\x00", 4)));
  response.outputs.push_back(
      Tensor::Of("t", DataType::kBytes, {1}, std::string("\x02\x00\x00\x00ok", 6)));
  // Large enough to be sent from where it lies.
  const std::string large(100'000, 'z');
  response.outputs.push_back(Tensor::Of("l", DataType::kUint8, {100'000}, large));

  const auto raw = Encoded(response, {});
  EXPECT_EQ(raw.model_name(), "m");
  EXPECT_EQ(raw.model_version(), "3");
  EXPECT_EQ(raw.id(), "an id");
  EXPECT_EQ(raw.parameters().at("variant").string_param(), "int8");
  ASSERT_EQ(raw.outputs_size(), 4);
  ASSERT_EQ(raw.raw_output_contents_size(), 4);
  EXPECT_EQ(raw.outputs(0).datatype(), "FP32");
  EXPECT_EQ(raw.outputs(0).shape(1), 2);
  EXPECT_FALSE(raw.outputs(0).has_contents());
  EXPECT_EQ(raw.raw_output_contents(0), response.outputs[0].data);
  EXPECT_EQ(raw.raw_output_contents(3), large);

  const auto typed = Encoded(response, {.typed = true});
  EXPECT_EQ(typed.raw_output_contents_size(), 0);
  EXPECT_EQ(typed.outputs(0).contents().fp32_contents(1), -1.0F);
  EXPECT_EQ(typed.outputs(1).contents().int_contents(0), -1);
  EXPECT_EQ(typed.outputs(2).contents().bytes_contents(0), "ok");
  EXPECT_EQ(typed.outputs(3).contents().uint_contents_size(), 100'000);

  response.outputs.push_back(Tensor::Of("h", DataType::kFp16, {1}, "ab"));
  EXPECT_EQ(Encoded(response, {.typed = true}).raw_output_contents_size(), 5);
}

TEST_F(InferCodecTest, AStreamsAnswerIsTheSameWithinAnother) {
  InferResponse response{.model_name = "m", .model_version = "1", .id = "7"};
  response.outputs.push_back(Tensor::Of("y", DataType::kUint8, {40'000}, std::string(40'000, 'q')));
  EncodedAnswer answer;
  ASSERT_TRUE(EncodeInferResponse(response, {.in_stream = true}, regions_, answer).ok());
  ::inference::ModelStreamInferResponse stream;
  ASSERT_TRUE(stream.ParseFromString(answer.Joined()));
  EXPECT_EQ(stream.error_message(), "");
  EXPECT_EQ(stream.infer_response().id(), "7");
  EXPECT_EQ(stream.infer_response().raw_output_contents(0).size(), 40'000U);

  ASSERT_TRUE(stream.ParseFromString(EncodeStreamError("8", "bad \xff name")));
  EXPECT_EQ(stream.error_message(), "bad ? name");
  EXPECT_EQ(stream.infer_response().id(), "8");
}

TEST_F(InferCodecTest, TheFirstRawInputIsFoundInTheBeginning) {
  auto request = Request("FP32", 1'000);
  request.add_raw_input_contents(std::string(4'000, 'r'));
  const std::string bytes = request.SerializeAsString();
  const std::size_t at = FirstRawInput(bytes.substr(0, bytes.size() - 3'000));
  EXPECT_EQ(bytes.substr(at), std::string(4'000, 'r'));
  EXPECT_EQ(FirstRawInput("\x0a"), 0U);
}

TEST(WireTest, Utf8IsWhatTheStandardSays) {
  EXPECT_TRUE(IsUtf8("plain"));
  EXPECT_TRUE(IsUtf8("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"));
  for (const char* const bad :
       {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\x80"}) {
    EXPECT_FALSE(IsUtf8(bad)) << bad;
  }
}

}  // namespace
}  // namespace tidewheel::inference
