#include "tidewheel/model_registry/domain/task_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/model_registry/domain/fake_stores.h"

namespace tidewheel::model_registry {
namespace {

class TaskCatalogTest : public testing::Test {
 protected:
  static Declaration Declare(const TaskSpec& spec, const std::string& digest) {
    return {spec, "task: " + spec.name, digest};
  }

  SystemClock clock_;
  FakeTaskStore store_;
  TaskCatalog catalog_{store_, clock_};
};

TEST_F(TaskCatalogTest, FirstApplicationIsVersionOne) {
  const auto applied = catalog_.Apply(Declare(GoodSpec(), "d1"), "ann", false);

  ASSERT_TRUE(applied.ok()) << applied.error().message;
  EXPECT_TRUE(applied->changed);
  EXPECT_EQ(applied->task.version, 1U);
  ASSERT_EQ(store_.audits.size(), 1U);
  EXPECT_EQ(store_.audits[0].action, "task.applied");
}

TEST_F(TaskCatalogTest, TheSameSpecAgainChangesNothing) {
  ASSERT_TRUE(catalog_.Apply(Declare(GoodSpec(), "d1"), "ann", false).ok());
  const auto again = catalog_.Apply(Declare(GoodSpec(), "d1"), "bob", false);

  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(again->changed);
  EXPECT_EQ(again->task.version, 1U);
  EXPECT_EQ(again->task.applied_by, "ann");
  EXPECT_EQ(store_.audits.size(), 1U);
}

TEST_F(TaskCatalogTest, DryRunStoresNothing) {
  const auto tried = catalog_.Apply(Declare(GoodSpec(), "d1"), "ann", true);

  ASSERT_TRUE(tried.ok());
  EXPECT_TRUE(tried->changed);
  EXPECT_EQ(catalog_.Find("traffic-lights", 0).error().code, ErrorCode::kNotFound);
}

TEST_F(TaskCatalogTest, ClassesMayOnlyGrowAtTheEnd) {
  ASSERT_TRUE(catalog_.Apply(Declare(GoodSpec(), "d1"), "ann", false).ok());

  TaskSpec moved = GoodSpec();
  std::swap(moved.classes[0], moved.classes[1]);
  EXPECT_EQ(catalog_.Apply(Declare(moved, "d2"), "ann", false).error().code,
            ErrorCode::kFailedPrecondition);

  TaskSpec grown = GoodSpec();
  grown.classes.push_back("off");
  const auto applied = catalog_.Apply(Declare(grown, "d3"), "ann", false);
  ASSERT_TRUE(applied.ok()) << applied.error().message;
  EXPECT_EQ(applied->task.version, 2U);
  EXPECT_EQ(catalog_.Find("traffic-lights", 1)->spec.classes.size(), 3U);
}

TEST_F(TaskCatalogTest, SplitsNeverChange) {
  ASSERT_TRUE(catalog_.Apply(Declare(GoodSpec(), "d1"), "ann", false).ok());
  TaskSpec changed = GoodSpec();
  changed.splits.seed = 2;
  EXPECT_EQ(catalog_.Apply(Declare(changed, "d2"), "ann", false).error().code,
            ErrorCode::kFailedPrecondition);
}

TEST_F(TaskCatalogTest, AllProblemsAreToldTogether) {
  TaskSpec spec = GoodSpec();
  spec.classes = {"red", "red"};
  spec.preprocessing.width = 0;
  spec.splits.test_share = 0.9;

  const auto applied = catalog_.Apply(Declare(spec, "d1"), "ann", false);

  ASSERT_FALSE(applied.ok());
  EXPECT_EQ(applied.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(applied.error().message, testing::HasSubstr("\"red\" stands there twice"));
  EXPECT_THAT(applied.error().message, testing::HasSubstr("preprocessing.width"));
  EXPECT_THAT(applied.error().message, testing::HasSubstr("leaves nothing for training"));
}

TEST(TaskNameTest, IsShortLowerCaseAndHyphenated) {
  for (const char* good : {"a", "traffic-lights", "t10k"}) EXPECT_TRUE(IsTaskName(good)) << good;
  for (const char* bad : {"", "-a", "1a", "Traffic", "a b", "a/b", "a'; drop table tasks"}) {
    EXPECT_FALSE(IsTaskName(bad)) << bad;
  }
  EXPECT_FALSE(IsTaskName(std::string(64, 'a')));
}

}  // namespace
}  // namespace tidewheel::model_registry
