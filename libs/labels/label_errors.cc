#include "tidewheel/labels/label_errors.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <optional>
#include <string>

#include "tidewheel/labels/internal/chunks.h"
#include "tidewheel/labels/internal/labeled_rows.h"
#include "tidewheel/labels/internal/row_votes.h"
#include "tidewheel/labels/internal/scanned_labels.h"

namespace tidewheel::labels {
namespace {

using internal::ScannedLabels;
using internal::Suspect;

/// Rows a thread takes at a time.
std::size_t RowsPerChunk(std::size_t classes) {
  return std::max<std::size_t>(1024, (std::size_t{1} << 17) / classes);
}

struct Chunks {
  /// One thread needs no more than one: nothing depends on how many there are.
  Chunks(std::size_t all, std::size_t classes, std::uint32_t threads)
      : rows(all), size(threads > 1 ? RowsPerChunk(classes) : all) {}
  std::size_t count() const { return (rows + size - 1) / size; }
  std::size_t Begin(std::size_t chunk) const { return chunk * size; }
  std::size_t End(std::size_t chunk) const { return std::min(rows, (chunk + 1) * size); }

  std::size_t rows;
  std::size_t size;
};

/// What the first pass adds up: each example's probability of its own label.
struct Given {
  explicit Given(std::size_t classes) : sums(classes), counts(classes) {}

  std::vector<internal::ProbabilitySum> sums;
  std::vector<std::uint64_t> counts;
};

/// False when a label is out of range.
template <typename T>
bool AddGiven(const ScannedLabels<T>& scanned, std::size_t begin, std::size_t end, Given& given) {
  // In long rows each number lies in another page of memory.
  const T* values = scanned.probabilities.values.data();
  const std::size_t classes = scanned.probabilities.columns;
  const std::size_t ahead_rows = classes * sizeof(T) > internal::kShortBytes ? 64 : end;
  for (std::size_t i = begin; i < end; ++i) {
    if (i + ahead_rows < end) {
      const auto ahead = static_cast<std::uint32_t>(scanned.labels[i + ahead_rows]);
      if (ahead < classes) __builtin_prefetch(values + (i + ahead_rows) * classes + ahead);
    }
    const auto label = static_cast<std::uint32_t>(scanned.labels[i]);
    if (label >= classes) return false;
    const T p = internal::Clipped(values[i * classes + label]);
    given.sums[label].Add(static_cast<double>(p));
    ++given.counts[label];
  }
  return true;
}

template <typename T>
Result<Given> ReadGiven(const ScannedLabels<T>& scanned, const Chunks& chunks,
                        std::uint32_t threads) {
  const std::size_t classes = scanned.probabilities.columns;
  std::vector<Given> parts(internal::ThreadsFor(chunks.count(), threads), Given(classes));
  std::atomic<bool> good = true;
  internal::ForEachChunk(chunks.count(), threads, [&](std::size_t chunk, std::size_t thread) {
    if (!AddGiven(scanned, chunks.Begin(chunk), chunks.End(chunk), parts[thread])) good = false;
  });
  if (!good) return internal::LabelOutOfRange(scanned.labels, classes);
  for (std::size_t part = 1; part < parts.size(); ++part) {
    for (std::size_t k = 0; k < classes; ++k) {
      parts[0].sums[k].Add(parts[part].sums[k]);
      parts[0].counts[k] += parts[part].counts[k];
    }
  }
  for (std::size_t k = 0; k < classes; ++k) {
    if (parts[0].counts[k] == scanned.labels.size()) {
      return Error{ErrorCode::kFailedPrecondition,
                   "all " + std::to_string(scanned.labels.size()) + " labels are class " +
                       std::to_string(k) + "; one class says nothing about label errors"};
    }
  }
  return std::move(parts[0]);
}

struct Cell {
  std::int32_t given = 0;
  std::int32_t voted = 0;
};

/// What the second pass finds in a chunk.
template <typename T>
struct ChunkVotes {
  std::vector<Suspect<T>> suspects;
  std::vector<Cell> others;  // Off the diagonal, though the given class is the model's answer.
  std::optional<Error> error;
};

/// What a thread counts, whichever chunks it takes.
template <typename T>
struct ThreadVotes {
  explicit ThreadVotes(std::size_t classes) : diagonal(classes) {}

  std::vector<std::uint64_t> diagonal;
  internal::RowScratch<T> scratch;
};

/// Counts the votes of a chunk's rows, which begin at `first_row`.
template <typename T>
struct VoteTaker {
  __attribute__((always_inline)) void operator()(std::size_t i,
                                                 const internal::RowVote<T>& vote) const {
    const std::int32_t label = labels[i];
    // No branch where a guess would often be wrong: hence | and & between conditions.
    thread.diagonal[static_cast<std::size_t>(label)] += vote.voted == label ? 1 : 0;
    if ((vote.predicted == label) & ((vote.voted == label) | (vote.voted < 0))) return;
    if (internal::Disagrees(vote, label)) {
      chunk.suspects.push_back(
          {static_cast<std::uint32_t>(first_row + i), vote.voted, vote.given, vote.top});
    } else if (vote.voted >= 0 && vote.voted != label) {
      chunk.others.push_back({label, vote.voted});
    }
  }
  void Plain(std::size_t first, std::uint8_t votes) const {
    const std::size_t rows = std::min<std::size_t>(8, labels.size() - first);
    for (std::size_t j = 0; j < rows; ++j) {
      thread.diagonal[static_cast<std::size_t>(labels[first + j])] += (votes >> j) & 1U;
    }
  }

