#include "tidewheel/stats/balance.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string_view>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/internal/training_rows.h"
#include "tidewheel/stats/nearest_neighbours.h"

namespace tidewheel::stats {
namespace {

using internal::RowsByClass;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

Result<void> CheckRatio(double ratio) {
  if (!(ratio > 0 && ratio <= 1)) return Bad("a ratio is above 0 and at most 1");
  return {};
}

std::vector<std::uint64_t> Counts(const RowsByClass& of_class) {
  std::vector<std::uint64_t> counts;
  for (const auto& rows : of_class) counts.push_back(rows.size());
  return counts;
}

TrainingView View(const LabeledRows& data, const RowsByClass& of_class,
                  std::vector<std::uint32_t> rows, std::string recipe) {
  TrainingView view;
  std::sort(rows.begin(), rows.end());
  view.rows = std::move(rows);
  view.before = Counts(of_class);
  view.after.assign(data.classes, 0);
  for (const std::uint32_t row : view.rows) {
    ++view.after[static_cast<std::size_t>(data.labels[row])];
  }
  view.recipe = std::move(recipe);
  std::string bytes;
  for (const std::uint32_t row : view.rows) {
    for (int shift = 0; shift < 32; shift += 8) {
      bytes.push_back(static_cast<char>((row >> shift) & 0xFF));
    }
  }
  view.fingerprint = StableHash(bytes, StableHash(view.recipe));
  return view;
}

/// The rows to look at in one matrix, in their order.
template <typename T>
Result<std::vector<T>> Gathered(const LabeledRows& data, MatrixView<T> features,
                                std::span<const std::uint32_t> rows) {
  if (!features.Fits() || features.rows != data.labels.size()) {
    return Bad("features are not " + std::to_string(data.labels.size()) + " rows, one a label");
  }
  std::vector<T> values;
  values.reserve(rows.size() * features.columns);
  for (const std::uint32_t row : rows) {
    const auto own = features.Row(row);
    values.insert(values.end(), own.begin(), own.end());
  }
  return values;
}

template <typename T>
Result<Neighbours> Near(const LabeledRows& data, MatrixView<T> features,
                        std::span<const std::uint32_t> rows, std::size_t neighbours, int threads) {
  const auto values = Gathered(data, features, rows);
  if (!values) return values.error();
  return NearestOthers(MatrixView<T>{*values, rows.size(), features.columns},
                       {.neighbours = neighbours, .threads = threads});
}

std::vector<std::uint32_t> Without(std::span<const std::uint32_t> rows,
                                   const std::vector<bool>& removed) {
  std::vector<std::uint32_t> kept;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!removed[i]) kept.push_back(rows[i]);
  }
  return kept;
}

/// Places in `rows` of each link, the first place smaller.
template <typename T>
Result<std::vector<std::pair<std::uint32_t, std::uint32_t>>> LinkedPlaces(
    const LabeledRows& data, MatrixView<T> features, std::span<const std::uint32_t> rows,
    int threads) {
  const auto near = Near(data, features, rows, 1, threads);
  if (!near) return near.error();
  std::vector<std::pair<std::uint32_t, std::uint32_t>> links;
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    const std::uint32_t other = near->index[i];
    if (other > i && near->index[other] == i && data.labels[rows[i]] != data.labels[rows[other]]) {
      links.emplace_back(i, other);
    }
  }
  return links;
}

}  // namespace

Result<TrainingView> Oversample(const LabeledRows& data, std::span<const std::uint32_t> rows,
                                const ResampleOptions& options) {
  if (const auto good = CheckRatio(options.ratio); !good) return good.error();
  auto of_class = internal::GroupTrainingRows(data, rows);
  if (!of_class) return of_class.error();
  std::size_t largest = 0;
  for (const auto& own : *of_class) largest = std::max(largest, own.size());
  const auto wanted =
      static_cast<std::size_t>(std::ceil(options.ratio * static_cast<double>(largest) - 1e-9));
  Random random(options.seed);
  std::vector<std::uint32_t> chosen;
  for (const auto& own : *of_class) {
    if (own.empty()) continue;
    const std::size_t times = internal::TimesEach(own.size(), wanted);
    for (const std::uint32_t row : own) chosen.insert(chosen.end(), times, row);
    const auto more = internal::ChooseSome(
        own, own.size() * times < wanted ? wanted - own.size() * times : 0, random);
    chosen.insert(chosen.end(), more.begin(), more.end());
  }
  return View(
      data, *of_class, std::move(chosen),
      "oversample ratio=" + Number(options.ratio) + " seed=" + std::to_string(options.seed));
}

