#include "tidewheel/cli/push/sample_stream.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <thread>

namespace tidewheel::cli {
namespace {

namespace v1 = ingestion::v1;
using namespace std::chrono_literals;

// Stores names; what a stream does with a batch can be told.
class FakeIngestion final : public v1::IngestionService::Service {
 public:
  enum class Do { kAnswer, kBreak, kBreakAfterStoring, kRefuse, kStaySilent, kAnswerShort };
  using Stream = grpc::ServerReaderWriter<v1::StreamSamplesResponse, v1::StreamSamplesRequest>;

  grpc::Status StreamSamples(grpc::ServerContext* context, Stream* stream) override {
    ++streams;
    v1::StreamSamplesRequest request;
    while (stream->Read(&request)) {
      const int batch = ++batches;
      const Do what = plan ? plan(batch) : Do::kAnswer;
      if (what == Do::kBreak) return {grpc::StatusCode::UNAVAILABLE, "going away"};
      if (what == Do::kRefuse) return {grpc::StatusCode::NOT_FOUND, "no task " + request.task()};
      v1::StreamSamplesResponse response;
      response.set_batch_number(request.batch_number());
      {
        const std::lock_guard lock(mutex_);
        for (const auto& sample : request.samples()) {
          auto* verdict = response.add_verdicts();
          verdict->set_disposition(stored_.insert(sample.name()).second
                                       ? v1::DISPOSITION_ACCEPTED
                                       : v1::DISPOSITION_UNCHANGED);
        }
      }
      if (what == Do::kBreakAfterStoring) return {grpc::StatusCode::UNAVAILABLE, "going away"};
      if (what == Do::kStaySilent) {
        while (!context->IsCancelled()) std::this_thread::sleep_for(5ms);
        return grpc::Status::CANCELLED;
      }
      if (what == Do::kAnswerShort) response.mutable_verdicts()->RemoveLast();
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  std::size_t stored() const {
    const std::lock_guard lock(mutex_);
    return stored_.size();
  }

  std::function<Do(int)> plan;  // By the batch's place among all that arrived, from 1.
  std::atomic<int> batches = 0;
  std::atomic<int> streams = 0;

 private:
  mutable std::mutex mutex_;  // Guards stored_.
  std::set<std::string> stored_;
};

class SampleStreamTest : public ::testing::Test {
 protected:
  void Serve() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port_),
                             grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&ingestion_);
    server_ = builder.BuildAndStart();
    ASSERT_TRUE(server_);
  }

  SampleStream Open(SampleStream::Options options) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 50);
    return SampleStream(grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port_),
                                                  grpc::InsecureChannelCredentials(), arguments),
                        "traffic-lights", options,
                        [this](const auto& request, const auto& response) {
                          for (int i = 0; i < request.samples_size(); ++i) {
                            ++answers_[request.samples(i).name()];
                            if (response.verdicts(i).disposition() == v1::DISPOSITION_ACCEPTED) {
                              ++accepted_;
                            }
                          }
                        });
  }

  static v1::NewSample Sample(int number) {
    v1::NewSample sample;
    sample.set_name("picture " + std::to_string(number));
    sample.set_payload(std::string(100, 'x'));
    return sample;
  }

  static Result<void> PushAll(SampleStream& stream, int count) {
    for (int i = 0; i < count; ++i) {
      if (auto pushed = stream.Push(Sample(i)); !pushed) return pushed;
    }
    return stream.Finish();
  }

  void ExpectEachAnsweredOnce(int count) {
    EXPECT_EQ(ingestion_.stored(), static_cast<std::size_t>(count));
    ASSERT_EQ(answers_.size(), static_cast<std::size_t>(count));
    for (const auto& [name, times] : answers_) EXPECT_EQ(times, 1) << name;
  }

  static SampleStream::Options Small() {
    SampleStream::Options options;
    options.batch_samples = 10;
    options.window_batches = 4;
    options.retry_for = 10s;
    return options;
  }

  FakeIngestion ingestion_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  // Written by one thread at a time, read after Finish.
  std::map<std::string, int> answers_;
  int accepted_ = 0;
};