  std::span<const std::int32_t> labels;
  std::size_t first_row;
  ThreadVotes<T>& thread;
  ChunkVotes<T>& chunk;
};

template <typename T>
Result<void> CountVotes(const ScannedLabels<T>& scanned, const internal::Cuts<T>& cuts,
                        std::size_t begin, std::size_t end, ThreadVotes<T>& thread,
                        ChunkVotes<T>& chunk) {
  const std::size_t classes = scanned.probabilities.columns;
  const auto labels = scanned.labels.subspan(begin, end - begin);
  return internal::ReadRows<T>(
      scanned.probabilities.values.subspan(begin * classes, (end - begin) * classes), classes,
      labels, cuts, begin, thread.scratch, VoteTaker<T>{labels, begin, thread, chunk});
}

/// Cells with their number of examples, by given and then by voted class. Where votes are many they
/// are counted, else sorted.
std::vector<OffDiagonal> CountCells(const std::vector<Cell>& votes, std::size_t classes) {
  const auto by_given = internal::GroupByClass(votes.size(), classes, [&](std::uint32_t vote) {
    return static_cast<std::size_t>(votes[vote].given);
  });
  std::vector<OffDiagonal> cells;
  std::vector<std::uint64_t> counts(classes);
  std::vector<std::int32_t> voted;
  for (std::size_t given = 0; given < classes; ++given) {
    const auto row = by_given.Of(given);
    const auto self = static_cast<std::int32_t>(given);
    if (row.size() >= classes / 16) {
      for (const std::uint32_t vote : row) ++counts[static_cast<std::size_t>(votes[vote].voted)];
      for (std::size_t k = 0; k < classes; ++k) {
        if (counts[k] > 0) cells.push_back({self, static_cast<std::int32_t>(k), counts[k]});
        counts[k] = 0;
      }
      continue;
    }
    voted.clear();
    for (const std::uint32_t vote : row) voted.push_back(votes[vote].voted);
    std::sort(voted.begin(), voted.end());
    for (std::size_t i = 0; i < voted.size(); ++i) {
      if (i == 0 || voted[i] != voted[i - 1]) cells.push_back({self, voted[i], 0});
      ++cells.back().examples;
    }
  }
  return cells;
}

template <typename T>
Result<void> ReadVotes(ScannedLabels<T>& scanned, const Chunks& chunks, const ScanOptions& options,
                       const Given& given) {
  const std::size_t classes = scanned.probabilities.columns;
  std::vector<double> thresholds = internal::Thresholds(given.sums, given.counts);
  const auto cuts = internal::MakeCuts<T>(thresholds, options.votes);

  std::vector<ChunkVotes<T>> found(chunks.count());
  std::vector<ThreadVotes<T>> parts(internal::ThreadsFor(chunks.count(), options.threads),
                                    ThreadVotes<T>(classes));
  // Of bad rows the first is named, so that chunks before it are still read.
  std::atomic<std::size_t> first_bad = chunks.count();
  internal::ForEachChunk(
      chunks.count(), options.threads, [&](std::size_t chunk, std::size_t thread) {
        if (chunk > first_bad) return;
        const auto counted = CountVotes(scanned, cuts, chunks.Begin(chunk), chunks.End(chunk),
                                        parts[thread], found[chunk]);
        if (counted) return;
        found[chunk].error = counted.error();
        std::size_t known = first_bad;
        while (chunk < known && !first_bad.compare_exchange_weak(known, chunk)) {
        }
      });
  if (first_bad < chunks.count()) return *found[first_bad].error;

  scanned.suspects = std::move(found[0].suspects);
  std::vector<Cell> votes = std::move(found[0].others);
  for (auto chunk = found.begin() + 1; chunk != found.end(); ++chunk) {
    scanned.suspects.insert(scanned.suspects.end(), chunk->suspects.begin(), chunk->suspects.end());
    votes.insert(votes.end(), chunk->others.begin(), chunk->others.end());
    *chunk = {};
  }
  votes.reserve(votes.size() + scanned.suspects.size());
  for (const Suspect<T>& suspect : scanned.suspects) {
    if (!scanned.IsOffDiagonal(suspect)) continue;
    votes.push_back({scanned.labels[suspect.row], suspect.voted});
  }
  internal::Outside outside;
  std::vector<std::uint64_t> diagonal(classes);
  std::uint64_t undecided = scanned.labels.size() - votes.size();
  for (const auto& part : parts) {
    outside.Add(part.scratch.outside);
    for (std::size_t k = 0; k < classes; ++k) {
      diagonal[k] += part.diagonal[k];
      undecided -= part.diagonal[k];
    }
  }
  scanned.clipped = {outside.values, outside.farthest};
  scanned.joint = CompleteJoint(std::move(thresholds), given.counts, diagonal,
                                CountCells(votes, classes), undecided);
  return {};
}

/// As ScoreLabel, from what is already known where that is enough. Quick for rows in order.
template <typename T>
class KnownScores {
 public:
  explicit KnownScores(const ScannedLabels<T>& scanned)
      : scanned_(scanned), next_(scanned.suspects.begin()) {}

