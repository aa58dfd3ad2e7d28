#include "tidewheel/ingestion/api/ingestion_handler.h"

#include "tidewheel/ingestion/api/convert.h"
#include "tidewheel/ingestion/api/sample_stream.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::ingestion {

IngestionHandler::IngestionHandler(BatchIngestor& ingestor, SampleStore& store,
                                   const PayloadStore& payloads, const Clock& clock,
                                   const Options& options)
    : ingestor_(ingestor),
      store_(store),
      payloads_(payloads),
      clock_(clock),
      queue_bytes_(options.queue_bytes),
      queue_(options.queue) {
  for (std::size_t i = 0; i < options.workers; ++i) {
    workers_.push_back(std::make_unique<Worker>(
        "ingest-" + std::to_string(i), [this](std::stop_token stop) { Work(std::move(stop)); }));
  }
}

IngestionHandler::~IngestionHandler() {
  // The server has drained its calls by now; what still waits is done before the workers go.
  queue_.Close();
}

void IngestionHandler::Work(std::stop_token stop) {
  while (true) {
    const auto jobs = queue_.PopSome(stop, 1);
    if (jobs.empty()) return;
    for (const Job& job : jobs) job();
  }
}

Result<void> IngestionHandler::TryQueue(std::size_t request_bytes, Job job) {
  const std::size_t before = waiting_bytes_.fetch_add(request_bytes);
  // One request alone is always taken: gRPC bounds its size.
  const bool fits = before == 0 || before + request_bytes <= queue_bytes_;
  const bool taken = fits && queue_.TryPush([this, request_bytes, job = std::move(job)] {
    job();
    waiting_bytes_ -= request_bytes;
  });
  if (taken) return {};
  waiting_bytes_ -= request_bytes;
  return Error{
      ErrorCode::kResourceExhausted,
      fits ? std::to_string(queue_.capacity()) + " calls wait already; send it again later"
           : std::to_string(queue_bytes_) + " bytes of calls wait already; send it again later"};
}

grpc::ServerUnaryReactor* IngestionHandler::Later(grpc::CallbackServerContext* context,
                                                  std::size_t request_bytes,
                                                  std::function<grpc::Status()> work) {
  auto* reactor = context->DefaultReactor();
  const auto queued = TryQueue(request_bytes, [context, reactor, work = std::move(work)] {
    reactor->Finish(context->IsCancelled() ? grpc::Status::CANCELLED : work());
  });
  if (!queued) reactor->Finish(rpc::ToGrpcStatus(queued.error()));
  return reactor;
}

