// More than the server can do, and clients that hold on to what they were given: what is refused is
// refused, the rest is answered rightly, memory stays. How soon is told by bench/overload_bench.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <algorithm>

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "tidewheel/inference/oip_http/testing/http_client.h"
#include "tidewheel/inference/repository/testing/served_folder_suite.h"
#include "tidewheel/testing/eventually.h"

namespace tidewheel::inference {
namespace {

using std::chrono::seconds;
using testing::HttpClient;
using ::testing::IsEmpty;

constexpr int kHeavySide = 96;

/// Keeps many calls under way, whatever becomes of each.
class Storm {
 public:
  Storm(std::unique_ptr<::inference::GRPCInferenceService::Stub> stub,
        ::inference::ModelInferRequest request, std::vector<float> expected)
      : stub_(std::move(stub)), request_(std::move(request)), expected_(std::move(expected)) {}

  /// Returns when `calls` have ended.
  void Run(int outstanding, int calls) {
    std::unique_lock lock(mutex_);
    left_ = calls;
    for (int i = 0; i < outstanding; ++i) Send();
    changed_.wait(lock, [&] { return under_way_ == 0; });
  }

  int answered = 0;
  int refused = 0;
  std::map<std::string, int> problems;  // Whatever else.

 private:
  struct Call {
    grpc::ClientContext context;
    ::inference::ModelInferResponse response;
  };

  /// With the lock held.
  void Send() {
    if (left_ == 0) return;
    --left_;
    ++under_way_;
    auto call = std::make_shared<Call>();
    call->context.set_deadline(std::chrono::system_clock::now() + seconds(120));
    stub_->async()->ModelInfer(&call->context, &request_, &call->response,
                               [this, call](const grpc::Status& status) { Take(*call, status); });
  }
  void Take(const Call& call, const grpc::Status& status) {
    std::vector<float> answer(expected_.size());
    const bool whole = status.ok() && call.response.raw_output_contents_size() == 1 &&
                       call.response.raw_output_contents(0).size() == answer.size() * sizeof(float);
    if (whole) {
      std::memcpy(answer.data(), call.response.raw_output_contents(0).data(),
                  answer.size() * sizeof(float));
    }
    bool right = whole;
    for (std::size_t i = 0; right && i < answer.size(); ++i) {
      right = std::abs(answer[i] - expected_[i]) < 1e-5F;
    }
    const std::lock_guard lock(mutex_);
    if (right) {
      ++answered;
    } else if (status.error_code() == grpc::RESOURCE_EXHAUSTED) {
      ++refused;
    } else {
      ++problems[status.ok() ? "a wrong answer" : status.error_message()];
    }
    --under_way_;
    Send();
    if (under_way_ == 0) changed_.notify_all();
  }

