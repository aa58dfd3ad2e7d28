#include "tidewheel/explain/lime.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "tidewheel/base/random.h"
#include "tidewheel/explain/local_fit.h"

namespace tidewheel::explain {
namespace {

constexpr std::size_t kMaxSamples = 100'000;
constexpr std::size_t kMaxNumbers = std::size_t{1} << 26;

Error Invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

Result<void> CheckOptions(const LimeOptions& options, std::size_t parts) {
  if (parts == 0) return Invalid("there is nothing to explain: the input has no parts");
  if (options.samples < 2 || options.samples > kMaxSamples) {
    return Invalid("an explanation asks from 2 to 100000 changed inputs, not " +
                   std::to_string(options.samples));
  }
  if (options.samples > kMaxNumbers / parts) {
    return Invalid(std::to_string(options.samples) + " changed inputs of " + std::to_string(parts) +
                   " parts are more than an explanation may hold");
  }
  if (!std::isfinite(options.kernel_width) || options.kernel_width < 0) {
    return Invalid("the kernel's width must not be negative");
  }
  return {};
}

double Nearness(double distance, double width) {
  return std::sqrt(std::exp(-distance * distance / (width * width)));
}

Result<std::size_t> EnoughOf(Result<std::size_t> asked) {
  if (asked.ok() && *asked < 2) {
    return Error{ErrorCode::kDeadlineExceeded,
                 "the time was over before the model had answered 2 changed inputs"};
  }
  return asked;
}

/// `rows` holds the interpretable form of what was asked; the first is the input itself.
Result<LocalExplanation> Fit(MatrixView<double> rows, std::span<const double> answers,
                             std::span<const double> nearness, const LimeOptions& options) {
  auto fit = FitLocally(rows, answers, nearness, options.penalty);
  if (!fit.ok()) return fit.error();
  std::vector<std::size_t> parts(rows.columns);
  std::iota(parts.begin(), parts.end(), std::size_t{0});
  const auto heaviest_first = [&] {
    std::vector<std::size_t> order(parts.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::abs(fit->weights[a]) > std::abs(fit->weights[b]);
    });
    return order;
  };
  std::vector<double> fewer;
  MatrixView<double> fitted = rows;
  if (options.most > 0 && options.most < rows.columns) {
    auto order = heaviest_first();
    order.resize(options.most);
    std::sort(order.begin(), order.end());
    parts = order;
    fewer.reserve(rows.rows * parts.size());
    for (std::size_t i = 0; i < rows.rows; ++i) {
      for (const std::size_t part : parts) fewer.push_back(rows.Row(i)[part]);
    }
    fitted = {fewer, rows.rows, parts.size()};
    fit = FitLocally(fitted, answers, nearness, options.penalty);
    if (!fit.ok()) return fit.error();
  }
  LocalExplanation explanation;
  explanation.intercept = fit->intercept;
  explanation.r_squared = fit->r_squared;
  explanation.answer = answers[0];
  explanation.prediction = fit->intercept;
  for (std::size_t j = 0; j < parts.size(); ++j) {
    explanation.prediction += fit->weights[j] * fitted.Row(0)[j];
  }
  for (const std::size_t j : heaviest_first()) {
    explanation.attributions.push_back({parts[j], fit->weights[j], fit->standard_errors[j]});
  }
  explanation.asked = rows.rows;
  explanation.complete = rows.rows == options.samples;
  return explanation;
}

/// `draw` fills a mask of which at least nothing is promised.
Result<LocalExplanation> ExplainMasks(
    std::size_t parts, const AnswerMasks& model, const LimeOptions& options, const Budget& budget,
    double distance_unit, double width,
    const std::function<void(Random&, std::span<std::uint8_t>)>& draw) {
  if (auto checked = CheckOptions(options, parts); !checked.ok()) return checked.error();
  std::vector<std::uint8_t> masks(options.samples * parts, 1);
  Random random(options.seed);
  for (std::size_t i = 1; i < options.samples; ++i) {
    draw(random, std::span(masks).subspan(i * parts, parts));
  }
  std::vector<double> answers(options.samples);
  // Masks are asked for by their place: rows of one number, so that batching is one code.
  std::vector<float> places(options.samples);
  std::size_t next = 0;
  const AnswerRows by_place = [&](std::span<const float>, std::size_t count,
                                  std::span<double> part) {
    const auto kept = std::span<const std::uint8_t>(masks).subspan(next * parts, count * parts);
    next += count;
    return model(kept, count, part);
  };
  const auto asked = EnoughOf(AskInBatches(by_place, places, 1, budget, answers));
  if (!asked.ok()) return asked.error();
  std::vector<double> rows(*asked * parts);
  std::vector<double> nearness(*asked);
  for (std::size_t i = 0; i < *asked; ++i) {
    double kept = 0;
    for (std::size_t j = 0; j < parts; ++j) {
      rows[i * parts + j] = masks[i * parts + j];
      kept += masks[i * parts + j];
    }
    // The cosine of a mask and the whole; of the empty mask 0.
    const double cosine = std::sqrt(kept / static_cast<double>(parts));
    nearness[i] = Nearness(distance_unit * (1 - cosine), width);
  }
  return Fit({rows, *asked, parts}, std::span(answers).first(*asked), nearness, options);
}

bool IsOfWord(char letter) {
  const auto byte = static_cast<unsigned char>(letter);
  return byte > 127 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
         (byte >= 'A' && byte <= 'Z') || byte == '_';
}

}  // namespace

