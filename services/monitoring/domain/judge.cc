#include "tidewheel/monitoring/domain/judge.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "tidewheel/base/ids.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::monitoring {
namespace {

constexpr double kConfidence = 0.95;
constexpr double kNormal95 = 1.959963984540054;
constexpr double kRangeMargin = 0.1;  // Of the reference's range, beyond its ends.
constexpr double kKnownQuantile = 0.95;
constexpr std::size_t kMostCategories = 20;  // Different values of a feature of codes.
constexpr std::array<std::size_t, 17> kGrid = {20,  25,  32,  40,  50,  64,  80,   100, 128,
                                               160, 200, 256, 320, 400, 500, 1000, 2000};

Finding Named(const WindowRows& window, FindingKind kind, std::string subject, std::string method) {
  Finding finding;
  finding.id = NewUuid();
  finding.model = window.model;
  finding.slice = window.slice;
  finding.kind = kind;
  finding.subject = std::move(subject);
  finding.method = std::move(method);
  finding.predictions = window.rows.size();
  finding.first_at = window.first_at;
  finding.last_at = window.last_at;
  finding.window_id = window.key().Id();
  return finding;
}

Finding FindingOf(const WindowRows& window, const Statistic& statistic, const Profile& profile) {
  switch (statistic.kind) {
    case Statistic::Kind::kFeature:
      return Named(window, FindingKind::kFeatureDrift, profile.features[statistic.feature].name,
                   "ks");
    case Statistic::Kind::kMeanShift:
      return Named(window, FindingKind::kEmbeddingDrift, "mean", "mean_shift");
    case Statistic::Kind::kDistance:
      return Named(window, FindingKind::kEmbeddingDrift, "distance", "ks");
    case Statistic::Kind::kDiscrepancy:
      return Named(window, FindingKind::kEmbeddingDrift, "shape", "mmd");
    case Statistic::Kind::kConfidence:
      return Named(window, FindingKind::kPredictionDrift, "confidence", "ks");
    case Statistic::Kind::kPredictedShares:
      return Named(window, FindingKind::kPredictionDrift, "classes", "total_variation");
    case Statistic::Kind::kExpectedLoss:
      break;
  }
  return Named(window, FindingKind::kEstimatedAccuracy, "accuracy", "cbpe");
}

/// What is rare by nature: exact counts against the reference's.
std::vector<RareCount> CountRare(const WindowRows& window, const Profile* profile,
                                 std::uint64_t held_out_rows) {
  std::vector<RareCount> counts;
  const std::uint64_t rows = window.rows.size();
  RareCount quality{FindingKind::kInputQuality,
                    "quality",
                    0,
                    rows,
                    0,
                    std::max<std::uint64_t>(held_out_rows, kLeastReferenceRows)};
  for (const auto& row : window.rows) quality.hits += row.quality_problems.empty() ? 0 : 1;
  counts.push_back(quality);
  if (profile == nullptr) return counts;

  std::map<std::string, std::uint64_t> unknown;
  for (const auto& row : window.rows) {
    for (const auto& name : row.unknown_features) ++unknown[name];
  }
  RareCount never{FindingKind::kDataQuality, "unknown", 0, rows, 0, profile->training_rows};
  for (const auto& [name, hits] : unknown) {
    if (hits > never.hits) {
      never.hits = hits;
      never.subject = "unknown " + name.substr(0, 100);
    }
  }
  counts.push_back(never);

  for (std::size_t f = 0; f < profile->features.size(); ++f) {
    const FeatureReference& feature = profile->features[f];
    const std::uint64_t known =
        std::max<std::uint64_t>(profile->training_rows, feature.missing + 1);
    RareCount missing{
        FindingKind::kDataQuality, "missing " + feature.name, 0, rows, feature.missing, known};
    // Sound rows alone: a dark picture is out of range by nature. The ends are themselves two of
    // the rows, so one hit is what to expect.
    RareCount range{FindingKind::kDataQuality, "range " + feature.name, 0, 0, 1,
                    known - feature.missing};
    const double margin = kRangeMargin * (feature.max - feature.min);
    for (const auto& row : window.rows) {
      const double value = f < row.features.size() ? row.features[f] : std::nan("");
      if (std::isnan(value)) {
        ++missing.hits;
      } else if (row.quality_problems.empty()) {
        ++range.rows;
        if (value < feature.min - margin || value > feature.max + margin) ++range.hits;
      }
    }
    counts.push_back(std::move(missing));
    if (range.rows > 0) counts.push_back(std::move(range));
  }
  return counts;
}

Finding FindingOf(const WindowRows& window, const RareCount& count, double level) {
  Finding finding = Named(window, count.kind, count.subject, "predictive");
  const double p =
      PredictiveTail(count.hits, count.rows, count.reference_hits, count.reference_rows);
  // Both as powers of ten, so that more is worse.
  finding.statistic = p > 0 ? -std::log10(p) : 300;
  finding.threshold = -std::log10(level);
  finding.fires = p <= level;
  finding.effect = static_cast<double>(count.hits) / static_cast<double>(count.rows);
  if (const auto interval = stats::WilsonInterval(count.hits, count.rows, kConfidence)) {
    finding.effect_low = interval->low;
    finding.effect_high = interval->high;
  }
  return finding;
}

/// Features whose values are whole numbers of which few differ: codes of categories, for which a
/// value that was never seen is no larger or smaller one.
std::vector<RareCount> CountNew(const WindowRows& window, const Profile& profile) {
  std::vector<RareCount> counts;
  for (std::size_t f = 0; f < profile.features.size(); ++f) {
    std::map<double, std::uint64_t> seen;
    std::uint64_t known = 0;
    for (const auto& row : profile.rows) {
      const double value = f < row.features.size() ? row.features[f] : std::nan("");
      if (!std::isfinite(value)) continue;
      ++known;
      if (value != std::floor(value) || seen.size() > kMostCategories) {
        seen.clear();
        known = 0;
        break;
      }
      ++seen[value];
    }
    // Of one value alone nobody knows whether it is a code.
    if (known < kLeastReferenceRows || seen.size() < 2 || seen.size() > kMostCategories) continue;
    RareCount fresh{FindingKind::kDataQuality, "new " + profile.features[f].name, 0, 0, 0, known};
    // So many rows are expected to be of values that were not seen (Good 1953).
    for (const auto& [value, times] : seen) fresh.reference_hits += times == 1 ? 1 : 0;
    for (const auto& row : window.rows) {
      const double value = f < row.features.size() ? row.features[f] : std::nan("");
      if (!std::isfinite(value) || !row.quality_problems.empty()) continue;
      ++fresh.rows;
      if (!seen.contains(value)) ++fresh.hits;
    }
    if (fresh.rows > 0) counts.push_back(std::move(fresh));
  }
  return counts;
}

struct Neighbour {
  std::size_t row = 0;
  double distance = std::numeric_limits<double>::infinity();  // Squared.
};

/// The nearest of the rows, but for `self`.
Neighbour Nearest(const std::vector<double>& rows, std::span<const double> point,
                  std::size_t self = ~std::size_t{0}) {
  const std::size_t e = point.size();
  Neighbour nearest;
  for (std::size_t r = 0; r * e < rows.size(); ++r) {
    if (r == self) continue;
    double sum = 0;
    for (std::size_t k = 0; k < e; ++k) {
      const double difference = rows[r * e + k] - point[k];
      sum += difference * difference;
    }
    if (sum < nearest.distance) nearest = {r, sum};
  }
  return nearest;
}

double UsualOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(kKnownQuantile * static_cast<double>(values.size() - 1))];
}

}  // namespace

