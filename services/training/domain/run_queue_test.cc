#include "tidewheel/training/domain/run_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tidewheel/training/domain/fake_run_store.h"

namespace tidewheel::training {
namespace {

using testing::HasSubstr;

class RunQueueTest : public testing::Test {
 protected:
  static RunRequest Good(const std::string& request_id = "request-1") {
    return {request_id, "dataset-1", "image-cnn", 1, {}, "ann"};
  }

  SystemClock clock_;
  FakeRunStore store_;
  RunQueue queue_{store_, clock_, {.max_queued = 2, .recipes = {"image-linear", "image-cnn"}}};
};

TEST_F(RunQueueTest, ARepeatGetsTheRunThatIsThere) {
  const auto first = queue_.Start(Good());
  const auto again = queue_.Start(Good());
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_TRUE(first->created);
  EXPECT_FALSE(again->created);
  EXPECT_EQ(first->run.id, again->run.id);
}

TEST_F(RunQueueTest, RefusesWithTheSettingAndItsLimits) {
  const auto problem = [this](auto change) {
    RunRequest request = Good();
    change(request);
    const auto run = queue_.Start(request);
    return run.ok() ? std::string("taken") : run.error().message;
  };
  EXPECT_THAT(problem([](RunRequest& r) { r.recipe = "transformer"; }),
              HasSubstr("image-linear, image-cnn"));
  EXPECT_THAT(problem([](RunRequest& r) { r.request_id = ""; }), HasSubstr("1 to 128"));
  EXPECT_THAT(problem([](RunRequest& r) { r.hyperparameters.epochs = 0; }),
              HasSubstr("epochs is 1 to 10000"));
  EXPECT_THAT(problem([](RunRequest& r) { r.hyperparameters.batch_size = 100'000; }),
              HasSubstr("batch_size"));
  EXPECT_THAT(problem([](RunRequest& r) {
                r.hyperparameters.learning_rate = std::numeric_limits<double>::quiet_NaN();
              }),
              HasSubstr("learning_rate"));
  EXPECT_THAT(problem([](RunRequest& r) { r.dataset_version_id = "x"; }),
              HasSubstr("no dataset version x"));
  EXPECT_TRUE(store_.runs.empty());
}

TEST_F(RunQueueTest, AFullQueueSaysSo) {
  ASSERT_TRUE(queue_.Start(Good("a")).ok());
  ASSERT_TRUE(queue_.Start(Good("b")).ok());
  EXPECT_EQ(queue_.Start(Good("c")).error().code, ErrorCode::kResourceExhausted);
}

TEST_F(RunQueueTest, ComparisonSpeaksPlainly) {
  store_.disagreement = {297, 295, 296, 1, 2};
  EXPECT_THAT(queue_.Compare("a", "b", "")->verdict, HasSubstr("not be chance"));
  store_.disagreement = {1'000, 900, 840, 80, 20};
  EXPECT_THAT(queue_.Compare("a", "b", "")->verdict, HasSubstr("the first run is better"));
  store_.disagreement = {1'000, 840, 900, 20, 80};
  EXPECT_THAT(queue_.Compare("a", "b", "")->verdict, HasSubstr("the second run is better"));
}

}  // namespace
}  // namespace tidewheel::training
