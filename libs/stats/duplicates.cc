#include "tidewheel/stats/duplicates.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <string>
#include <utility>

namespace tidewheel::stats {
namespace {

using Counts = std::array<std::uint64_t, kSplits>;

constexpr std::uint32_t kNone = ~std::uint32_t{0};

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

std::size_t Place(Split split) { return static_cast<std::size_t>(split); }

Result<void> CheckSplits(std::size_t rows, std::span<const Split> splits) {
  if (rows == 0) return Bad("there are no rows");
  if (rows >= kNone) return Bad("at most 4294967294 rows, not " + std::to_string(rows));
  if (splits.size() != rows) {
    return Bad(std::to_string(rows) + " rows need as many splits, not " +
               std::to_string(splits.size()));
  }
  for (std::size_t row = 0; row < rows; ++row) {
    if (static_cast<std::size_t>(splits[row]) >= kSplits) {
      return Bad("row " + std::to_string(row) + ": " +
                 std::to_string(static_cast<std::int32_t>(splits[row])) + " is no split");
    }
  }
  return {};
}

/// The rows that share one content.
template <typename Content>
struct Contents {
  std::vector<std::uint32_t> rows;    // All, content by content, rising within each.
  std::vector<std::uint32_t> begins;  // Per content into rows; one more at the end.
  std::vector<Content> content;
  std::vector<Counts> counts;  // Rows per split.
  // Per content: the splits that hold it or a twin of it.
  std::vector<std::array<bool, kSplits>> held;