Result<std::shared_ptr<PreparedReference>> PreparedReference::Make(const Profile& profile) {
  auto rows = HeldOutRows(profile);
  if (!rows) return rows.error();
  const std::shared_ptr<PreparedReference> prepared(new PreparedReference);
  prepared->held_out_ = std::make_unique<const RowTable>(*std::move(rows));
  std::vector<std::uint32_t> all(prepared->held_out_->rows);
  std::iota(all.begin(), all.end(), 0U);
  prepared->reference_ = std::make_unique<const JudgeReference>(*prepared->held_out_, all);
  prepared->class_rows_ =
      std::make_unique<const RowTable>(WithThinClasses(profile, *prepared->held_out_));
  std::vector<std::uint32_t> with_thin(prepared->class_rows_->rows);
  std::iota(with_thin.begin(), with_thin.end(), 0U);
  prepared->class_reference_ =
      std::make_unique<const JudgeReference>(*prepared->class_rows_, with_thin);
  prepared->seed_ = profile.seed;
  for (const auto i : all) {
    if (prepared->held_out_->given[i] != prepared->held_out_->predicted[i]) ++prepared->errors_;
  }
  // Whatever the model was made from it knows; the held-out rows alone may hold too little of it.
  const std::size_t e = prepared->held_out_->embedding_numbers;
  RowTable everything;
  everything.classes = profile.classes.size();
  everything.embedding_numbers = e;
  everything.features.resize(profile.features.size());
  for (const auto& row : profile.rows) {
    if (e == 0 || row.embedding.size() != e) continue;
    ++everything.rows;
    for (const float number : row.embedding) {
      everything.embeddings.push_back(static_cast<double>(number));
    }
    for (auto& feature : everything.features) feature.push_back(0);
    everything.confidence.push_back(0);
    everything.predicted.push_back(0);
  }
  prepared->known_ = prepared->reference_->Place(everything).whitened;
  if (!prepared->known_.empty()) {
    std::vector<Neighbour> neighbours;
    for (std::size_t r = 0; r < everything.rows; ++r) {
      neighbours.push_back(Nearest(prepared->known_, {prepared->known_.data() + r * e, e}, r));
      // Two equal rows are as near as rows come.
      prepared->known_distances_.push_back(std::max(neighbours.back().distance, 1e-9));
    }
    std::vector<double> ratios;
    for (std::size_t r = 0; r < everything.rows; ++r) {
      ratios.push_back(prepared->known_distances_[r] /
                       prepared->known_distances_[neighbours[r].row]);
    }
    prepared->usual_distance_ = UsualOf(prepared->known_distances_);
    prepared->usual_ratio_ = UsualOf(std::move(ratios));
  }
  return prepared;
}