TEST_F(SampleStreamTest, EverySampleIsAnsweredOnce) {
  Serve();
  auto stream = Open(Small());

  const auto pushed = PushAll(stream, 1'003);

  ASSERT_TRUE(pushed) << pushed.error().message;
  ExpectEachAnsweredOnce(1'003);
  EXPECT_EQ(stream.resent_batches(), 0u);
  EXPECT_EQ(ingestion_.streams, 1);
}

TEST_F(SampleStreamTest, NothingToPushIsDoneAtOnce) {
  Serve();
  auto stream = Open(Small());

  EXPECT_TRUE(stream.Finish());
}

TEST_F(SampleStreamTest, UnansweredBatchesAreSentAgainAfterABreak) {
  ingestion_.plan = [](int batch) {
    if (batch % 7 == 0) return FakeIngestion::Do::kBreak;
    // Stored, but the answer never came: the repeat must not count twice.
    return batch % 11 == 0 ? FakeIngestion::Do::kBreakAfterStoring : FakeIngestion::Do::kAnswer;
  };
  Serve();
  auto stream = Open(Small());

  const auto pushed = PushAll(stream, 500);

  ASSERT_TRUE(pushed) << pushed.error().message;
  ExpectEachAnsweredOnce(500);
  EXPECT_GT(stream.resent_batches(), 0u);
  EXPECT_GT(ingestion_.streams, 1);
}

TEST_F(SampleStreamTest, ServerThatGoesAndComesBackIsFoundAgain) {
  Serve();
  std::atomic<bool> go = false;
  std::thread restart([&] {
    while (!go) std::this_thread::sleep_for(1ms);
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_ = nullptr;
    std::this_thread::sleep_for(100ms);
    Serve();
  });
  auto stream = Open(Small());
  for (int i = 0; i < 2'000; ++i) {
    if (i == 500) go = true;
    const auto pushed = stream.Push(Sample(i));
    ASSERT_TRUE(pushed) << pushed.error().message;
    if (i > 500 && i % 10 == 0) std::this_thread::sleep_for(1ms);
  }

  const auto finished = stream.Finish();
  restart.join();

  ASSERT_TRUE(finished) << finished.error().message;
  ExpectEachAnsweredOnce(2'000);
  EXPECT_GE(ingestion_.streams, 2);
}

TEST_F(SampleStreamTest, WhatIngestionRefusesForGoodIsNotRepeated) {
  ingestion_.plan = [](int) { return FakeIngestion::Do::kRefuse; };
  Serve();
  auto stream = Open(Small());

  const auto pushed = PushAll(stream, 1'000);

  ASSERT_FALSE(pushed);
  EXPECT_EQ(pushed.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ingestion_.streams, 1);
}

TEST_F(SampleStreamTest, SilenceEndsAsUnavailableAndIsNotWaitedOutTwice) {
  ingestion_.plan = [](int) { return FakeIngestion::Do::kStaySilent; };
  Serve();
  auto options = Small();
  options.retry_for = 300ms;
  const auto begin = std::chrono::steady_clock::now();
  {
    auto stream = Open(options);

    const auto pushed = PushAll(stream, 1'000);

    ASSERT_FALSE(pushed);
    EXPECT_EQ(pushed.error().code, ErrorCode::kUnavailable);
    EXPECT_FALSE(stream.Finish());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST_F(SampleStreamTest, NobodyThereIsUnavailableWithTheReason) {
  Serve();
  server_->Shutdown();
  server_ = nullptr;
  auto options = Small();
  options.retry_for = 300ms;
  auto stream = Open(options);

  const auto pushed = PushAll(stream, 1'000);

  ASSERT_FALSE(pushed);
  EXPECT_EQ(pushed.error().code, ErrorCode::kUnavailable);
}

TEST_F(SampleStreamTest, NoMoreThanTheWindowIsUnderWay) {
  ingestion_.plan = [](int) { return FakeIngestion::Do::kStaySilent; };
  Serve();
  auto options = Small();
  options.retry_for = 500ms;
  auto stream = Open(options);
  int taken = 0;
  while (stream.Push(Sample(taken))) ++taken;

  // The window, and the batch that is being filled.
  EXPECT_LE(taken, static_cast<int>(options.batch_samples * (options.window_batches + 1)));
  EXPECT_GE(taken, static_cast<int>(options.batch_samples * options.window_batches));
}

TEST_F(SampleStreamTest, LargeSamplesMakeBatchesOfTheirOwn) {
  Serve();
  auto options = Small();
  options.batch_bytes = 1'000;
  options.window_bytes = 2'000;
  auto stream = Open(options);
  for (int i = 0; i < 20; ++i) {
    auto sample = Sample(i);
    sample.set_payload(std::string(5'000, 'x'));
    ASSERT_TRUE(stream.Push(std::move(sample)));
  }

  ASSERT_TRUE(stream.Finish());

  ExpectEachAnsweredOnce(20);
  EXPECT_EQ(ingestion_.batches, 20);
}

TEST_F(SampleStreamTest, AnswerThatDoesNotFitIsAnError) {
  ingestion_.plan = [](int) { return FakeIngestion::Do::kAnswerShort; };
  Serve();
  auto stream = Open(Small());

  const auto pushed = PushAll(stream, 100);

  ASSERT_FALSE(pushed);
  EXPECT_EQ(pushed.error().code, ErrorCode::kInternal);
}

TEST_F(SampleStreamTest, DroppedHalfwayItEndsAtOnce) {
  ingestion_.plan = [](int) { return FakeIngestion::Do::kStaySilent; };
  Serve();
  const auto begin = std::chrono::steady_clock::now();
  {
    auto stream = Open(Small());
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(stream.Push(Sample(i)));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

}  // namespace
}  // namespace tidewheel::cli
