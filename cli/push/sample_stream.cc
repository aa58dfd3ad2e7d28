#include "tidewheel/cli/push/sample_stream.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "tidewheel/rpc/status.h"

namespace tidewheel::cli {
namespace {

namespace v1 = ingestion::v1;

// Whether a new stream may do better. CANCELLED is what a server that shuts down leaves behind.
bool MayPass(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::CANCELLED:
      return true;
    default:
      return false;
  }
}

}  // namespace

SampleStream::SampleStream(std::shared_ptr<grpc::Channel> channel, std::string task,
                           Options options, OnAnswer on_answer)
    : channel_(std::move(channel)),
      task_(std::move(task)),
      options_(options),
      on_answer_(std::move(on_answer)),
      last_answer_(std::chrono::steady_clock::now()),
      sender_("sample-stream", [this](std::stop_token stop) { Send(stop); }) {}

SampleStream::~SampleStream() {
  sender_.RequestStop();
  const std::lock_guard lock(mutex_);
  if (open_ != nullptr) open_->TryCancel();
}

std::uint64_t SampleStream::resent_batches() const {
  const std::lock_guard lock(mutex_);
  return resent_batches_;
}

Result<void> SampleStream::Push(v1::NewSample sample) {
  const std::size_t bytes = sample.ByteSizeLong();
  if (filling_ && filling_->bytes + bytes > options_.batch_bytes) {
    if (auto queued = Enqueue(); !queued) return queued;
  }
  if (!filling_) {
    filling_ = std::make_shared<Batch>();
    filling_->request.set_task(task_);
    filling_->request.set_batch_number(next_number_++);
  }
  filling_->bytes += bytes;
  *filling_->request.add_samples() = std::move(sample);
  if (static_cast<std::size_t>(filling_->request.samples_size()) >= options_.batch_samples) {
    return Enqueue();
  }
  return {};
}

Result<void> SampleStream::Finish() {
  if (filling_) {
    if (auto queued = Enqueue(); !queued) return queued;
  }
  std::unique_lock lock(mutex_);
  finishing_ = true;
  changed_.notify_all();
  return WaitFor(lock, [this] { return outstanding_.empty(); });
}

Result<void> SampleStream::Enqueue() {
  std::unique_lock lock(mutex_);
  const auto room = [this] {
    return outstanding_.empty() || (outstanding_.size() < options_.window_batches &&
                                    outstanding_bytes_ + filling_->bytes <= options_.window_bytes);
  };
  if (auto waited = WaitFor(lock, room); !waited) return waited;
  // Nothing was asked before: the time without an answer begins now.
  if (outstanding_.empty()) last_answer_ = std::chrono::steady_clock::now();
  outstanding_bytes_ += filling_->bytes;
  outstanding_.push_back(std::move(filling_));
  filling_ = nullptr;
  changed_.notify_all();
  return {};
}

template <typename Condition>
Result<void> SampleStream::WaitFor(std::unique_lock<std::mutex>& lock, Condition condition) {
  while (!failure_ && !condition()) {
    const auto limit = last_answer_ + options_.retry_for;
    changed_.wait_until(lock, limit, [&] { return failure_ || condition(); });
    if (failure_ || condition() ||
        std::chrono::steady_clock::now() < last_answer_ + options_.retry_for) {
      continue;
    }
    failure_ =
        Error{ErrorCode::kUnavailable,
              "ingestion: no answer for " + std::to_string(options_.retry_for.count() / 1000) +
                  " s" + (last_problem_.empty() ? "" : ": " + last_problem_)};
    if (open_ != nullptr) open_->TryCancel();
    changed_.notify_all();
  }
  if (failure_) return *failure_;
  return {};
}

bool SampleStream::HasUnsent() const {
  return std::any_of(outstanding_.begin(), outstanding_.end(),
                     [](const auto& batch) { return !batch->sent; });
}

void SampleStream::Send(std::stop_token stop) {
  Pause pause;
  std::chrono::milliseconds wait{50};
  while (true) {
    std::uint64_t oldest = 0;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, stop, [this] { return failure_ || !outstanding_.empty() || finishing_; });
      if (stop.stop_requested() || failure_ || Done()) return;
      oldest = outstanding_.front()->request.batch_number();
    }
    const grpc::Status status = RunStream(stop);
    {
      const std::lock_guard lock(mutex_);
      if (stop.stop_requested() || failure_ || Done()) return;
      if (!MayPass(status)) {
        const auto failed = rpc::FromGrpcStatus(status, "ingestion");
        failure_ = failed ? Error{ErrorCode::kInternal, "ingestion: no status"} : failed.error();
        changed_.notify_all();
        return;
      }
      last_problem_ = status.error_message();
      for (auto& batch : outstanding_) batch->sent = false;
      // A stream that got on resets the pauses; one that did not makes them longer.
      const bool got_on =
          outstanding_.empty() || outstanding_.front()->request.batch_number() != oldest;
      wait = got_on ? std::chrono::milliseconds(50)
                    : std::min(wait * 2, std::chrono::milliseconds(1'000));
    }
    if (!pause.Wait(stop, wait)) return;
  }
}

grpc::Status SampleStream::RunStream(std::stop_token stop) {
  grpc::ClientContext context;
  bool over = false;  // Guarded by mutex_.
  {
    // Before the stream is opened: opening waits for a connection, and must be cancellable too.
    const std::lock_guard lock(mutex_);
    open_ = &context;
  }
  v1::IngestionService::Stub stub(channel_);
  auto stream = stub.StreamSamples(&context);
  std::thread reader([&] {
    v1::StreamSamplesResponse response;
    while (stream->Read(&response)) {
      if (!Answer(response)) {
        context.TryCancel();
        break;
      }
    }
    const std::lock_guard lock(mutex_);
    over = true;
    changed_.notify_all();
  });

  while (true) {
    std::shared_ptr<Batch> batch;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, stop, [&] { return over || failure_ || Done() || HasUnsent(); });
      if (over || failure_ || Done() || stop.stop_requested()) break;
      for (auto& candidate : outstanding_) {
        if (candidate->sent) continue;
        candidate->sent = true;
        if (std::exchange(candidate->sent_before, true)) ++resent_batches_;
        batch = candidate;
        break;
      }
    }
    // The reader may drop it from the window meanwhile: we hold it too.
    if (!stream->Write(batch->request)) break;
  }
  if (stop.stop_requested()) context.TryCancel();
  stream->WritesDone();
  reader.join();
  {
    const std::lock_guard lock(mutex_);
    open_ = nullptr;
  }
  return stream->Finish();
}

bool SampleStream::Answer(const v1::StreamSamplesResponse& response) {
  std::shared_ptr<Batch> batch;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(outstanding_.begin(), outstanding_.end(), [&](const auto& b) {
      return b->request.batch_number() == response.batch_number();
    });
    if (found == outstanding_.end() ||
        (*found)->request.samples_size() != response.verdicts_size()) {
      failure_ = Error{ErrorCode::kInternal,
                       "ingestion: answer to batch " + std::to_string(response.batch_number()) +
                           " with " + std::to_string(response.verdicts_size()) +
                           " verdicts does not fit what was sent"};
      changed_.notify_all();
      return false;
    }
    batch = *found;
  }
  // Before it leaves the window, so that Finish returns after the last call.
  on_answer_(batch->request, response);
  const std::lock_guard lock(mutex_);
  outstanding_bytes_ -= batch->bytes;
  std::erase(outstanding_, batch);
  last_answer_ = std::chrono::steady_clock::now();
  changed_.notify_all();
  return true;
}

}  // namespace tidewheel::cli
