#include "tidewheel/monitoring/domain/judge_statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "tidewheel/base/random.h"

namespace tidewheel::monitoring {
namespace {

constexpr std::size_t kLeastValues = 20;  // Of a feature that is there, in the reference.
constexpr double kRidge = 1e-3;           // Of the mean variance, added to the covariance.

constexpr std::size_t kBandwidthRows = 128;  // Whose pairs say how wide the kernel is.
constexpr std::uint64_t kWaveSeed = 0x77617665;

bool IsKolmogorov(Statistic::Kind kind) {
  return kind == Statistic::Kind::kFeature || kind == Statistic::Kind::kDistance ||
         kind == Statistic::Kind::kConfidence;
}

/// Lower factor of a symmetric matrix with a ridge; empty where it has none.
std::vector<double> Cholesky(std::vector<double> matrix, std::size_t n) {
  double trace = 0;
  for (std::size_t i = 0; i < n; ++i) trace += matrix[i * n + i];
  const double ridge = kRidge * trace / static_cast<double>(n);
  if (!(ridge > 0)) return {};
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = matrix[i * n + j] + (i == j ? ridge : 0);
      for (std::size_t k = 0; k < j; ++k) sum -= matrix[i * n + k] * matrix[j * n + k];
      if (i == j) {
        if (!(sum > 0)) return {};
        matrix[i * n + i] = std::sqrt(sum);
      } else {
        matrix[i * n + j] = sum / matrix[j * n + j];
      }
    }
  }
  return matrix;
}

/// Solves L y = x in place.
void Whiten(const std::vector<double>& factor, std::span<double> x) {
  const std::size_t n = x.size();
  for (std::size_t i = 0; i < n; ++i) {
    double sum = x[i];
    for (std::size_t k = 0; k < i; ++k) sum -= factor[i * n + k] * x[k];
    x[i] = sum / factor[i * n + i];
  }
}

bool Fits(const ReferenceRow& row, const RowTable& table) {
  return row.probabilities.size() == table.classes && row.given_class < table.classes &&
         row.features.size() == table.features.size();
}

/// Does not count it.
void Append(const ReferenceRow& row, RowTable* table) {
  for (std::size_t f = 0; f < table->features.size(); ++f) {
    table->features[f].push_back(std::isfinite(row.features[f])
                                     ? row.features[f]
                                     : std::numeric_limits<double>::quiet_NaN());
  }
  for (std::size_t e = 0; e < table->embedding_numbers; ++e) {
    table->embeddings.push_back(static_cast<double>(row.embedding[e]));
  }
  const auto top = std::max_element(row.probabilities.begin(), row.probabilities.end());
  table->confidence.push_back(static_cast<double>(*top));
  table->predicted.push_back(static_cast<std::uint32_t>(top - row.probabilities.begin()));
  table->given.push_back(row.given_class);
}

}  // namespace

Result<RowTable> HeldOutRows(const Profile& profile) {
  RowTable table;
  table.classes = profile.classes.size();
  table.features.resize(profile.features.size());
  table.embedding_numbers = profile.embedding.numbers;
  for (const auto& row : profile.rows) {
    if (row.split == "training" || !Fits(row, table)) continue;
    if (row.embedding.size() != table.embedding_numbers) table.embedding_numbers = 0;
    ++table.rows;
  }
  if (table.rows < kLeastReferenceRows) {
    return Error{ErrorCode::kFailedPrecondition,
                 "not applicable, because the profile holds " + std::to_string(table.rows) +
                     " held-out rows, and thresholds need " + std::to_string(kLeastReferenceRows)};
  }
  for (const auto& row : profile.rows) {
    if (row.split != "training" && Fits(row, table)) Append(row, &table);
  }
  return table;
}

RowTable WithThinClasses(const Profile& profile, RowTable held_out) {
  std::vector<std::size_t> rows(held_out.classes);
  for (const auto given : held_out.given) ++rows[given];
  for (const auto& row : profile.rows) {
    if (row.split != "training" || !Fits(row, held_out)) continue;
    if (row.embedding.size() < held_out.embedding_numbers) continue;
    if (rows[row.given_class] >= kThinClass) continue;
    Append(row, &held_out);
    ++held_out.rows;
    ++rows[row.given_class];
  }
  return held_out;
}

