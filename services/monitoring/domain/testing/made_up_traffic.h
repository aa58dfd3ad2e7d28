#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/monitoring/domain/profile.h"
#include "tidewheel/monitoring/domain/window_rows.h"

namespace tidewheel::monitoring {

/// A world of three classes that a fair classifier tells apart in about 19 of 20 cases, of which
/// the reference and the traffic are two finite samples. For tests.
class MadeUpTraffic {
 public:
  static constexpr std::size_t kLatent = 4;
  static constexpr std::size_t kFeatures = 8;
  static constexpr std::size_t kEmbedding = 16;
  static constexpr std::size_t kClasses = 3;

  enum class Change { kNone, kTurned, kShares, kConcept, kDark };

  struct World {
    double separation = 3.2;  // Of the classes, in their deviations.
    double stray_share = 0;   // Rows that are far from all others, each in its own way.
  };

  explicit MadeUpTraffic(std::uint64_t seed, std::size_t reference_rows = 400,
                         std::size_t pool_rows = 400)
      : MadeUpTraffic(seed, reference_rows, pool_rows, World()) {}
  MadeUpTraffic(std::uint64_t seed, std::size_t reference_rows, std::size_t pool_rows,
                const World& world)
      : world_(world), random_(seed) {
    Random matrix(4711);
    for (auto& number : projection_) number = matrix.Normal() / 2;
    for (auto& number : loadings_) number = matrix.Normal();
    for (std::size_t i = 0; i < reference_rows; ++i) reference_.push_back(Draw());
    for (std::size_t i = 0; i < pool_rows; ++i) pool_.push_back(Draw());
    changed_shares_ = {0.15, 0.15, 0.70};
    for (std::size_t i = 0; i < pool_rows; ++i) {
      shifted_pool_.push_back(Draw(changed_shares_));
    }
    MakeProfile();
  }

  const Profile& profile() const { return profile_; }
  const std::array<double, kClasses>& changed_shares() const { return changed_shares_; }

