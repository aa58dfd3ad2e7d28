#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tidewheel/cli/analyze/analyze.h"
#include "tidewheel/cli/analyze/inputs.h"
#include "tidewheel/cli/output/chart.h"
#include "tidewheel/labels/label_error_choice.h"
#include "tidewheel/labels/label_errors.h"
#include "tidewheel/labels/label_noise.h"

namespace tidewheel::cli {
namespace {

constexpr std::size_t kConfusions = 10;  // Drawn.

struct LabelErrorsOptions {
  std::filesystem::path probabilities;
  std::filesystem::path labels;
  std::string method = "prune_by_noise_rate";
  std::string score = "normalized_margin";
  std::uint64_t limit = 20;
  std::uint64_t keep_per_class = 5;
  std::uint32_t threads = 1;
  std::filesystem::path validated;
  std::uint64_t budget = 0;
  std::uint64_t seed = 1;
};

template <typename Value, typename List>
Result<Value> Named(const List& all, const std::string& name, const std::string& what) {
  std::string known;
  for (const Value value : all) {
    if (labels::Name(value) == name) return value;
    known += (known.empty() ? "" : ", ") + std::string(labels::Name(value));
  }
  return Error{ErrorCode::kInvalidArgument, "no " + what + " " + name + "; there are " + known};
}

constexpr std::array kScores = {labels::LabelScore::kSelfConfidence,
                                labels::LabelScore::kNormalizedMargin,
                                labels::LabelScore::kConfidenceWeightedEntropy};

/// What people checked: columns `row`, `wrong` (0 or 1) and, if chances differed, `weight`.
struct Validated {
  std::vector<std::uint32_t> rows;
  std::vector<std::uint8_t> wrong;
  std::vector<double> weights;
};

Result<Validated> ReadValidated(const std::filesystem::path& path, std::size_t examples) {
  const auto table = NumberTable::Read(path);
  if (!table) return table.error();
  const auto rows = table->Numbers("row");
  if (!rows) return rows.error();
  const auto wrong = table->Numbers("wrong");
  if (!wrong) return wrong.error();
  Validated validated;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const double row = (*rows)[i];
    if (!(row >= 0 && row < static_cast<double>(examples)) || row != std::floor(row)) {
      return Error{ErrorCode::kInvalidArgument, path.string() + ", row " + std::to_string(i) +
                                                    ": no example " + FormatShort(row) + " of " +
                                                    std::to_string(examples)};
    }
    if ((*wrong)[i] != 0 && (*wrong)[i] != 1) {
      return Error{ErrorCode::kInvalidArgument,
                   path.string() + ", row " + std::to_string(i) + ": wrong is 0 or 1"};
    }
    validated.rows.push_back(static_cast<std::uint32_t>(row));
    validated.wrong.push_back((*wrong)[i] == 1 ? 1 : 0);
  }
  if (table->Find("weight")) {
    const auto weights = table->Numbers("weight");
    if (!weights) return weights.error();
    validated.weights.assign(weights->begin(), weights->end());
  }
  return validated;
}

/// The classes of the largest and of the given probability.
struct Suspect {
  std::uint32_t row = 0;
  double score = 0;
  std::int32_t given = 0;
  std::size_t suggested = 0;
  double given_probability = 0;
  double suggested_probability = 0;
};

template <typename T>
std::vector<Suspect> Suspects(const labels::LabelErrorScan<T>& scan,
                              const std::vector<std::uint32_t>& rows,
                              const std::vector<double>& scores, std::uint64_t limit) {
  std::vector<Suspect> suspects;
  const std::size_t count = limit == 0 ? rows.size() : std::min<std::size_t>(limit, rows.size());
  for (std::size_t i = 0; i < count; ++i) {
    const auto row = scan.probabilities().Row(rows[i]);
    const auto best = std::max_element(row.begin(), row.end());
    const std::int32_t given = scan.labels()[rows[i]];
    suspects.push_back({.row = rows[i],
                        .score = scores[i],
                        .given = given,
                        .suggested = static_cast<std::size_t>(best - row.begin()),
                        .given_probability = row[static_cast<std::size_t>(given)],
                        .suggested_probability = *best});
  }
  return suspects;
}

template <typename T>
Result<ExitStatus> Analyze(CommandLine& line, const LabelErrorsOptions& options,
                           MatrixView<T> probabilities, const std::vector<std::int32_t>& given) {
  const auto method =
      Named<labels::LabelErrorMethod>(labels::kLabelErrorMethods, options.method, "method");
  if (!method) return method.error();
  const auto score = Named<labels::LabelScore>(kScores, options.score, "score");
  if (!score) return score.error();
  const auto scan =
      labels::LabelErrorScan<T>::Read(probabilities, given, {.threads = options.threads});
  if (!scan) return scan.error();
  const auto rate = labels::EstimateErrorRate(scan->joint());
  if (!rate) return rate.error();

  const labels::IssueOptions issue_options{.keep_per_class = options.keep_per_class,
                                           .threads = options.threads};
  std::optional<labels::LabelErrorChoice> choice;
  labels::RankedIssues ranked;
  if (!options.validated.empty()) {
    if (options.budget == 0) {
      return Error{ErrorCode::kInvalidArgument,
                   "--validated wants --budget, the labels that can "
                   "be checked again"};
    }
    const auto validated = ReadValidated(options.validated, probabilities.rows);
    if (!validated) return validated.error();
    auto chosen =
        labels::ChooseLabelErrors(*scan, {validated->rows, validated->wrong, validated->weights},
                                  {.budget = options.budget,
                                   .keep_per_class = options.keep_per_class,
                                   .seed = options.seed,
                                   .threads = options.threads});
    if (!chosen) return chosen.error();
    choice = *std::move(chosen);
    ranked = scan->Rank(choice->rows, choice->cut.rank_by);
  } else {
    ranked = scan->Rank(scan->Find(*method, issue_options).rows, *score);
  }
  const auto suspects = Suspects(*scan, ranked.rows, ranked.scores, options.limit);
  const auto& joint = scan->joint();

  std::vector<labels::JointCell> confused;
  for (const auto& cell : joint.cells) {
    if (cell.given != cell.voted && cell.expected > 0) confused.push_back(cell);
  }
  std::stable_sort(confused.begin(), confused.end(),
                   [](const auto& a, const auto& b) { return a.expected > b.expected; });

  if (line.json()) {
    JsonObject out;
    out.Set("examples", joint.examples)
        .Set("classes", std::uint64_t{joint.classes})
        .Set("clipped_values", scan->clipped().values)
        .Set("error_rate",
             JsonObject().Set("rate", rate->rate).Set("low", rate->low).Set("high", rate->high));
    for (const auto each : labels::kLabelErrorMethods) {
      const auto found = scan->Find(each, issue_options);
      out.Add("methods", JsonObject()
                             .Set("method", labels::Name(each))
                             .Set("issues", std::uint64_t{found.rows.size()})
                             .Set("spared", found.spared));
    }
    for (const auto& cell : joint.cells) {
      out.Add("joint", JsonObject()
                           .Set("given", static_cast<std::uint64_t>(cell.given))
                           .Set("true", static_cast<std::uint64_t>(cell.voted))
                           .Set("confident", cell.confident)
                           .Set("expected", cell.expected));
    }
    if (choice) {
      out.Set("choice", JsonObject()
                            .Set("method", labels::Name(choice->cut.method))
                            .Set("score", labels::Name(choice->cut.rank_by))
                            .Set("take", std::uint64_t{choice->cut.take})
                            .Set("precision", choice->precision)
                            .Set("low", choice->low)
                            .Set("high", choice->high)
                            .Set("expected_errors", choice->expected_errors));
    }
    out.EnsureList("issues");
    for (const auto& suspect : suspects) {
      out.Add("issues", JsonObject()
                            .Set("row", std::uint64_t{suspect.row})
                            .Set("given", static_cast<std::uint64_t>(suspect.given))
                            .Set("suggested", std::uint64_t{suspect.suggested})
                            .Set("given_probability", suspect.given_probability)
                            .Set("suggested_probability", suspect.suggested_probability)
                            .Set("score", suspect.score));
    }
    Print(out.Text());
    return ExitStatus::kOk;
  }

  Print(FormatCount(joint.examples) + " examples, " + std::to_string(joint.classes) +
        " classes; estimated share of wrong labels " + FormatNumber(100 * rate->rate, 2) + " %" +
        ", 95 % within " + FormatInterval(100 * rate->low, 100 * rate->high, 2) + " %\n\n");
  Table methods({"METHOD", ">ISSUES"});
  for (const auto each : labels::kLabelErrorMethods) {
    methods.Add({std::string(labels::Name(each)),
                 FormatCount(scan->Find(each, issue_options).rows.size())});
  }
  Print(methods.Text() + "\n");
  if (!confused.empty()) {
    std::vector<Bar> bars;
    for (std::size_t i = 0; i < std::min(kConfusions, confused.size()); ++i) {
      bars.push_back({"given " + std::to_string(confused[i].given) + ", truly " +
                          std::to_string(confused[i].voted),
                      confused[i].expected, FormatNumber(confused[i].expected, 1)});
    }
    Print("Estimated examples by given and true class\n" + BarChart(bars) + "\n");
  }
  if (choice) {
    Print("Chosen by the validated sample: the first " + std::to_string(choice->cut.take) + " of " +
          std::string(labels::Name(choice->cut.method)) + " by " +
          std::string(labels::Name(choice->cut.rank_by)) + "; precision " +
          FormatNumber(choice->precision) + ", 95 % within " +
          FormatInterval(choice->low, choice->high) + "\n\n");
  }
  Table table({">ROW", ">GIVEN", ">SUGGESTED", ">P(GIVEN)", ">P(SUGGESTED)", ">SCORE"});
  for (const auto& suspect : suspects) {
    table.Add({std::to_string(suspect.row), std::to_string(suspect.given),
               std::to_string(suspect.suggested), FormatNumber(suspect.given_probability),
               FormatNumber(suspect.suggested_probability), FormatNumber(suspect.score)});
  }
  Print(table.Text());
  if (suspects.size() < ranked.rows.size()) {
    Remark("showing " + std::to_string(suspects.size()) + " of " +
           std::to_string(ranked.rows.size()) + "; --limit 0 shows all");
  }
  return ExitStatus::kOk;
}

Result<ExitStatus> Run(CommandLine& line, const LabelErrorsOptions& options) {
  const auto probabilities = NumberMatrix::Read(options.probabilities);
  if (!probabilities) return probabilities.error();
  const auto given = ReadIntegers(options.labels, "label");
  if (!given) return given.error();
  return probabilities->Visit(
      [&](const auto& matrix) { return Analyze(line, options, matrix, *given); });
}

}  // namespace

void AddAnalyzeLabelErrors(CommandLine& line, CLI::App* group) {
  const auto options = std::make_shared<LabelErrorsOptions>();
  auto* command =
      line.AddCommand(group, "label-errors", "Suspected wrong labels by confident learning");
  command
      ->add_option("probabilities", options->probabilities,
                   "Out-of-sample probabilities, examples x classes (.npy, or CSV with a header)")
      ->required();
  command->add_option("labels", options->labels, "Given labels from 0 (.npy, or CSV: label)")
      ->required();
  command->add_option("--method", options->method, "How issues are chosen")->capture_default_str();
  command->add_option("--score", options->score, "How issues are ranked")->capture_default_str();
  command
      ->add_option("--keep-per-class", options->keep_per_class,
                   "Examples of a class that are never suspected")
      ->capture_default_str();
  command->add_option("--validated", options->validated,
                      "CSV row,wrong[,weight] of checked examples: chooses method and cut-off");
  command->add_option("--budget", options->budget, "Labels that can be checked again");
  command->add_option("--seed", options->seed, "Of the division of the validated sample")
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Threads")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  AddLimit(command, &options->limit);
  line.OnRun(command, [&line, options] { return Run(line, *options); });
}

}  // namespace tidewheel::cli
