#include "tidewheel/cli/drill/known_pictures.h"

#include <algorithm>

namespace tidewheel::cli::drill {
namespace {

constexpr std::uint64_t kSpare = 1'600;

Result<Collection> LoadReal(const Options& options) {
  auto supply = demo::OpenRealPictures(options.data, std::nullopt);
  if (!supply) return supply.error();
  Collection collection;
  collection.traits = (*supply)->traits();
  while (true) {
    auto given = (*supply)->Next();
    if (!given) return given.error();
    if (!given->has_value()) return collection;
    auto& picture = (*given)->picture;
    std::string split;
    if (const auto found = picture.metadata.find("split"); found != picture.metadata.end()) {
      split = found->second;
    }
    collection.given.push_back({std::move(picture.name), std::move(picture.payload),
                                (*given)->class_index, std::move(split)});
  }
}

Result<Collection> Draw(const Options& options) {
  const std::uint64_t wanted = options.count + kSpare;
  // Three of ten lie.
  const auto supply = demo::RenderPictures(wanted * 2, options.seed);
  Collection collection;
  collection.traits = supply->traits();
  while (collection.given.size() + collection.spare.size() < wanted) {
    auto drawn = supply->Next();
    if (!drawn) return drawn.error();
    if (!drawn->has_value()) break;
    auto& picture = (*drawn)->picture;
    if (picture.metadata["housing"] != "vertical") continue;
    auto& part = collection.given.size() < options.count ? collection.given : collection.spare;
    part.push_back(
        {std::move(picture.name), std::move(picture.payload), (*drawn)->class_index, {}});
  }
  return collection;
}

}  // namespace

Result<Collection> LoadCollection(const Options& options) {
  return options.data.empty() ? Draw(options) : LoadReal(options);
}

Pool::Pool(Condition condition, std::vector<KnownPicture> pictures, std::size_t classes)
    : condition_(condition), classes_(classes), pictures_(std::move(pictures)), by_class_(classes) {
  for (std::size_t i = 0; i < pictures_.size(); ++i) {
    by_class_[pictures_[i].class_index].push_back(i);
  }
}

const KnownPicture& Pool::Draw(Random& random, const std::vector<double>& class_shares) const {
  if (!class_shares.empty()) {
    double at = random.Uniform();
    for (std::size_t i = 0; i < class_shares.size(); ++i) {
      at -= class_shares[i];
      if (at >= 0 || by_class_[i].empty()) continue;
      return pictures_[by_class_[i][random.Below(by_class_[i].size())]];
    }
  }
  return pictures_[random.Below(pictures_.size())];
}

std::vector<double> Pool::ClassShares() const {
  std::vector<double> shares;
  for (const auto& members : by_class_) {
    shares.push_back(static_cast<double>(members.size()) /
                     static_cast<double>(std::max<std::size_t>(pictures_.size(), 1)));
  }
  return shares;
}

Result<Pool> Pool::In(Condition condition, std::uint64_t seed) const {
  std::vector<KnownPicture> changed;
  changed.reserve(pictures_.size());
  for (const KnownPicture& picture : pictures_) {
    auto payload = PayloadIn(condition, picture.payload, seed);
    if (!payload) return Prefixed(picture.name + ": ", payload.error());
    changed.push_back({std::string(Name(condition)) + "/" + picture.name,
                       *std::move(payload),
                       picture.class_index,
                       {}});
  }
  return Pool(condition, std::move(changed), classes_);
}

Pools Divide(const std::vector<KnownPicture>& pictures, std::size_t classes, double share,
             std::uint64_t seed) {
  std::vector<std::vector<const KnownPicture*>> by_class(classes);
  for (const KnownPicture& picture : pictures) by_class[picture.class_index].push_back(&picture);
  std::vector<KnownPicture> traffic;
  std::vector<KnownPicture> fresh;
  for (auto& members : by_class) {
    std::sort(members.begin(), members.end(), [&](const auto* a, const auto* b) {
      const auto one = StableHash(a->name, seed);
      const auto two = StableHash(b->name, seed);
      return one != two ? one < two : a->name < b->name;
    });
    const auto sent = static_cast<std::size_t>(static_cast<double>(members.size()) * share + 0.5);
    for (std::size_t i = 0; i < members.size(); ++i) {
      (i < sent ? traffic : fresh).push_back(*members[i]);
    }
  }
  // One class after the other would look like a shift of the classes.
  for (auto* part : {&traffic, &fresh}) {
    std::sort(part->begin(), part->end(), [&](const auto& a, const auto& b) {
      return StableHash(a.name, ~seed) < StableHash(b.name, ~seed);
    });
  }
  return {Pool(Condition::kOld, std::move(traffic), classes),
          Pool(Condition::kOld, std::move(fresh), classes)};
}

void AnswerKey::Add(const Pool& pool) {
  for (const KnownPicture& picture : pool.pictures()) {
    classes_[StableHash(picture.payload)] = picture.class_index;
  }
}

const std::size_t* AnswerKey::Find(std::string_view payload) const {
  const auto found = classes_.find(StableHash(payload));
  return found == classes_.end() ? nullptr : &found->second;
}

}  // namespace tidewheel::cli::drill
