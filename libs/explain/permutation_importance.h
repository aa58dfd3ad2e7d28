#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/explain/budget.h"

namespace tidewheel::explain {

/// How well a model does on these rows, higher is better; such as its accuracy with the rows' true
/// classes.
using ScoreRows = std::function<Result<double>(MatrixView<float> rows)>;

struct PermutationOptions {
  std::size_t repeats = 10;  // At least 2.
  std::uint64_t seed = 1;
};

struct Importance {
  std::size_t column = 0;
  double drop = 0;            // Mean fall of the score.
  double standard_error = 0;  // Of that mean, over the repeats.
  std::size_t repeats = 0;
};

struct PermutationImportance {
  std::vector<Importance> columns;  // Highest drop first; those that were asked at least twice.
  double score = 0;                 // Of the rows as they are.
  bool complete = true;
};

/// By how much the score falls when one column's values are dealt anew over the rows (Breiman 2001;
/// Fisher, Rudin, Dominici 2019 for any model). All columns get their first repeat before one gets
/// its second, so that a budget that ends early costs precision, not columns.
/// kInvalidArgument: fewer than 2 rows, no columns, a shape that does not fit, fewer than 2
/// repeats. kDeadlineExceeded: the time was over before every column had 2 repeats.
Result<PermutationImportance> ImportanceByPermutation(MatrixView<float> rows,
                                                      const ScoreRows& score,
                                                      const PermutationOptions& options,
                                                      const Budget& budget);

}  // namespace tidewheel::explain
