#include "tidewheel/ingestion/api/ingestion_handler.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "tidewheel/ingestion/domain/fakes.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::ingestion {
namespace {

using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::Eq;
using ::testing::HasSubstr;
using Stream = grpc::ClientReaderWriter<v1::StreamSamplesRequest, v1::StreamSamplesResponse>;

/// Holds whoever passes until it is opened.
class Gate {
 public:
  void Pass() {
    ++waiting_;
    opened_.wait();
    --waiting_;
  }
  void Open() { open_.set_value(); }
  int waiting() const { return waiting_; }

 private:
  std::promise<void> open_;
  const std::shared_future<void> opened_ = open_.get_future().share();
  std::atomic<int> waiting_ = 0;
};

class IngestionHandlerTest : public ::testing::Test {
 protected:
  void Serve(const IngestionHandler::Options& options = {}) {
    handler_.emplace(ingestor_, store_, payloads_, clock_, options);
    rpc::ServerOptions server_options;
    server_options.drain = seconds(20);
    server_.emplace(server_options, metrics_);
    server_->Add(*handler_);
    ASSERT_TRUE(server_->Start().ok());
    stub_ =
        v1::IngestionService::NewStub(rpc::OpenChannel(server_->address(), {.retried = {"none"}}));
  }

  static void Fill(const std::string& payload, v1::NewSample* sample) {
    sample->set_payload(payload);
    sample->set_name(payload + ".jpg");
  }
  static v1::StreamSamplesRequest Batch(std::uint64_t number, int samples,
                                        const std::string& task = "lights") {
    v1::StreamSamplesRequest batch;
    batch.set_task(task);
    batch.set_batch_number(number);
    for (int i = 0; i < samples; ++i) {
      Fill(std::to_string(number) + "/" + std::to_string(i), batch.add_samples());
    }
    return batch;
  }
  grpc::Status Push(const std::string& payload, v1::PushSampleResponse* response = nullptr,
                    const std::string& task = "lights") {
    rpc::ClientContextWithDeadline context(seconds(20));
    v1::PushSampleRequest request;
    request.set_task(task);
    Fill(payload, request.mutable_sample());
    v1::PushSampleResponse unused;
    return stub_->PushSample(&context, request, response == nullptr ? &unused : response);
  }

