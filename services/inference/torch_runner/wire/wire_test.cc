#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>

#include "tidewheel/base/random.h"
#include "tidewheel/inference/torch_runner/wire/bytes.h"
#include "tidewheel/inference/torch_runner/wire/control.h"
#include "tidewheel/inference/torch_runner/wire/lanes.h"
#include "tidewheel/inference/torch_runner/wire/messages.h"

namespace tidewheel::inference::torch_runner {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::size_t kLane = 1U << 16;

std::vector<TensorSpec> SomeSpecs() {
  return {{.name = "x", .type = DataType::kBf16, .shape = {-1, 3}},
          {.name = "any", .shape = {-1}, .any = true}};
}

TEST(LoadOrderTest, IsReadAsItWasPrinted) {
  LoadOrder order;
  order.package = true;
  order.device = "cuda:3";
  order.lanes = 7;
  order.memory_bytes = 99;
  order.gradients = true;
  order.scratch = "/somewhere";
  order.inputs = SomeSpecs();
  const auto read = LoadOrder::Parse(order.Print());
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->package);
  EXPECT_EQ(read->device, "cuda:3");
  EXPECT_EQ(read->lanes, 7U);
  EXPECT_EQ(read->memory_bytes, 99U);
  EXPECT_TRUE(read->gradients);
  EXPECT_EQ(read->scratch, "/somewhere");
  EXPECT_EQ(read->inputs, SomeSpecs());
  EXPECT_THAT(read->outputs, IsEmpty());
}

TEST(LoadReportTest, EveryBeginningIsRefusedAndNoByteHarms) {
  LoadReport report;
  report.error = Error{ErrorCode::kUnimplemented, "Unknown builtin op"};
  report.outputs = SomeSpecs();
  report.unconfined = {"landlock"};
  const std::string whole = report.Print();
  const auto read = LoadReport::Parse(whole);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->error, report.error);
  EXPECT_EQ(read->outputs, SomeSpecs());
  EXPECT_EQ(read->unconfined, report.unconfined);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(LoadReport::Parse(whole.substr(0, size)).ok());
  }
  Random random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string changed = whole;
    changed[random.Below(changed.size())] = static_cast<char>(random.Below(256));
    (void)LoadReport::Parse(changed).ok();
  }
}

TEST(ControlTest, DescriptorsComeAlongWhereTheyAreExpectedOnly) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()), 0);
  ASSERT_TRUE(SendMessage(ends[0], "with", {STDIN_FILENO, STDERR_FILENO}).ok());
  auto received = ReceiveMessage(ends[1], 2);
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->bytes, "with");
  ASSERT_EQ(received->descriptors.size(), 2U);
  for (const int each : received->descriptors) close(each);

  ASSERT_TRUE(SendMessage(ends[0], "unwanted", {STDIN_FILENO}).ok());
  received = ReceiveMessage(ends[1], 0);
  ASSERT_TRUE(received.ok());
  EXPECT_THAT(received->descriptors, IsEmpty());
  ASSERT_TRUE(SendMessage(ends[0], "without", {}).ok());
  EXPECT_FALSE(ReceiveMessage(ends[1], 1).ok());

  close(ends[0]);
  EXPECT_EQ(ReceiveMessage(ends[1], 0).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(SendMessage(ends[1], "late", {}).error().code, ErrorCode::kUnavailable);
  close(ends[1]);
}

TEST(SharedLanesTest, TwoMappingsSeeTheSameBytesAndTheSizeStays) {
  auto own = SharedLanes::Create(2, kLane);
  ASSERT_TRUE(own.ok()) << own.error().message;
  auto other = SharedLanes::Map(dup(own->descriptor()), 2, kLane);
  ASSERT_TRUE(other.ok()) << other.error().message;
  own->request(1)[kLane - 1] = 'r';
  EXPECT_EQ(other->request(1)[kLane - 1], 'r');
  EXPECT_EQ(other->answer(1)[0], '\0');
  EXPECT_NE(ftruncate(own->descriptor(), 0), 0);
  EXPECT_NE(ftruncate(own->descriptor(), 1 << 30), 0);
  own->Release(1);
  EXPECT_EQ(other->request(1)[kLane - 1], '\0');
}

