#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "tidewheel/ingestion/v1/ingestion_service.grpc.pb.h"

namespace tidewheel::ingestion {

class IngestionHandler;

/// One stream of batches. Reads ahead while a batch is at work, up to a window; batches are worked
/// off one after the other in the order they came, so that the same pictures in the same order
/// always get the same verdicts, and each is answered when it is durable. gRPC calls the On...
/// functions one at a time per kind; workers call Answer.
///
/// Deletes itself: gRPC holds it until OnDone, a batch at work until its answer. Finish is called
/// when nothing is at work and nothing is left to write.
class SampleStream final
    : public grpc::ServerBidiReactor<v1::StreamSamplesRequest, v1::StreamSamplesResponse> {
 public:
  /// Batches of one stream read and not yet answered: bounds its memory to as many messages.
  static constexpr std::size_t kWindow = 4;

  explicit SampleStream(IngestionHandler& handler);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  using Request = std::shared_ptr<const v1::StreamSamplesRequest>;

  ~SampleStream() override = default;

  /// Queues a batch that TakeNextLocked gave; nothing for none.
  void Submit(Request request);
  void Answer(grpc::Status status, v1::StreamSamplesResponse response);
  bool Over();

  // Called with mutex_ held.
  Request TakeNextLocked();
  void ReadMoreLocked();
  void WriteNextLocked();
  void EndLocked(grpc::Status status);
  void FinishWhenIdleLocked();

  IngestionHandler& handler_;
  std::mutex mutex_;  // Guards everything below.
  std::shared_ptr<v1::StreamSamplesRequest> reading_;
  bool read_under_way_ = false;
  bool reads_ended_ = false;
  std::deque<Request> waiting_;
  bool at_work_ = false;
  std::deque<v1::StreamSamplesResponse> answers_;
  bool write_under_way_ = false;
  bool finished_ = false;
  std::string task_;
  grpc::Status status_;  // The first problem.
  int holds_ = 1;        // gRPC's, and one of a batch at work: the last deletes the stream.
};

}  // namespace tidewheel::ingestion