  SystemClock clock_;
  metrics::Registry metrics_{"ingestion"};
  FakeTasks tasks_;
  FakeExaminer examiner_;
  FakeNear near_;
  FakePayloads payloads_;
  FakeStore store_;
  BatchIngestor ingestor_{tasks_, examiner_, near_, payloads_, store_, clock_, {}};
  std::optional<IngestionHandler> handler_;
  std::optional<rpc::Server> server_;
  std::unique_ptr<v1::IngestionService::Stub> stub_;
};

TEST_F(IngestionHandlerTest, PushesOneAndShowsIt) {
  Serve();
  v1::PushSampleResponse first;
  v1::PushSampleResponse again;
  ASSERT_TRUE(Push("a", &first).ok());
  ASSERT_TRUE(Push("a", &again).ok());
  EXPECT_EQ(first.verdict().disposition(), v1::DISPOSITION_ACCEPTED);
  EXPECT_EQ(first.verdict().sha256().size(), 64U);
  EXPECT_NE(first.verdict().split(), v1::SPLIT_UNSPECIFIED);
  EXPECT_EQ(again.verdict().disposition(), v1::DISPOSITION_UNCHANGED);
  EXPECT_EQ(again.verdict().sample_id(), first.verdict().sample_id());

  rpc::ClientContextWithDeadline context(seconds(20));
  v1::GetSamplePayloadRequest request;
  request.set_sample_id(first.verdict().sample_id());
  v1::GetSamplePayloadResponse payload;
  ASSERT_TRUE(stub_->GetSamplePayload(&context, request, &payload).ok());
  EXPECT_EQ(payload.payload(), "a");
}

TEST_F(IngestionHandlerTest, RefusesWithTheNameOfWhatIsWrong) {
  Serve();
  const auto unknown = Push("a", nullptr, "dogs");
  EXPECT_EQ(unknown.error_code(), grpc::NOT_FOUND);
  EXPECT_THAT(unknown.error_message(), HasSubstr("dogs"));
  EXPECT_EQ(Push("").error_code(), grpc::INVALID_ARGUMENT);

  rpc::ClientContextWithDeadline context(seconds(20));
  v1::ListSamplesRequest list;
  list.set_task("lights");
  list.set_page_size(-1);
  v1::ListSamplesResponse samples;
  EXPECT_EQ(stub_->ListSamples(&context, list, &samples).error_code(), grpc::INVALID_ARGUMENT);

  rpc::ClientContextWithDeadline get_context(seconds(20));
  v1::GetSampleRequest get;
  get.set_sample_id("nobody");
  v1::GetSampleResponse sample;
  EXPECT_EQ(stub_->GetSample(&get_context, get, &sample).error_code(), grpc::NOT_FOUND);
}

TEST_F(IngestionHandlerTest, ABatchGetsOneVerdictASampleInOrder) {
  Serve();
  rpc::ClientContextWithDeadline context(seconds(20));
  v1::PushSamplesRequest request;
  request.set_task("lights");
  for (const char* payload : {"good", "broken", "dark"}) Fill(payload, request.add_samples());
  v1::PushSamplesResponse response;

  ASSERT_TRUE(stub_->PushSamples(&context, request, &response).ok());

  ASSERT_EQ(response.verdicts_size(), 3);
  EXPECT_EQ(response.verdicts(0).disposition(), v1::DISPOSITION_ACCEPTED);
  EXPECT_EQ(response.verdicts(1).reasons(0).code(), v1::REASON_CODE_UNDECODABLE);
  EXPECT_EQ(response.verdicts(2).reasons(0).code(), v1::REASON_CODE_UNDEREXPOSED);

  rpc::ClientContextWithDeadline list_context(seconds(20));
  v1::ListQuarantineRequest list;
  list.set_task("lights");
  list.set_reason(v1::REASON_CODE_UNDEREXPOSED);
  v1::ListQuarantineResponse quarantine;
  ASSERT_TRUE(stub_->ListQuarantine(&list_context, list, &quarantine).ok());
  ASSERT_EQ(quarantine.samples_size(), 1);
  EXPECT_EQ(quarantine.samples(0).name(), "dark.jpg");
}

TEST_F(IngestionHandlerTest, AStreamAnswersEachBatchInOrder) {
  Serve();
  rpc::ClientContextWithDeadline context(seconds(60));
  const auto stream = stub_->StreamSamples(&context);
  std::jthread writer([&stream] {
    for (std::uint64_t number = 0; number < 50; ++number) stream->Write(Batch(number, 20));
    stream->WritesDone();
  });

  v1::StreamSamplesResponse response;
  std::uint64_t answered = 0;
  while (stream->Read(&response)) {
    EXPECT_EQ(response.batch_number(), answered++);
    EXPECT_EQ(response.verdicts_size(), 20);
  }

  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(answered, 50U);
  EXPECT_EQ(store_.samples.size(), 1'000U);
}

TEST_F(IngestionHandlerTest, ManyStreamsAtOnceLoseNothing) {
  Serve();
  std::vector<std::jthread> clients;
  for (std::uint64_t client = 0; client < 8; ++client) {
    clients.emplace_back([this, client] {
      rpc::ClientContextWithDeadline context(seconds(60));
      const auto stream = stub_->StreamSamples(&context);
      v1::StreamSamplesResponse response;
      for (std::uint64_t i = 0; i < 20; ++i) {
        ASSERT_TRUE(stream->Write(Batch(client * 100 + i, 5)));
        if (i % 3 == 0) {
          ASSERT_TRUE(stream->Read(&response));
        }
      }
      stream->WritesDone();
      while (stream->Read(&response)) EXPECT_EQ(response.verdicts_size(), 5);
      EXPECT_TRUE(stream->Finish().ok());
    });
  }
  clients.clear();
  EXPECT_EQ(store_.samples.size(), 800U);
}

TEST_F(IngestionHandlerTest, AStreamIsForOneTask) {
  Serve();
  rpc::ClientContextWithDeadline context(seconds(20));
  const auto stream = stub_->StreamSamples(&context);
  v1::StreamSamplesResponse response;
  ASSERT_TRUE(stream->Write(Batch(1, 2)));
  ASSERT_TRUE(stream->Read(&response));
  stream->Write(Batch(2, 2, "dogs"));
  EXPECT_FALSE(stream->Read(&response));

  const auto status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("began with lights and came to dogs"));
  EXPECT_EQ(store_.samples.size(), 2U);
}

TEST_F(IngestionHandlerTest, AStreamEndsWithTheFirstProblemAndKeepsWhatWasAnswered) {
  Serve();
  rpc::ClientContextWithDeadline context(seconds(20));
  const auto stream = stub_->StreamSamples(&context);
  v1::StreamSamplesResponse response;
  ASSERT_TRUE(stream->Write(Batch(1, 2)));
  ASSERT_TRUE(stream->Read(&response));
  stream->Write(Batch(2, 0));  // No samples.
  // The client goes on writing: the stream must end all the same.
  while (stream->Write(Batch(3, 2))) {
  }
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::INVALID_ARGUMENT);
}

