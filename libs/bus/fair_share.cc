#include "tidewheel/bus/fair_share.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace tidewheel::bus {
namespace {

/// How many partitions each member has, in all and of each topic.
class Loads {
 public:
  void Add(const std::string& member, const std::string& topic, int by) {
    all_[member] += by;
    by_topic_[{member, topic}] += by;
  }
  int Of(const std::string& member) const {
    const auto found = all_.find(member);
    return found == all_.end() ? 0 : found->second;
  }
  int Of(const std::string& member, const std::string& topic) const {
    const auto found = by_topic_.find({member, topic});
    return found == by_topic_.end() ? 0 : found->second;
  }

 private:
  std::map<std::string, int> all_;
  std::map<std::pair<std::string, std::string>, int> by_topic_;
};

/// Who wants `topic` and has the fewest; null when nobody wants it.
const GroupMember* Poorest(const std::vector<GroupMember>& members, const std::string& topic,
                           const Loads& loads) {
  const GroupMember* poorest = nullptr;
  const auto wealth = [&](const GroupMember& member) {
    return std::tuple(loads.Of(member.id), loads.Of(member.id, topic), member.id);
  };
  for (const GroupMember& member : members) {
    if (std::find(member.topics.begin(), member.topics.end(), topic) == member.topics.end()) {
      continue;
    }
    if (poorest == nullptr || wealth(member) < wealth(*poorest)) poorest = &member;
  }
  return poorest;
}

}  // namespace

std::vector<PartitionOwner> FairShare(const std::vector<GroupMember>& members,
                                      const std::vector<PartitionOwner>& owners,
                                      const std::string& self) {
  std::vector<PartitionOwner> now = owners;
  std::sort(now.begin(), now.end());
  const std::vector<PartitionOwner> before = now;
  Loads loads;
  for (const PartitionOwner& owner : now) {
    if (!owner.member.empty()) loads.Add(owner.member, owner.topic, 1);
  }

  for (PartitionOwner& owner : now) {
    if (!owner.member.empty()) continue;
    const GroupMember* poorest = Poorest(members, owner.topic, loads);
    if (poorest == nullptr) continue;
    owner.member = poorest->id;
    loads.Add(owner.member, owner.topic, 1);
  }

  // What everybody should do, so that all come to the same end with as few changes as can be.
  while (true) {
    PartitionOwner* gift = nullptr;
    const GroupMember* receiver = nullptr;
    std::pair<int, int> best;  // How uneven it is now: in all, then within the topic.
    for (PartitionOwner& owner : now) {
      if (owner.member.empty()) continue;
      const GroupMember* poorest = Poorest(members, owner.topic, loads);
      if (poorest == nullptr) continue;
      const std::pair gap(loads.Of(owner.member) - loads.Of(poorest->id),
                          loads.Of(owner.member, owner.topic) - loads.Of(poorest->id, owner.topic));
      if (gap.first < 2 || (gift != nullptr && gap < best)) continue;
      gift = &owner;
      receiver = poorest;
      best = gap;
    }
    if (gift == nullptr) break;
    loads.Add(gift->member, gift->topic, -1);
    loads.Add(receiver->id, gift->topic, 1);
    gift->member = receiver->id;
  }

  std::vector<PartitionOwner> changes;
  for (std::size_t i = 0; i < now.size(); ++i) {
    const bool may_change = before[i].member.empty() || before[i].member == self;
    if (may_change && now[i].member != before[i].member) changes.push_back(now[i]);
  }
  return changes;
}

}  // namespace tidewheel::bus
