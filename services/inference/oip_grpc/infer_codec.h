#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/model_server.h"
#include "tidewheel/inference/core/request_parameters.h"
#include "tidewheel/inference/core/shared_memory.h"
#include "tidewheel/rpc/direct_call.h"

namespace tidewheel::inference {

/// How an answer is to be written: what a request says beyond what the core is asked.
struct AnswerForm {
  bool typed = false;  // In the contents of each tensor; else raw.
  bool in_stream = false;
  /// Outputs that go to shared memory.
  std::vector<std::pair<std::string, SharedPlace>> places{};
};

struct ReadInferRequest {
  InferRequest request{};
  AnswerForm form{};
};

/// Reads a ModelInferRequest in its wire format. Raw inputs view `message`; those that came typed
/// or lie in shared memory own their bytes. kInvalidArgument: not such a message, or one that
/// breaks the protocol; the error names the tensor. Shapes and types are the core's to check.
/// On an error `out.request.id` is what was read of it so far.
Result<void> ParseInferRequest(std::string_view message, const SharedMemoryTable& regions,
                               ReadInferRequest& out);

/// Where the first raw input lies in a message that begins with `beginning`; 0: it is not seen.
std::size_t FirstRawInput(std::string_view beginning);

/// A message whose parts view tensors.
using EncodedAnswer = rpc::MessageParts;

/// Writes a ModelInferResponse, or within a stream a ModelStreamInferResponse, and puts what
/// belongs there into shared memory. An answer with an FP16 or BF16 output is raw. Empties `out`
/// first, keeping its memory. Errors as SharedMemoryTable::Write.
Result<void> EncodeInferResponse(const InferResponse& response, const AnswerForm& form,
                                 const SharedMemoryTable& regions, EncodedAnswer& out);

/// A ModelStreamInferResponse that tells of a failure.
std::string EncodeStreamError(const std::string& id, const std::string& message);

}  // namespace tidewheel::inference
