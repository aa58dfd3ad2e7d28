#include "tidewheel/labeling/api/labeling_handler.h"

#include <cstddef>
#include <string>
#include <utility>

#include "tidewheel/labeling/api/convert.h"
#include "tidewheel/rpc/page.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::labeling {
namespace {

template <typename Request>
Result<rpc::Page> PageOf(const Request& request, const std::string& filter) {
  return rpc::ReadPage(request.page_size(), request.page_token(), filter);
}

Result<void> CheckTask(const std::string& task) {
  if (task.empty()) return Error{ErrorCode::kInvalidArgument, "task is empty"};
  return {};
}

Result<void> CheckSampleId(const std::string& id) {
  if (IsUuid(id)) return {};
  return Error{ErrorCode::kInvalidArgument, "sample_id \"" + id.substr(0, 64) + "\" is not a UUID"};
}

}  // namespace

grpc::Status LabelingHandler::SubmitVotes(grpc::ServerContext* /*context*/,
                                          const v1::SubmitVotesRequest* request,
                                          v1::SubmitVotesResponse* response) {
  if (const auto checked = CheckTask(request->task()); !checked) {
    return rpc::ToGrpcStatus(checked.error());
  }
  auto votes = FromProto(*request);
  if (!votes) return rpc::ToGrpcStatus(votes.error());

  const auto report = taker_.Submit(request->task(), std::move(*votes));
  if (!report) return rpc::ToGrpcStatus(report.error());

  *response = ToProto(*report);
  return grpc::Status::OK;
}

grpc::Status LabelingHandler::ListVotes(grpc::ServerContext* /*context*/,
                                        const v1::ListVotesRequest* request,
                                        v1::ListVotesResponse* response) {
  if (const auto checked = CheckTask(request->task()); !checked) {
    return rpc::ToGrpcStatus(checked.error());
  }
  if (!request->sample_id().empty()) {
    if (const auto checked = CheckSampleId(request->sample_id()); !checked) {
      return rpc::ToGrpcStatus(checked.error());
    }
  }
  const std::string filter = "votes\n" + request->task() + "\n" + request->sample_id();
  const auto page = PageOf(*request, filter);
  if (!page) return rpc::ToGrpcStatus(page.error());

  // One more than asked for tells whether there is a next page.
  auto votes = votes_.List({request->task(), SampleId(request->sample_id())}, VoteId(page->cursor),
                           page->size + 1);
  if (!votes) return rpc::ToGrpcStatus(votes.error());

  if (votes->size() > page->size) {
    votes->resize(page->size);
    response->set_next_page_token(rpc::NextPageToken(filter, votes->back().vote_id.text()));
  }
  for (const Vote& vote : *votes) *response->add_votes() = ToProto(vote);
  return grpc::Status::OK;
}

grpc::Status LabelingHandler::ComputeLabels(grpc::ServerContext* /*context*/,
                                            const v1::ComputeLabelsRequest* request,
                                            v1::ComputeLabelsResponse* response) {
  if (const auto checked = CheckTask(request->task()); !checked) {
    return rpc::ToGrpcStatus(checked.error());
  }
  const auto method = FromProto(request->method());
  if (!method) return rpc::ToGrpcStatus(method.error());

  const auto report = maker_.Compute(request->task(), *method);
  if (!report) return rpc::ToGrpcStatus(report.error());

  *response = ToProto(*report);
  return grpc::Status::OK;
}

grpc::Status LabelingHandler::GetLabel(grpc::ServerContext* /*context*/,
                                       const v1::GetLabelRequest* request,
                                       v1::GetLabelResponse* response) {
  if (const auto checked = CheckSampleId(request->sample_id()); !checked) {
    return rpc::ToGrpcStatus(checked.error());
  }

  const auto history = labels_.Find(SampleId(request->sample_id()));
  if (!history) return rpc::ToGrpcStatus(history.error());

  *response->mutable_label() = ToProto(history->label);
  for (const Label& label : history->earlier) *response->add_earlier() = ToProto(label);
  return grpc::Status::OK;
}

grpc::Status LabelingHandler::ListLabels(grpc::ServerContext* /*context*/,
                                         const v1::ListLabelsRequest* request,
                                         v1::ListLabelsResponse* response) {
  if (const auto checked = CheckTask(request->task()); !checked) {
    return rpc::ToGrpcStatus(checked.error());
  }
  const std::string filter = "labels\n" + request->task() + "\n" + request->class_name();
  const auto page = PageOf(*request, filter);
  if (!page) return rpc::ToGrpcStatus(page.error());

  auto labels = labels_.List({request->task(), request->class_name()}, SampleId(page->cursor),
                             page->size + 1);
  if (!labels) return rpc::ToGrpcStatus(labels.error());

  if (labels->size() > page->size) {
    labels->resize(page->size);
    response->set_next_page_token(rpc::NextPageToken(filter, labels->back().sample_id.text()));
  }
  for (const Label& label : *labels) *response->add_labels() = ToProto(label);
  return grpc::Status::OK;
}

grpc::Status LabelingHandler::ListAnnotators(grpc::ServerContext* /*context*/,
                                             const v1::ListAnnotatorsRequest* request,
                                             v1::ListAnnotatorsResponse* response) {
  if (const auto checked = CheckTask(request->task()); !checked) {
    return rpc::ToGrpcStatus(checked.error());
  }
  const std::string filter = "annotators\n" + request->task();
  const auto page = PageOf(*request, filter);
  if (!page) return rpc::ToGrpcStatus(page.error());

  auto annotators = labels_.ListAnnotators(request->task(), page->cursor, page->size + 1);
  if (!annotators) return rpc::ToGrpcStatus(annotators.error());

  if (annotators->size() > page->size) {
    annotators->resize(page->size);
    response->set_next_page_token(rpc::NextPageToken(filter, annotators->back().annotator));
  }
  for (const Annotator& annotator : *annotators) {
    *response->add_annotators() = ToProto(annotator);
  }
  return grpc::Status::OK;
}

}  // namespace tidewheel::labeling
