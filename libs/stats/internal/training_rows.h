#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/base/result.h"
#include "tidewheel/stats/balance.h"

namespace tidewheel::stats::internal {

/// Per class the rows that have it, in the order given.
using RowsByClass = std::vector<std::vector<std::uint32_t>>;

/// Checks what balance.h asks of rows, also that none comes twice.
Result<RowsByClass> GroupTrainingRows(const LabeledRows& data, std::span<const std::uint32_t> rows);

/// How often each of `have` rows comes before chance gives some of them one more: wanted / have,
/// but at least once.
std::size_t TimesEach(std::size_t have, std::size_t wanted);

/// So many of the rows, each equally likely, none twice.
std::vector<std::uint32_t> ChooseSome(std::vector<std::uint32_t> rows, std::size_t count,
                                      Random& random);

}  // namespace tidewheel::stats::internal
