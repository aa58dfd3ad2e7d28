#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/base/result.h"
#include "tidewheel/cli/demo/picture_supply.h"
#include "tidewheel/cli/drill/conditions.h"
#include "tidewheel/cli/drill/scenario.h"

namespace tidewheel::cli::drill {

/// A picture whose class is known to the drill, and to nobody else.
struct KnownPicture {
  std::string name;
  std::string payload;
  std::size_t class_index = 0;
  std::string given_split;  // "training" or "test" where the set says so.
};

/// What the first model may learn from, and pictures that are never pushed.
struct Collection {
  demo::SupplyTraits traits;
  std::vector<KnownPicture> given;
  std::vector<KnownPicture> spare;  // Empty for real sets: there are no more.
};

/// Real pictures of options.data, else drawn street lights that all stand upright: those that lie
/// are what scenarios bring.
Result<Collection> LoadCollection(const Options& options);

/// Pictures of one condition to draw from, with replacement. Immutable.
class Pool {
 public:
  Pool(Condition condition, std::vector<KnownPicture> pictures, std::size_t classes);

  Condition condition() const { return condition_; }
  const std::vector<KnownPicture>& pictures() const { return pictures_; }
  std::size_t size() const { return pictures_.size(); }
  /// `class_shares` empty: every picture is as likely as any other; else one a class, summing to 1.
  const KnownPicture& Draw(Random& random, const std::vector<double>& class_shares) const;
  /// Of the pictures.
  std::vector<double> ClassShares() const;
  /// The same pictures as another condition shows them.
  Result<Pool> In(Condition condition, std::uint64_t seed) const;

 private:
  Condition condition_;
  std::size_t classes_;
  std::vector<KnownPicture> pictures_;
  std::vector<std::vector<std::size_t>> by_class_;
};

/// What the drill sends (`traffic`) and what it judges by (`fresh`): no picture in both, each class
/// in both in the same proportion.
struct Pools {
  Pool traffic;
  Pool fresh;
};
/// `share`: of the pictures, those for traffic. The division depends on names and seed alone.
Pools Divide(const std::vector<KnownPicture>& pictures, std::size_t classes, double share,
             std::uint64_t seed);

/// What each payload shows, by its bytes: how a simulated person recognises it. Filled before it is
/// shared.
class AnswerKey {
 public:
  void Add(const Pool& pool);
  /// None: never seen.
  const std::size_t* Find(std::string_view payload) const;

 private:
  std::unordered_map<std::uint64_t, std::size_t> classes_;
};

}  // namespace tidewheel::cli::drill