Result<TrainingView> Undersample(const LabeledRows& data, std::span<const std::uint32_t> rows,
                                 const ResampleOptions& options) {
  if (const auto good = CheckRatio(options.ratio); !good) return good.error();
  auto of_class = internal::GroupTrainingRows(data, rows);
  if (!of_class) return of_class.error();
  std::size_t smallest = rows.size();
  for (const auto& own : *of_class) {
    if (!own.empty()) smallest = std::min(smallest, own.size());
  }
  const double wanted = std::floor(static_cast<double>(smallest) / options.ratio + 1e-9);
  Random random(options.seed);
  std::vector<std::uint32_t> chosen;
  for (const auto& own : *of_class) {
    const std::size_t keep =
        static_cast<double>(own.size()) <= wanted ? own.size() : static_cast<std::size_t>(wanted);
    const auto kept = internal::ChooseSome(own, keep, random);
    chosen.insert(chosen.end(), kept.begin(), kept.end());
  }
  return View(
      data, *of_class, std::move(chosen),
      "undersample ratio=" + Number(options.ratio) + " seed=" + std::to_string(options.seed));
}

template <typename T>
Result<std::vector<std::pair<std::uint32_t, std::uint32_t>>> FindTomekLinks(
    const LabeledRows& data, MatrixView<T> features, std::span<const std::uint32_t> rows,
    int threads) {
  if (const auto good = internal::GroupTrainingRows(data, rows); !good) return good.error();
  auto links = LinkedPlaces(data, features, rows, threads);
  if (!links) return links.error();
  for (auto& [a, b] : *links) {
    a = rows[a];
    b = rows[b];
    if (a > b) std::swap(a, b);
  }
  std::sort(links->begin(), links->end());
  return links;
}

template <typename T>
Result<TrainingView> RemoveTomekLinks(const LabeledRows& data, MatrixView<T> features,
                                      std::span<const std::uint32_t> rows, int threads) {
  const auto of_class = internal::GroupTrainingRows(data, rows);
  if (!of_class) return of_class.error();
  const auto links = LinkedPlaces(data, features, rows, threads);
  if (!links) return links.error();
  const auto size = [&](std::uint32_t place) {
    return (*of_class)[static_cast<std::size_t>(data.labels[rows[place]])].size();
  };
  std::vector<bool> removed(rows.size(), false);
  for (const auto& [a, b] : *links) {
    if (size(a) >= size(b)) removed[a] = true;
    if (size(b) >= size(a)) removed[b] = true;
  }
  return View(data, *of_class, Without(rows, removed), "tomek-links");
}

template <typename T>
Result<TrainingView> RemoveOutvoted(const LabeledRows& data, MatrixView<T> features,
                                    std::span<const std::uint32_t> rows,
                                    const EditedNeighboursOptions& options) {
  const auto of_class = internal::GroupTrainingRows(data, rows);
  if (!of_class) return of_class.error();
  const auto near = Near(data, features, rows, options.neighbours, options.threads);
  if (!near) return near.error();
  std::size_t smallest = 0;
  for (std::size_t k = 0; k < of_class->size(); ++k) {
    const std::size_t size = (*of_class)[k].size();
    const std::size_t least = (*of_class)[smallest].size();
    if (size > 0 && (least == 0 || size < least)) smallest = k;
  }
  std::vector<bool> removed(rows.size(), false);
  std::vector<std::size_t> votes(data.classes);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto own = static_cast<std::size_t>(data.labels[rows[i]]);
    if (options.keep_smallest && own == smallest) continue;
    std::fill(votes.begin(), votes.end(), std::size_t{0});
    for (std::size_t n = 0; n < options.neighbours; ++n) {
      ++votes[static_cast<std::size_t>(data.labels[rows[near->index[i * options.neighbours + n]]])];
    }
    removed[i] = *std::max_element(votes.begin(), votes.end()) > votes[own];
  }
  return View(data, *of_class, Without(rows, removed),
              "edited-neighbours neighbours=" + std::to_string(options.neighbours) +
                  " keep_smallest=" + (options.keep_smallest ? "1" : "0"));
}

template Result<std::vector<std::pair<std::uint32_t, std::uint32_t>>> FindTomekLinks(
    const LabeledRows&, MatrixView<float>, std::span<const std::uint32_t>, int);
template Result<std::vector<std::pair<std::uint32_t, std::uint32_t>>> FindTomekLinks(
    const LabeledRows&, MatrixView<double>, std::span<const std::uint32_t>, int);
template Result<TrainingView> RemoveTomekLinks(const LabeledRows&, MatrixView<float>,
                                               std::span<const std::uint32_t>, int);
template Result<TrainingView> RemoveTomekLinks(const LabeledRows&, MatrixView<double>,
                                               std::span<const std::uint32_t>, int);
template Result<TrainingView> RemoveOutvoted(const LabeledRows&, MatrixView<float>,
                                             std::span<const std::uint32_t>,
                                             const EditedNeighboursOptions&);
template Result<TrainingView> RemoveOutvoted(const LabeledRows&, MatrixView<double>,
                                             std::span<const std::uint32_t>,
                                             const EditedNeighboursOptions&);

}  // namespace tidewheel::stats
