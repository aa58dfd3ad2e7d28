// Versions that come and go while clients ask.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "tidewheel/inference/oip_http/testing/http_client.h"
#include "tidewheel/inference/repository/testing/served_folder_suite.h"
#include "tidewheel/testing/eventually.h"

namespace tidewheel::inference {
namespace {

using std::chrono::seconds;
using ::testing::IsEmpty;

class WholeSwapTest : public ServedFolder {
 protected:
  void Note(const std::string& problem) {
    const std::lock_guard lock(mutex_);
    problems_.insert(problem);
  }

  /// Asks over gRPC until told to stop. `expected` knows what each version answers.
  template <typename Expected>
  void AskByGrpc(const std::stop_token& stop, const ::inference::ModelInferRequest& request,
                 const Expected& expected) {
    const auto stub = NewStub();
    ::inference::ModelInferResponse response;
    while (!stop.stop_requested()) {
      const std::uint64_t least = switched_;
      const auto status = Ask(*stub, request, &response);
      ++answered_;
      if (!status.ok()) {
        Note(status.error_message());
        continue;
      }
      std::uint64_t version = 0;
      const std::string& text = response.model_version();
      std::from_chars(text.data(), text.data() + text.size(), version);
      if (version < least) Note("version " + text + " after a later one had been switched to");
      if (!expected(version, FirstOutput(response))) Note("not the answer of version " + text);
    }
  }

  /// Makes `version` the one that serves, and waits until every client was answered since.
  void SwapTo(const std::string& model, std::uint64_t version, std::uint64_t answers) {
    const auto loaded = Load(model);
    ASSERT_TRUE(loaded.ok()) << loaded.error_message() << Log();
    switched_ = version;
    std::filesystem::remove_all(models_ / model / std::to_string(version - 1));
    const auto before = answered_.load();
    ASSERT_TRUE(
        tidewheel::testing::Eventually(kLong, [&] { return answered_ >= before + answers; }));
  }

  std::atomic<std::uint64_t> switched_ = 1;
  std::atomic<std::uint64_t> answered_ = 0;
  std::mutex mutex_;  // Guards problems_.
  std::set<std::string> problems_;
};

TEST_F(WholeSwapTest, TwoHundredSwapsUnderLoadFailNothingAndAnswerRight) {
  constexpr std::uint64_t kSeeds = 5;  // Versions with the same weights are far apart.
  std::vector<std::vector<float>> answers;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) answers.push_back(AnswerOf(seed));
  const auto expected = [&](std::uint64_t version, const std::vector<float>& answer) {
    return Near(answer, answers[version % kSeeds]);
  };
  WriteModel("digits", 1, 1 % kSeeds);
  ASSERT_NO_FATAL_FAILURE(Start({"--model-control-mode=explicit", "--load-model=digits"}));

  std::string numbers;
  for (const float value : Ramp()) numbers += (numbers.empty() ? "" : ",") + std::to_string(value);
  const std::string json =
      R"({"inputs":[{"name":"input","datatype":"FP32","shape":[1,1,8,8],"data":[)" + numbers +
      R"(]}],"outputs":[{"name":"probabilities"}]})";
  std::vector<std::jthread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(
        [&](std::stop_token stop) { AskByGrpc(stop, PictureFor("digits"), expected); });
  }
  clients.emplace_back([&](std::stop_token stop) {
    testing::HttpClient client(Address("http"));
    while (!stop.stop_requested()) {
      const auto answer = client.Post("/v2/models/digits/infer", json);
      ++answered_;
      if (answer.status != 200) Note(std::to_string(answer.status) + " " + answer.body);
    }
  });
  for (std::uint64_t version = 2; version <= 201; ++version) {
    WriteModel("digits", version, version % kSeeds);
    ASSERT_NO_FATAL_FAILURE(SwapTo("digits", version, 8));
  }
  clients.clear();
  EXPECT_THAT(problems_, IsEmpty());
  ::inference::ModelInferResponse response;
  ASSERT_TRUE(Ask(*stub_, PictureFor("digits"), &response).ok());
  EXPECT_EQ(response.model_version(), "201");
}

