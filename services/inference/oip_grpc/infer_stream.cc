#include "tidewheel/inference/oip_grpc/infer_stream.h"

#include <utility>

#include "tidewheel/inference/core/request_parameters.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::inference {
namespace {

std::string RoutingKeyOf(const grpc::ServerContextBase& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(kRoutingKeyHeader);
  return found == metadata.end() ? std::string()
                                 : std::string(found->second.data(), found->second.size());
}

}  // namespace

InferStream::InferStream(grpc::CallbackServerContext& context, ModelServer& models,
                         const SharedMemoryTable& regions, std::size_t window)
    : models_(models),
      regions_(regions),
      window_(window),
      deadline_(context.deadline()),
      routing_key_(RoutingKeyOf(context)) {
  StartRead(&message_);
}

template <typename Change>
void InferStream::Step(Change change) {
  bool write = false;
  bool read = false;
  bool finish = false;
  {
    const std::lock_guard lock(mutex_);
    change();
    while (broken_ && !slots_.empty() && slots_.front()->answered) slots_.pop_front();
    if (!broken_ && !writing_ && !slots_.empty() && slots_.front()->answered) {
      out_.Swap(&slots_.front()->answer);
      slots_.pop_front();
      writing_ = write = true;
    }
    if (!reading_ && !ended_ && !broken_ && MayReadLocked()) reading_ = read = true;
    if (!finished_ && !reading_ && !writing_ && slots_.empty() && (ended_ || broken_)) {
      finished_ = finish = true;
    }
  }
  // Whoever finishes is the last to touch this: nothing is read, written or awaited any more.
  if (write) StartWrite(&out_);
  if (read) StartRead(&message_);
  if (finish) {
    Finish(broken_ ? grpc::Status(grpc::StatusCode::CANCELLED, "the stream was cancelled")
                   : grpc::Status::OK);
  }
}

bool InferStream::MayReadLocked() const {
  // What is under way is taken to be answered as the last was. The one that is being written
  // counts: it is what a client that does not read holds up.
  const std::size_t waiting = slots_.size() + (writing_ ? 1 : 0);
  return waiting == 0 ||
         (slots_.size() < window_ && (waiting + 1) * answer_bytes_ <= kMostAnswerBytes);
}

void InferStream::OnReadDone(bool ok) {
  if (ok) Begin();
  Step([&] {
    reading_ = false;
    if (!ok) ended_ = true;
  });
}

void InferStream::OnWriteDone(bool ok) {
  Step([&] {
    writing_ = false;
    if (!ok) broken_ = true;
  });
}

void InferStream::OnCancel() {
  Step([&] { broken_ = true; });
}

void InferStream::Begin() {
  auto owned = std::make_unique<Slot>();
  Slot& slot = *owned;
  {
    const std::lock_guard lock(mutex_);
    slots_.push_back(std::move(owned));
  }
  ReadInferRequest read;
  const auto message = slot.message.Gather(message_);
  message_.Clear();
  const auto parsed =
      message ? ParseInferRequest(*message, regions_, read) : Result<void>(message.error());
  slot.id = read.request.id;
  slot.form = std::move(read.form);
  slot.form.in_stream = true;
  if (!parsed) return Answer(slot, parsed.error());
  if (deadline_ != std::chrono::system_clock::time_point::max()) {
    read.request.deadline = deadline_;
  }
  if (read.request.routing_key.empty()) read.request.routing_key = routing_key_;
  read.request.cancelled = [this] { return broken_.load(std::memory_order_relaxed); };
  models_.Infer(std::move(read.request), [this, &slot](Result<InferResponse> response) {
    Answer(slot, std::move(response));
  });
}

void InferStream::Answer(Slot& slot, Result<InferResponse> response) {
  grpc::ByteBuffer buffer;
  Result<void> encoded = response ? Result<void>() : Result<void>(response.error());
  if (response) {
    EncodedAnswer answer;
    encoded = EncodeInferResponse(*response, slot.form, regions_, answer);
    if (encoded) buffer = ToByteBuffer(answer);
  }
  if (!encoded) {
    const grpc::Status status = rpc::ToGrpcStatus(encoded.error());
    buffer = ToByteBuffer(EncodeStreamError(slot.id, status.error_message()));
  }
  Step([&] {
    slot.answer.Swap(&buffer);
    answer_bytes_ = slot.answer.Length();
    slot.answered = true;
  });
}

}  // namespace tidewheel::inference