RowTable TableOf(std::span<const ObservedRow* const> rows, const Profile& profile) {
  RowTable table;
  table.rows = rows.size();
  table.classes = profile.classes.size();
  table.features.resize(profile.features.size());
  table.embedding_numbers = profile.embedding.numbers;
  for (const auto* row : rows) {
    if (row->embedding.size() != table.embedding_numbers) table.embedding_numbers = 0;
  }
  for (const auto* row : rows) {
    for (std::size_t f = 0; f < table.features.size(); ++f) {
      const double value =
          f < row->features.size() ? row->features[f] : std::numeric_limits<double>::quiet_NaN();
      table.features[f].push_back(std::isfinite(value) ? value
                                                       : std::numeric_limits<double>::quiet_NaN());
    }
    for (std::size_t e = 0; e < table.embedding_numbers; ++e) {
      table.embeddings.push_back(static_cast<double>(row->embedding[e]));
    }
    const std::size_t c = row->class_index;
    table.confidence.push_back(
        c < row->probabilities.size() ? static_cast<double>(row->probabilities[c]) : 0);
    table.predicted.push_back(row->class_index);
  }
  return table;
}

RowTable Subset(const RowTable& table, std::span<const std::uint32_t> chosen) {
  RowTable subset;
  subset.rows = chosen.size();
  subset.classes = table.classes;
  subset.embedding_numbers = table.embedding_numbers;
  subset.features.resize(table.features.size());
  const std::size_t e = table.embedding_numbers;
  for (const auto i : chosen) {
    for (std::size_t f = 0; f < table.features.size(); ++f) {
      subset.features[f].push_back(table.features[f][i]);
    }
    const auto embedding = table.embeddings.begin() + static_cast<std::ptrdiff_t>(i * e);
    subset.embeddings.insert(subset.embeddings.end(), embedding,
                             embedding + static_cast<std::ptrdiff_t>(e));
    subset.confidence.push_back(table.confidence[i]);
    subset.predicted.push_back(table.predicted[i]);
    if (!table.given.empty()) subset.given.push_back(table.given[i]);
  }
  return subset;
}