double PreparedReference::UnknownShare(const PlacedRows& placed) const {
  if (known_.empty() || placed.whitened.empty() || placed.rows == 0) return 1;
  const std::size_t e = placed.whitened.size() / placed.rows;
  std::size_t unknown = 0;
  for (std::size_t r = 0; r < placed.rows; ++r) {
    const auto nearest = Nearest(known_, {placed.whitened.data() + r * e, e});
    const bool far = nearest.distance > usual_distance_;
    if (far && nearest.distance > usual_ratio_ * known_distances_[nearest.row]) ++unknown;
  }
  return static_cast<double>(unknown) / static_cast<double>(placed.rows);
}

std::shared_ptr<const ThresholdTable> PreparedReference::Thresholds(std::size_t rows) {
  if (rows < kLeastRows) return nullptr;
  const std::size_t size = *(std::upper_bound(kGrid.begin(), kGrid.end(), rows) - 1);
  const std::lock_guard lock(mutex_);
  auto& table = tables_[size];
  if (!table) table = std::make_shared<const ThresholdTable>(*held_out_, size, seed_ + size);
  return table;
}

Result<std::shared_ptr<PreparedReference>> WindowJudge::Prepare(const std::string& model_version_id,
                                                                const Profile& profile) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = prepared_.find(model_version_id);
    if (found != prepared_.end()) return found->second;
  }
  auto made = PreparedReference::Make(profile);
  if (!made) return made.error();
  const std::lock_guard lock(mutex_);
  const auto [place, inserted] = prepared_.emplace(model_version_id, *made);
  if (inserted) {
    order_.push_back(model_version_id);
    if (order_.size() > kMostReferences) {
      prepared_.erase(order_.front());
      order_.erase(order_.begin());
    }
  }
  return place->second;
}

