#include "tidewheel/ml/threading.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace tidewheel::ml {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(CheckThreadingTest, AProcessThatWasStartedWellHasNothingToSay) {
  setenv("OMP_NUM_THREADS", "1", 1);

  EXPECT_THAT(CheckThreading(1), IsEmpty());
}

TEST(CheckThreadingTest, AMissingVariableIsNamed) {
  unsetenv("OMP_NUM_THREADS");
  EXPECT_THAT(CheckThreading(1), Contains(HasSubstr("OMP_NUM_THREADS is not set")));

  setenv("OMP_NUM_THREADS", "8", 1);
  EXPECT_THAT(CheckThreading(1), Contains(HasSubstr("OMP_NUM_THREADS is 8")));
}

TEST(CheckThreadingTest, MoreThreadsThanCoresAreNamed) {
  setenv("OMP_NUM_THREADS", "1", 1);

  EXPECT_THAT(CheckThreading(5000), Contains(HasSubstr("5000 training threads")));
}

}  // namespace
}  // namespace tidewheel::ml