TEST_F(WholeSwapTest, SwapsOfTorchScriptUnderLoadFailNothingAndAnswerRight) {
  const auto write = [&](std::uint64_t version) {
    WriteScript("times", version,
                "def forward(self, x):\n  return x * " + std::to_string(version) + "\n");
  };
  write(1);
  ASSERT_NO_FATAL_FAILURE(Start({"--model-control-mode=explicit", "--load-model=times"}));
  std::vector<std::jthread> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back([&](std::stop_token stop) {
      AskByGrpc(stop, NumberFor("times", 3),
                [](std::uint64_t version, const std::vector<float>& answer) {
                  return answer == std::vector<float>{3 * static_cast<float>(version)};
                });
    });
  }
  for (std::uint64_t version = 2; version <= 11; ++version) {
    write(version);
    ASSERT_NO_FATAL_FAILURE(SwapTo("times", version, 8));
    EXPECT_EQ(Children().size(), 1U);  // The one before has gone.
  }
  clients.clear();
  EXPECT_THAT(problems_, IsEmpty());
}

/// The median of what is held over some cycles, so that no single moment decides.
template <typename Cycle, typename Held>
std::size_t HeldOver(int cycles, const Cycle& cycle, const Held& held) {
  std::vector<std::size_t> each;
  for (int i = 0; i < cycles; ++i) {
    cycle();
    each.push_back(held());
  }
  std::nth_element(each.begin(), each.begin() + cycles / 2, each.end());
  return each[static_cast<std::size_t>(cycles / 2)];
}

TEST_F(WholeSwapTest, AThousandCyclesOfLoadAndUnloadKeepNoMemory) {
  WriteModel("digits", 1, 7);
  WriteModel("other", 1, 8);
  ASSERT_NO_FATAL_FAILURE(Start({"--model-control-mode=explicit"}));
  ::inference::ModelInferResponse response;
  const auto cycle = [&] {
    ASSERT_TRUE(Load("digits").ok());
    ASSERT_TRUE(Ask(*stub_, PictureFor("digits"), &response).ok());
    ASSERT_TRUE(Unload("digits").ok());
  };
  const auto resident = [&] { return ResidentBytes(); };
  for (int i = 0; i < 300; ++i) cycle();
  const auto settled = HeldOver(100, cycle, resident);
  const auto threads = EntriesOf("task");
  const auto files = EntriesOf("fd");
  for (int i = 0; i < 500; ++i) cycle();
  const auto after = HeldOver(100, cycle, resident);
  RecordProperty("settled_bytes", std::to_string(settled));
  RecordProperty("after_bytes", std::to_string(after));
  // Between the medians lie 600 cycles, each of which compiles the model for nine sizes. What an
  // allocator keeps of that moves by some hundred kilobytes either way; a leak of two kilobytes in
  // each cycle would be seen.
  EXPECT_LE(after, settled + std::size_t{1'024} * 1'024);
  EXPECT_LE(EntriesOf("task"), threads + 2);
  EXPECT_LE(EntriesOf("fd"), files + 2);
}

TEST_F(WholeSwapTest, CyclesOfATorchModelKeepNothingInTheServer) {
  WriteScript("doubles", 1, "def forward(self, x):\n  return x * 2\n");
  ASSERT_NO_FATAL_FAILURE(Start({"--model-control-mode=explicit"}));
  ::inference::ModelInferResponse response;
  const auto cycle = [&] {
    ASSERT_TRUE(Load("doubles").ok());
    ASSERT_TRUE(Ask(*stub_, NumberFor("doubles", 1), &response).ok());
    ASSERT_TRUE(Unload("doubles").ok());
  };
  const auto resident = [&] { return ResidentBytes(); };
  for (int i = 0; i < 30; ++i) cycle();
  const auto settled = HeldOver(10, cycle, resident);
  const auto threads = EntriesOf("task");
  const auto files = EntriesOf("fd");
  for (int i = 0; i < 50; ++i) cycle();
  const auto after = HeldOver(10, cycle, resident);
  // A lane, of which the first pages are used, or a thread's stack would be more in 60 cycles.
  EXPECT_LE(after, settled + std::size_t{256} * 1'024);
  EXPECT_LE(EntriesOf("task"), threads + 2);
  EXPECT_LE(EntriesOf("fd"), files + 2);
  EXPECT_THAT(Children(), IsEmpty());
}

}  // namespace
}  // namespace tidewheel::inference