grpc::ServerUnaryReactor* IngestionHandler::PushSample(grpc::CallbackServerContext* context,
                                                       const v1::PushSampleRequest* request,
                                                       v1::PushSampleResponse* response) {
  return Later(context, request->ByteSizeLong(), [this, request, response] {
    const auto sample = FromProto(request->sample());
    if (!sample) return rpc::ToGrpcStatus(sample.error());

    const auto verdicts = ingestor_.Ingest(request->task(), std::span(&*sample, 1));
    if (!verdicts) return rpc::ToGrpcStatus(verdicts.error());

    *response->mutable_verdict() = ToProto(verdicts->front());
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* IngestionHandler::PushSamples(grpc::CallbackServerContext* context,
                                                        const v1::PushSamplesRequest* request,
                                                        v1::PushSamplesResponse* response) {
  return Later(context, request->ByteSizeLong(), [this, request, response] {
    const auto samples = FromProto(request->samples());
    if (!samples) return rpc::ToGrpcStatus(samples.error());

    const auto verdicts = ingestor_.Ingest(request->task(), *samples);
    if (!verdicts) return rpc::ToGrpcStatus(verdicts.error());

    for (const auto& verdict : *verdicts) *response->add_verdicts() = ToProto(verdict);
    return grpc::Status::OK;
  });
}

grpc::ServerBidiReactor<v1::StreamSamplesRequest, v1::StreamSamplesResponse>*
IngestionHandler::StreamSamples(grpc::CallbackServerContext* /*context*/) {
  return new SampleStream(*this);  // Deletes itself when gRPC and its workers are done with it.
}

grpc::Status IngestionHandler::IngestBatch(const v1::StreamSamplesRequest& request,
                                           v1::StreamSamplesResponse* response) {
  const auto samples = FromProto(request.samples());
  if (!samples) return rpc::ToGrpcStatus(samples.error());

  const auto verdicts = ingestor_.Ingest(request.task(), *samples);
  if (!verdicts) return rpc::ToGrpcStatus(verdicts.error());

  response->set_batch_number(request.batch_number());
  for (const auto& verdict : *verdicts) *response->add_verdicts() = ToProto(verdict);
  return grpc::Status::OK;
}

grpc::ServerUnaryReactor* IngestionHandler::GetSample(grpc::CallbackServerContext* context,
                                                      const v1::GetSampleRequest* request,
                                                      v1::GetSampleResponse* response) {
  return Later(context, request->ByteSizeLong(), [this, request, response] {
    const auto sample = store_.Find(request->sample_id());
    if (!sample) return rpc::ToGrpcStatus(sample.error());
    if (!*sample) {
      return rpc::ToGrpcStatus(
          Error{ErrorCode::kNotFound, "no sample " + request->sample_id().substr(0, 80)});
    }

    *response->mutable_sample() = ToProto(**sample);
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* IngestionHandler::GetSamplePayload(
    grpc::CallbackServerContext* context, const v1::GetSamplePayloadRequest* request,
    v1::GetSamplePayloadResponse* response) {
  return Later(context, request->ByteSizeLong(), [this, request, response] {
    const auto sample = store_.Find(request->sample_id());
    if (!sample) return rpc::ToGrpcStatus(sample.error());
    if (!*sample) {
      return rpc::ToGrpcStatus(
          Error{ErrorCode::kNotFound, "no sample " + request->sample_id().substr(0, 80)});
    }
    auto payload = payloads_.Get((*sample)->payload_ref);
    if (!payload) return rpc::ToGrpcStatus(payload.error());

    response->set_payload(*std::move(payload));
    response->set_content_type((*sample)->content_type);
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* IngestionHandler::ListSamples(grpc::CallbackServerContext* context,
                                                        const v1::ListSamplesRequest* request,
                                                        v1::ListSamplesResponse* response) {
  return Later(context, request->ByteSizeLong(), [this, request, response] {
    const auto page = PageFromProto(request->page_size(), request->page_token());
    if (!page) return rpc::ToGrpcStatus(page.error());

    const auto samples = store_.List(FromProto(*request), *page);
    if (!samples) return rpc::ToGrpcStatus(samples.error());

    for (const auto& sample : samples->items) *response->add_samples() = ToProto(sample);
    response->set_next_page_token(samples->next_token);
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* IngestionHandler::DeactivateSample(
    grpc::CallbackServerContext* context, const v1::DeactivateSampleRequest* request,
    v1::DeactivateSampleResponse* response) {
  return Later(context, request->ByteSizeLong(), [this, request, response] {
    const auto sample = store_.Deactivate(request->sample_id(), request->reason(), clock_.Now());
    if (!sample) return rpc::ToGrpcStatus(sample.error());

    *response->mutable_sample() = ToProto(*sample);
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* IngestionHandler::ListQuarantine(grpc::CallbackServerContext* context,
                                                           const v1::ListQuarantineRequest* request,
                                                           v1::ListQuarantineResponse* response) {
  return Later(context, request->ByteSizeLong(), [this, request, response] {
    const auto page = PageFromProto(request->page_size(), request->page_token());
    if (!page) return rpc::ToGrpcStatus(page.error());

    const auto samples =
        store_.ListQuarantine(request->task(), FromProto(request->reason()), *page);
    if (!samples) return rpc::ToGrpcStatus(samples.error());

    for (const auto& sample : samples->items) *response->add_samples() = ToProto(sample);
    response->set_next_page_token(samples->next_token);
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* IngestionHandler::GetSampleCounts(
    grpc::CallbackServerContext* context, const v1::GetSampleCountsRequest* request,
    v1::GetSampleCountsResponse* response) {
  return Later(context, request->ByteSizeLong(), [this, request, response] {
    const auto counts = store_.Count(request->task());
    if (!counts) return rpc::ToGrpcStatus(counts.error());

    *response = ToProto(*counts);
    return grpc::Status::OK;
  });
}

}  // namespace tidewheel::ingestion
