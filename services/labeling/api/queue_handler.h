#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include "tidewheel/labeling/domain/labeling_queue.h"
#include "tidewheel/labeling/v1/queue_service.grpc.pb.h"

namespace tidewheel::labeling {

/// The gRPC face of the queue. Thread-safe.
class QueueHandler final : public v1::QueueService::Service {
 public:
  explicit QueueHandler(LabelingQueue& queue) : queue_(queue) {}

  grpc::Status EnqueueBatch(grpc::ServerContext* context, const v1::EnqueueBatchRequest* request,
                            v1::EnqueueBatchResponse* response) override;
  grpc::Status GetBatch(grpc::ServerContext* context, const v1::GetBatchRequest* request,
                        v1::GetBatchResponse* response) override;
  grpc::Status ListBatches(grpc::ServerContext* context, const v1::ListBatchesRequest* request,
                           v1::ListBatchesResponse* response) override;
  grpc::Status CancelBatch(grpc::ServerContext* context, const v1::CancelBatchRequest* request,
                           v1::CancelBatchResponse* response) override;
  grpc::Status LeaseItems(grpc::ServerContext* context, const v1::LeaseItemsRequest* request,
                          v1::LeaseItemsResponse* response) override;
  grpc::Status SubmitLeasedVotes(grpc::ServerContext* context,
                                 const v1::SubmitLeasedVotesRequest* request,
                                 v1::SubmitLeasedVotesResponse* response) override;
  grpc::Status ReleaseItems(grpc::ServerContext* context, const v1::ReleaseItemsRequest* request,
                            v1::ReleaseItemsResponse* response) override;
  grpc::Status ListQueue(grpc::ServerContext* context, const v1::ListQueueRequest* request,
                         v1::ListQueueResponse* response) override;

 private:
  LabelingQueue& queue_;
};

}  // namespace tidewheel::labeling
