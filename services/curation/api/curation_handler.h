#pragma once

#include "tidewheel/curation/domain/dataset_builder.h"
#include "tidewheel/curation/domain/dataset_store.h"
#include "tidewheel/curation/v1/curation_service.grpc.pb.h"

namespace tidewheel::curation {

/// The CurationService: convert, call, convert.
class CurationHandler final : public v1::CurationService::Service {
 public:
  CurationHandler(DatasetBuilder& builder, DatasetStore& store)
      : builder_(builder), store_(store) {}

  grpc::Status BuildDatasetVersion(grpc::ServerContext* context,
                                   const v1::BuildDatasetVersionRequest* request,
                                   v1::BuildDatasetVersionResponse* response) override;
  grpc::Status GetDatasetVersion(grpc::ServerContext* context,
                                 const v1::GetDatasetVersionRequest* request,
                                 v1::GetDatasetVersionResponse* response) override;
  grpc::Status ListDatasetVersions(grpc::ServerContext* context,
                                   const v1::ListDatasetVersionsRequest* request,
                                   v1::ListDatasetVersionsResponse* response) override;
  grpc::Status ListDatasetItems(grpc::ServerContext* context,
                                const v1::ListDatasetItemsRequest* request,
                                v1::ListDatasetItemsResponse* response) override;

 private:
  DatasetBuilder& builder_;
  DatasetStore& store_;
};

}  // namespace tidewheel::curation
