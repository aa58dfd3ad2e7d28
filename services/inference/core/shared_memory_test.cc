#include "tidewheel/inference/core/shared_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <limits>
#include <string>

namespace tidewheel::inference {
namespace {

/// A shared memory object as a client makes one.
class ClientMemory {
 public:
  explicit ClientMemory(const std::string& bytes) {
    static std::atomic<int> made{0};
    key_ = "/shared_memory_test." + std::to_string(::getpid()) + "." + std::to_string(++made);
    file_ = ::shm_open(key_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    EXPECT_GE(file_, 0);
    EXPECT_EQ(::pwrite(file_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  ~ClientMemory() {
    ::close(file_);
    ::shm_unlink(key_.c_str());
  }
  const std::string& key() const { return key_; }
  void Resize(off_t size) { EXPECT_EQ(::ftruncate(file_, size), 0); }
  std::string Content(std::size_t size) const {
    std::string bytes(size, '\0');
    EXPECT_EQ(::pread(file_, bytes.data(), size, 0), static_cast<ssize_t>(size));
    return bytes;
  }

 private:
  std::string key_;
  int file_ = -1;
};

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

TEST(SharedMemoryTableTest, BytesGoBothWaysWithinTheRegion) {
  ClientMemory memory("0123456789");
  SharedMemoryTable table;
  ASSERT_TRUE(table.Register({"digits", memory.key(), 2, 6}).ok());

  EXPECT_EQ(*table.Read("digits", 0, 6), "234567");
  EXPECT_EQ(*table.Read("digits", 4, 2), "67");
  ASSERT_TRUE(table.Write("digits", 1, 3, "ab").ok());
  EXPECT_EQ(memory.Content(10), "012ab56789");
}

TEST(SharedMemoryTableTest, WhatLiesOutsideOfTheRegionIsRefused) {
  ClientMemory memory("0123456789");
  SharedMemoryTable table;
  ASSERT_TRUE(table.Register({"digits", memory.key(), 2, 6}).ok());

  EXPECT_EQ(table.Read("digits", 0, 7).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(table.Read("digits", 7, 0).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(table.Read("digits", kHuge, 2).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(table.Read("digits", 2, kHuge).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(table.Write("digits", 0, 2, "abc").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(table.Write("digits", 5, 3, "abc").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(table.Read("letters", 0, 1).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(memory.Content(10), "0123456789");
}

TEST(SharedMemoryTableTest, ARegionMustLieInAnObjectThatIsThere) {
  ClientMemory memory("0123456789");
  SharedMemoryTable table;

  for (const SharedMemoryRegion& region :
       {SharedMemoryRegion{"", memory.key(), 0, 1}, SharedMemoryRegion{"a", memory.key(), 0, 0},
        SharedMemoryRegion{"a", memory.key(), 0, 11}, SharedMemoryRegion{"a", memory.key(), 10, 1},
        SharedMemoryRegion{"a", memory.key(), kHuge, 2},
        SharedMemoryRegion{"a", "/no_such_object_here", 0, 1}, SharedMemoryRegion{"a", "", 0, 1},
        SharedMemoryRegion{"a", "/../../etc/passwd", 0, 1}, SharedMemoryRegion{"a", "..", 0, 1},
        SharedMemoryRegion{"a", "/tidewheel.runner.1", 0, 1}}) {
    EXPECT_EQ(table.Register(region).error().code, ErrorCode::kInvalidArgument) << region.key;
  }
  EXPECT_TRUE(table.Status("")->empty());
}

TEST(SharedMemoryTableTest, NamesAreTakenOnceAndGivenBack) {
  ClientMemory memory("0123456789");
  SharedMemoryTable table({.most_regions = 2, .reserved = {}});
  ASSERT_TRUE(table.Register({"b", memory.key(), 0, 4}).ok());
  EXPECT_EQ(table.Register({"b", memory.key(), 0, 4}).error().code, ErrorCode::kAlreadyExists);
  ASSERT_TRUE(table.Register({"a", memory.key().substr(1), 4, 4}).ok());
  EXPECT_EQ(table.Register({"c", memory.key(), 0, 4}).error().code, ErrorCode::kResourceExhausted);

  const auto all = table.Status("");
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].name, "a");
  EXPECT_EQ((*all)[0].offset, 4u);
  EXPECT_EQ(table.Status("b")->at(0).key, memory.key());
  EXPECT_EQ(table.Status("c").error().code, ErrorCode::kNotFound);

  table.Unregister("b");
  table.Unregister("b");
  EXPECT_EQ(table.Status("")->size(), 1u);
  table.Unregister("");
  EXPECT_TRUE(table.Status("")->empty());
}

TEST(SharedMemoryTableTest, MemoryThatItsOwnerCutsOffIsAnErrorAndNoFault) {
  ClientMemory memory(std::string(1 << 16, 'x'));
  SharedMemoryTable table;
  ASSERT_TRUE(table.Register({"frames", memory.key(), 0, 1 << 16}).ok());

  memory.Resize(100);

  EXPECT_EQ(table.Read("frames", 0, 1 << 16).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(table.Write("frames", 200, 4, "abcd").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(table.Read("frames", 0, 100)->size(), 100u);
}

}  // namespace
}  // namespace tidewheel::inference
