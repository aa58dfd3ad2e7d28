#pragma once

#include "tidewheel/curation/domain/lineage_tracer.h"
#include "tidewheel/curation/v1/lineage_service.grpc.pb.h"

namespace tidewheel::curation {

/// The LineageService: convert, call, convert.
class LineageHandler final : public v1::LineageService::Service {
 public:
  explicit LineageHandler(LineageTracer& tracer) : tracer_(tracer) {}

  grpc::Status Trace(grpc::ServerContext* context, const v1::TraceRequest* request,
                     v1::TraceResponse* response) override;

 private:
  LineageTracer& tracer_;
};

}  // namespace tidewheel::curation
