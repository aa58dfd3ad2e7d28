#include "tidewheel/ml/threading.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace tidewheel::ml {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

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

TEST(CheckThreadingTest, ThreadsThatSpinAreNamed) {
  setenv("OMP_NUM_THREADS", "1", 1);
  unsetenv("OMP_WAIT_POLICY");
  EXPECT_THAT(CheckThreading(2), Contains(HasSubstr("OMP_WAIT_POLICY")));
  EXPECT_THAT(CheckThreading(1), IsEmpty());

  setenv("OMP_WAIT_POLICY", "PASSIVE", 1);
  EXPECT_THAT(CheckThreading(2), Not(Contains(HasSubstr("OMP_WAIT_POLICY"))));
}

TEST(CheckThreadingTest, MoreThreadsThanCoresAreNamed) {
  setenv("OMP_NUM_THREADS", "1", 1);

  EXPECT_THAT(CheckThreading(5000), Contains(HasSubstr("5000 training threads")));
}

}  // namespace
}  // namespace tidewheel::ml
