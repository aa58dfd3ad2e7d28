#include "tidewheel/ingestion/api/sample_stream.h"

#include <utility>

#include "tidewheel/ingestion/api/ingestion_handler.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::ingestion {

SampleStream::SampleStream(IngestionHandler& handler) : handler_(handler) {
  const std::lock_guard lock(mutex_);
  ReadMoreLocked();
}

void SampleStream::ReadMoreLocked() {
  const std::size_t unanswered = waiting_.size() + (at_work_ ? 1 : 0) + answers_.size();
  if (read_under_way_ || reads_ended_ || finished_ || !status_.ok() || unanswered >= kWindow)
    return;
  read_under_way_ = true;
  reading_ = std::make_shared<v1::StreamSamplesRequest>();
  StartRead(reading_.get());
}

void SampleStream::OnReadDone(bool ok) {
  Request next;
  {
    const std::lock_guard lock(mutex_);
    read_under_way_ = false;
    const Request request = std::exchange(reading_, nullptr);
    if (!ok) {
      reads_ended_ = true;
    } else if (status_.ok() && !finished_) {
      if (task_.empty()) task_ = request->task();
      if (request->task() == task_) {
        waiting_.push_back(request);
      } else {
        EndLocked(rpc::ToGrpcStatus(
            Error{ErrorCode::kInvalidArgument, "a stream is for one task: it began with " +
                                                   task_.substr(0, 80) + " and came to " +
                                                   request->task().substr(0, 80)}));
      }
    }
    next = TakeNextLocked();
    ReadMoreLocked();
    FinishWhenIdleLocked();
  }
  Submit(std::move(next));
}

SampleStream::Request SampleStream::TakeNextLocked() {
  if (at_work_ || waiting_.empty()) return nullptr;
  at_work_ = true;
  ++holds_;
  Request request = std::move(waiting_.front());
  waiting_.pop_front();
  return request;
}

void SampleStream::Submit(Request request) {
  if (request == nullptr) return;
  const std::size_t bytes = request->ByteSizeLong();
  const Result<void> taken = handler_.TryQueue(bytes, [this, request] {
    v1::StreamSamplesResponse response;
    grpc::Status status =
        Over() ? grpc::Status::CANCELLED : handler_.IngestBatch(*request, &response);
    Answer(std::move(status), std::move(response));
  });
  if (!taken) Answer(rpc::ToGrpcStatus(taken.error()), {});
}

bool SampleStream::Over() {
  const std::lock_guard lock(mutex_);
  return !status_.ok();
}

void SampleStream::Answer(grpc::Status status, v1::StreamSamplesResponse response) {
  Request next;
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    at_work_ = false;
    if (status.ok()) {
      answers_.push_back(std::move(response));
      WriteNextLocked();
    } else {
      EndLocked(std::move(status));
    }
    next = TakeNextLocked();
    ReadMoreLocked();
    FinishWhenIdleLocked();
    last = --holds_ == 0;
  }
  // A next batch holds the stream too, so only one of the two happens.
  if (last) {
    delete this;
  } else {
    Submit(std::move(next));
  }
}

void SampleStream::WriteNextLocked() {
  if (write_under_way_ || finished_ || answers_.empty()) return;
  write_under_way_ = true;
  StartWrite(&answers_.front());
}

void SampleStream::OnWriteDone(bool ok) {
  const std::lock_guard lock(mutex_);
  write_under_way_ = false;
  answers_.pop_front();
  if (!ok) {
    // The client has gone: what is stored is stored, and it will ask again.
    answers_.clear();
    EndLocked(grpc::Status::CANCELLED);
  }
  WriteNextLocked();
  ReadMoreLocked();
  FinishWhenIdleLocked();
}

void SampleStream::EndLocked(grpc::Status status) {
  if (status_.ok()) status_ = std::move(status);
  waiting_.clear();
}

void SampleStream::FinishWhenIdleLocked() {
  const bool no_more = reads_ended_ || !status_.ok();
  if (finished_ || !no_more || at_work_ || !waiting_.empty() || !answers_.empty()) return;
  // A read may be under way still: gRPC ends it when the call is over.
  finished_ = true;
  Finish(status_);
}

void SampleStream::OnCancel() {
  const std::lock_guard lock(mutex_);
  EndLocked(grpc::Status::CANCELLED);
  FinishWhenIdleLocked();
}

void SampleStream::OnDone() {
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    last = --holds_ == 0;
  }
  if (last) delete this;
}

}  // namespace tidewheel::ingestion
