// Any bytes as what a client sends over HTTP: a head, chunks, a packed body, and a request of
// inference in JSON with binary tensors behind it. Either an error with words, or a request whose
// tensors lie within what was sent, and that is read the same again after it was written.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "must.h"
#include "tidewheel/inference/core/request_check.h"
#include "tidewheel/inference/oip_http/content_coding.h"
#include "tidewheel/inference/oip_http/http_message.h"
#include "tidewheel/inference/oip_http/infer_json.h"
#include "tidewheel/inference/oip_http/model_json.h"

namespace {

using tidewheel::fuzz::Must;
namespace inference = tidewheel::inference;
namespace http = tidewheel::inference::http;
namespace net = tidewheel::net;

constexpr std::size_t kMostBody = std::size_t{1} << 20;

const inference::SharedMemoryTable& Regions() {
  static const inference::SharedMemoryTable table;
  return table;
}

tidewheel::Result<inference::InferCall> Read(std::string_view json, std::string_view binary,
                                             std::optional<std::size_t> length) {
  auto body = std::make_shared<net::AlignedBytes>();
  if (length) body->AlignAt(*length);
  body->Append(json);
  body->Append(binary);
  return inference::ReadInferCall(body->view(), length, Regions(), body);
}

// What was understood, answered as if the model were the identity, and read again.
void AnswerAndReadAgain(const inference::InferCall& call) {
  inference::InferResponse answer;
  answer.model_name = "m";
  answer.id = call.request.id;
  for (const inference::Tensor& tensor : call.request.inputs) {
    if (!tensor.Check()) return;
    answer.outputs.push_back(tensor);
  }
  for (const bool binary : {false, true}) {
    const auto written = inference::WriteInferAnswer(answer, {.binary = binary}, Regions());
    if (!written) {
      // Only bytes that are no UTF-8 cannot be written as JSON.
      Must(!binary);
      continue;
    }
    // An answer becomes a request when its outputs are called inputs.
    std::string json = written->body;
    const auto outputs = json.find(",\"outputs\":[");
    Must(outputs != std::string::npos);
    std::string tensors;
    for (const http::Response::Piece& piece : written->pieces) tensors += piece.bytes;
    std::string request = "{\"inputs\":[" + json.substr(json.rfind(",\"outputs\":[") + 12);
    if (json.rfind(",\"outputs\":[") != outputs) continue;  // An id that says the same.
    const auto again =
        Read(request, tensors, binary ? std::optional<std::size_t>(request.size()) : std::nullopt);
    Must(again.ok() && again->request.inputs.size() == answer.outputs.size());
    for (std::size_t i = 0; i < answer.outputs.size(); ++i) {
      const inference::Tensor& before = answer.outputs[i];
      const inference::Tensor& after = again->request.inputs[i];
      Must(after.type == before.type && after.shape == before.shape);
      Must(after.data.size() == before.data.size());
      // NaNs lose their payloads in words, truths become 0 and 1.
      const bool exact =
          binary ||
          (before.type != inference::DataType::kFp16 && before.type != inference::DataType::kBf16 &&
           before.type != inference::DataType::kFp32 && before.type != inference::DataType::kFp64 &&
           before.type != inference::DataType::kBool);
      if (exact) Must(after.data == before.data);
    }
  }
}

void ReadCall(std::string_view body, std::optional<std::size_t> json_length) {
  const std::size_t length = std::min(json_length.value_or(body.size()), body.size());
  const auto call = Read(body.substr(0, length), body.substr(length), json_length);
  if (!call) {
    Must(!call.error().message.empty());
    return;
  }
  AnswerAndReadAgain(*call);
}

void ReadOtherBodies(std::string_view text) {
  net::AlignedBytes body;
  body.Append(text);
  const auto ready = inference::ReadReadyOnly(body.view());
  const auto load = inference::ReadLoadCall(body.view());
  const auto unload = inference::ReadUnloadDependents(body.view());
  const auto region = inference::ReadRegion(body.view());
  if (!load) Must(!load.error().message.empty());
  if (!region) Must(!region.error().message.empty());
  Must(ready.ok() || !ready.error().message.empty());
  Must(unload.ok() || !unload.error().message.empty());
}

// A whole request as it comes from a socket, in pieces of `step`.
void ReadWire(std::string_view wire, std::size_t step) {
  http::Head head;
  std::size_t used = 0;
  if (const auto refusal = http::ReadHead(wire, {}, &head, &used)) {
    Must(refusal->status >= 400 && refusal->status < 600 && !refusal->words.empty());
    return;
  }
  if (used == 0) return;
  (void)http::SplitPath(head.path);
  std::string_view rest = wire.substr(used);
  net::AlignedBytes body;
  if (head.chunked) {
    http::ChunkReader chunks;
    while (!rest.empty() && !chunks.done()) {
      std::size_t taken = 0;
      if (const auto refusal = chunks.Read(rest.substr(0, step), kMostBody, &body, &taken)) {
        Must(refusal->status == 400 || refusal->status == 413);
        return;
      }
      Must(taken > 0 && taken <= rest.size() && body.size() <= kMostBody);
      rest.remove_prefix(taken);
    }
  } else {
    body.Append(rest.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(
                                   head.content_length.value_or(0), rest.size()))));
  }
  const auto coding = http::ParseCoding(head.Find("content-encoding"));
  if (!coding) return;
  net::AlignedBytes unpacked;
  if (!http::Unpack(*coding, body.view(), kMostBody, &unpacked)) {
    Must(unpacked.size() <= kMostBody + 1);
    return;
  }
  ReadCall(unpacked.view(), std::nullopt);
}

}  // namespace

// The first two bytes choose what the rest is, and where its JSON ends.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  switch (data[0] % 6) {
    case 0:
      ReadCall(rest, std::nullopt);
      break;
    case 1:
      // Behind the last brace, about: that is where a client would say that it ends.
      ReadCall(rest, std::min(rest.size(), rest.rfind('}') + 1 + data[1] % 2));
      break;
    case 2:
      ReadCall(rest, static_cast<std::size_t>(data[1]) * 4);
      break;
    case 3:
      ReadWire(rest, std::size_t{1} + data[1] % 64);
      break;
    case 4: {
      net::AlignedBytes unpacked;
      const auto coding = data[1] % 2 == 0 ? http::Coding::kGzip : http::Coding::kDeflate;
      if (http::Unpack(coding, rest, kMostBody, &unpacked)) {
        net::AlignedBytes again;
        const std::string packed =
            http::Pack(coding, http::Response{.body = std::string(unpacked.view())});
        Must(http::Unpack(coding, packed, kMostBody, &again).ok());
        Must(again.view() == unpacked.view());
      }
      Must(unpacked.size() <= kMostBody + 1);
      break;
    }
    default:
      ReadOtherBodies(rest);
      break;
  }
  return 0;
}
