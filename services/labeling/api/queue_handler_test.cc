#include "tidewheel/labeling/api/queue_handler.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>

#include "tidewheel/labeling/domain/fake_queue_store.h"
#include "tidewheel/labeling/domain/fake_stores.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::labeling {
namespace {

class QueueHandlerTest : public testing::Test {
 protected:
  using Stub = v1::QueueService::Stub;

  QueueHandlerTest() {
    tasks_.tasks["lights"] = {.name = "lights", .version = 1, .classes = {"red", "green"}};
    server_.Add(handler_);
    const auto started = server_.Start();
    EXPECT_TRUE(started.ok());
    stub_ = v1::QueueService::NewStub(rpc::OpenChannel(server_.address()));
  }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    rpc::ClientContextWithDeadline context(std::chrono::seconds(10));
    return (stub_.get()->*method)(&context, request, response);
  }
  void Enqueue(const std::string& id, int items) {
    v1::EnqueueBatchRequest request;
    request.set_batch_id(id);
    request.set_task("lights");
    for (int i = 0; i < items; ++i) {
      auto* item = request.add_items();
      item->set_sample_id(NewUuid());
      item->set_reason("drifted");
    }
    v1::EnqueueBatchResponse response;
    const auto status = Call(&Stub::EnqueueBatch, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.batch().items(), static_cast<std::uint32_t>(items));
    EXPECT_EQ(response.batch().state(), "open");
    EXPECT_EQ(response.skipped().at("budget"), 2U);
  }

  FakeTaskCatalogue tasks_;
  FakeQueueStore store_;
  SystemClock clock_;
  LabelingQueue queue_{tasks_, store_, clock_};
  QueueHandler handler_{queue_};
  metrics::Registry metrics_{"labeling"};
  rpc::Server server_{{}, metrics_};
  std::unique_ptr<Stub> stub_;
};

TEST_F(QueueHandlerTest, ASampleIsQueuedLeasedAndAnswered) {
  Enqueue("b", 2);
  v1::LeaseItemsRequest lease;
  lease.set_annotator("ann");
  lease.set_count(2);
  v1::LeaseItemsResponse leased;
  ASSERT_TRUE(Call(&Stub::LeaseItems, lease, &leased).ok());
  ASSERT_EQ(leased.items_size(), 2);
  EXPECT_EQ(leased.items(0).reason(), "drifted");
  EXPECT_EQ(leased.items(0).state(), "leased");
  EXPECT_GT(leased.items(0).leased_until().seconds(), 0);

  v1::SubmitLeasedVotesRequest submit;
  submit.set_annotator("ann");
  submit.set_annotator_kind(v1::ANNOTATOR_KIND_PERSON);
  for (const char* class_name : {"red", "purple"}) {
    auto* vote = submit.add_votes();
    vote->set_lease_id(leased.items(submit.votes_size() - 1).lease_id());
    vote->set_class_name(class_name);
  }
  v1::SubmitLeasedVotesResponse submitted;
  ASSERT_TRUE(Call(&Stub::SubmitLeasedVotes, submit, &submitted).ok());
  EXPECT_EQ(submitted.accepted(), 1U);
  ASSERT_EQ(submitted.rejected_size(), 1);
  EXPECT_EQ(submitted.rejected(0).index(), 1U);

  v1::ReleaseItemsRequest release;
  release.set_annotator("ann");
  release.add_lease_ids(leased.items(1).lease_id());
  release.set_cannot_judge(true);
  v1::ReleaseItemsResponse released;
  ASSERT_TRUE(Call(&Stub::ReleaseItems, release, &released).ok());
  EXPECT_EQ(released.released(), 1U);
}

TEST_F(QueueHandlerTest, ErrorsKeepTheirCodes) {
  v1::GetBatchRequest get;
  get.set_batch_id("none");
  v1::GetBatchResponse got;
  EXPECT_EQ(Call(&Stub::GetBatch, get, &got).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::CancelBatchRequest cancel;
  cancel.set_batch_id("none");
  v1::CancelBatchResponse cancelled;
  EXPECT_EQ(Call(&Stub::CancelBatch, cancel, &cancelled).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::EnqueueBatchRequest enqueue;
  v1::EnqueueBatchResponse enqueued;
  EXPECT_EQ(Call(&Stub::EnqueueBatch, enqueue, &enqueued).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  enqueue.set_batch_id("b");
  enqueue.set_task("signs");
  EXPECT_EQ(Call(&Stub::EnqueueBatch, enqueue, &enqueued).error_code(),
            grpc::StatusCode::NOT_FOUND);
  v1::LeaseItemsRequest lease;
  v1::LeaseItemsResponse leased;
  EXPECT_EQ(Call(&Stub::LeaseItems, lease, &leased).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  v1::ListQueueRequest list;
  list.set_state("sleeping");
  v1::ListQueueResponse listed;
  EXPECT_EQ(Call(&Stub::ListQueue, list, &listed).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  v1::SubmitLeasedVotesRequest submit;
  submit.set_annotator("ann");
  submit.set_annotator_kind(static_cast<v1::AnnotatorKind>(99));
  v1::SubmitLeasedVotesResponse submitted;
  EXPECT_EQ(Call(&Stub::SubmitLeasedVotes, submit, &submitted).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(QueueHandlerTest, ListsArePagedToTheEndWithoutRepeats) {
  for (int i = 0; i < 5; ++i) Enqueue("b" + std::to_string(i), 1);
  std::set<std::string> batches;
  v1::ListBatchesRequest list;
  list.set_page_size(2);
  int pages = 0;
  do {
    v1::ListBatchesResponse listed;
    ASSERT_TRUE(Call(&Stub::ListBatches, list, &listed).ok());
    for (const auto& batch : listed.batches()) EXPECT_TRUE(batches.insert(batch.batch_id()).second);
    list.set_page_token(listed.next_page_token());
  } while (++pages < 10 && !list.page_token().empty());
  EXPECT_EQ(batches.size(), 5U);
  EXPECT_EQ(pages, 3);

  std::set<std::string> items;
  v1::ListQueueRequest queue;
  queue.set_page_size(2);
  std::string token;
  do {
    v1::ListQueueResponse listed;
    ASSERT_TRUE(Call(&Stub::ListQueue, queue, &listed).ok());
    for (const auto& item : listed.items()) EXPECT_TRUE(items.insert(item.item_id()).second);
    if (token.empty()) token = listed.next_page_token();
    queue.set_page_token(listed.next_page_token());
  } while (!queue.page_token().empty());
  EXPECT_EQ(items.size(), 5U);

  queue.set_page_token(token);
  queue.set_task("lights");
  v1::ListQueueResponse listed;
  EXPECT_EQ(Call(&Stub::ListQueue, queue, &listed).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tidewheel::labeling
