#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/explain/budget.h"

namespace tidewheel::explain {

/// What one part of the input (column, word, superpixel) does to the answer.
struct Attribution {
  std::size_t part = 0;
  double weight = 0;
  double standard_error = 0;
};

/// Parts in the order of how much they weigh, and how far the whole is to be believed.
struct LocalExplanation {
  std::vector<Attribution> attributions;
  double intercept = 0;
  double answer = 0;      // Of the model, to the input as it is.
  double prediction = 0;  // Of the local model, to the same.
  double r_squared = 0;   // Of the local model on the changed inputs, near ones counting more.
  std::size_t asked = 0;  // Changed inputs that the model answered.
  bool complete = true;   // false: the time was over before all were asked.
};

struct LimeOptions {
  std::size_t samples = 5'000;  // Changed inputs, the unchanged one among them; 2 to 100,000.
  double kernel_width = 0;      // 0: the default of the kind of input.
  std::size_t most = 0;         // Parts to name: the heaviest, fitted again alone. 0: all.
  double penalty = 1;           // Of the ridge regression.
  std::uint64_t seed = 1;
};

/// Local interpretable model-agnostic explanations (Ribeiro, Singh, Guestrin 2016). All three ask
/// the model about changed inputs, weigh them by their nearness, exp(-d^2 / width^2) under a root,
/// and fit a linear model. The same seed asks the same. One thread; the options' errors are
/// kInvalidArgument; kDeadlineExceeded: not even `batch` and 2 rows could be asked in the time.

/// Of a table's row. `means` and `deviations` are the training data's, per column; columns of
/// deviation 0 are not changed and weigh 0. Changed rows are drawn around the row, normal with the
/// columns' deviations; the distance is Euclidean in deviations, the width .75 sqrt(columns). A
/// weight is per unit of its column; the order is that of weight times deviation.
Result<LocalExplanation> ExplainRow(std::span<const float> row, std::span<const double> means,
                                    std::span<const double> deviations, const AnswerRows& model,
                                    const LimeOptions& options, const Budget& budget);

/// Answers for inputs of which some parts are taken out: `kept` holds count x parts of 0 or 1.
using AnswerMasks = std::function<Result<void>(std::span<const std::uint8_t> kept,
                                               std::size_t count, std::span<double> answers)>;

/// Of anything that falls into parts: a picture's superpixels. Each part is taken out with
/// probability 1/2; distance 1 - cosine to the whole, width .25. A weight is what keeping the part
/// adds.
Result<LocalExplanation> ExplainParts(std::size_t parts, const AnswerMasks& model,
                                      const LimeOptions& options, const Budget& budget);

/// Of a text's words: from 1 to all words are taken out, how many and which by chance; distance
/// 100 (1 - cosine), width 25. Words that repeat are one part.
Result<LocalExplanation> ExplainWords(std::size_t words, const AnswerMasks& model,
                                      const LimeOptions& options, const Budget& budget);

/// A text cut into words (runs of letters, digits and bytes above 127), the different ones in order
/// of appearance.
class WordMask {
 public:
  explicit WordMask(std::string_view text);

  const std::vector<std::string>& words() const { return words_; }
  /// The text without those words whose `kept` is 0; what stood between them stays.
  std::string Apply(std::span<const std::uint8_t> kept) const;

 private:
  struct Piece {
    std::string text;
    std::size_t word;  // words_.size() or more: between words.
  };
  std::vector<std::string> words_;
  std::vector<Piece> pieces_;
};

}  // namespace tidewheel::explain