  /// The next row in event order, a second after the last.
  ObservedRow Next(Change change = Change::kNone, double share = 1) {
    const bool changed = random_.Uniform() < share;
    Sample sample = change == Change::kShares && changed
                        ? shifted_pool_[random_.Below(shifted_pool_.size())]
                        : pool_[random_.Below(pool_.size())];
    if (change == Change::kTurned && changed) {
      auto turned = sample.latent;
      turned[0] = sample.latent[1] + 1.5;
      turned[1] = sample.latent[0];
      turned[2] = sample.latent[2] + 4;  // What no class looked like before.
      sample = Measure(sample.given, turned);
    }
    ObservedRow row;
    row.request_id = "r-" + std::to_string(count_);
    row.at = Timestamp(std::chrono::seconds(1'800'000'000 + count_++));
    row.role = "production";
    row.slices = {count_ % 2 == 0 ? "camera=north" : "camera=south"};
    row.features = sample.features;
    row.embedding = sample.embedding;
    row.probabilities = sample.probabilities;
    if (change == Change::kDark && changed) {
      row.quality_problems = {"underexposed"};
      for (auto& feature : row.features) feature = -5;
      for (auto& number : row.embedding) number = 0;
      row.probabilities = {0.4F, 0.3F, 0.3F};
    }
    row.class_index = static_cast<std::uint32_t>(
        std::max_element(row.probabilities.begin(), row.probabilities.end()) -
        row.probabilities.begin());
    truth_ = sample.given;
    if (change == Change::kConcept && changed && truth_ < 2) truth_ = 1 - truth_;
    return row;
  }
  /// Of the last row.
  std::uint32_t truth() const { return truth_; }

  WindowRows Window(std::uint64_t number, std::vector<ObservedRow> rows,
                    const std::string& model = "model-1") const {
    WindowRows window;
    window.model = {"lights", model};
    window.kind = "count";
    window.number = number;
    window.rows = std::move(rows);
    window.first_at = window.rows.front().at;
    window.last_at = window.rows.back().at;
    window.fingerprint = StableHash(window.rows.front().request_id);
    window.classes = profile_.classes;
    for (const auto& feature : profile_.features) window.features.push_back(feature.name);
    return window;
  }
  WindowRows Window(std::uint64_t number, std::size_t rows, Change change = Change::kNone,
                    std::size_t from = 0, double share = 1) {
    std::vector<ObservedRow> drawn;
    for (std::size_t i = 0; i < rows; ++i) {
      drawn.push_back(Next(i < from ? Change::kNone : change, share));
    }
    return Window(number, std::move(drawn));
  }

 private:
  struct Sample {
    std::uint32_t given = 0;
    std::array<double, kLatent> latent{};
    std::vector<double> features;
    std::vector<float> embedding;
    std::vector<float> probabilities;
  };

  /// Red in the middle, the others on an axis of their own.
  double Centre(std::size_t given, std::size_t axis) const {
    return given > 0 && axis + 1 == given ? world_.separation : 0;
  }

  Sample Draw(const std::array<double, kClasses>& shares = {0.45, 0.45, 0.10}) {
    double u = random_.Uniform();
    std::uint32_t given = 0;
    while (given + 1 < kClasses && u >= shares[given]) u -= shares[given++];
    std::array<double, kLatent> latent{};
    for (std::size_t i = 0; i < kLatent; ++i) latent[i] = Centre(given, i) + random_.Normal();
    if (world_.stray_share > 0 && random_.Uniform() < world_.stray_share) {
      for (auto& number : latent) number *= 3;
    }
    return Measure(given, latent);
  }

  Sample Measure(std::uint32_t given, const std::array<double, kLatent>& latent) {
    Sample sample;
    sample.given = given;
    sample.latent = latent;
    double sum = 0;
    std::array<double, kClasses> weights{};
    for (std::size_t k = 0; k < kClasses; ++k) {
      double squares = 0;
      for (std::size_t i = 0; i < kLatent; ++i) {
        squares += (latent[i] - Centre(k, i)) * (latent[i] - Centre(k, i));
      }
      weights[k] = std::exp(-squares / 2) + 1e-12;
      sum += weights[k];
    }
    for (const double weight : weights) {
      sample.probabilities.push_back(static_cast<float>(weight / sum));
    }
    for (std::size_t f = 0; f < kFeatures; ++f) {
      double value = 0.5 * random_.Normal();
      for (std::size_t i = 0; i < kLatent; ++i) value += loadings_[f * kLatent + i] * latent[i];
      if (f == 6) value = std::round(value);  // Ties.
      if (f == 7) value = 28;                 // Never differs.
      sample.features.push_back(value);
    }
    for (std::size_t e = 0; e < kEmbedding; ++e) {
      double value = 0.1 * random_.Normal();
      for (std::size_t i = 0; i < kLatent; ++i) value += projection_[e * kLatent + i] * latent[i];
      sample.embedding.push_back(static_cast<float>(value));
    }
    return sample;
  }

  void MakeProfile() {
    profile_.classes = {"red", "green", "yellow"};
    profile_.seed = 7;
    profile_.training_rows = 3 * reference_.size();
    profile_.held_out_rows = reference_.size();
    profile_.embedding.numbers = kEmbedding;
    profile_.predictions.predicted.assign(kClasses, 0);
    profile_.predictions.given.assign(kClasses, 0);
    profile_.predictions.confusion.assign(kClasses * kClasses, 0);
    profile_.predictions.confidence_counts.assign(10, 0);
    std::size_t right = 0;
    for (const auto& sample : reference_) {
      ReferenceRow row;
      row.split = "test";
      row.given_class = sample.given;
      row.probabilities = sample.probabilities;
      row.embedding = sample.embedding;
      row.features = sample.features;
      const auto top = static_cast<std::uint32_t>(
          std::max_element(row.probabilities.begin(), row.probabilities.end()) -
          row.probabilities.begin());
      ++profile_.predictions.predicted[top];
      ++profile_.predictions.given[sample.given];
      ++profile_.predictions.confusion[sample.given * kClasses + top];
      ++profile_.predictions.confidence_counts[std::min<std::size_t>(
          static_cast<std::size_t>(10 * row.probabilities[top]), 9)];
      right += top == sample.given ? 1 : 0;
      profile_.rows.push_back(std::move(row));
    }
    profile_.predictions.accuracy =
        static_cast<double>(right) / static_cast<double>(reference_.size());
    for (std::size_t f = 0; f < kFeatures; ++f) {
      FeatureReference feature;
      feature.name = "feature_" + std::to_string(f);
      std::vector<double> values;
      // As many rows as the training split is said to have.
      for (std::size_t i = 0; i < profile_.training_rows; ++i) {
        values.push_back(Draw().features[f]);
      }
      std::sort(values.begin(), values.end());
      feature.min = values.front();
      feature.max = values.back();
      for (int q = 1; q < 10; ++q) {
        const double cut = values[values.size() * static_cast<std::size_t>(q) / 10];
        if (feature.cuts.empty() || cut > feature.cuts.back()) feature.cuts.push_back(cut);
      }
      feature.counts.assign(feature.cuts.size() + 1, 0);
      for (const double value : values) {
        ++feature.counts[static_cast<std::size_t>(
            std::upper_bound(feature.cuts.begin(), feature.cuts.end(), value) -
            feature.cuts.begin())];
      }
      profile_.features.push_back(std::move(feature));
    }
  }

  const World world_;
  Random random_;
  std::array<double, kEmbedding * kLatent> projection_{};
  std::array<double, kFeatures * kLatent> loadings_{};
  std::vector<Sample> reference_;
  std::vector<Sample> pool_;
  std::vector<Sample> shifted_pool_;
  std::array<double, kClasses> changed_shares_{};
  Profile profile_;
  std::int64_t count_ = 0;
  std::uint32_t truth_ = 0;
};

}  // namespace tidewheel::monitoring
