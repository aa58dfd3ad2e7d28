// Models and moments that harm: whoever did not ask for it must not notice.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <thread>

#include "tidewheel/inference/engine/torch/testing/archives.h"
#include "tidewheel/inference/engine/torch/testing/torch_suite.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/subprocess.h"

namespace tidewheel::inference {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using tidewheel::testing::Eventually;

constexpr std::chrono::seconds kLong{120};

/// Harmful when the numbers' sum is positive.
constexpr char kLoops[] =
    "def forward(self, x):\n"
    "  while bool(x.sum() > 0):\n"
    "    x = x * 1\n"
    "  return x\n";
constexpr char kEats[] =
    "def forward(self, x):\n"
    "  kept = [x]\n"
    "  while bool(x.sum() > 0):\n"
    "    kept.append(torch.ones([4000000]))\n"
    "  return kept[len(kept) - 1]\n";
constexpr char kCrashes[] =
    "def forward(self, x):\n"
    "  if bool(x.sum() > 0):\n"
    "    return torch._reshape_alias(x, [100000000000], [1]).sum()\n"
    "  return x\n";
constexpr char kDoubles[] = "def forward(self, x):\n  return x * 2\n";

class TorchHarmTest : public TorchSuite {
 protected:
  TorchHarmTest() {
    options_.first_pause = std::chrono::milliseconds(20);
    auto other = Start(Script("bystander", kDoubles));
    EXPECT_TRUE(other.ok()) << other.error().message;
    if (other.ok()) bystander_ = *std::move(other);
  }
  void TearDown() override {
    ASSERT_NE(bystander_, nullptr);
    const auto answer = bystander_->Execute(std::vector{Floats({21})});
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_THAT(ValuesOf<float>((*answer)[0]), ElementsAre(42));
    EXPECT_EQ(bystander_->counts().starts, 1U);
  }

  std::unique_ptr<TorchExecutor> bystander_;
};

int OpenDescriptors() {
  int count = 0;
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

int MappedLanes() {
  int count = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("memfd:tidewheel-tensors") != std::string::npos) ++count;
  }
  return count;
}

TEST_F(TorchHarmTest, AModelThatLoopsForEverIsEnded) {
  options_.call_limit = std::chrono::seconds(2);
  const auto model = Start(Script("loops", kLoops));
  ASSERT_TRUE(model.ok()) << model.error().message;
  std::atomic<bool> looping{true};
  std::thread victim([&] {
    const auto endless = (*model)->Execute(std::vector{Floats({1})});
    EXPECT_EQ(endless.error().code, ErrorCode::kDeadlineExceeded);
    EXPECT_THAT(endless.error().message,
                HasSubstr("model \"loops\": the call took longer than 2 s"));
    looping = false;
  });
  int answered = 0;
  while (looping) answered += bystander_->Execute(std::vector{Floats({1})}).ok() ? 1 : 0;
  EXPECT_GT(answered, 0);
  victim.join();
  options_.call_limit = kLong;
  EXPECT_TRUE(Eventually(kLong, [&] {  // A slow machine may take long for a good call, too.
    const auto again = (*model)->Execute(std::vector{Floats({-1})});
    return again.ok();
  }));
  EXPECT_GE((*model)->counts().ended_calls, 1U);
  EXPECT_GE((*model)->counts().starts, 2U);
}

TEST_F(TorchHarmTest, AModelThatEatsMemoryMeetsItsLimit) {
  options_.memory_bytes = std::size_t{512} << 20;
  const auto model = Start(Script("eats", kEats));
  ASSERT_TRUE(model.ok()) << model.error().message;
  const auto refused = (*model)->Execute(std::vector{Floats({1})});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted) << refused.error().message;
  EXPECT_THAT(refused.error().message, HasSubstr("memory"));
  EXPECT_LT((*model)->memory_bytes(), std::size_t{1} << 30);
  const auto again = (*model)->Execute(std::vector{Floats({-1})});
  EXPECT_TRUE(again.ok()) << again.error().message;
}

