#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/random.h"
#include "tidewheel/bus/broker.h"
#include "tidewheel/bus/cloud_event.h"
#include "tidewheel/bus/fair_share.h"
#include "tidewheel/bus/message.h"

namespace tidewheel::bus {
namespace {

TEST(MessageTest, KnowsTheNextPositionAndTheDeadLetterTopic) {
  Delivery delivery;
  delivery.message.topic = "t";
  delivery.partition = 2;
  delivery.offset = 41;
  EXPECT_EQ(After(delivery), (Position{"t", 2, 42}));
  EXPECT_EQ(DeadLetterTopic("tidewheel.samples"), "tidewheel.samples.dlq");
}

TEST(CloudEventTest, HeadersAreThoseOfBinaryMode) {
  Message message;
  message.key = "sample-1";
  message.event_id = "id-1";
  message.type = "tidewheel.events.v1.SampleAccepted";
  message.time = *ParseUtc("2026-11-22T10:00:00Z");
  message.schema_version = 2;
  message.headers = {{"own", "1"}};

  const auto list = CloudEventHeaders(message, "ingestion");
  const std::map<std::string, std::string> headers(list.begin(), list.end());
  EXPECT_EQ(headers,
            (std::map<std::string, std::string>{{"ce_specversion", "1.0"},
                                                {"ce_id", "id-1"},
                                                {"ce_source", "ingestion"},
                                                {"ce_type", "tidewheel.events.v1.SampleAccepted"},
                                                {"ce_time", "2026-11-22T10:00:00.000000Z"},
                                                {"ce_dataschemaversion", "2"},
                                                {"ce_subject", "sample-1"},
                                                {"content-type", "application/protobuf"},
                                                {"own", "1"}}));

  Message read;
  read.key = message.key;
  for (const auto& [name, value] : list) ReadCloudEventHeader(name, value, read);
  message.source = "ingestion";
  EXPECT_EQ(read, message);
}

TEST(CloudEventTest, TakesForeignHeadersAsTheyAre) {
  Message read;
  ReadCloudEventHeader("ce_time", "not a time", read);
  ReadCloudEventHeader("ce_dataschemaversion", "x", read);
  ReadCloudEventHeader("content-type", "text/plain", read);
  EXPECT_EQ(read.time, Timestamp{});
  EXPECT_EQ(read.schema_version, 1);
  EXPECT_EQ(read.headers.at("content-type"), "text/plain");
}

TEST(OpenBrokerTest, RefusesWhatItCannotBe) {
  const auto code = [](const BrokerOptions& options) { return OpenBroker(options).error().code; };
  EXPECT_EQ(code({.driver = "pigeon", .address = "roof"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({.driver = "kafka"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({.driver = "kafka", .address = "127.0.0.1:1", .settings = {{"no.such", "1"}}}),
            ErrorCode::kInvalidArgument);
}

/// Lets every member do its part, again and again, until nobody changes anything.
int Settle(const std::vector<GroupMember>& members, std::vector<PartitionOwner>& owners) {
  for (int round = 1; round < 100; ++round) {
    bool changed = false;
    for (const GroupMember& member : members) {
      for (const PartitionOwner& change : FairShare(members, owners, member.id)) {
        changed = true;
        for (PartitionOwner& owner : owners) {
          if (owner.topic != change.topic || owner.partition != change.partition) continue;
          // Taken from nobody but itself.
          EXPECT_TRUE(owner.member.empty() || owner.member == member.id);
          owner.member = change.member;
        }
      }
    }
    if (!changed) return round;
  }
  return 100;
}

TEST(FairShareTest, SettlesEvenlyWhoeverJoinsAndLeaves) {
  Random random(7);
  for (int trial = 0; trial < 200; ++trial) {
    const std::vector<std::string> topics = {"a", "b", "c"};
    std::vector<PartitionOwner> owners;
    for (const std::string& topic : topics) {
      const int partitions = 1 + static_cast<int>(random.Below(8));
      for (int partition = 0; partition < partitions; ++partition) {
        owners.push_back({topic, partition, ""});
      }
    }
    std::vector<GroupMember> members;
    for (int step = 0; step < 6; ++step) {
      if (members.empty() || random.Below(3) != 0) {
        members.push_back({NewUuid(), topics});
      } else {
        const auto leaver =
            members.begin() + static_cast<std::ptrdiff_t>(random.Below(members.size()));
        for (PartitionOwner& owner : owners) {
          if (owner.member == leaver->id) owner.member.clear();
        }
        members.erase(leaver);
      }
      const auto before = owners;
      ASSERT_LT(Settle(members, owners), 10);
      if (members.empty()) continue;
      std::map<std::string, int> loads;
      for (const GroupMember& member : members) loads[member.id] = 0;
      int moved = 0;
      for (std::size_t i = 0; i < owners.size(); ++i) {
        ASSERT_FALSE(owners[i].member.empty());
        ++loads.at(owners[i].member);
        moved += !before[i].member.empty() && before[i].member != owners[i].member ? 1 : 0;
      }
      int least = 1'000;
      int most = 0;
      for (const auto& [member, load] : loads) {
        least = std::min(least, load);
        most = std::max(most, load);
      }
      EXPECT_LE(most - least, 1);
      // Sticky: no more changes hands than what evens it out.
      EXPECT_LE(moved, static_cast<int>(owners.size() / members.size()) + 1);
    }
  }
}

TEST(FairShareTest, GivesATopicOnlyToThoseWhoWantIt) {
  const std::vector<GroupMember> members = {{"m1", {"a", "b"}}, {"m2", {"b"}}};
  std::vector<PartitionOwner> owners = {
      {"a", 0, ""}, {"a", 1, ""}, {"b", 0, ""}, {"b", 1, ""}, {"c", 0, ""}};
  Settle(members, owners);
  EXPECT_EQ(owners,
            (std::vector<PartitionOwner>{
                {"a", 0, "m1"}, {"a", 1, "m1"}, {"b", 0, "m2"}, {"b", 1, "m2"}, {"c", 0, ""}}));
}

TEST(FairShareTest, SharesEachTopicWhenThereIsAChoice) {
  std::vector<PartitionOwner> owners;
  for (const char* topic : {"a", "b"}) {
    for (int partition = 0; partition < 4; ++partition) owners.push_back({topic, partition, "m1"});
  }
  Settle({{"m1", {"a", "b"}}, {"m2", {"a", "b"}}}, owners);
  std::map<std::pair<std::string, std::string>, int> counts;
  for (const PartitionOwner& owner : owners) ++counts[{owner.member, owner.topic}];
  for (const auto& [who, count] : counts) EXPECT_EQ(count, 2) << who.first << " " << who.second;
}

}  // namespace
}  // namespace tidewheel::bus
