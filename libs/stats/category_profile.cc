#include "tidewheel/stats/category_profile.h"

#include <array>
#include <numeric>
#include <utility>

#include "tidewheel/stats/distances.h"
#include "tidewheel/stats/histograms.h"
#include "tidewheel/stats/internal/samples.h"
#include "tidewheel/stats/internal/sketch_bytes.h"

namespace tidewheel::stats {
namespace {

constexpr std::uint64_t kMostValues = std::uint64_t{1} << 62;
constexpr std::string_view kKind = "TWCP";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMostBytes = CategoryProfile::kMostCategories * 10 + 64;

double Share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

Error OtherCategories(const CategoryProfile& a, const CategoryProfile& b, std::string_view verb) {
  return internal::Invalid("profiles of " + std::to_string(a.counts().size()) + " and " +
                           std::to_string(b.counts().size()) + " categories cannot be " +
                           std::string(verb));
}

}  // namespace

Result<CategoryProfile> CategoryProfile::WithCategories(std::size_t categories) {
  if (categories == 0 || categories > kMostCategories) {
    return internal::Invalid("categories are 1 to " + std::to_string(kMostCategories) + ", not " +
                             std::to_string(categories));
  }
  return CategoryProfile(categories);
}

Result<void> CategoryProfile::Add(std::span<const std::int32_t> codes) {
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (codes[i] < -1) {
      return internal::Invalid("code " + std::to_string(codes[i]) + " of row " + std::to_string(i) +
                               " is below -1");
    }
  }
  // Slot 0 is missing, the last one unseen; in turns, so that a code that comes again need not wait
  // for the count it has just raised.
  constexpr std::size_t kCopies = 4;
  const std::size_t slots = counts_.size() + 2;
  std::vector<std::uint64_t> counted(slots * kCopies);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const auto slot = static_cast<std::size_t>(std::int64_t{codes[i]} + 1);
    ++counted[(slot < slots ? slot : slots - 1) * kCopies + i % kCopies];
  }
  const auto sum = [&](std::size_t slot) {
    const std::uint64_t* copies = counted.data() + slot * kCopies;
    return copies[0] + copies[1] + copies[2] + copies[3];
  };
  missing_ += sum(0);
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += sum(i + 1);
  unseen_ += sum(slots - 1);
  return {};
}

Result<void> CategoryProfile::Merge(const CategoryProfile& other) {
  if (counts_.size() != other.counts_.size()) return OtherCategories(*this, other, "merged");
  if (count() + missing_ + other.count() + other.missing_ > kMostValues) {
    return Error{ErrorCode::kOutOfRange, "a category profile counts at most 2^62 values"};
  }
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  unseen_ += other.unseen_;
  missing_ += other.missing_;
  return {};
}

std::uint64_t CategoryProfile::count() const {
  return std::accumulate(counts_.begin(), counts_.end(), unseen_);
}

std::string CategoryProfile::ToBytes() const {
  internal::SketchWriter writer(kKind, kVersion);
  writer.U32(static_cast<std::uint32_t>(counts_.size()));
  writer.Varint(missing_);
  writer.Varint(unseen_);
  for (const std::uint64_t count : counts_) writer.Varint(count);
  return std::move(writer).Seal();
}

Result<CategoryProfile> CategoryProfile::FromBytes(std::string_view bytes) {
  internal::SketchReader reader("category profile", bytes, kKind, kVersion, kMostBytes);
  const std::size_t categories = reader.Entries("categories", kMostCategories, 1);
  reader.Require(categories > 0, "there is no category");
  if (!reader.ok()) return reader.Finish().error();
  CategoryProfile profile(categories);
  std::uint64_t total = 0;
  const auto count = [&] { return reader.Count(kMostValues, total); };
  profile.missing_ = count();
  profile.unseen_ = count();
  for (std::uint64_t& category : profile.counts_) category = count();
  if (const auto good = reader.Finish(); !good) return good.error();
  return profile;
}

Result<CategoryDrift> CompareCategories(const CategoryProfile& reference,
                                        const CategoryProfile& current) {
  if (reference.counts().size() != current.counts().size()) {
    return OtherCategories(reference, current, "compared");
  }
  if (reference.count() == 0) return internal::NotApplicable("the reference has no value");
  if (current.count() == 0) return internal::NotApplicable("the current window has no value");
  auto expected = reference.counts();
  auto found = current.counts();
  expected.push_back(reference.unseen());
  found.push_back(current.unseen());

  const auto psi = PopulationStabilityIndex(expected, found);
  if (!psi) return psi.error();
  const auto distance = JensenShannonDistance(expected, found);
  if (!distance) return distance.error();
  const auto variation = TotalVariation(expected, found);
  if (!variation) return variation.error();
  return CategoryDrift{
      .missing_share_reference =
          Share(reference.missing(), reference.missing() + reference.count()),
      .missing_share_current = Share(current.missing(), current.missing() + current.count()),
      .unseen_share = Share(current.unseen(), current.count()),
      .psi = *psi,
      .jensen_shannon = *distance,
      .total_variation = *variation};
}

}  // namespace tidewheel::stats
