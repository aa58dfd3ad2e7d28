#include "tidewheel/cli/demo/annotators.h"

#include <numeric>
#include <utility>

#include "tidewheel/base/random.h"

namespace tidewheel::cli::demo {
namespace {

constexpr std::size_t kLeastVotes = 3;
constexpr std::size_t kMostVotes = 5;

}  // namespace

Crowd::Crowd(std::size_t classes, const std::vector<Confusion>& confusions, std::uint64_t seed)
    : classes_(classes), seed_(seed) {
  annotators_ = {{"ana", 0.02, {}},         {"boris", 0.03, {}}, {"chen", 0.05, {}},
                 {"dilara", 0.22, {}},      {"emil", 0.40, {}},  {"farah-biased", 0.04, {}},
                 {"goran-biased", 0.10, {}}};
  for (std::size_t i = 0; i < confusions.size(); ++i) {
    annotators_[annotators_.size() - 2 + i % 2].confusions.push_back(confusions[i]);
  }
}

std::vector<SimulatedVote> Crowd::VotesOn(std::string_view sample_name,
                                          std::size_t true_class) const {
  Random random(StableHash(sample_name, seed_));
  std::vector<std::size_t> members(annotators_.size());
  std::iota(members.begin(), members.end(), std::size_t{0});
  const std::size_t count = kLeastVotes + random.Below(kMostVotes - kLeastVotes + 1);

  std::vector<SimulatedVote> votes;
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(members[i], members[i + random.Below(members.size() - i)]);
    const Annotator& annotator = annotators_[members[i]];
    std::size_t said = true_class;
    if (random.Uniform() < annotator.error) {
      said = (true_class + 1 + random.Below(classes_ - 1)) % classes_;
    }
    for (const Confusion& confusion : annotator.confusions) {
      if (confusion.taken == true_class && random.Uniform() < confusion.share) {
        said = confusion.for_class;
      }
    }
    votes.push_back({members[i], said});
  }
  return votes;
}

}  // namespace tidewheel::cli::demo
