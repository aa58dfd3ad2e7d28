#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "tidewheel/base/bounded_queue.h"
#include "tidewheel/base/clock.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/ingestion/domain/batch_ingestor.h"
#include "tidewheel/ingestion/domain/sample_store.h"
#include "tidewheel/ingestion/v1/ingestion_service.grpc.pb.h"

namespace tidewheel::ingestion {

/// The rpcs of ingestion: callbacks that never block. Work waits in a queue for a worker, because
/// examining and storing take their time. The queue is bounded in calls and in bytes; what goes
/// beyond is refused with RESOURCE_EXHAUSTED, and a stream ends with it: its client sends the
/// unanswered batches again later.
class IngestionHandler final : public v1::IngestionService::CallbackService {
 public:
  struct Options {
    std::size_t workers = 4;
    std::size_t queue = 256;                           // Calls that may wait.
    std::size_t queue_bytes = std::size_t{512} << 20;  // Of requests that wait or are at work.
  };

  IngestionHandler(BatchIngestor& ingestor, SampleStore& store, const PayloadStore& payloads,
                   const Clock& clock, const Options& options);
  ~IngestionHandler() override;

  grpc::ServerUnaryReactor* PushSample(grpc::CallbackServerContext* context,
                                       const v1::PushSampleRequest* request,
                                       v1::PushSampleResponse* response) override;
  grpc::ServerUnaryReactor* PushSamples(grpc::CallbackServerContext* context,
                                        const v1::PushSamplesRequest* request,
                                        v1::PushSamplesResponse* response) override;
  grpc::ServerBidiReactor<v1::StreamSamplesRequest, v1::StreamSamplesResponse>* StreamSamples(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* GetSample(grpc::CallbackServerContext* context,
                                      const v1::GetSampleRequest* request,
                                      v1::GetSampleResponse* response) override;
  grpc::ServerUnaryReactor* GetSamplePayload(grpc::CallbackServerContext* context,
                                             const v1::GetSamplePayloadRequest* request,
                                             v1::GetSamplePayloadResponse* response) override;
  grpc::ServerUnaryReactor* ListSamples(grpc::CallbackServerContext* context,
                                        const v1::ListSamplesRequest* request,
                                        v1::ListSamplesResponse* response) override;
  grpc::ServerUnaryReactor* DeactivateSample(grpc::CallbackServerContext* context,
                                             const v1::DeactivateSampleRequest* request,
                                             v1::DeactivateSampleResponse* response) override;
  grpc::ServerUnaryReactor* ListQuarantine(grpc::CallbackServerContext* context,
                                           const v1::ListQuarantineRequest* request,
                                           v1::ListQuarantineResponse* response) override;
  grpc::ServerUnaryReactor* GetSampleCounts(grpc::CallbackServerContext* context,
                                            const v1::GetSampleCountsRequest* request,
                                            v1::GetSampleCountsResponse* response) override;

  /// One verdict a sample of the batch, for a stream.
  grpc::Status IngestBatch(const v1::StreamSamplesRequest& request,
                           v1::StreamSamplesResponse* response);

 private:
  using Job = std::function<void()>;

  /// Runs `work` on a worker and finishes the call with what it returns.
  grpc::ServerUnaryReactor* Later(grpc::CallbackServerContext* context, std::size_t request_bytes,
                                  std::function<grpc::Status()> work);
  /// kResourceExhausted: too many calls or bytes wait; the job is not run.
  Result<void> TryQueue(std::size_t request_bytes, Job job);
  void Work(std::stop_token stop);

  friend class SampleStream;

  BatchIngestor& ingestor_;
  SampleStore& store_;
  const PayloadStore& payloads_;
  const Clock& clock_;
  const std::size_t queue_bytes_;
  std::atomic<std::size_t> waiting_bytes_ = 0;
  BoundedQueue<Job> queue_;
  std::vector<std::unique_ptr<Worker>> workers_;  // Last: they use the rest.
};

}  // namespace tidewheel::ingestion
