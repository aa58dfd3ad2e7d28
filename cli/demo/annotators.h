#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidewheel::cli::demo {

/// Takes one class for another more often than chance would.
struct Confusion {
  std::size_t taken = 0;  // The true class, by index.
  std::size_t for_class = 0;
  double share = 0;  // Of the pictures of the true class.
};

/// A simulated person who labels pictures, with a known error rate.
struct Annotator {
  std::string name;
  double error = 0;  // Share of wrong votes, the wrong class drawn evenly.
  std::vector<Confusion> confusions;
};

struct SimulatedVote {
  std::size_t annotator = 0;  // Place in the crowd.
  std::size_t class_index = 0;
};

/// Seven people of different care; each picture is seen by three to five of them. The votes on a
/// picture depend on its name, the seed and nothing else.
class Crowd {
 public:
  /// `confusions` are given to the two biased members, in turn.
  Crowd(std::size_t classes, const std::vector<Confusion>& confusions, std::uint64_t seed);

  const std::vector<Annotator>& annotators() const { return annotators_; }
  std::vector<SimulatedVote> VotesOn(std::string_view sample_name, std::size_t true_class) const;

 private:
  const std::size_t classes_;
  const std::uint64_t seed_;
  std::vector<Annotator> annotators_;
};

}  // namespace tidewheel::cli::demo