  std::span<const std::uint32_t> Rows(std::size_t c) const {
    return std::span(rows).subspan(begins[c], begins[c + 1] - begins[c]);
  }
};

template <typename Content>
Contents<Content> Gather(std::span<const Content> values, std::span<const Split> splits) {
  Contents<Content> contents;
  contents.rows.resize(values.size());
  std::iota(contents.rows.begin(), contents.rows.end(), 0U);
  std::sort(contents.rows.begin(), contents.rows.end(), [&](std::uint32_t a, std::uint32_t b) {
    return values[a] != values[b] ? values[a] < values[b] : a < b;
  });
  for (std::uint32_t i = 0; i < contents.rows.size(); ++i) {
    const std::uint32_t row = contents.rows[i];
    if (contents.content.empty() || contents.content.back() != values[row]) {
      contents.begins.push_back(i);
      contents.content.push_back(values[row]);
      contents.counts.push_back({});
    }
    ++contents.counts.back()[Place(splits[row])];
  }
  contents.begins.push_back(static_cast<std::uint32_t>(contents.rows.size()));
  contents.held.resize(contents.content.size());
  for (std::size_t c = 0; c < contents.content.size(); ++c) {
    for (std::size_t s = 0; s < kSplits; ++s) contents.held[c][s] = contents.counts[c][s] > 0;
  }
  return contents;
}

std::uint64_t Sum(const Counts& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

/// The first pair of rows of different splits, one row of each content (the same content twice for
/// equal rows); there is one. It holds the first row of `a` or of `b`: a row of another split than
/// theirs, had both none, would be in no pair either.
RowPair FirstAcross(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b,
                    std::span<const Split> splits, int distance) {
  RowPair best{kNone, kNone, distance};
  for (const auto& [one, other] : {std::pair(a.front(), b), std::pair(b.front(), a)}) {
    for (const std::uint32_t row : other) {
      if (splits[row] == splits[one]) continue;
      best = std::min(best, RowPair{std::min(one, row), std::max(one, row), distance});
      break;
    }
  }
  return best;
}

template <typename Content>
void CountEqual(const Contents<Content>& contents, std::span<const Split> splits,
                DuplicateReport& report) {
  for (std::size_t c = 0; c < contents.content.size(); ++c) {
    const Counts& counts = contents.counts[c];
    const std::uint64_t rows = Sum(counts);
    std::uint64_t within = 0;
    for (const std::uint64_t count : counts) within += count * (count - 1) / 2;
    const std::uint64_t pairs = rows * (rows - 1) / 2;
    report.pairs += pairs;
    report.repeated_rows += rows - 1;
    if (pairs == within) continue;
    report.pairs_across += pairs - within;
    report.examples.push_back(FirstAcross(contents.Rows(c), contents.Rows(c), splits, 0));
  }
}

template <typename Content>
DuplicateReport Finish(DuplicateReport report, const Contents<Content>& contents,
                       std::span<const Split> splits, std::size_t examples) {
  for (std::size_t c = 0; c < contents.content.size(); ++c) {
    if (!contents.held[c][Place(Split::kTraining)]) continue;
    for (const std::uint32_t row : contents.Rows(c)) {
      if (splits[row] != Split::kTraining) report.leaked.push_back(row);
    }
  }
  std::sort(report.leaked.begin(), report.leaked.end());
  std::sort(report.examples.begin(), report.examples.end());
  if (report.examples.size() > examples) report.examples.resize(examples);
  return report;
}

/// Neighbouring bits tell much the same, so they are dealt out in turn.
std::vector<Bits128> DealBits(std::size_t keys) {
  std::vector<Bits128> masks(keys, Bits128{0, 0});
  for (std::size_t bit = 0; bit < 128; ++bit) {
    masks[bit % keys][bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
  return masks;
}

}  // namespace

Result<DuplicateReport> FindExactDuplicates(std::span<const Digest> digests,
                                            std::span<const Split> splits,
                                            const DuplicateOptions& options) {
  if (const auto good = CheckSplits(digests.size(), splits); !good) return good.error();
  const auto contents = Gather(digests, splits);
  DuplicateReport report;
  CountEqual(contents, splits, report);
  return Finish(std::move(report), contents, splits, options.examples);
}

Result<DuplicateReport> FindNearDuplicates(std::span<const Bits128> hashes,
                                           std::span<const Split> splits, int distance,
                                           const DuplicateOptions& options) {
  if (const auto good = CheckSplits(hashes.size(), splits); !good) return good.error();
  if (distance < 0 || distance > 16) {
    return Bad("a distance is 0 to 16 of 128 bits, not " + std::to_string(distance));
  }
  auto contents = Gather(hashes, splits);
  DuplicateReport report;
  CountEqual(contents, splits, report);
  // A bounded list of examples: the smallest pairs, whatever the order in which they turn up.
  const auto add_example = [&](const RowPair& pair) {
    report.examples.push_back(pair);
    if (report.examples.size() < 2 * options.examples + 1'000) return;
    std::sort(report.examples.begin(), report.examples.end());
    report.examples.resize(options.examples);
  };

  const auto masks = DealBits(static_cast<std::size_t>(distance) + 1);
  std::vector<std::pair<Bits128, std::uint32_t>> keyed(contents.content.size());
  std::uint64_t comparisons = 0;
  for (std::size_t table = 0; distance > 0 && table < masks.size(); ++table) {
    for (std::uint32_t c = 0; c < keyed.size(); ++c) {
      const Bits128& bits = contents.content[c];
      keyed[c] = {{bits[0] & masks[table][0], bits[1] & masks[table][1]}, c};
    }
    std::sort(keyed.begin(), keyed.end());
    for (std::size_t begin = 0; begin < keyed.size();) {
      std::size_t end = begin;
      while (end < keyed.size() && keyed[end].first == keyed[begin].first) ++end;
      const std::uint64_t size = end - begin;
      comparisons += size * (size - 1) / 2;
      if (comparisons > options.comparisons) {
        return Error{ErrorCode::kResourceExhausted,
                     "the hashes crowd: more than " + std::to_string(options.comparisons) +
                         " comparisons would be needed for distance " + std::to_string(distance)};
      }
      for (std::size_t i = begin; i < end; ++i) {
        const Bits128& a = contents.content[keyed[i].second];
        for (std::size_t j = i + 1; j < end; ++j) {
          const Bits128& b = contents.content[keyed[j].second];
          const Bits128 differ{a[0] ^ b[0], a[1] ^ b[1]};
          const int bits = std::popcount(differ[0]) + std::popcount(differ[1]);
          if (bits > distance) continue;
          // A pair counts in the first table in which it agrees.
          bool seen = false;
          for (std::size_t t = 0; t < table && !seen; ++t) {
            seen = (differ[0] & masks[t][0]) == 0 && (differ[1] & masks[t][1]) == 0;
          }
          if (seen) continue;
          const std::uint32_t x = keyed[i].second;
          const std::uint32_t y = keyed[j].second;
          const std::uint64_t pairs = Sum(contents.counts[x]) * Sum(contents.counts[y]);
          std::uint64_t within = 0;
          for (std::size_t s = 0; s < kSplits; ++s) {
            within += contents.counts[x][s] * contents.counts[y][s];
            if (contents.counts[y][s] > 0) contents.held[x][s] = true;
            if (contents.counts[x][s] > 0) contents.held[y][s] = true;
          }
          report.pairs += pairs;
          if (pairs == within) continue;
          report.pairs_across += pairs - within;
          add_example(FirstAcross(contents.Rows(x), contents.Rows(y), splits, bits));
        }
      }
      begin = end;
    }
  }
  return Finish(std::move(report), contents, splits, options.examples);
}

}  // namespace tidewheel::stats
