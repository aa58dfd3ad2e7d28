// Models that harm, and programs that are killed: who is inside is told, and nobody else notices.
#include <gmock/gmock.h>
#include <signal.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

#include "tidewheel/inference/repository/testing/served_folder_suite.h"
#include "tidewheel/testing/eventually.h"

namespace tidewheel::inference {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kDoubles[] = "def forward(self, x):\n  return x * 2\n";

/// Asks one model the same again and again.
class Asker {
 public:
  using Right = std::function<bool(const ::inference::ModelInferResponse&)>;

  Asker(std::unique_ptr<::inference::GRPCInferenceService::Stub> stub,
        ::inference::ModelInferRequest request, Right right)
      : stub_(std::move(stub)),
        request_(std::move(request)),
        right_(std::move(right)),
        thread_([this](std::stop_token stop) { Ask(stop); }) {}

  std::uint64_t answered() const { return answered_; }
  /// Codes and words of failures, and "wrong" for answers that are.
  std::vector<std::string> Finish() {
    thread_.request_stop();
    thread_.join();
    return problems_;
  }

 private:
  void Ask(const std::stop_token& stop) {
    ::inference::ModelInferResponse response;
    while (!stop.stop_requested()) {
      rpc::ClientContextWithDeadline context(seconds(120));
      response.Clear();
      const auto status = stub_->ModelInfer(&context, request_, &response);
      if (status.ok() && right_(response)) {
        ++answered_;
        continue;
      }
      problems_.push_back(status.ok()
                              ? "wrong"
                              : std::to_string(status.error_code()) + " " + status.error_message());
      // A server that is away refuses at once.
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  const std::unique_ptr<::inference::GRPCInferenceService::Stub> stub_;
  const ::inference::ModelInferRequest request_;
  const Right right_;
  std::atomic<std::uint64_t> answered_ = 0;
  std::vector<std::string> problems_;  // The thread's until it has ended.
  std::jthread thread_;                // Last: it uses the rest.
};

class HarmTest : public ServedFolder {
 protected:
  std::unique_ptr<Asker> AskPicture(const std::string& model, const std::string& version,
                                    const std::vector<float>& expected) {
    return std::make_unique<Asker>(
        NewStub(), PictureFor(model), [version, expected](const auto& response) {
          return response.model_version() == version && Near(FirstOutput(response), expected);
        });
  }
  std::unique_ptr<Asker> AskNumber(const std::string& model, const std::string& version, float x,
                                   float expected) {
    return std::make_unique<Asker>(NewStub(), NumberFor(model, x),
                                   [version, expected](const auto& response) {
                                     return response.model_version() == version &&
                                            FirstOutput(response) == std::vector<float>{expected};
                                   });
  }
  static void AwaitAnswers(const Asker& asker, std::uint64_t more) {
    const auto before = asker.answered();
    EXPECT_TRUE(
        tidewheel::testing::Eventually(kLong, [&] { return asker.answered() >= before + more; }));
  }
  /// The one process that `start` makes the program start.
  pid_t NewChild(const std::function<void()>& start) {
    const auto before = Children();
    start();
    for (const pid_t child : Children()) {
      if (!before.contains(child)) return child;
    }
    ADD_FAILURE() << "no process was started";
    return -1;
  }
};

TEST_F(HarmTest, AModelThatLoopsEatsMemoryOrCrashesHarmsNoOther) {
  WriteModel("picture", 1, 7);
  WriteScript("bystander", 1, kDoubles);
  // Harmful when the number is positive.
  WriteScript("loops", 1,
              "def forward(self, x):\n"
              "  while bool(x.sum() > 0):\n"
              "    x = x * 1\n"
              "  return x\n");
  WriteConfig("loops",
              "parameters { key: \"call_milliseconds\" value { string_value: \"2000\" } }");
  WriteScript("eats", 1,
              "def forward(self, x):\n"
              "  kept = [x]\n"
              "  while bool(x.sum() > 0):\n"
              "    kept.append(torch.ones([4000000]))\n"
              "  return kept[len(kept) - 1]\n");
  WriteConfig("eats", "parameters { key: \"memory_bytes\" value { string_value: \"536870912\" } }");
  WriteScript("crashes", 1,
              "def forward(self, x):\n"
              "  if bool(x.sum() > 0):\n"
              "    return torch._reshape_alias(x, [100000000000], [1]).sum()\n"
              "  return x\n");
  ASSERT_NO_FATAL_FAILURE(Start({}));

  const auto picture = AskPicture("picture", "1", AnswerOf(7));
  const auto bystander = AskNumber("bystander", "1", 21, 42);
  ::inference::ModelInferResponse response;
  for (int round = 0; round < 2; ++round) {
    const auto endless = Ask(*stub_, NumberFor("loops", 1), &response);
    EXPECT_EQ(endless.error_code(), grpc::DEADLINE_EXCEEDED) << endless.error_message();
    EXPECT_THAT(endless.error_message(), HasSubstr("model \"loops\""));
    const auto greedy = Ask(*stub_, NumberFor("eats", 1), &response);
    EXPECT_EQ(greedy.error_code(), grpc::RESOURCE_EXHAUSTED) << greedy.error_message();
    const auto crashed = Ask(*stub_, NumberFor("crashes", 1), &response);
    EXPECT_EQ(crashed.error_code(), grpc::UNAVAILABLE) << crashed.error_message();
    EXPECT_THAT(crashed.error_message(), HasSubstr("model \"crashes\""));
    AwaitAnswers(*picture, 20);
    AwaitAnswers(*bystander, 20);
  }
  // They answer again what harms nobody.
  for (const char* model : {"loops", "eats", "crashes"}) {
    EXPECT_TRUE(tidewheel::testing::Eventually(kLong, [&] {
      return Ask(*stub_, NumberFor(model, -3), &response).ok() &&
             FirstOutput(response) == std::vector<float>{-3};
    })) << model;
  }
  EXPECT_THAT(picture->Finish(), IsEmpty());
  EXPECT_THAT(bystander->Finish(), IsEmpty());
}

TEST_F(HarmTest, ARunnerThatIsKilledUnderLoadFailsOnlyWhatIsInsideIt) {
  constexpr std::size_t kKills = 4;
  WriteModel("picture", 1, 7);
  WriteScript("bystander", 1, kDoubles);
  WriteScript("victim", 3, "def forward(self, x):\n  return x * 3\n");
  ASSERT_NO_FATAL_FAILURE(Start({"--model-control-mode=explicit"}));
  ASSERT_TRUE(Load("picture").ok());
  ASSERT_TRUE(Load("bystander").ok());
  pid_t runner = NewChild([&] { ASSERT_TRUE(Load("victim").ok()); });
  ASSERT_GT(runner, 0);

  const auto picture = AskPicture("picture", "1", AnswerOf(7));
  const auto bystander = AskNumber("bystander", "1", 21, 42);
  const auto one = AskNumber("victim", "3", 5, 15);
  const auto two = AskNumber("victim", "3", 7, 21);
  for (std::size_t i = 0; i < kKills; ++i) {
    AwaitAnswers(*one, 20);
    const pid_t next = NewChild([&] {
      const auto others = Children();
      ASSERT_EQ(kill(runner, SIGKILL), 0);
      // What it is replaced by, and all answer on.
      AwaitAnswers(*one, 5);
      AwaitAnswers(*two, 5);
      AwaitAnswers(*picture, 5);
      AwaitAnswers(*bystander, 5);
    });
    ASSERT_GT(next, 0);
    EXPECT_NE(next, runner);
    runner = next;
  }
  EXPECT_THAT(picture->Finish(), IsEmpty());
  EXPECT_THAT(bystander->Finish(), IsEmpty());
  auto failed = one->Finish();
  for (const auto& problem : two->Finish()) failed.push_back(problem);
  // One call at a time is inside.
  EXPECT_LE(failed.size(), kKills) << ::testing::PrintToString(failed);
  for (const auto& problem : failed) {
    EXPECT_THAT(problem, AllOf(HasSubstr("14 model \"victim\""), HasSubstr("Killed")));
  }
}

TEST_F(HarmTest, AServerThatIsKilledUnderLoadServesTheSameVersionsAgain) {
  WriteModel("picture", 2, 7);
  WriteModel("picture", 5, 8);
  WriteScript("doubles", 4, kDoubles);
  ASSERT_NO_FATAL_FAILURE(Start({}));
  for (int round = 0; round < 3; ++round) {
    const auto picture = AskPicture("picture", "5", AnswerOf(8));
    const auto doubles = AskNumber("doubles", "4", 21, 42);
    AwaitAnswers(*picture, 20);
    AwaitAnswers(*doubles, 20);
    const auto runners = Children();
    EXPECT_EQ(runners.size(), 1U);
    if (round == 2) {
      EXPECT_THAT(picture->Finish(), IsEmpty());
      EXPECT_THAT(doubles->Finish(), IsEmpty());
      break;
    }
    ASSERT_NO_FATAL_FAILURE(KillAndRestart());
    // Runners go with their server, so none answers for nobody.
    for (const pid_t runner : runners) {
      EXPECT_TRUE(tidewheel::testing::Eventually(kLong, [&] {
        std::ifstream stat("/proc/" + std::to_string(runner) + "/stat");
        std::string text((std::istreambuf_iterator<char>(stat)), {});
        return text.empty() || text.find(") Z ") != std::string::npos;
      }));
    }
    // Nothing else than that the server went.
    for (auto* asker : {picture.get(), doubles.get()}) {
      for (const auto& problem : asker->Finish()) EXPECT_THAT(problem, HasSubstr("14 "));
    }
  }
}

}  // namespace
}  // namespace tidewheel::inference
