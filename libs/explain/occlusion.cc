#include "tidewheel/explain/occlusion.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

namespace tidewheel::explain {
namespace {

struct Square {
  std::size_t y;
  std::size_t x;
};

Error Invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

Result<void> CheckOptions(const Planes& picture, const OcclusionOptions& options) {
  const std::size_t pixels = picture.height * picture.width;
  if (picture.channels == 0 || pixels == 0 || picture.values.size() % pixels != 0 ||
      picture.values.size() / pixels != picture.channels) {
    return Invalid("a picture's channels, height and width do not fit its " +
                   std::to_string(picture.values.size()) + " values");
  }
  if (options.patch == 0 || options.patch > std::min(picture.height, picture.width)) {
    return Invalid("a covering square of " + std::to_string(options.patch) +
                   " does not fit into a picture of " + std::to_string(picture.height) + " x " +
                   std::to_string(picture.width));
  }
  if (options.stride == 0 || options.stride > options.patch) {
    return Invalid("the stride must be from 1 to the covering square's size, not " +
                   std::to_string(options.stride));
  }
  if (!std::isfinite(options.fill)) return Invalid("what covers must be a number");
  return {};
}

/// Where squares begin along one side: every stride, and one that ends with the side.
std::vector<std::size_t> Starts(std::size_t length, const OcclusionOptions& options) {
  std::vector<std::size_t> starts;
  for (std::size_t at = 0; at + options.patch <= length; at += options.stride) {
    starts.push_back(at);
  }
  if (starts.back() + options.patch < length) starts.push_back(length - options.patch);
  return starts;
}

/// How fine a grid of halved strides must be to hold the place: 0 for the first, then fewer for
/// those that more powers of two divide.
int Fineness(std::size_t place) { return place == 0 ? 0 : 64 - std::countr_zero(place); }

std::vector<Square> SquaresFarApart(const Planes& picture, const OcclusionOptions& options) {
  const auto rows = Starts(picture.height, options);
  const auto columns = Starts(picture.width, options);
  struct Ranked {
    int fineness;
    Square square;
  };
  std::vector<Ranked> ranked;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t c = 0; c < columns.size(); ++c) {
      ranked.push_back({std::max(Fineness(r), Fineness(c)), {rows[r], columns[c]}});
    }
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const Ranked& a, const Ranked& b) { return a.fineness < b.fineness; });
  std::vector<Square> squares;
  for (const Ranked& each : ranked) squares.push_back(each.square);
  return squares;
}

}  // namespace

Result<OcclusionExplanation> ExplainByOcclusion(const Planes& picture, const AnswerRows& model,
                                                const OcclusionOptions& options,
                                                const Budget& budget) {
  if (auto checked = CheckOptions(picture, options); !checked.ok()) return checked.error();
  if (auto checked = Check(budget); !checked.ok()) return checked.error();
  const auto squares = SquaresFarApart(picture, options);
  const std::size_t columns = picture.values.size();
  const std::size_t pixels = picture.height * picture.width;
  OcclusionExplanation explanation;
  explanation.possible = squares.size();
  double unchanged = 0;
  if (auto done = model(picture.values, 1, std::span(&unchanged, 1)); !done.ok()) {
    return done.error();
  }
  if (!std::isfinite(unchanged)) {
    return Error{ErrorCode::kInternal, "the model's answer to the picture is not a number"};
  }
  explanation.answer = unchanged;
  std::vector<double> sums(pixels, 0);
  std::vector<std::uint32_t> counts(pixels, 0);
  std::vector<float> rows;
  std::vector<double> answers;
  for (std::size_t first = 0; first < squares.size();) {
    if (auto checked = Check(budget); !checked.ok()) return checked.error();
    if (budget.over()) break;
    const std::size_t count = std::min(budget.batch, squares.size() - first);
    rows.resize(count * columns);
    for (std::size_t i = 0; i < count; ++i) {
      const auto row = std::span(rows).subspan(i * columns, columns);
      std::copy(picture.values.begin(), picture.values.end(), row.begin());
      const Square& square = squares[first + i];
      for (std::size_t c = 0; c < picture.channels; ++c) {
        for (std::size_t y = square.y; y < square.y + options.patch; ++y) {
          const auto at =
              row.begin() + static_cast<std::ptrdiff_t>(c * pixels + y * picture.width + square.x);
          std::fill_n(at, options.patch, options.fill);
        }
      }
    }
    answers.assign(count, 0);
    const auto asked = AskInBatches(model, rows, columns, budget, answers);
    if (!asked.ok()) return asked.error();
    for (std::size_t i = 0; i < *asked; ++i) {
      const Square& square = squares[first + i];
      const double drop = unchanged - answers[i];
      explanation.highest_drop =
          explanation.squares == 0 ? drop : std::max(explanation.highest_drop, drop);
      ++explanation.squares;
      for (std::size_t y = square.y; y < square.y + options.patch; ++y) {
        for (std::size_t x = square.x; x < square.x + options.patch; ++x) {
          sums[y * picture.width + x] += drop;
          ++counts[y * picture.width + x];
        }
      }
    }
    first += count;
  }
  if (explanation.squares == 0) {
    return Error{ErrorCode::kDeadlineExceeded, "the time was over before one square was covered"};
  }
  explanation.complete = explanation.squares == explanation.possible;
  explanation.drop.resize(pixels);
  for (std::size_t i = 0; i < pixels; ++i) {
    explanation.drop[i] =
        counts[i] > 0 ? sums[i] / counts[i] : std::numeric_limits<double>::quiet_NaN();
  }
  return explanation;
}

}  // namespace tidewheel::explain
