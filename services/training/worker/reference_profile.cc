#include "tidewheel/training/worker/reference_profile.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/classification.h"
#include "tidewheel/stats/mahalanobis.h"
#include "tidewheel/stats/moments.h"
#include "tidewheel/stats/quantile_sketch.h"

namespace tidewheel::training {
namespace {

constexpr std::uint32_t kFormatVersion = 1;
constexpr int kDistanceSteps = 100;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// `count` of `population` numbers from 0, each once, ascending (reservoir sampling, Vitter 1985).
std::vector<std::uint32_t> Sample(std::size_t population, std::size_t count, std::uint64_t seed) {
  std::vector<std::uint32_t> chosen(std::min(count, population));
  std::iota(chosen.begin(), chosen.end(), 0U);
  Random random(seed);
  for (std::size_t i = chosen.size(); i < population && !chosen.empty(); ++i) {
    const std::uint64_t place = random.Below(i + 1);
    if (place < chosen.size()) chosen[place] = static_cast<std::uint32_t>(i);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

/// Where a histogram's cells part. A value that is common by itself begins a cell; one that is the
/// only value gets a cell of its own, so that both sides of it are seen as new.
std::vector<double> CutsOf(std::span<const double> sorted) {
  std::vector<double> cuts;
  if (sorted.front() == sorted.back()) {
    return {sorted.front(),
            std::nextafter(sorted.front(), std::numeric_limits<double>::infinity())};
  }
  const int steps = static_cast<int>(std::lround(1 / kCutStep));
  for (int i = 1; i < steps; ++i) {
    const double cut = stats::NearestRank(sorted, static_cast<double>(i) / steps);
    if (cut > sorted.front() && (cuts.empty() || cut > cuts.back())) cuts.push_back(cut);
  }
  // Almost all values are the least one: what is above it begins the second cell.
  if (cuts.empty()) cuts.push_back(*std::upper_bound(sorted.begin(), sorted.end(), sorted.front()));
  return cuts;
}

Result<void> AddFeature(const ProfileSource& source, std::size_t feature,
                        v1::ReferenceProfile& profile) {
  const std::size_t columns = source.features.size();
  std::vector<double> column;
  for (std::size_t i = feature; i < source.training_features.size(); i += columns) {
    column.push_back(source.training_features[i]);
  }
  stats::Moments moments;
  auto sketch = stats::QuantileSketch::Create({.seed = source.seed + feature + 1});
  if (!sketch) return sketch.error();
  if (const auto added = moments.Add(std::span<const double>(column)); !added) return added;
  if (const auto added = sketch->Add(std::span<const double>(column)); !added) return added;
  if (moments.count() == 0) return Bad("no training row has a value");

  column.erase(std::remove_if(column.begin(), column.end(), [](double x) { return std::isnan(x); }),
               column.end());
  std::sort(column.begin(), column.end());
  const auto cuts = CutsOf(column);
  std::vector<std::uint64_t> counts(cuts.size() + 1);
  for (const double value : column) {
    ++counts[static_cast<std::size_t>(std::upper_bound(cuts.begin(), cuts.end(), value) -
                                      cuts.begin())];
  }
  v1::FeatureProfile& out = *profile.add_features();
  out.set_name(source.features[feature]);
  out.set_moments(moments.ToBytes());
  out.set_quantile_sketch(sketch->ToBytes());
  out.set_missing(moments.missing());
  out.set_min(column.front());
  out.set_max(column.back());
  out.mutable_cuts()->Add(cuts.begin(), cuts.end());
  out.mutable_counts()->Add(counts.begin(), counts.end());
  return {};
}

void AddPredictions(const ProfileSource& source, v1::ReferenceProfile& profile) {
  const std::size_t classes = source.classes.size();
  std::vector<std::uint64_t> predicted(classes);
  std::vector<std::uint64_t> given(classes);
  std::vector<std::uint64_t> confusion(classes * classes);
  std::vector<std::uint64_t> cells(kConfidenceCells);
  double confidence = 0;
  std::uint64_t right = 0;
  std::uint64_t rows = 0;
  for (const ProfiledRows& split : source.held_out) {
    for (std::size_t row = 0; row < split.given.size(); ++row, ++rows) {
      const auto first = split.probabilities.begin() + static_cast<std::ptrdiff_t>(row * classes);
      const auto top = std::max_element(first, first + static_cast<std::ptrdiff_t>(classes));
      const auto answer = static_cast<std::size_t>(top - first);
      const auto label = static_cast<std::size_t>(split.given[row]);
      ++predicted[answer];
      ++given[label];
      ++confusion[label * classes + answer];
      right += answer == label ? 1 : 0;
      confidence += double{*top};
      const double place = double{*top} * static_cast<double>(kConfidenceCells);
      ++cells[static_cast<std::size_t>(
          std::clamp(place, 0.0, static_cast<double>(kConfidenceCells - 1)))];
    }
  }
  v1::PredictionProfile& out = *profile.mutable_predictions();
  out.mutable_predicted()->Add(predicted.begin(), predicted.end());
  out.mutable_given()->Add(given.begin(), given.end());
  out.mutable_confusion()->Add(confusion.begin(), confusion.end());
  out.mutable_confidence_counts()->Add(cells.begin(), cells.end());
  if (rows == 0) return;
  out.set_mean_confidence(confidence / static_cast<double>(rows));
  out.set_accuracy(static_cast<double>(right) / static_cast<double>(rows));
}

Result<void> AddEmbedding(const ProfileSource& source, v1::ReferenceProfile& profile) {
  std::vector<double> values;
  for (const ProfiledRows& split : source.held_out) {
    values.insert(values.end(), split.embedding.begin(), split.embedding.end());
  }
  const std::size_t numbers = source.embedding_numbers;
  const std::size_t rows = values.size() / numbers;
  const auto estimate = stats::EstimateShrunkCovariance({values, rows, numbers});
  if (!estimate) return Prefixed("embedding: ", estimate.error());
  const auto distance = stats::MahalanobisDistance::Create(estimate->mean, estimate->covariance);
  if (!distance) return Prefixed("embedding: ", distance.error());
  std::vector<double> distances(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    distances[row] =
        distance->Squared(std::span<const double>(values).subspan(row * numbers, numbers));
  }
  std::sort(distances.begin(), distances.end());

  v1::EmbeddingProfile& out = *profile.mutable_embedding();
  out.set_numbers(source.embedding_numbers);
  out.set_projection_seed(source.projection_seed);
  out.mutable_mean()->Add(estimate->mean.begin(), estimate->mean.end());
  out.mutable_covariance()->Add(estimate->covariance.begin(), estimate->covariance.end());
  for (int step = 0; step <= kDistanceSteps; ++step) {
    out.add_distance_quantiles(
        stats::NearestRank(distances, static_cast<double>(step) / kDistanceSteps));
  }
  return {};
}

void AddRow(const ProfileSource& source, const ProfiledRows& split, std::size_t row,
            v1::ReferenceProfile& profile) {
  const auto copy = [row](const auto& from, std::size_t width, auto* to) {
    const auto first = from.begin() + static_cast<std::ptrdiff_t>(row * width);
    to->Add(first, first + static_cast<std::ptrdiff_t>(width));
  };
  v1::ReferenceRow& out = *profile.add_rows();
  out.set_split(split.split);
  out.set_given_class(static_cast<std::uint32_t>(split.given[row]));
  copy(split.probabilities, source.classes.size(), out.mutable_probabilities());
  copy(split.embedding, source.embedding_numbers, out.mutable_embedding());
  copy(split.features, source.features.size(), out.mutable_features());
}

Result<void> Check(const ProfileSource& source) {
  const std::size_t columns = source.features.size();
  if (source.classes.empty()) return Bad("a profile needs classes");
  if (columns > 0 && source.training_features.size() % columns != 0) {
    return Bad(std::to_string(source.training_features.size()) +
               " training features are not rows of " + std::to_string(columns));
  }
  std::vector<const ProfiledRows*> all = {&source.training_sample};
  for (const ProfiledRows& split : source.held_out) all.push_back(&split);
  for (const ProfiledRows* split : all) {
    const std::size_t rows = split->given.size();
    if (split->features.size() != rows * columns ||
        split->probabilities.size() != rows * source.classes.size() ||
        split->embedding.size() != rows * source.embedding_numbers) {
      return Bad("the " + split->split + " rows do not fit their number of " +
                 std::to_string(rows));
    }
    for (const std::int32_t label : split->given) {
      if (label < 0 || static_cast<std::size_t>(label) >= source.classes.size()) {
        return Bad("label " + std::to_string(label) + " of the " + split->split +
                   " rows is no class");
      }
    }
  }
  return {};
}

}  // namespace

std::vector<std::uint32_t> SampleTrainingRows(std::size_t training_rows, std::size_t held_out_rows,
                                              std::uint64_t seed) {
  return Sample(training_rows, kMostProfileRows - std::min(kMostProfileRows, held_out_rows), seed);
}

Result<v1::ReferenceProfile> MakeReferenceProfile(const ProfileSource& source) {
  if (const auto fine = Check(source); !fine) return Prefixed("profile: ", fine.error());
  std::size_t held_out = 0;
  for (const ProfiledRows& split : source.held_out) held_out += split.given.size();

  v1::ReferenceProfile profile;
  profile.set_format_version(kFormatVersion);
  profile.mutable_classes()->Add(source.classes.begin(), source.classes.end());
  profile.set_seed(source.seed);
  profile.set_held_out_rows(held_out);
  if (!source.features.empty()) {
    profile.set_training_rows(source.training_features.size() / source.features.size());
  }
  for (std::size_t feature = 0; feature < source.features.size(); ++feature) {
    if (const auto added = AddFeature(source, feature, profile); !added) {
      return Prefixed("profile: feature " + source.features[feature] + ": ", added.error());
    }
  }
  AddPredictions(source, profile);
  if (source.embedding_numbers > 0 && held_out > 0) {
    if (const auto added = AddEmbedding(source, profile); !added) {
      return Prefixed("profile: ", added.error());
    }
  }

  const auto kept = Sample(held_out, kMostProfileRows, source.seed);
  std::size_t first = 0;
  auto next = kept.begin();
  for (const ProfiledRows& split : source.held_out) {
    for (; next != kept.end() && *next < first + split.given.size(); ++next) {
      AddRow(source, split, *next - first, profile);
    }
    first += split.given.size();
  }
  for (std::size_t row = 0; row < source.training_sample.given.size(); ++row) {
    AddRow(source, source.training_sample, row, profile);
  }
  return profile;
}

std::string PrintProfile(const v1::ReferenceProfile& profile) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  {
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    profile.SerializeToCodedStream(&coded);
  }
  return bytes;
}

}  // namespace tidewheel::training