  double Score(std::uint32_t row, LabelScore score) {
    if (score == LabelScore::kSelfConfidence) return scanned_.Given(row);
    if (score == LabelScore::kNormalizedMargin) {
      const auto suspect = Find(row);
      if (suspect != scanned_.suspects.end() && suspect->row == row) {
        return scanned_.Margin(*suspect);
      }
    }
    return ScoreLabel(scanned_.probabilities.Row(row), scanned_.labels[row], score);
  }

 private:
  /// The first suspect that is not before the row.
  auto Find(std::uint32_t row) {
    const auto before = [](const Suspect<T>& suspect, std::uint32_t wanted) {
      return suspect.row < wanted;
    };
    const bool ahead = next_ != scanned_.suspects.begin() && !before(*(next_ - 1), row);
    const auto begin = ahead ? scanned_.suspects.begin() : next_;
    constexpr std::ptrdiff_t kNear = 4;
    const auto near = begin + std::min(kNear, scanned_.suspects.end() - begin);
    next_ = std::find_if(begin, near, [&](const auto& suspect) { return !before(suspect, row); });
    if (next_ == near) next_ = std::lower_bound(near, scanned_.suspects.end(), row, before);
    return next_;
  }

  const ScannedLabels<T>& scanned_;
  typename std::vector<Suspect<T>>::const_iterator next_;
};

}  // namespace

template <typename T>
Result<LabelErrorScan<T>> LabelErrorScan<T>::Read(MatrixView<T> probabilities,
                                                  std::span<const std::int32_t> labels,
                                                  const ScanOptions& options) {
  const auto shape = internal::CheckShape(probabilities, labels);
  if (!shape) return shape.error();
  if (probabilities.rows < probabilities.columns) {
    return Error{ErrorCode::kInvalidArgument,
                 std::to_string(probabilities.rows) + " examples for " +
                     std::to_string(probabilities.columns) +
                     " classes; thresholds need at least as many examples as classes"};
  }
  auto scanned = std::make_shared<ScannedLabels<T>>();
  scanned->probabilities = probabilities;
  scanned->labels = labels;
  const Chunks chunks(labels.size(), probabilities.columns, options.threads);
  const auto given = ReadGiven(*scanned, chunks, options.threads);
  if (!given) return given.error();
  if (const auto read = ReadVotes(*scanned, chunks, options, *given); !read) return read.error();
  return LabelErrorScan(std::shared_ptr<const ScannedLabels<T>>(std::move(scanned)));
}

template <typename T>
const ConfidentJoint& LabelErrorScan<T>::joint() const {
  return scanned_->joint;
}
template <typename T>
const ClippedValues& LabelErrorScan<T>::clipped() const {
  return scanned_->clipped;
}
template <typename T>
MatrixView<T> LabelErrorScan<T>::probabilities() const {
  return scanned_->probabilities;
}
template <typename T>
std::span<const std::int32_t> LabelErrorScan<T>::labels() const {
  return scanned_->labels;
}

template <typename T>
RankedIssues LabelErrorScan<T>::Rank(std::span<const std::uint32_t> rows, LabelScore score) const {
  std::vector<internal::Keyed> items;
  items.reserve(rows.size());
  KnownScores<T> known(*scanned_);
  for (const std::uint32_t row : rows) items.push_back({known.Score(row, score), row});
  internal::SortLowest(*scanned_, items);
  RankedIssues ranked;
  ranked.rows.reserve(items.size());
  ranked.scores.reserve(items.size());
  for (const internal::Keyed& item : items) {
    ranked.rows.push_back(item.row);
    ranked.scores.push_back(item.key);
  }
  return ranked;
}

template <typename T>
Result<LabelErrors> FindLabelErrors(MatrixView<T> probabilities,
                                    std::span<const std::int32_t> labels,
                                    const LabelErrorOptions& options) {
  const auto scan = LabelErrorScan<T>::Read(probabilities, labels,
                                            {.votes = options.votes, .threads = options.threads});
  if (!scan) return scan.error();
  const LabelIssues issues = scan->Find(
      options.method, {.keep_per_class = options.keep_per_class, .threads = options.threads});
  return LabelErrors{scan->Rank(issues.rows, options.rank_by), issues.spared, scan->clipped(),
                     scan->joint()};
}

template class LabelErrorScan<float>;
template class LabelErrorScan<double>;
template Result<LabelErrors> FindLabelErrors(MatrixView<float>, std::span<const std::int32_t>,
                                             const LabelErrorOptions&);
template Result<LabelErrors> FindLabelErrors(MatrixView<double>, std::span<const std::int32_t>,
                                             const LabelErrorOptions&);

}  // namespace tidewheel::labels