JudgeReference::JudgeReference(const RowTable& table, std::span<const std::uint32_t> indices,
                               std::span<const double> class_weights)
    : table_(&table), indices_(indices.begin(), indices.end()) {
  const std::size_t n = indices_.size();
  const std::size_t e = table.embedding_numbers;

  if (e > 0) {
    middle_.assign(e, 0);
    for (const auto i : indices_) {
      for (std::size_t k = 0; k < e; ++k) middle_[k] += table.embeddings[i * e + k];
    }
    for (auto& value : middle_) value /= static_cast<double>(n);
    std::vector<double> covariance(e * e);
    std::vector<double> centred(e);
    for (const auto i : indices_) {
      for (std::size_t k = 0; k < e; ++k) centred[k] = table.embeddings[i * e + k] - middle_[k];
      for (std::size_t k = 0; k < e; ++k) {
        for (std::size_t l = 0; l <= k; ++l) covariance[k * e + l] += centred[k] * centred[l];
      }
    }
    for (auto& value : covariance) value /= static_cast<double>(n);
    factor_ = Cholesky(std::move(covariance), e);
  }
  std::vector<double> own_distance;
  if (!factor_.empty()) {
    own_whitened_.resize(n * e);
    for (std::size_t r = 0; r < n; ++r) {
      const std::span<double> row(own_whitened_.data() + r * e, e);
      for (std::size_t k = 0; k < e; ++k) {
        row[k] = table.embeddings[indices_[r] * e + k] - middle_[k];
      }
      Whiten(factor_, row);
      own_distance.push_back(std::inner_product(row.begin(), row.end(), row.begin(), 0.0));
    }
    // exp(-d^2 / 2s^2), s^2 the median of the squared distances: its spectrum is normal.
    std::vector<double> distances;
    const std::size_t step = std::max<std::size_t>(1, n / kBandwidthRows);
    for (std::size_t r = 0; r < n; r += step) {
      for (std::size_t q = 0; q < r; q += step) {
        double sum = 0;
        for (std::size_t k = 0; k < e; ++k) {
          const double difference = own_whitened_[r * e + k] - own_whitened_[q * e + k];
          sum += difference * difference;
        }
        distances.push_back(sum);
      }
    }
    const auto median = distances.begin() + static_cast<std::ptrdiff_t>(distances.size() / 2);
    std::nth_element(distances.begin(), median, distances.end());
    const double width = distances.empty() ? 1 : std::sqrt(std::max(*median, 1e-6));
    Random random(kWaveSeed);
    frequencies_.resize(kWaves / 2 * e);
    for (auto& frequency : frequencies_) frequency = random.Normal() / width;
    own_waves_ = WavesOf(own_whitened_, n);
  }

  const auto sorted = [&](auto&& value_of) {
    SortedColumn column;
    std::vector<std::pair<double, std::uint32_t>> pairs;
    pairs.reserve(n);
    for (std::uint32_t r = 0; r < n; ++r) {
      const double value = value_of(r);
      if (!std::isnan(value)) pairs.emplace_back(value, r);
    }
    std::sort(pairs.begin(), pairs.end());
    for (const auto& [value, r] : pairs) {
      column.values.push_back(value);
      column.source.push_back(r);
    }
    return column;
  };
  for (std::size_t f = 0; f < table.features.size(); ++f) {
    auto column = sorted([&](std::uint32_t r) { return table.features[f][indices_[r]]; });
    if (column.values.size() < kLeastValues || column.values.front() == column.values.back()) {
      // Kept as a place without values, so that every reference of a table has the same statistics.
      column = {};
    }
    columns_.push_back(std::move(column));
    statistics_.push_back({Statistic::Kind::kFeature, f});
  }
  columns_.push_back(sorted([&](std::uint32_t r) {
    return own_distance.empty() ? std::numeric_limits<double>::quiet_NaN() : own_distance[r];
  }));
  statistics_.push_back({Statistic::Kind::kDistance, 0});
  columns_.push_back(sorted([&](std::uint32_t r) { return table.confidence[indices_[r]]; }));
  statistics_.push_back({Statistic::Kind::kConfidence, 0});
  statistics_.push_back({Statistic::Kind::kMeanShift, 0});
  statistics_.push_back({Statistic::Kind::kDiscrepancy, 0});
  statistics_.push_back({Statistic::Kind::kPredictedShares, 0});
  statistics_.push_back({Statistic::Kind::kExpectedLoss, 0});

  confusion_.assign(table.classes * table.classes, 0);
  std::vector<double> confidence;
  std::vector<double> right;
  for (const auto i : indices_) {
    ++confusion_[table.given[i] * table.classes + table.predicted[i]];
    confidence.push_back(table.confidence[i]);
    right.push_back(table.given[i] == table.predicted[i] ? 1 : 0);
  }
  // A confidence below all that were seen is not trusted more than itself.
  const double base = 1.0 / static_cast<double>(table.classes);
  confidence.push_back(base);
  right.push_back(base);
  if (auto fitted = stats::FitIsotonic(confidence, right); fitted) {
    calibration_ = *std::move(fitted);
  }
  for (std::size_t r = 0; r < n; ++r) own_expected_.push_back(calibration_(confidence[r]));
  Weigh(class_weights);
}

JudgeReference JudgeReference::Reweighted(std::span<const double> class_weights) const {
  JudgeReference other = *this;
  other.Weigh(class_weights);
  return other;
}