Result<LocalExplanation> ExplainRow(std::span<const float> row, std::span<const double> means,
                                    std::span<const double> deviations, const AnswerRows& model,
                                    const LimeOptions& options, const Budget& budget) {
  const std::size_t columns = row.size();
  if (auto checked = CheckOptions(options, columns); !checked.ok()) return checked.error();
  if (means.size() != columns || deviations.size() != columns) {
    return Invalid("a row of " + std::to_string(columns) + " columns needs as many means and " +
                   "deviations, not " + std::to_string(means.size()) + " and " +
                   std::to_string(deviations.size()));
  }
  for (std::size_t j = 0; j < columns; ++j) {
    if (std::isfinite(row[j]) && std::isfinite(means[j]) && std::isfinite(deviations[j]) &&
        deviations[j] >= 0) {
      continue;
    }
    return Invalid("column " + std::to_string(j) +
                   " has a value, mean or deviation that is no valid number");
  }
  Random random(options.seed);
  // Deviations from the row, in the columns' deviations; the first is the row itself.
  std::vector<double> steps(options.samples * columns);
  std::vector<float> rows(options.samples * columns);
  std::copy(row.begin(), row.end(), rows.begin());
  for (std::size_t i = 1; i < options.samples; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      const double step = deviations[j] > 0 ? random.Normal() : 0;
      steps[i * columns + j] = step;
      rows[i * columns + j] =
          static_cast<float>(static_cast<double>(row[j]) + step * deviations[j]);
    }
  }
  std::vector<double> answers(options.samples);
  const auto asked = EnoughOf(AskInBatches(model, rows, columns, budget, answers));
  if (!asked.ok()) return asked.error();
  const double width = options.kernel_width > 0 ? options.kernel_width
                                                : 0.75 * std::sqrt(static_cast<double>(columns));
  std::vector<double> nearness(*asked);
  std::vector<double> standard(*asked * columns);
  for (std::size_t i = 0; i < *asked; ++i) {
    double square = 0;
    for (std::size_t j = 0; j < columns; ++j) {
      const double step = steps[i * columns + j];
      square += step * step;
      const double at =
          deviations[j] > 0 ? (static_cast<double>(row[j]) - means[j]) / deviations[j] : 0;
      standard[i * columns + j] = at + step;
    }
    nearness[i] = Nearness(std::sqrt(square), width);
  }
  auto explanation =
      Fit({standard, *asked, columns}, std::span(answers).first(*asked), nearness, options);
  if (!explanation.ok()) return explanation;
  for (Attribution& each : explanation->attributions) {
    const double deviation = deviations[each.part];
    if (!(deviation > 0)) continue;
    explanation->intercept -= each.weight * means[each.part] / deviation;
    each.weight /= deviation;
    each.standard_error /= deviation;
  }
  return explanation;
}

Result<LocalExplanation> ExplainParts(std::size_t parts, const AnswerMasks& model,
                                      const LimeOptions& options, const Budget& budget) {
  const double width = options.kernel_width > 0 ? options.kernel_width : 0.25;
  return ExplainMasks(parts, model, options, budget, 1, width,
                      [](Random& random, std::span<std::uint8_t> mask) {
                        for (auto& kept : mask) kept = random.Next() >> 63 ? 1 : 0;
                      });
}

Result<LocalExplanation> ExplainWords(std::size_t words, const AnswerMasks& model,
                                      const LimeOptions& options, const Budget& budget) {
  const double width = options.kernel_width > 0 ? options.kernel_width : 25;
  std::vector<std::size_t> order(words);
  std::iota(order.begin(), order.end(), std::size_t{0});
  return ExplainMasks(words, model, options, budget, 100, width,
                      [&order](Random& random, std::span<std::uint8_t> mask) {
                        const std::size_t out = 1 + random.Below(mask.size());
                        for (std::size_t k = 0; k < out; ++k) {
                          std::swap(order[k], order[k + random.Below(mask.size() - k)]);
                          mask[order[k]] = 0;
                        }
                      });
}

WordMask::WordMask(std::string_view text) {
  std::unordered_map<std::string, std::size_t> known;
  constexpr auto kBetween = static_cast<std::size_t>(-1);
  for (std::size_t at = 0; at < text.size();) {
    const bool word = IsOfWord(text[at]);
    std::size_t end = at;
    while (end < text.size() && IsOfWord(text[end]) == word) ++end;
    std::string piece(text.substr(at, end - at));
    at = end;
    if (!word) {
      pieces_.push_back({std::move(piece), kBetween});
      continue;
    }
    const auto [found, is_new] = known.try_emplace(piece, words_.size());
    if (is_new) words_.push_back(piece);
    pieces_.push_back({std::move(piece), found->second});
  }
}

std::string WordMask::Apply(std::span<const std::uint8_t> kept) const {
  std::string text;
  for (const Piece& piece : pieces_) {
    if (piece.word >= words_.size() || piece.word >= kept.size() || kept[piece.word] != 0) {
      text += piece.text;
    }
  }
  return text;
}

}  // namespace tidewheel::explain