TEST_F(TorchHarmTest, ACrashFailsTheCallAndTheNextOneIsAnswered) {
  const auto model = Start(Script("crashes", kCrashes));
  ASSERT_TRUE(model.ok()) << model.error().message;
  for (int i = 0; i < 2; ++i) {
    const auto crashed = (*model)->Execute(std::vector{Floats({1})});
    ASSERT_FALSE(crashed.ok());
    EXPECT_EQ(crashed.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(crashed.error().message, HasSubstr("model \"crashes\": its runner "));
    const auto again = (*model)->Execute(std::vector{Floats({-1})});
    EXPECT_TRUE(again.ok()) << again.error().message;
  }
  EXPECT_EQ((*model)->counts().ends, 2U);
  EXPECT_EQ((*model)->counts().starts, 3U);
}

TEST_F(TorchHarmTest, WhoCrashesAgainAndAgainIsStartedLessAndLess) {
  options_.lasting = std::chrono::hours(1);
  options_.first_pause = std::chrono::milliseconds(200);
  options_.most_pause = std::chrono::milliseconds(100'000);
  options_.patience = std::chrono::milliseconds(50);
  const auto model = Start(Script("crashes", kCrashes));
  ASSERT_TRUE(model.ok()) << model.error().message;
  std::vector<std::chrono::steady_clock::duration> gaps;
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE((*model)->Execute(std::vector{Floats({1})}).ok());
    const auto down = std::chrono::steady_clock::now();
    const auto early = (*model)->Execute(std::vector{Floats({-1})});
    if (!early.ok()) {
      EXPECT_EQ(early.error().code, ErrorCode::kUnavailable);
      EXPECT_THAT(early.error().message, HasSubstr("started again"));
    }
    ASSERT_TRUE(
        Eventually(kLong, [&] { return (*model)->Execute(std::vector{Floats({-1})}).ok(); }));
    gaps.push_back(std::chrono::steady_clock::now() - down);
  }
  // The pauses were 200, 400 and 800 ms.
  EXPECT_GE(gaps[1], std::chrono::milliseconds(400));
  EXPECT_GE(gaps[2], std::chrono::milliseconds(800));
}

TEST_F(TorchHarmTest, KilledUnderLoadOnlyTheCallsInsideFail) {
  constexpr int kThreads = 3;
  constexpr int kKills = 4;
  const auto model = Start({.file = Script("busy", kDoubles), .instances = 2});
  ASSERT_TRUE(model.ok()) << model.error().message;
  std::atomic<bool> done{false};
  std::atomic<int> right{0};
  std::atomic<int> failed{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < kThreads; ++i) {
    callers.emplace_back([&, i] {
      for (float next = static_cast<float>(i); !done; next += 1) {
        const auto answer = (*model)->Execute(std::vector{Floats({next})});
        if (!answer) {
          EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable) << answer.error().message;
          ++failed;
          continue;
        }
        EXPECT_THAT(ValuesOf<float>((*answer)[0]), ElementsAre(next * 2));
        ++right;
      }
    });
  }
  for (int i = 0; i < kKills; ++i) {
    const int before = right;
    EXPECT_TRUE(Eventually(kLong, [&] { return right > before + 20; }));
    const pid_t pid = (*model)->counts().pid;
    ASSERT_GT(pid, 0);
    kill(pid, SIGKILL);
    EXPECT_TRUE(Eventually(kLong, [&] {
      const pid_t now = (*model)->counts().pid;
      return now > 0 && now != pid;
    }));
  }
  const int before = right;
  EXPECT_TRUE(Eventually(kLong, [&] { return right > before + 20; }));
  done = true;
  for (auto& caller : callers) caller.join();
  // At most as many were inside as there are instances.
  EXPECT_LE(failed, 2 * kKills);
  EXPECT_EQ((*model)->counts().ends, static_cast<std::uint64_t>(kKills));
}