void JudgeReference::Weigh(std::span<const double> class_weights) {
  const std::size_t n = indices_.size();
  weights_.assign(n, 1);
  double sum = 0;
  for (std::size_t r = 0; r < n; ++r) {
    if (!class_weights.empty()) weights_[r] = class_weights[table_->given[indices_[r]]];
    sum += weights_[r];
  }
  for (auto& weight : weights_) weight = sum > 0 ? weight / sum : 1 / static_cast<double>(n);

  for (auto& column : columns_) {
    column.cumulated.assign(1, 0);
    double total = 0;
    for (const auto r : column.source) {
      total += weights_[r];
      column.cumulated.push_back(total);
    }
    if (total > 0) {
      for (auto& share : column.cumulated) share /= total;
    }
  }
  const std::size_t e = factor_.empty() ? 0 : table_->embedding_numbers;
  centre_.assign(e, 0);
  mean_wave_.assign(e > 0 ? kWaves : 0, 0);
  predicted_shares_.assign(table_->classes, 0);
  accuracy_ = 0;
  for (std::size_t r = 0; r < n; ++r) {
    for (std::size_t k = 0; k < e; ++k) centre_[k] += weights_[r] * own_whitened_[r * e + k];
    for (std::size_t k = 0; k < mean_wave_.size(); ++k) {
      mean_wave_[k] += weights_[r] * own_waves_[r * kWaves + k];
    }
    predicted_shares_[table_->predicted[indices_[r]]] += weights_[r];
    accuracy_ += weights_[r] * own_expected_[r];
  }
}

std::vector<double> JudgeReference::WavesOf(std::span<const double> whitened,
                                            std::size_t rows) const {
  const std::size_t e = 2 * frequencies_.size() / kWaves;
  std::vector<double> waves(rows * kWaves);
  // Sine and cosine of each frequency in turn need no random phase.
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t k = 0; k < kWaves; k += 2) {
      const double* const frequency = frequencies_.data() + (k / 2) * e;
      const double at = std::inner_product(frequency, frequency + e, whitened.data() + r * e, 0.0);
      waves[r * kWaves + k] = std::cos(at);
      waves[r * kWaves + k + 1] = std::sin(at);
    }
  }
  return waves;
}

double JudgeReference::AccuracyVariance() const {
  const double n = static_cast<double>(rows());
  return std::max(accuracy_ * (1 - accuracy_), 0.5 / n) / n;
}

double JudgeReference::distance_quantile(double share) const {
  for (std::size_t c = 0, s = 0; s < statistics_.size(); ++s) {
    if (!IsKolmogorov(statistics_[s].kind)) continue;
    if (statistics_[s].kind == Statistic::Kind::kDistance) {
      const auto& values = columns_[c].values;
      if (values.empty()) return std::numeric_limits<double>::infinity();
      const double place = share * static_cast<double>(values.size() - 1);
      return values[static_cast<std::size_t>(place)];
    }
    ++c;
  }
  return std::numeric_limits<double>::infinity();
}

PlacedRows::Column JudgeReference::PlaceColumn(const SortedColumn& column,
                                               std::span<const double> values) const {
  PlacedRows::Column placed;
  placed.rank.assign(values.size(), PlacedRows::kMissing);
  if (column.values.empty()) return placed;
  std::vector<std::pair<double, std::uint32_t>> order;
  for (std::uint32_t i = 0; i < values.size(); ++i) {
    if (!std::isnan(values[i])) order.emplace_back(values[i], i);
  }
  std::sort(order.begin(), order.end());
  std::size_t below = 0;
  std::size_t up_to = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || order[i].first != order[i - 1].first) {
      while (below < column.values.size() && column.values[below] < order[i].first) ++below;
      up_to = std::max(up_to, below);
      while (up_to < column.values.size() && column.values[up_to] <= order[i].first) ++up_to;
      placed.below.push_back(column.cumulated[below]);
      placed.up_to.push_back(column.cumulated[up_to]);
    }
    placed.rank[order[i].second] = static_cast<std::uint32_t>(placed.below.size() - 1);
  }
  return placed;
}

