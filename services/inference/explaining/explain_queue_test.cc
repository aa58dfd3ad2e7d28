#include "tidewheel/inference/explaining/explain_queue.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <latch>

#include "fake_model.h"

namespace tidewheel::inference {
namespace {

class OneModel final : public ExplainableModels {
 public:
  Result<std::shared_ptr<ExplainableModel>> For(const std::string& task) override {
    if (task != "answers") return Error{ErrorCode::kNotFound, "no model serves task " + task};
    return std::static_pointer_cast<ExplainableModel>(model);
  }

  std::shared_ptr<FakeExplainable> model = std::make_shared<FakeExplainable>(
      std::vector<std::int64_t>{1, 2, 2}, std::vector<double>{1, 0, 0, 0});
};

ExplainRequest Request() {
  ExplainRequest request;
  request.task = "answers";
  request.picture = "3121";
  request.method = ExplanationMethod::kOcclusion;
  return request;
}

struct Waited {
  std::promise<Result<Explanation>> promise;
  ExplainQueue::Done done() {
    return [this](Result<Explanation> explained) { promise.set_value(std::move(explained)); };
  }
  Result<Explanation> Get() { return promise.get_future().get(); }
};

TEST(ExplainQueueTest, ExplainsOnAThreadOfTheLowestPriority) {
  OneModel models;
  std::atomic<int> priority = -100;
  models.model->before_ask = [&] {
    priority = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
  };
  ExplainQueue queue(models, {}, {});
  Waited waited;
  queue.Explain(Request(), {}, waited.done());
  const auto explained = waited.Get();
  ASSERT_TRUE(explained.ok()) << explained.error().message;
  EXPECT_EQ(explained->class_name, "yes");
  EXPECT_EQ(priority, 19);
  EXPECT_NE(getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())), 19);
}

TEST(ExplainQueueTest, RefusesWhatIsTooMuchAndAnswersWhatWaitsAtTheEnd) {
  OneModel models;
  std::latch began(1);
  std::latch go(1);
  std::atomic<bool> first = true;
  models.model->before_ask = [&] {
    if (!first.exchange(false)) return;
    began.count_down();
    go.wait();
  };
  Waited running;
  Waited waiting;
  Waited refused;
  {
    ExplainQueue queue(models, {.waiting = 1}, {});
    queue.Explain(Request(), {}, running.done());
    began.wait();
    queue.Explain(Request(), {}, waiting.done());
    queue.Explain(Request(), {}, refused.done());
    const auto full = refused.Get();
    ASSERT_FALSE(full.ok());
    EXPECT_EQ(full.error().code, ErrorCode::kResourceExhausted);
    go.count_down();
    EXPECT_TRUE(running.Get().ok());
  }
  const auto last = waiting.Get();
  EXPECT_TRUE(last.ok() || last.error().code == ErrorCode::kCancelled);
}

TEST(ExplainQueueTest, StopsInTheMiddleWhenTheCallerHasGone) {
  OneModel models;
  std::atomic<int> asked = 0;
  models.model->before_ask = [&] { ++asked; };
  ExplainQueue queue(models, {}, {});
  Waited waited;
  queue.Explain(
      Request(), [&] { return asked > 0; }, waited.done());
  const auto explained = waited.Get();
  ASSERT_FALSE(explained.ok());
  EXPECT_EQ(explained.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(asked, 1);
}

TEST(ExplainQueueTest, SaysThatNothingServesTheTask) {
  OneModel models;
  ExplainQueue queue(models, {}, {});
  Waited waited;
  auto request = Request();
  request.task = "unknown";
  queue.Explain(std::move(request), {}, waited.done());
  EXPECT_EQ(waited.Get().error().code, ErrorCode::kNotFound);
  Waited bad;
  queue.Explain({}, {}, bad.done());
  EXPECT_EQ(bad.Get().error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tidewheel::inference
