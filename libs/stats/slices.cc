#include "tidewheel/stats/slices.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <optional>
#include <set>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/corrections.h"
#include "tidewheel/stats/hypergeometric.h"

namespace tidewheel::stats {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

struct Counts {
  std::uint64_t training = 0;
  std::uint64_t production = 0;
  std::uint64_t checked = 0;
  std::uint64_t errors = 0;

  friend bool operator==(const Counts&, const Counts&) = default;
};

Result<void> CheckColumn(const SliceColumn& column, std::size_t training, std::size_t production) {
  const std::string name = "column \"" + column.name + "\"";
  if (column.training.size() != training || column.production.size() != production) {
    return Bad(name + " has " + std::to_string(column.training.size()) + " training and " +
               std::to_string(column.production.size()) + " production rows, not " +
               std::to_string(training) + " and " + std::to_string(production));
  }
  if (std::set(column.values.begin(), column.values.end()).size() != column.values.size()) {
    return Bad(name + " has two values of one name");
  }
  const auto values = static_cast<std::int64_t>(column.values.size());
  for (const auto& [codes, what] :
       {std::pair(column.training, "training"), std::pair(column.production, "production")}) {
    for (std::size_t row = 0; row < codes.size(); ++row) {
      if (codes[row] < -1 || codes[row] >= values) {
        return Bad(name + ", " + what + " row " + std::to_string(row) + ": code " +
                   std::to_string(codes[row]) + " is not in -1.." + std::to_string(values) +
                   " - 1");
      }
    }
  }
  return {};
}

Result<void> CheckInput(std::span<const SliceColumn> columns, std::span<const std::int32_t> errors,
                        const SliceOptions& options) {
  if (columns.empty()) return Bad("there are no columns");
  if (errors.empty()) return Bad("there are no production rows");
  if (options.min_support < 1) return Bad("a slice's support is at least 1");
  if (!(options.confidence > 0 && options.confidence < 1) ||
      !(options.false_discovery_rate > 0 && options.false_discovery_rate < 1)) {
    return Bad("confidence and false discovery rate are above 0 and below 1");
  }
  std::set<std::string> names;
  for (const SliceColumn& column : columns) {
    if (!names.insert(column.name).second) {
      return Bad("two columns are named \"" + column.name + "\"");
    }
    const auto good = CheckColumn(column, columns[0].training.size(), errors.size());
    if (!good) return good.error();
  }
  bool checked = false;
  for (std::size_t row = 0; row < errors.size(); ++row) {
    if (errors[row] < -1 || errors[row] > 1) {
      return Bad("production row " + std::to_string(row) + ": an error is -1, 0 or 1, not " +
                 std::to_string(errors[row]));
    }
    checked = checked || errors[row] >= 0;
  }
  if (!checked) {
    return Error{ErrorCode::kFailedPrecondition,
                 "not applicable, because of no production row it is known whether it was wrong"};
  }
  return {};
}

void CountRow(std::int32_t error, Counts& counts) {
  ++counts.production;
  if (error < 0) return;
  ++counts.checked;
  counts.errors += error == 1 ? 1 : 0;
}

/// Counts of each value, or of each two values of two columns (the second counts faster).
std::vector<Counts> Count(const SliceColumn& a, const SliceColumn* b,
                          std::span<const std::int32_t> errors) {
  const std::size_t inner = b == nullptr ? 1 : b->values.size();
  std::vector<Counts> counts(a.values.size() * inner);
  const auto place = [&](std::int32_t x, std::int32_t y) -> Counts* {
    if (x < 0 || y < 0) return nullptr;
    return &counts[static_cast<std::size_t>(x) * inner + static_cast<std::size_t>(y)];
  };
  for (std::size_t row = 0; row < a.training.size(); ++row) {
    Counts* own = place(a.training[row], b == nullptr ? 0 : b->training[row]);
    if (own != nullptr) ++own->training;
  }
  for (std::size_t row = 0; row < errors.size(); ++row) {
    Counts* own = place(a.production[row], b == nullptr ? 0 : b->production[row]);
    if (own != nullptr) CountRow(errors[row], *own);
  }
  return counts;
}

double Share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// Gathers slices and says of each what can be said.
class Gatherer {
 public:
  Gatherer(const Counts& all, const SliceOptions& options) : all_(all), options_(options) {
    report_.checked_rows = all.checked;
    report_.errors = all.errors;
    report_.error_rate = Share(all.errors, all.checked);
  }

  Result<void> Add(std::vector<SliceTerm> terms, const Counts& own) {
    if (own.production == 0 && own.training == 0) return {};
    if (own.checked < options_.min_support) {
      ++report_.too_small;
      return {};
    }
    auto definition = SliceDefinition::Of(std::move(terms));
    if (!definition) return definition.error();
    const auto interval = WilsonInterval(own.errors, own.checked, options_.confidence);
    if (!interval) return interval.error();
    const auto p = HypergeometricTail(own.errors, all_.checked, all_.errors, own.checked);
    if (!p) return p.error();
    report_.slices.push_back({*std::move(definition), own.training, own.production, own.checked,
                              own.errors, Share(own.training, all_.training),
                              Share(own.production, all_.production),
                              Share(own.errors, all_.errors), Share(own.errors, own.checked),
                              *interval, std::min(*p, 1.0), 1, false});
    return {};
  }

