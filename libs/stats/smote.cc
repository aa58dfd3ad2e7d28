#include "tidewheel/stats/smote.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <string>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/internal/training_rows.h"
#include "tidewheel/stats/nearest_neighbours.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kMostCategories = 4'096;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// The rows of one class.
struct OneClass {
  std::size_t label = 0;
  std::span<const std::uint32_t> rows;
  MatrixView<double> numeric;
  MatrixView<std::int32_t> nominal;

  std::string Name() const { return "class " + std::to_string(label); }
};

/// Median over the numeric columns of their standard deviation.
double MedianDeviation(const OneClass& own) {
  std::vector<double> deviations;
  const auto count = static_cast<double>(own.rows.size());
  for (std::size_t c = 0; c < own.numeric.columns; ++c) {
    double mean = 0;
    for (const std::uint32_t row : own.rows) mean += own.numeric.Row(row)[c] / count;
    double squares = 0;
    for (const std::uint32_t row : own.rows) {
      squares += std::pow(own.numeric.Row(row)[c] - mean, 2) / count;
    }
    deviations.push_back(std::sqrt(squares));
  }
  std::sort(deviations.begin(), deviations.end());
  const std::size_t half = deviations.size() / 2;
  return deviations.size() % 2 == 1 ? deviations[half]
                                    : (deviations[half - 1] + deviations[half]) / 2;
}

/// Numbers as they are, then a column per category that holds median / sqrt(2) where the row has
/// it: two rows of different categories are a median apart.
Result<std::vector<double>> Embedded(const OneClass& own, std::size_t& columns) {
  const double apart = own.nominal.columns > 0 ? MedianDeviation(own) / std::numbers::sqrt2 : 0;
  std::vector<std::map<std::int32_t, std::size_t>> places(own.nominal.columns);
  columns = own.numeric.columns;
  for (std::size_t c = 0; c < own.nominal.columns; ++c) {
    for (const std::uint32_t row : own.rows) {
      if (places[c].emplace(own.nominal.Row(row)[c], columns).second) ++columns;
      if (columns - own.numeric.columns > kMostCategories) {
        return Bad(own.Name() + " has more than " + std::to_string(kMostCategories) +
                   " categories in its nominal columns");
      }
    }
  }
  std::vector<double> values(own.rows.size() * columns, 0);
  for (std::size_t i = 0; i < own.rows.size(); ++i) {
    const auto numbers = own.numeric.Row(own.rows[i]);
    double* out = values.data() + i * columns;
    std::copy(numbers.begin(), numbers.end(), out);
    for (std::size_t c = 0; c < own.nominal.columns; ++c) {
      out[places[c].at(own.nominal.Row(own.rows[i])[c])] = apart;
    }
  }
  return values;
}

std::int32_t Commonest(const OneClass& own, std::span<const std::uint32_t> near, std::size_t c) {
  std::map<std::int32_t, std::size_t> counts;
  for (const std::uint32_t place : near) ++counts[own.nominal.Row(own.rows[place])[c]];
  return std::max_element(counts.begin(), counts.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

Result<void> Grow(const OneClass& own, std::size_t missing, const SmoteOptions& options,
                  Random& random, SyntheticRows& made) {
  if (own.rows.size() <= options.neighbours) {
    return Error{ErrorCode::kFailedPrecondition,
                 own.Name() + " has " + std::to_string(own.rows.size()) + " rows, and each needs " +
                     std::to_string(options.neighbours) + " neighbours"};
  }
  std::size_t columns = 0;
  const auto embedded = Embedded(own, columns);
  if (!embedded) return embedded.error();
  const auto near = NearestOthers(MatrixView<double>{*embedded, own.rows.size(), columns},
                                  {.neighbours = options.neighbours, .threads = options.threads});
  if (!near) return near.error();

  std::vector<std::uint32_t> places(own.rows.size());
  for (std::uint32_t i = 0; i < places.size(); ++i) places[i] = i;
  std::vector<std::uint32_t> bases;
  for (std::size_t round = 0; round < missing / places.size(); ++round) {
    bases.insert(bases.end(), places.begin(), places.end());
  }
  const auto more = internal::ChooseSome(places, missing % places.size(), random);
  bases.insert(bases.end(), more.begin(), more.end());
  std::sort(bases.begin(), bases.end());

  for (const std::uint32_t base : bases) {
    const auto around =
        std::span(near->index).subspan(base * options.neighbours, options.neighbours);
    const std::uint32_t other = around[random.Below(options.neighbours)];
    const double place = random.Uniform();
    const auto from = own.numeric.Row(own.rows[base]);
    const auto to = own.numeric.Row(own.rows[other]);
    for (std::size_t c = 0; c < from.size(); ++c) {
      made.numeric.push_back(from[c] + place * (to[c] - from[c]));
    }
    for (std::size_t c = 0; c < own.nominal.columns; ++c) {
      made.nominal.push_back(Commonest(own, around, c));
    }
    made.labels.push_back(static_cast<std::int32_t>(own.label));
    made.base.push_back(own.rows[base]);
    made.neighbour.push_back(own.rows[other]);
    made.place.push_back(place);
  }
  return {};
}

}  // namespace

Result<SyntheticRows> Smote(const LabeledRows& data, MatrixView<double> numeric,
                            MatrixView<std::int32_t> nominal, std::span<const std::uint32_t> rows,
                            const SmoteOptions& options) {
  if (!(options.ratio > 0 && options.ratio <= 1)) return Bad("a ratio is above 0 and at most 1");
  if (options.neighbours < 1) return Bad("at least 1 neighbour is needed");
  const auto of_class = internal::GroupTrainingRows(data, rows);
  if (!of_class) return of_class.error();
  if (numeric.columns == 0) {
    return Error{ErrorCode::kFailedPrecondition,
                 "not applicable, because there is no numeric column"};
  }
  if (!numeric.Fits() || numeric.rows != data.labels.size()) {
    return Bad("numeric columns are not " + std::to_string(data.labels.size()) + " rows");
  }
  if (!nominal.Fits() || (nominal.columns > 0 && nominal.rows != data.labels.size())) {
    return Bad("nominal columns are not " + std::to_string(data.labels.size()) + " rows");
  }
  for (const std::uint32_t row : rows) {
    for (std::size_t c = 0; c < numeric.columns; ++c) {
      if (!std::isfinite(numeric.Row(row)[c])) {
        return Bad("row " + std::to_string(row) + ", column " + std::to_string(c) +
                   " is not finite");
      }
    }
  }
  std::size_t largest = 0;
  for (const auto& own : *of_class) largest = std::max(largest, own.size());
  const auto wanted =
      static_cast<std::size_t>(std::ceil(options.ratio * static_cast<double>(largest) - 1e-9));
  Random random(options.seed);
  SyntheticRows made;
  for (std::size_t k = 0; k < of_class->size(); ++k) {
    const auto& own = (*of_class)[k];
    if (own.empty() || own.size() >= wanted) continue;
    const auto grown = Grow({k, own, numeric, nominal}, wanted - own.size(), options, random, made);
    if (!grown) return grown.error();
  }
  return made;
}

}  // namespace tidewheel::stats
