#include "tidewheel/explain/permutation_importance.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "tidewheel/base/random.h"

namespace tidewheel::explain {
namespace {

Error Invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

Importance Summary(std::size_t column, const std::vector<double>& drops) {
  const auto count = static_cast<double>(drops.size());
  const double mean = std::accumulate(drops.begin(), drops.end(), 0.0) / count;
  double squares = 0;
  for (const double drop : drops) squares += (drop - mean) * (drop - mean);
  return {column, mean, std::sqrt(squares / (count - 1) / count), drops.size()};
}

}  // namespace

Result<PermutationImportance> ImportanceByPermutation(MatrixView<float> rows,
                                                      const ScoreRows& score,
                                                      const PermutationOptions& options,
                                                      const Budget& budget) {
  if (!rows.Fits() || rows.rows < 2 || rows.columns == 0) {
    return Invalid("permutation importance needs at least 2 rows and 1 column of one shape");
  }
  if (options.repeats < 2) return Invalid("permutation importance needs at least 2 repeats");
  if (auto checked = Check(budget); !checked.ok()) return checked.error();
  const auto unchanged = score(rows);
  if (!unchanged.ok()) return unchanged.error();
  if (!std::isfinite(*unchanged)) return Error{ErrorCode::kInternal, "the score is not a number"};
  PermutationImportance importance;
  importance.score = *unchanged;
  std::vector<std::vector<double>> drops(rows.columns);
  std::vector<float> changed(rows.values.begin(), rows.values.end());
  std::vector<std::size_t> order(rows.rows);
  Random random(options.seed);
  bool in_time = true;
  for (std::size_t repeat = 0; repeat < options.repeats && in_time; ++repeat) {
    for (std::size_t column = 0; column < rows.columns; ++column) {
      if (auto checked = Check(budget); !checked.ok()) return checked.error();
      in_time = !budget.over();
      if (!in_time) break;
      std::iota(order.begin(), order.end(), std::size_t{0});
      for (std::size_t i = order.size(); i > 1; --i) {
        std::swap(order[i - 1], order[random.Below(i)]);
      }
      for (std::size_t i = 0; i < rows.rows; ++i) {
        changed[i * rows.columns + column] = rows.values[order[i] * rows.columns + column];
      }
      const auto answer = score({changed, rows.rows, rows.columns});
      if (!answer.ok()) return answer.error();
      if (!std::isfinite(*answer)) {
        return Error{ErrorCode::kInternal, "the score with column " + std::to_string(column) +
                                               " dealt anew is not a number"};
      }
      drops[column].push_back(*unchanged - *answer);
      for (std::size_t i = 0; i < rows.rows; ++i) {
        changed[i * rows.columns + column] = rows.values[i * rows.columns + column];
      }
    }
  }
  importance.complete = in_time;
  for (std::size_t column = 0; column < rows.columns; ++column) {
    if (drops[column].size() < 2) {
      return Error{ErrorCode::kDeadlineExceeded, "the time was over before column " +
                                                     std::to_string(column) +
                                                     " had been dealt anew twice"};
    }
    importance.columns.push_back(Summary(column, drops[column]));
  }
  std::stable_sort(importance.columns.begin(), importance.columns.end(),
                   [](const Importance& a, const Importance& b) { return a.drop > b.drop; });
  return importance;
}

}  // namespace tidewheel::explain
