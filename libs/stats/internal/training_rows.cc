#include "tidewheel/stats/internal/training_rows.h"

#include <algorithm>
#include <string>
#include <utility>

namespace tidewheel::stats::internal {
namespace {

constexpr std::size_t kMostClasses = 1'000'000;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

}  // namespace

Result<RowsByClass> GroupTrainingRows(const LabeledRows& data,
                                      std::span<const std::uint32_t> rows) {
  if (rows.empty()) return Bad("there are no rows");
  if (data.labels.size() != data.splits.size()) {
    return Bad(std::to_string(data.labels.size()) + " labels need as many splits, not " +
               std::to_string(data.splits.size()));
  }
  if (data.classes > kMostClasses) {
    return Bad("at most " + std::to_string(kMostClasses) + " classes, not " +
               std::to_string(data.classes));
  }
  RowsByClass of_class(data.classes);
  std::vector<bool> seen(data.labels.size(), false);
  for (const std::uint32_t row : rows) {
    const std::string name = "row " + std::to_string(row);
    if (row >= data.labels.size()) {
      return Bad(name + " is not below " + std::to_string(data.labels.size()));
    }
    if (seen[row]) return Bad(name + " is given twice");
    seen[row] = true;
    if (data.splits[row] != Split::kTraining) {
      return Error{ErrorCode::kFailedPrecondition, name + " is " +
                                                       std::string(Name(data.splits[row])) +
                                                       ": only training rows are balanced"};
    }
    if (data.labels[row] < 0 || static_cast<std::size_t>(data.labels[row]) >= data.classes) {
      return Bad(name + ": label " + std::to_string(data.labels[row]) + " is not in 0.." +
                 std::to_string(data.classes) + " - 1");
    }
    of_class[static_cast<std::size_t>(data.labels[row])].push_back(row);
  }
  const auto present =
      std::count_if(of_class.begin(), of_class.end(), [](const auto& own) { return !own.empty(); });
  if (present < 2) {
    return Error{ErrorCode::kFailedPrecondition,
                 "not applicable, because all rows are of one class"};
  }
  return of_class;
}

std::size_t TimesEach(std::size_t have, std::size_t wanted) {
  return std::max<std::size_t>(1, wanted / have);
}

std::vector<std::uint32_t> ChooseSome(std::vector<std::uint32_t> rows, std::size_t count,
                                      Random& random) {
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(rows[i], rows[i + random.Below(rows.size() - i)]);
  }
  rows.resize(count);
  return rows;
}

}  // namespace tidewheel::stats::internal