Judgement WindowJudge::Judge(const WindowRows& window, const Profile* profile,
                             const MonitoringPolicy& policy, int kinds) {
  Judgement judgement;
  if (window.rows.empty()) {
    judgement.not_applicable = "the window is empty";
    return judgement;
  }
  const double of_window =
      AllowedPerWindow(policy, window.rows.size()) / static_cast<double>(std::max(kinds, 1));
  const double keys = static_cast<double>(std::max<std::size_t>(policy.slice_keys.size(), 1));
  const double allowed =
      window.slice.empty()
          ? of_window
          : of_window * budget::kSliceWindows / (budget::kDriftPair + budget::kDriftSingle) / keys;

  std::vector<const ObservedRow*> sound;
  for (const auto& row : window.rows) {
    if (row.quality_problems.empty()) sound.push_back(&row);
  }
  judgement.sound_rows = sound.size();
  judgement.flawed_rows = window.rows.size() - sound.size();

  judgement.rare = CountRare(window, profile, profile == nullptr ? 0 : profile->held_out_rows);
  if (profile != nullptr) {
    auto fresh = CountNew(window, *profile);
    std::move(fresh.begin(), fresh.end(), std::back_inserter(judgement.rare));
  }
  judgement.rare_level = allowed * budget::kRare / (2 * static_cast<double>(judgement.rare.size()));
  for (const auto& count : judgement.rare) {
    judgement.findings.push_back(FindingOf(window, count, judgement.rare_level));
    judgement.standardized.push_back(0);
  }

  if (profile != nullptr) {
    for (const auto count : profile->predictions.confusion) judgement.reference_rows += count;
    judgement.reference_errors = judgement.reference_rows;
    for (std::size_t k = 0; k < profile->classes.size(); ++k) {
      const std::size_t place = k * (profile->classes.size() + 1);
      if (place < profile->predictions.confusion.size()) {
        judgement.reference_errors -= profile->predictions.confusion[place];
      }
    }
  }
  const auto not_applicable = [&](std::string why) {
    judgement.not_applicable = why;
    judgement.findings.push_back(
        Named(window, FindingKind::kFeatureDrift, std::move(why), kNotApplicable));
    judgement.standardized.push_back(0);
    return judgement;
  };
  if (profile == nullptr) return not_applicable("the model's package has no profile");
  const auto prepared = Prepare(window.model.model_version_id, *profile);
  if (!prepared) return not_applicable(prepared.error().message);
  const JudgeReference& reference = (*prepared)->reference();
  judgement.reference_accuracy = reference.accuracy();
  if (sound.empty()) return not_applicable("every row breaks a quality rule");
  const PlacedRows placed = reference.Place(TableOf(sound, *profile));
  std::vector<std::uint32_t> all(sound.size());
  std::iota(all.begin(), all.end(), 0U);
  std::vector<double> values(reference.statistics().size());
  reference.Evaluate(placed, all, values);

  judgement.unknown_share = (*prepared)->UnknownShare(placed);
  if (!placed.whitened.empty()) {
    // For people, and for models made from several conditions; fires nothing itself.
    Finding unknown = Named(window, FindingKind::kEmbeddingDrift, "unknown", "nearest");
    unknown.statistic = judgement.unknown_share;
    unknown.threshold = Judgement::kMostUnknown;
    unknown.predictions = sound.size();
    const auto hits = static_cast<std::uint64_t>(
        std::lround(judgement.unknown_share * static_cast<double>(sound.size())));
    unknown.effect = judgement.unknown_share;
    if (const auto interval = stats::WilsonInterval(hits, sound.size(), kConfidence)) {
      unknown.effect_low = interval->low;
      unknown.effect_high = interval->high;
    }
    judgement.findings.push_back(std::move(unknown));
    judgement.standardized.push_back(0);
  }

  const double n = static_cast<double>(sound.size());
  double expected = 0;
  double variance = 0;
  for (const double p : placed.expected) {
    expected += p / n;
    variance += p * (1 - p) / (n * n);
  }
  // The calibration itself knows the accuracy only as well as the reference does.
  variance += reference.AccuracyVariance();
  judgement.expected_accuracy = expected;
  judgement.expected_low = std::max(0.0, expected - kNormal95 * std::sqrt(variance));
  judgement.expected_high = std::min(1.0, expected + kNormal95 * std::sqrt(variance));

  const auto table = (*prepared)->Thresholds(sound.size());
  if (!table) {
    return not_applicable("only " + std::to_string(sound.size()) +
                          " rows are sound, and drift needs " +
                          std::to_string(PreparedReference::kLeastRows));
  }
  judgement.pair_level = table->tail().Level(allowed * budget::kDriftPair, 2);
  judgement.single_level =
      std::max(table->tail().Level(allowed * budget::kDriftSingle, 1), judgement.pair_level);
  for (std::size_t s = 0; s < values.size(); ++s) {
    if (!table->Varies(s)) continue;
    Finding finding = FindingOf(window, reference.statistics()[s], *profile);
    double standardized = table->Standardized(s, values[s]);
    finding.statistic = values[s];
    finding.threshold = table->Unstandardized(s, judgement.pair_level);
    finding.fires = standardized > judgement.single_level;
    finding.predictions = sound.size();
    finding.effect = values[s];
    if (reference.statistics()[s].kind == Statistic::Kind::kExpectedLoss) {
      judgement.loss_standardized = standardized;
      finding.effect_low = reference.accuracy() - judgement.expected_high;
      finding.effect_high = reference.accuracy() - judgement.expected_low;
    } else {
      // Both are norms: by the triangle's inequality chance moves them by its own norm at most.
      finding.effect_low = std::max(0.0, values[s] - table->Usual(s));
      finding.effect_high = values[s] + table->Usual(s);
    }
    // A loss that the answers' own luck could make up is none to tell of, however steady the
    // reference is.
    if (reference.statistics()[s].kind == Statistic::Kind::kExpectedLoss &&
        finding.effect_low <= 0) {
      standardized = std::min(standardized, judgement.pair_level);
      finding.statistic = std::min(finding.statistic, finding.threshold);
      finding.fires = false;
    }
    if (standardized > judgement.strongest) {
      judgement.strongest = standardized;
      judgement.strongest_finding = judgement.findings.size();
    }
    judgement.findings.push_back(std::move(finding));
    judgement.standardized.push_back(standardized);
  }
  return judgement;
}

}  // namespace tidewheel::monitoring
