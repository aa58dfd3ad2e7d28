#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/model_server.h"
#include "tidewheel/inference/core/request_parameters.h"
#include "tidewheel/inference/core/shared_memory.h"
#include "tidewheel/inference/oip_http/http_message.h"

namespace tidewheel::inference {

/// How one output shall be answered.
struct OutputForm {
  std::string name{};
  std::optional<bool> binary{};        // Absent: as the request says for all.
  std::optional<SharedPlace> place{};  // Absent: in the answer itself.
};

/// How all of an answer shall be written.
struct AnswerForm {
  std::vector<OutputForm> outputs{};
  bool binary = false;
};

struct InferCall {
  InferRequest request{};
  AnswerForm form{};
};

/// Reads the body of an inference request: JSON, behind it the tensors in binary form when
/// `json_length` says where the JSON ends. `body` is followed by net::AlignedBytes::kPadding
/// readable bytes; `owner` keeps it alive, as tensors may be views into it. Numbers of JSON are
/// exact: a whole number that does not fit its datatype, a fraction for a whole one, or a finite
/// number beyond its datatype is refused; what is no number is "NaN", "Infinity" or "-Infinity" in
/// quotes. `data` is flat, or nested exactly as the shape. kInvalidArgument names the tensor and
/// the element; kNotFound: a region of shared memory.
Result<InferCall> ReadInferCall(std::string_view body, std::optional<std::size_t> json_length,
                                const SharedMemoryTable& regions,
                                std::shared_ptr<const void> owner);

/// The body that is nothing but the only input of a model, of one row where the model batches: at
/// most one other size may be open, and follows from the bytes. BYTES are one element, without its
/// length. The answer is binary.
Result<InferCall> ReadRawCall(std::string_view body, const ModelSpec& spec,
                              std::shared_ptr<const void> owner);

/// kInvalidArgument: an output cannot be written as asked (bytes that are no UTF-8 as JSON, more
/// than its shared memory takes); kNotFound: the region has gone.
Result<http::Response> WriteInferAnswer(const InferResponse& answer, const AnswerForm& form,
                                        const SharedMemoryTable& regions);

/// Bytes that WriteInferAnswer will put into words, about: what it costs.
std::size_t JsonBytesOf(const InferResponse& answer, const AnswerForm& form);

/// The number that is nearest in 16 bits: FP16, BF16. Nothing: it is finite and beyond them.
std::optional<std::uint16_t> NarrowNumber(double value, DataType type);
double WidenNumber(std::uint16_t bits, DataType type);

}  // namespace tidewheel::inference