  const std::unique_ptr<::inference::GRPCInferenceService::Stub> stub_;
  const ::inference::ModelInferRequest request_;
  const std::vector<float> expected_;
  std::mutex mutex_;  // Guards the rest, and the counts.
  std::condition_variable changed_;
  int left_ = 0;
  int under_way_ = 0;
};

/// A connection that says how it begins, and no more.
class IdleConnection {
 public:
  IdleConnection(const std::string& address, const std::string& begin) {
    file_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(
        static_cast<std::uint16_t>(std::atoi(address.substr(address.rfind(':') + 1).c_str())));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    open_ =
        connect(file_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 &&
        send(file_, begin.data(), begin.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(begin.size());
  }
  ~IdleConnection() {
    if (file_ >= 0) close(file_);
  }
  IdleConnection(const IdleConnection&) = delete;
  IdleConnection& operator=(const IdleConnection&) = delete;

  /// Whether the other end has not closed it.
  bool Open() const {
    char bytes[4'096];
    ssize_t got = 0;
    while ((got = recv(file_, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
    }
    return open_ && got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

 private:
  int file_ = -1;
  bool open_ = false;
};

class WholeOverloadTest : public ServedFolder {
 protected:
  /// One request a call, so that what it can do is told by what one costs.
  void WriteHeavy() {
    WriteModel("heavy", 1, 7, kHeavySide);
    WriteConfig("heavy", "max_batch_size: 1");
    WriteModel("light", 1, 8);
  }
  ::inference::ModelInferRequest HeavyRequest() { return PictureFor("heavy", kHeavySide); }
};

TEST_F(WholeOverloadTest, WhatIsTooMuchIsRefusedAndTheRestIsAnsweredRightly) {
  WriteHeavy();
  ASSERT_NO_FATAL_FAILURE(Start({}));
  const auto light = AnswerOf(8);
  Storm storm(NewStub(), HeavyRequest(), AnswerOf(7, kHeavySide));
  storm.Run(200, 1'000);  // What so many calls take at all is taken now.
  const auto before = ResidentBytes();
  std::vector<std::string> problems;
  std::uint64_t light_answers = 0;
  {
    // Another model's clients, all the while.
    std::jthread bystander([&](std::stop_token stop) {
      const auto stub = NewStub();
      const auto request = PictureFor("light");
      ::inference::ModelInferResponse response;
      while (!stop.stop_requested()) {
        const auto status = Ask(*stub, request, &response);
        if (status.ok() && Near(FirstOutput(response), light)) {
          ++light_answers;
        } else {
          problems.push_back(status.ok() ? "a wrong answer" : status.error_message());
        }
      }
    });
    storm.Run(200, 3'000);
  }
  // How many depends on what else the machine does.
  EXPECT_GT(storm.answered, 20);
  EXPECT_GT(storm.refused, 100);
  EXPECT_EQ(storm.answered + storm.refused, 4'000);
  EXPECT_THAT(storm.problems, IsEmpty());
  EXPECT_GT(light_answers, 10U);
  EXPECT_THAT(problems, IsEmpty());
  // Nothing of 2,000 refused requests of 36 KB stays.
  EXPECT_LE(ResidentBytes(), before + (std::size_t{32} << 20));
  ::inference::ModelInferResponse response;
  EXPECT_TRUE(Ask(*stub_, HeavyRequest(), &response).ok());
}

TEST_F(WholeOverloadTest, AThousandIdleConnectionsAtEachDoorHarmNobody) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  // Both ends of both doors' are ours; where the machine allows fewer open files, as many as it
  // does.
  const std::size_t held = std::min<std::size_t>(1'000, limit.rlim_max / 4);
  // As a shell has it: the program must help itself to what it is allowed.
  const rlimit usual{std::min<rlim_t>(1'024, limit.rlim_max), limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
  WriteModel("light", 1, 8);
  ASSERT_NO_FATAL_FAILURE(Start({}));
  const rlimit all{limit.rlim_max, limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &all), 0);

  // HTTP/2's preface and empty settings: a client that has connected and asks nothing.
  std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  preface += std::string("\0\0\0\4\0\0\0\0\0", 9);
  std::vector<std::unique_ptr<IdleConnection>> idle;
  for (std::size_t i = 0; i < held; ++i) {
    idle.push_back(std::make_unique<IdleConnection>(Address("grpc"), preface));
    idle.push_back(std::make_unique<IdleConnection>(Address("http"), ""));
  }
  EXPECT_TRUE(tidewheel::testing::Eventually(kLong, [&] { return EntriesOf("fd") >= 2 * held; }))
      << EntriesOf("fd");
  const auto expected = AnswerOf(8);
  const auto stub = NewStub();
  ::inference::ModelInferResponse response;
  for (int i = 0; i < 50; ++i) {
    const auto status = Ask(*stub, PictureFor("light"), &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(Near(FirstOutput(response), expected));
    HttpClient client(Address("http"));
    EXPECT_EQ(client.Get("/v2/models/light/ready").status, 200);
  }
  std::size_t open = 0;
  for (const auto& connection : idle) open += connection->Open() ? 1 : 0;
  EXPECT_EQ(open, 2 * held);
  // A connection costs what gRPC and the kernel keep of it, and no thread.
  EXPECT_LE(EntriesOf("task"), 200U);
  EXPECT_LE(ResidentBytes(), std::size_t{512} << 20);
}

TEST_F(WholeOverloadTest, WhoDoesNotReadItsAnswersHarmsNobody) {
  constexpr int kRequests = 60;
  WriteModel("light", 1, 8);
  WriteScript("wide", 1, "def forward(self, x):\n  return torch.ones([4000000])\n");
  ASSERT_NO_FATAL_FAILURE(Start({}));
  ::inference::ModelInferResponse response;
  ASSERT_TRUE(Ask(*stub_, PictureFor("light"), &response).ok());
  const auto before = ResidentBytes();

  // 16 MB each: over HTTP connections whose buffers are small, and on a stream that nobody reads.
  const std::string json = R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}],)"
                           R"("parameters":{"binary_data_output":true}})";
  std::vector<std::unique_ptr<HttpClient>> greedy;
  for (int i = 0; i < 4; ++i) {
    greedy.push_back(std::make_unique<HttpClient>(Address("http"), 4'096));
    ASSERT_TRUE(greedy.back()->Send(HttpClient::Request("POST", "/v2/models/wide/infer", json)));
  }
  grpc::ClientContext context;
  const auto stream = stub_->ModelStreamInfer(&context);
  std::jthread writer([&] {
    // Blocks as soon as the server reads no more.
    for (int i = 0; i < kRequests && stream->Write(NumberFor("wide", 1)); ++i) {
    }
  });
  // Its clients are answered as ever, and the rest waits outside.
  const auto expected = AnswerOf(8);
  std::size_t most = 0;
  const auto stub = NewStub();
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(Ask(*stub, PictureFor("light"), &response).ok());
    EXPECT_TRUE(Near(FirstOutput(response), expected));
    most = std::max(most, ResidentBytes());
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  // Without a bound the stream alone would have 960 MB.
  EXPECT_LE(most, before + (std::size_t{450} << 20));
  context.TryCancel();
  writer.join();
  ::inference::ModelStreamInferResponse streamed;
  while (stream->Read(&streamed)) {
  }
  EXPECT_FALSE(stream->Finish().ok());
}

}  // namespace
}  // namespace tidewheel::inference