TEST(SharedLanesTest, MemoryOfAnotherSizeIsRefused) {
  auto own = SharedLanes::Create(2, kLane);
  ASSERT_TRUE(own.ok());
  EXPECT_FALSE(SharedLanes::Map(dup(own->descriptor()), 3, kLane).ok());
  const int unsealed = memfd_create("unsealed", MFD_CLOEXEC);
  ASSERT_EQ(ftruncate(unsealed, (16 << 10) + 4 * static_cast<off_t>(kLane)), 0);
  EXPECT_FALSE(SharedLanes::Map(unsealed, 2, kLane).ok());
  EXPECT_FALSE(SharedLanes::Create(0, kLane).ok());
  EXPECT_FALSE(SharedLanes::Create(1, 100).ok());
}

TEST(SharedLanesTest, WhoWaitsIsWoken) {
  auto lanes = SharedLanes::Create(1, kLane);
  ASSERT_TRUE(lanes.ok());
  LaneWords& words = lanes->words(0);
  std::thread answering([&] {
    while (words.asked.load() == 0) {
      WaitWhile(words.asked, 0, std::chrono::seconds(60), std::chrono::nanoseconds(0));
    }
    words.answered.store(1);
    WakeAll(words.answered);
  });
  words.asked.store(1);
  WakeAll(words.asked);
  while (words.answered.load() == 0) {
    WaitWhile(words.answered, 0, std::chrono::seconds(60), std::chrono::microseconds(5));
  }
  answering.join();
}

TEST(MessagesTest, TensorsOfEveryDatatypeComeBackAligned) {
  std::vector<char> area(kLane);
  std::vector<Tensor> tensors;
  for (int type = 0; type <= static_cast<int>(DataType::kBytes); ++type) {
    const auto datatype = static_cast<DataType>(type);
    const std::size_t width = ElementSize(datatype);
    tensors.push_back(Tensor::Of("", datatype, {3},
                                 width == 0 ? std::string("\1\0\0\0a\0\0\0\0\0\0\0\0", 13)
                                            : std::string(3 * width, static_cast<char>(type))));
  }
  tensors.push_back(Tensor::Of("", DataType::kFp64, {}, std::string(8, 'x')));
  tensors.push_back(Tensor::Of("", DataType::kFp32, {0, 4}, ""));
  ASSERT_TRUE(WriteTensors(area, tensors).ok());
  const auto read = ReadTensors(area);
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ((*read)[i].type, tensors[i].type);
    EXPECT_EQ((*read)[i].shape, tensors[i].shape);
    EXPECT_EQ((*read)[i].data, tensors[i].data);
    EXPECT_EQ(((*read)[i].data.data() - area.data()) % static_cast<std::ptrdiff_t>(kAlignment), 0);
  }
}

TEST(MessagesTest, WhatDoesNotFitNamesTheLimit) {
  std::vector<char> area(kLane);
  const std::vector<Tensor> large{
      Tensor::Of("x", DataType::kUint8, {1 << 17}, std::string(1 << 17, 'x'))};
  EXPECT_EQ(WriteTensors(area, large).error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(WriteTensors(area, large).error().message, HasSubstr("65536"));
  const std::vector<Tensor> deep{
      Tensor::Of("x", DataType::kUint8, std::vector<std::int64_t>(17, 1), "x")};
  EXPECT_THAT(WriteTensors(area, deep).error().message, HasSubstr("at most 16"));
  EXPECT_FALSE(WriteTensors(area, std::vector<Tensor>(257)).ok());
}

TEST(MessagesTest, AnErrorIsTakenForOne) {
  std::vector<char> area(kLane);
  WriteError(area, {ErrorCode::kResourceExhausted, "no memory"});
  EXPECT_EQ(ReadTensors(area).error(), (Error{ErrorCode::kResourceExhausted, "no memory"}));
}

TEST(MessagesTest, NoBytesLeadOutOfTheArea) {
  std::vector<char> area(4'096 + 16 * 512);
  const std::vector<Tensor> tensors{Tensor::Of("", DataType::kFp32, {2, 2}, std::string(16, 'x')),
                                    Tensor::Of("", DataType::kInt64, {1}, std::string(8, 'x'))};
  ASSERT_TRUE(WriteTensors(area, tensors).ok());
  const std::vector<char> good = area;
  Random random(7);
  for (int i = 0; i < 50'000; ++i) {
    area = good;
    for (std::uint64_t k = 0; k <= random.Below(3); ++k) {
      area[random.Below(512)] = static_cast<char>(random.Below(256));
    }
    const auto read = ReadTensors(area);
    if (!read) continue;
    for (const Tensor& tensor : *read) {
      ASSERT_GE(tensor.data.data(), area.data());
      ASSERT_LE(tensor.data.data() + tensor.data.size(), area.data() + area.size());
    }
  }
}

}  // namespace
}  // namespace tidewheel::inference::torch_runner