TEST_F(IngestionHandlerTest, AClientThatGoesAwayMidStreamLeavesTheServiceWell) {
  Gate gate;
  payloads_.before_put = [&gate] { gate.Pass(); };
  Serve({.workers = 1});
  for (int i = 0; i < 5; ++i) {
    rpc::ClientContextWithDeadline context(seconds(20));
    const auto stream = stub_->StreamSamples(&context);
    for (std::uint64_t number = 0; number < 3; ++number) {
      ASSERT_TRUE(stream->Write(Batch(number + 10 * static_cast<std::uint64_t>(i), 2)));
    }
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::CANCELLED);
  }
  gate.Open();

  EXPECT_TRUE(Push("after").ok());
  server_->Shutdown();  // Would wait for a stream that never ends.
}

TEST_F(IngestionHandlerTest, WhatDoesNotFitIntoTheQueueIsRefusedAndTheRestIsDone) {
  Gate gate;
  payloads_.before_put = [&gate] { gate.Pass(); };
  Serve({.workers = 1, .queue = 2});
  std::vector<std::future<grpc::Status>> pushes;
  for (int i = 0; i < 10; ++i) {
    pushes.push_back(std::async(std::launch::async, [this, i] { return Push(std::to_string(i)); }));
    while (gate.waiting() == 0) std::this_thread::yield();
  }
  // One is at work and two wait; seven are refused while the gate is closed.
  int refused = 0;
  while (refused < 7) {
    for (auto& push : pushes) {
      if (!push.valid() ||
          push.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
        continue;
      }
      const auto status = push.get();
      ASSERT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED) << status.error_message();
      EXPECT_THAT(status.error_message(), HasSubstr("2 calls wait already"));
      ++refused;
    }
  }
  rpc::ClientContextWithDeadline context(seconds(20));
  const auto stream = stub_->StreamSamples(&context);
  v1::StreamSamplesResponse response;
  ASSERT_TRUE(stream->Write(Batch(1, 1)));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::RESOURCE_EXHAUSTED);

  gate.Open();
  for (auto& push : pushes) {
    if (push.valid()) {
      EXPECT_TRUE(push.get().ok());
    }
  }
  EXPECT_EQ(store_.samples.size(), 3U);
}

TEST_F(IngestionHandlerTest, TheQueueIsBoundedInBytesToo) {
  Gate gate;
  payloads_.before_put = [&gate] { gate.Pass(); };
  Serve({.workers = 1, .queue = 100, .queue_bytes = 100'000});
  auto first = std::async(std::launch::async, [this] { return Push(std::string(500, 'a')); });
  while (gate.waiting() == 0) std::this_thread::yield();
  rpc::ClientContextWithDeadline context(seconds(20));
  v1::PushSampleRequest request;
  request.set_task("lights");
  request.mutable_sample()->set_payload(std::string(200'000, 'b'));
  request.mutable_sample()->set_name("b");
  v1::PushSampleResponse response;
  const auto status = stub_->PushSample(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("100000 bytes"));

  gate.Open();
  EXPECT_TRUE(first.get().ok());
  // Alone it is taken.
  rpc::ClientContextWithDeadline again(seconds(20));
  EXPECT_TRUE(stub_->PushSample(&again, request, &response).ok());
}

TEST_F(IngestionHandlerTest, AShutdownAnswersWhatIsUnderWay) {
  Gate gate;
  payloads_.before_put = [&gate] { gate.Pass(); };
  Serve({.workers = 2});
  std::vector<std::future<grpc::Status>> pushes;
  for (int i = 0; i < 6; ++i) {
    pushes.push_back(std::async(std::launch::async, [this, i] { return Push(std::to_string(i)); }));
  }
  while (gate.waiting() < 2) std::this_thread::yield();
  std::jthread shutdown([this] { server_->Shutdown(); });
  gate.Open();

  for (auto& push : pushes) {
    // One that had not come to the server yet is turned away, and may go elsewhere; one that comes
    // while gRPC goes down is cancelled by it without having been seen by anybody.
    EXPECT_THAT(push.get().error_code(),
                AnyOf(Eq(grpc::OK), Eq(grpc::UNAVAILABLE), Eq(grpc::CANCELLED)));
  }
  EXPECT_GE(store_.samples.size(), 2U);
}

}  // namespace
}  // namespace tidewheel::ingestion