  void CountRedundant() { ++report_.redundant; }
  void LeaveOut(std::string reason) { report_.not_sliced.push_back(std::move(reason)); }

  Result<SliceReport> Finish() && {
    if (report_.slices.empty()) return std::move(report_);
    std::vector<double> p;
    for (const SliceFigures& slice : report_.slices) p.push_back(slice.p_value);
    const auto adjusted = BenjaminiHochbergAdjusted(p);
    if (!adjusted) return adjusted.error();
    for (std::size_t i = 0; i < p.size(); ++i) {
      report_.slices[i].adjusted_p = (*adjusted)[i];
      report_.slices[i].weak = (*adjusted)[i] <= options_.false_discovery_rate;
    }
    std::sort(report_.slices.begin(), report_.slices.end(),
              [](const SliceFigures& a, const SliceFigures& b) {
                if (a.weak != b.weak) return a.weak;
                if (a.interval.low != b.interval.low) return a.interval.low > b.interval.low;
                return a.definition.canonical() < b.definition.canonical();
              });
    return std::move(report_);
  }

 private:
  Counts all_;
  SliceOptions options_;
  SliceReport report_;
};

}  // namespace

Result<SliceReport> FindWeakSlices(std::span<const SliceColumn> columns,
                                   std::span<const std::int32_t> errors,
                                   const SliceOptions& options) {
  if (const auto good = CheckInput(columns, errors, options); !good) return good.error();
  Counts all;
  all.training = columns[0].training.size();
  for (const std::int32_t error : errors) CountRow(error, all);

  Gatherer gatherer(all, options);
  std::vector<const SliceColumn*> sliced;
  for (const SliceColumn& column : columns) {
    if (column.values.size() <= options.most_values) {
      sliced.push_back(&column);
    } else {
      gatherer.LeaveOut("column \"" + column.name + "\", because its " +
                        std::to_string(column.values.size()) + " values are more than " +
                        std::to_string(options.most_values));
    }
  }
  std::vector<std::vector<Counts>> singles;
  for (const SliceColumn* column : sliced) {
    singles.push_back(Count(*column, nullptr, errors));
    for (std::size_t x = 0; x < column->values.size(); ++x) {
      if (singles.back()[x] == all) {
        gatherer.CountRedundant();
        continue;
      }
      const auto added = gatherer.Add({{column->name, column->values[x]}}, singles.back()[x]);
      if (!added) return added.error();
    }
  }
  for (std::size_t i = 0; options.pairs && i < sliced.size(); ++i) {
    for (std::size_t j = i + 1; j < sliced.size(); ++j) {
      const SliceColumn& a = *sliced[i];
      const SliceColumn& b = *sliced[j];
      const auto counts = Count(a, &b, errors);
      for (std::size_t place = 0; place < counts.size(); ++place) {
        const std::size_t x = place / b.values.size();
        const std::size_t y = place % b.values.size();
        const Counts& own = counts[place];
        if (own.production == 0 && own.training == 0) continue;
        if (own == singles[i][x] || own == singles[j][y]) {
          gatherer.CountRedundant();
          continue;
        }
        const auto added = gatherer.Add({{a.name, a.values[x]}, {b.name, b.values[y]}}, own);
        if (!added) return added.error();
      }
    }
  }
  return std::move(gatherer).Finish();
}

template <typename T>
Result<ClusterSlices> SliceByClusters(MatrixView<T> training, MatrixView<T> production,
                                      const KMeansOptions& options) {
  auto means = ClusterRows(training, options);
  if (!means) return means.error();
  ClusterSlices slices;
  slices.means = *std::move(means);
  const auto nearest = AssignToClusters(slices.means, production, options.threads);
  if (!nearest) return nearest.error();
  slices.training.assign(slices.means.assignment.begin(), slices.means.assignment.end());
  slices.production.assign(nearest->begin(), nearest->end());
  for (std::size_t k = 0; k < slices.means.clusters; ++k) {
    slices.values.push_back(std::to_string(k));
  }
  std::string bytes;
  for (const double value : slices.means.centroids) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    for (int shift = 0; shift < 64; shift += 8) {
      bytes.push_back(static_cast<char>((bits >> shift) & 0xFF));
    }
  }
  char text[32];
  std::snprintf(text, sizeof text, "cluster/%016llx",
                static_cast<unsigned long long>(StableHash(bytes, slices.means.clusters)));
  slices.name = text;
  return slices;
}

template Result<ClusterSlices> SliceByClusters(MatrixView<float>, MatrixView<float>,
                                               const KMeansOptions&);
template Result<ClusterSlices> SliceByClusters(MatrixView<double>, MatrixView<double>,
                                               const KMeansOptions&);

}  // namespace tidewheel::stats
