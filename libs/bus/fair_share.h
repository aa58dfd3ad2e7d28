#pragma once

#include <compare>
#include <string>
#include <utility>
#include <vector>

namespace tidewheel::bus {

/// Who shares the partitions of a group in the PostgreSQL driver.
struct GroupMember {
  std::string id{};
  std::vector<std::string> topics{};
};

struct PartitionOwner {
  std::string topic{};
  int partition = 0;
  std::string member{};  // Empty: nobody.

  friend auto operator<=>(const PartitionOwner&, const PartitionOwner&) = default;
};

/// What `self` should change: partitions that nobody has go to whoever has the fewest, and what
/// `self` has too many of goes to others, topic by topic as even as it can be. Nothing is taken
/// from another member: that one gives by itself, when it is between two batches. Once every member
/// did this, no two that want the same topics differ by more than one. Returns only what changes.
/// Pure: the same input always gives the same answer.
std::vector<PartitionOwner> FairShare(const std::vector<GroupMember>& members,
                                      const std::vector<PartitionOwner>& owners,
                                      const std::string& self);

}  // namespace tidewheel::bus