PlacedRows JudgeReference::Place(const RowTable& table) const {
  PlacedRows placed;
  placed.rows = table.rows;
  placed.predicted = table.predicted;
  const std::size_t e = factor_.empty() ? 0 : table_->embedding_numbers;
  if (e > 0 && table.embedding_numbers == e) {
    placed.whitened.resize(table.rows * e);
    for (std::size_t r = 0; r < table.rows; ++r) {
      const std::span<double> row(placed.whitened.data() + r * e, e);
      for (std::size_t k = 0; k < e; ++k) row[k] = table.embeddings[r * e + k] - middle_[k];
      Whiten(factor_, row);
      placed.distance.push_back(std::inner_product(row.begin(), row.end(), row.begin(), 0.0));
    }
    placed.waves = WavesOf(placed.whitened, table.rows);
  }
  for (const double confidence : table.confidence) {
    placed.expected.push_back(ExpectedRight(confidence));
  }
  const std::vector<double> nothing(table.rows, std::numeric_limits<double>::quiet_NaN());
  std::size_t c = 0;
  for (const auto& statistic : statistics_) {
    if (!IsKolmogorov(statistic.kind)) continue;
    const std::vector<double>& values =
        statistic.kind == Statistic::Kind::kFeature      ? table.features[statistic.feature]
        : statistic.kind == Statistic::Kind::kConfidence ? table.confidence
        : placed.distance.empty()                        ? nothing
                                                         : placed.distance;
    placed.columns.push_back(PlaceColumn(columns_[c++], values));
  }
  return placed;
}

void JudgeReference::Evaluate(const PlacedRows& placed, std::span<const std::uint32_t> chosen,
                              std::span<double> out) const {
  thread_local std::vector<std::uint32_t> ranks;
  const auto kolmogorov = [&](const PlacedRows::Column& column) {
    ranks.clear();
    for (const auto row : chosen) {
      if (column.rank[row] != PlacedRows::kMissing) ranks.push_back(column.rank[row]);
    }
    if (ranks.empty()) return 0.0;
    std::sort(ranks.begin(), ranks.end());
    const double step = 1 / static_cast<double>(ranks.size());
    double largest = 0;
    for (std::size_t i = 0; i < ranks.size();) {
      std::size_t next = i;
      while (next < ranks.size() && ranks[next] == ranks[i]) ++next;
      largest = std::max({largest, std::abs(static_cast<double>(i) * step - column.below[ranks[i]]),
                          std::abs(static_cast<double>(next) * step - column.up_to[ranks[i]])});
      i = next;
    }
    return largest;
  };
  const double n = static_cast<double>(chosen.size());
  const std::size_t e = centre_.size();
  std::size_t c = 0;
  for (std::size_t s = 0; s < statistics_.size(); ++s) {
    switch (statistics_[s].kind) {
      case Statistic::Kind::kFeature:
      case Statistic::Kind::kDistance:
      case Statistic::Kind::kConfidence:
        out[s] = kolmogorov(placed.columns[c++]);
        break;
      case Statistic::Kind::kMeanShift: {
        out[s] = 0;
        if (placed.whitened.empty()) break;
        double squares = 0;
        for (std::size_t k = 0; k < e; ++k) {
          double sum = 0;
          for (const auto row : chosen) sum += placed.whitened[row * e + k];
          const double difference = sum / n - centre_[k];
          squares += difference * difference;
        }
        out[s] = std::sqrt(squares);
        break;
      }
      case Statistic::Kind::kDiscrepancy: {
        out[s] = 0;
        if (placed.waves.empty()) break;
        std::array<double, kWaves> sums{};
        for (const auto row : chosen) {
          for (std::size_t k = 0; k < kWaves; ++k) sums[k] += placed.waves[row * kWaves + k];
        }
        double squares = 0;
        for (std::size_t k = 0; k < kWaves; ++k) {
          const double difference = sums[k] / n - mean_wave_[k];
          squares += difference * difference;
        }
        out[s] = std::sqrt(squares / (kWaves / 2));
        break;
      }
      case Statistic::Kind::kPredictedShares: {
        std::vector<double> shares(predicted_shares_.size());
        double beyond = 0;
        for (const auto row : chosen) {
          if (placed.predicted[row] < shares.size()) {
            shares[placed.predicted[row]] += 1 / n;
          } else {
            beyond += 1 / n;
          }
        }
        for (std::size_t k = 0; k < shares.size(); ++k) {
          beyond += std::abs(shares[k] - predicted_shares_[k]);
        }
        out[s] = beyond / 2;
        break;
      }
      case Statistic::Kind::kExpectedLoss: {
        double sum = 0;
        for (const auto row : chosen) sum += placed.expected[row];
        out[s] = accuracy_ - sum / n;
        break;
      }
    }
  }
}

}  // namespace tidewheel::monitoring
