#include "tidewheel/labeling/api/queue_handler.h"

#include <charconv>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/labeling/api/convert.h"
#include "tidewheel/rpc/page.h"
#include "tidewheel/rpc/status.h"
#include "tidewheel/rpc/time.h"

namespace tidewheel::labeling {
namespace {

v1::Batch ToProto(const Batch& batch) {
  v1::Batch proto;
  proto.set_batch_id(batch.batch_id);
  proto.set_task(batch.task);
  proto.set_items(batch.items);
  proto.set_answered(batch.answered);
  proto.set_unjudged(batch.unjudged);
  proto.set_gold_items(batch.gold_items);
  proto.set_votes(batch.votes);
  proto.set_votes_wanted(batch.votes_wanted);
  proto.set_labels(batch.labels);
  proto.set_state(std::string(Name(batch.state)));
  *proto.mutable_queued_at() = rpc::ToProto(batch.queued_at);
  if (batch.completed_at) *proto.mutable_completed_at() = rpc::ToProto(*batch.completed_at);
  proto.set_cancelled_because(batch.cancelled_because);
  return proto;
}

v1::QueueItem ToProto(const QueueItem& item) {
  v1::QueueItem proto;
  proto.set_item_id(item.item_id.text());
  proto.set_batch_id(item.batch_id);
  proto.set_task(item.task);
  proto.set_sample_id(item.sample_id.text());
  proto.set_priority(item.priority);
  proto.set_reason(item.reason);
  proto.set_votes(item.votes);
  proto.set_votes_wanted(item.votes_wanted);
  proto.set_state(std::string(Name(item.state)));
  proto.set_lease_id(item.lease_id.text());
  proto.set_leased_by(item.leased_by);
  if (item.leased_until) *proto.mutable_leased_until() = rpc::ToProto(*item.leased_until);
  proto.set_gold(item.gold);
  return proto;
}

/// What a page begins behind: the number of the last row of the page before.
struct NumberedPage {
  std::uint64_t after = 0;
  std::size_t size = 0;
};

template <typename Request>
Result<NumberedPage> PageOf(const Request& request, const std::string& filter) {
  const auto page = rpc::ReadPage(request.page_size(), request.page_token(), filter);
  if (!page) return page.error();
  NumberedPage numbered{.after = 0, .size = page->size};
  const std::string& cursor = page->cursor;
  if (cursor.empty()) return numbered;
  const auto read = std::from_chars(cursor.data(), cursor.data() + cursor.size(), numbered.after);
  if (read.ec != std::errc() || read.ptr != cursor.data() + cursor.size()) {
    return Error{ErrorCode::kInvalidArgument, "page_token is not one of this list"};
  }
  return numbered;
}

}  // namespace

grpc::Status QueueHandler::EnqueueBatch(grpc::ServerContext* /*context*/,
                                        const v1::EnqueueBatchRequest* request,
                                        v1::EnqueueBatchResponse* response) {
  NewBatch batch{.batch_id = request->batch_id(),
                 .task = request->task(),
                 .items = {},
                 .votes_wanted = request->votes_wanted(),
                 .max_votes = request->max_votes(),
                 .gold_share = request->gold_share(),
                 .ask_again = request->ask_again()};
  batch.items.reserve(static_cast<std::size_t>(request->items_size()));
  for (const v1::NewQueueItem& item : request->items()) {
    batch.items.push_back({SampleId(item.sample_id()), item.priority(), item.reason()});
  }

  const auto outcome = queue_.Enqueue(std::move(batch));
  if (!outcome) return rpc::ToGrpcStatus(outcome.error());

  *response->mutable_batch() = ToProto(outcome->batch);
  response->set_created(outcome->created);
  for (const auto& [reason, count] : outcome->skipped)
    (*response->mutable_skipped())[reason] = count;
  return grpc::Status::OK;
}

grpc::Status QueueHandler::GetBatch(grpc::ServerContext* /*context*/,
                                    const v1::GetBatchRequest* request,
                                    v1::GetBatchResponse* response) {
  const auto batch = queue_.Find(request->batch_id());
  if (!batch) return rpc::ToGrpcStatus(batch.error());

  *response->mutable_batch() = ToProto(*batch);
  return grpc::Status::OK;
}

grpc::Status QueueHandler::ListBatches(grpc::ServerContext* /*context*/,
                                       const v1::ListBatchesRequest* request,
                                       v1::ListBatchesResponse* response) {
  const std::string filter = "batches\n" + request->task();
  const auto page = PageOf(*request, filter);
  if (!page) return rpc::ToGrpcStatus(page.error());

  // One more than asked for tells whether there is a next page.
  auto batches = queue_.List(request->task(), page->after, page->size + 1);
  if (!batches) return rpc::ToGrpcStatus(batches.error());

  if (batches->size() > page->size) {
    batches->resize(page->size);
    response->set_next_page_token(
        rpc::NextPageToken(filter, std::to_string(batches->back().number)));
  }
  for (const Batch& batch : *batches) *response->add_batches() = ToProto(batch);
  return grpc::Status::OK;
}

grpc::Status QueueHandler::CancelBatch(grpc::ServerContext* /*context*/,
                                       const v1::CancelBatchRequest* request,
                                       v1::CancelBatchResponse* response) {
  const auto batch = queue_.Cancel(request->batch_id(), request->reason());
  if (!batch) return rpc::ToGrpcStatus(batch.error());

  *response->mutable_batch() = ToProto(*batch);
  return grpc::Status::OK;
}

grpc::Status QueueHandler::LeaseItems(grpc::ServerContext* /*context*/,
                                      const v1::LeaseItemsRequest* request,
                                      v1::LeaseItemsResponse* response) {
  const auto items = queue_.Lease(request->task(), request->annotator(), request->count(),
                                  request->lease_seconds());
  if (!items) return rpc::ToGrpcStatus(items.error());

  for (const QueueItem& item : *items) *response->add_items() = ToProto(item);
  return grpc::Status::OK;
}

grpc::Status QueueHandler::SubmitLeasedVotes(grpc::ServerContext* /*context*/,
                                             const v1::SubmitLeasedVotesRequest* request,
                                             v1::SubmitLeasedVotesResponse* response) {
  const auto kind = FromProto(request->annotator_kind());
  if (!kind) return rpc::ToGrpcStatus(kind.error());
  std::vector<LeasedVote> votes;
  votes.reserve(static_cast<std::size_t>(request->votes_size()));
  for (const v1::LeasedVote& vote : request->votes()) {
    votes.push_back({LeaseId(vote.lease_id()), vote.class_name()});
  }

  const auto report = queue_.Submit(request->annotator(), *kind, std::move(votes));
  if (!report) return rpc::ToGrpcStatus(report.error());

  response->set_accepted(report->accepted);
  response->set_unchanged(report->unchanged);
  for (const RejectedVote& rejected : report->rejected) {
    v1::RejectedVote* const added = response->add_rejected();
    added->set_index(static_cast<std::uint32_t>(rejected.index));
    added->set_reason(rejected.reason);
  }
  return grpc::Status::OK;
}

grpc::Status QueueHandler::ReleaseItems(grpc::ServerContext* /*context*/,
                                        const v1::ReleaseItemsRequest* request,
                                        v1::ReleaseItemsResponse* response) {
  std::vector<LeaseId> leases;
  leases.reserve(static_cast<std::size_t>(request->lease_ids_size()));
  for (const std::string& lease : request->lease_ids()) leases.emplace_back(lease);

  const auto released = queue_.Release(request->annotator(), leases, request->cannot_judge());
  if (!released) return rpc::ToGrpcStatus(released.error());

  response->set_released(*released);
  return grpc::Status::OK;
}

grpc::Status QueueHandler::ListQueue(grpc::ServerContext* /*context*/,
                                     const v1::ListQueueRequest* request,
                                     v1::ListQueueResponse* response) {
  ItemFilter wanted{.task = request->task(), .batch_id = request->batch_id(), .state = {}};
  if (!request->state().empty()) {
    wanted.state = ParseItemState(request->state());
    if (!wanted.state) {
      return rpc::ToGrpcStatus(
          Error{ErrorCode::kInvalidArgument,
                "state \"" + request->state().substr(0, 64) +
                    "\" is none of waiting, leased, answered, unjudged, cancelled"});
    }
  }
  const std::string filter =
      "queue\n" + request->task() + "\n" + request->batch_id() + "\n" + request->state();
  const auto page = PageOf(*request, filter);
  if (!page) return rpc::ToGrpcStatus(page.error());

  auto items = queue_.ListItems(wanted, page->after, page->size + 1);
  if (!items) return rpc::ToGrpcStatus(items.error());

  if (items->size() > page->size) {
    items->resize(page->size);
    response->set_next_page_token(rpc::NextPageToken(filter, std::to_string(items->back().number)));
  }
  for (const QueueItem& item : *items) *response->add_items() = ToProto(item);
  return grpc::Status::OK;
}

}  // namespace tidewheel::labeling
