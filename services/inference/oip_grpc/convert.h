#pragma once

#include "inference/grpc_service.pb.h"
#include "tidewheel/inference/core/model_server.h"

namespace tidewheel::inference {

void ToProto(const ModelServer::Description& description,
             ::inference::ModelMetadataResponse& response);
void ToProto(const ModelConfig& config, ::inference::ModelConfig& out);
void ToProto(const ModelStatistics& statistics, ::inference::ModelStatistics& out);
void ToProto(const IndexEntry& entry, ::inference::RepositoryIndexResponse::ModelIndex& out);

}  // namespace tidewheel::inference