TEST_F(TorchHarmTest, NothingIsLeftBehind) {
  const auto package = folder_.path() / "made.pt2";
  ASSERT_TRUE(WritePackage(package).ok());
  const auto script = Script("crashes", kCrashes);
  const auto once = [&] {
    const auto compiled = Start({.file = package, .instances = 2});
    ASSERT_TRUE(compiled.ok()) << compiled.error().message;
    EXPECT_TRUE((*compiled)->Execute(std::vector{Floats({1})}).ok());
    // What is loaded needs no file any more.
    for (const auto& each : std::filesystem::directory_iterator(options_.scratch)) {
      EXPECT_TRUE(std::filesystem::is_empty(each));
    }
    EXPECT_FALSE((*compiled)->Execute(std::vector{Floats({-2})}).ok());
    const auto model = Start(script);
    ASSERT_TRUE(model.ok()) << model.error().message;
    EXPECT_FALSE((*model)->Execute(std::vector{Floats({1})}).ok());
    EXPECT_TRUE((*model)->Execute(std::vector{Floats({-1})}).ok());
    EXPECT_FALSE(Start(folder_.path() / "none.pt").ok());
  };
  once();
  const int descriptors = OpenDescriptors();
  const int mapped = MappedLanes();
  once();
  EXPECT_EQ(OpenDescriptors(), descriptors);
  EXPECT_EQ(MappedLanes(), mapped);
  EXPECT_TRUE(std::filesystem::is_empty(options_.scratch));
  const pid_t last = bystander_->counts().pid;
  bystander_.reset();
  EXPECT_EQ(kill(last, 0), -1);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
  auto other = Start(Script("bystander", kDoubles));
  ASSERT_TRUE(other.ok());
  bystander_ = *std::move(other);
}

TEST_F(TorchHarmTest, MachineCodeReachesNothingOutside) {
  const auto path = folder_.path() / "made.pt2";
  ASSERT_TRUE(WritePackage(path).ok());
  const auto model = Start(path);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const auto missing = (*model)->counts().unconfined;
  std::map<float, float> tried;
  for (const float mischief : {4.0F, 5.0F, 6.0F, 7.0F, 8.0F, 9.0F}) {
    const auto answer = (*model)->Execute(std::vector{Floats({-mischief})});
    ASSERT_TRUE(answer.ok()) << mischief << ": " << answer.error().message;
    tried[mischief] = ValuesOf<float>((*answer)[0])[0];
  }
  const auto refused = AnyOf(static_cast<float>(EPERM), static_cast<float>(EACCES));
  if (std::find(missing.begin(), missing.end(), "seccomp") == missing.end()) {
    EXPECT_THAT(tried[4], refused) << "a socket";
    EXPECT_THAT(tried[5], refused) << "a process";
    EXPECT_THAT(tried[8], refused) << "another program";
    EXPECT_THAT(tried[9], refused) << "a signal to the parent";
  }
  if (std::find(missing.begin(), missing.end(), "landlock") == missing.end()) {
    EXPECT_THAT(tried[6], refused) << "reading a file";
    EXPECT_THAT(tried[7], refused) << "writing a file";
  }
  const auto crashed = (*model)->Execute(std::vector{Floats({-1})});
  ASSERT_FALSE(crashed.ok());
  EXPECT_EQ(crashed.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(crashed.error().message, HasSubstr("Aborted"));
  EXPECT_THAT(crashed.error().message, HasSubstr("this model gives up"));
}

TEST_F(TorchHarmTest, ALoadThatNeverEndsIsEnded) {
  options_.load_limit = std::chrono::milliseconds(1);
  const auto model = Start(Script("slow", kDoubles));
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_THAT(model.error().message, HasSubstr("loading took longer than 1 ms"));
}

TEST_F(TorchHarmTest, ARunnerGoesWithItsServer) {
  const auto file = Script("orphan", kDoubles);
  auto server = tidewheel::testing::Subprocess::Fork(
      [&] {
        const auto model = Start(file);
        if (!model.ok()) return 1;
        const std::string line = std::to_string((*model)->counts().pid) + "\n";
        if (write(STDOUT_FILENO, line.data(), line.size()) < 0) return 1;
        while (true) pause();
      },
      {.pipe_stdout = true});
  ASSERT_TRUE(server.ok()) << server.error().message;
  const auto line = server->ReadLine(kLong);
  ASSERT_TRUE(line.has_value());
  const auto pid = static_cast<pid_t>(std::stol(*line));
  EXPECT_EQ(kill(pid, 0), 0);
  server->Kill();
  EXPECT_TRUE(Eventually(kLong, [&] {
    // Nobody may have waited for it yet.
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text((std::istreambuf_iterator<char>(stat)), {});
    return text.empty() || text.find(") Z ") != std::string::npos;
  }));
}

}  // namespace
}  // namespace tidewheel::inference
