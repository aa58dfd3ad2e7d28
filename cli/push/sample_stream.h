#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/ingestion/v1/ingestion_service.grpc.pb.h"

namespace tidewheel::cli {

/// Pushes any number of samples by IngestionService.StreamSamples: several batches are under way at
/// once, and when the stream breaks (ingestion restarts), a new one is opened and every batch
/// without an answer is sent again; ingestion recognises what it stored already. Holds no more than
/// `window_bytes` of samples (or one batch). Push and Finish are for one thread.
class SampleStream {
 public:
  struct Options {
    std::size_t batch_samples = 256;
    std::size_t batch_bytes = std::size_t{4} << 20;
    std::size_t window_batches = 8;
    std::size_t window_bytes = std::size_t{32} << 20;
    /// How long to go on without any answer, across streams.
    std::chrono::milliseconds retry_for{60'000};
  };

  /// Called for each answered batch, one at a time, from a thread of the stream's.
  using OnAnswer = std::function<void(const ingestion::v1::StreamSamplesRequest&,
                                      const ingestion::v1::StreamSamplesResponse&)>;

  SampleStream(std::shared_ptr<grpc::Channel> channel, std::string task, Options options,
               OnAnswer on_answer);
  /// Cancels what is under way.
  ~SampleStream();
  SampleStream(const SampleStream&) = delete;
  SampleStream& operator=(const SampleStream&) = delete;

  /// Waits while the window is full. An error is final: what ingestion refuses for good, or
  /// kUnavailable after `retry_for` without an answer.
  Result<void> Push(ingestion::v1::NewSample sample);
  /// Sends the rest and waits for the last answer.
  Result<void> Finish();

  /// Batches that were sent more than once.
  std::uint64_t resent_batches() const;

 private:
  struct Batch {
    ingestion::v1::StreamSamplesRequest request;
    std::size_t bytes = 0;
    bool sent = false;
    bool sent_before = false;
  };

  Result<void> Enqueue();
  // With mutex_ held: waits until `condition`, a failure, or no answer for too long.
  template <typename Condition>
  Result<void> WaitFor(std::unique_lock<std::mutex>& lock, Condition condition);
  void Send(std::stop_token stop);
  // One stream from opening to end; OK when everything was answered.
  grpc::Status RunStream(std::stop_token stop);
  // False: an answer nobody asked for.
  bool Answer(const ingestion::v1::StreamSamplesResponse& response);
  bool HasUnsent() const;
  bool Done() const { return finishing_ && outstanding_.empty(); }

  const std::shared_ptr<grpc::Channel> channel_;
  const std::string task_;
  const Options options_;
  const OnAnswer on_answer_;

  std::shared_ptr<Batch> filling_;
  std::uint64_t next_number_ = 1;

  mutable std::mutex mutex_;  // Guards everything below.
  std::condition_variable_any changed_;
  std::deque<std::shared_ptr<Batch>> outstanding_;
  std::size_t outstanding_bytes_ = 0;
  std::chrono::steady_clock::time_point last_answer_;
  std::optional<Error> failure_;
  std::string last_problem_;
  bool finishing_ = false;
  std::uint64_t resent_batches_ = 0;
  grpc::ClientContext* open_ = nullptr;  // The stream's, while there is one.

  Worker sender_;  // Last: it uses the rest.
};

}  // namespace tidewheel::cli
