#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tidewheel/cli/analyze/analyze.h"
#include "tidewheel/cli/analyze/inputs.h"
#include "tidewheel/cli/output/chart.h"
#include "tidewheel/labels/label_functions.h"
#include "tidewheel/labels/label_models.h"

namespace tidewheel::cli {
namespace {

struct LabelFunctionsOptions {
  std::filesystem::path votes;
  std::string gold;
  std::string abstain = "-1";
};

/// A way to make labels of the votes, as far as it could be gone.
struct ModelRow {
  std::string name;
  std::string problem = {};  // Why there is no model; empty: there is one.
  labels::ProbabilisticLabels labels = {};
  std::optional<double> accuracy = {};  // With ties shared; none without gold labels.
  std::optional<labels::MajorityComparison> against_majority = {};
};

std::string VerdictText(const labels::MajorityComparison& comparison) {
  switch (comparison.verdict) {
    case labels::AgainstMajority::kBetter:
      return "better than majority";
    case labels::AgainstMajority::kWorse:
      return "WORSE than majority";
    case labels::AgainstMajority::kUndecided:
      return "no sure difference";
  }
  return "";
}

ModelRow Fitted(const std::string& name, const labels::FunctionVotes& votes,
                const Result<labels::FittedLabelModel>& fitted) {
  ModelRow row{.name = name};
  if (!fitted) {
    row.problem = fitted.error().message;
    return row;
  }
  auto applied = labels::ApplyLabelModel(fitted->model, votes);
  if (!applied) {
    row.problem = applied.error().message;
  } else {
    row.labels = *std::move(applied);
  }
  return row;
}

void Judge(const labels::FunctionVotes& votes, const std::vector<std::int32_t>& gold,
           ModelRow& row) {
  if (!row.problem.empty()) return;
  if (const auto accuracy = labels::AccuracyWithTiesShared(row.labels, gold)) {
    row.accuracy = *accuracy;
  }
  if (row.name == "majority") return;
  if (auto compared = labels::CompareWithMajority(votes, row.labels, gold)) {
    row.against_majority = *std::move(compared);
  }
}

Result<ExitStatus> Run(CommandLine& line, const LabelFunctionsOptions& options) {
  TableOptions table_options;
  table_options.missing.push_back(options.abstain);
  // Classes are names, also where they look like numbers.
  const auto header = NumberTable::Read(options.votes);
  if (!header) return header.error();
  for (const auto& column : header->columns()) {
    table_options.columns.push_back({column.name, ColumnKind::kTexts});
  }
  const auto table = NumberTable::Read(options.votes, table_options);
  if (!table) return table.error();

  std::vector<const TableColumn*> functions;
  const TableColumn* gold_column = nullptr;
  for (const auto& column : table->columns()) {
    if (!options.gold.empty() && column.name == options.gold) {
      gold_column = &column;
    } else {
      functions.push_back(&column);
    }
  }
  if (!options.gold.empty() && gold_column == nullptr) return table->Find(options.gold).error();

  Names classes = Names::Of(table->columns());
  const std::size_t rows = table->rows();
  std::vector<std::int32_t> entries(rows * functions.size());
  for (std::size_t f = 0; f < functions.size(); ++f) {
    const auto indices = classes.IndicesOf(*functions[f]);
    for (std::size_t r = 0; r < rows; ++r) entries[r * functions.size() + f] = indices[r];
  }
  std::vector<std::int32_t> gold;
  if (gold_column != nullptr) gold = classes.IndicesOf(*gold_column);

  const labels::FunctionVotes votes{.votes = {entries, rows, functions.size()},
                                    .classes = classes.size()};
  const auto summary = labels::SummarizeFunctions(votes, gold);
  if (!summary) return summary.error();

  std::vector<ModelRow> models;
  auto majority = labels::MajorityLabels(votes);
  if (!majority) return majority.error();
  models.push_back({.name = "majority", .labels = *std::move(majority)});
  models.push_back(Fitted("dawid_skene", votes, labels::FitDawidSkene(votes)));
  models.push_back(Fitted("moments", votes, labels::FitMoments(votes)));
  if (!gold.empty()) {
    for (auto& model : models) Judge(votes, gold, model);
  }

  if (line.json()) {
    JsonObject out;
    out.Set("rows", std::uint64_t{rows})
        .Set("coverage", summary->coverage)
        .Set("overlap", summary->overlap)
        .Set("conflict", summary->conflict);
    for (std::size_t f = 0; f < functions.size(); ++f) {
      const auto& one = summary->functions[f];
      JsonObject entry;
      entry.Set("name", functions[f]->name)
          .Set("votes", one.votes)
          .Set("coverage", one.coverage)
          .Set("overlap", one.overlap)
          .Set("conflict", one.conflict)
          .EnsureList("classes");
      for (const std::int32_t polarity : one.polarity) {
        entry.Add("classes", JsonObject().Set("name", classes[polarity]));
      }
      if (one.accuracy) {
        entry.Set("accuracy", *one.accuracy)
            .Set("accuracy_low", one.accuracy_interval.low)
            .Set("accuracy_high", one.accuracy_interval.high);
      }
      out.Add("functions", entry);
    }
    for (const auto& model : models) {
      JsonObject entry;
      entry.Set("name", model.name);
      if (!model.problem.empty()) {
        entry.Set("problem", model.problem);
      } else {
        entry.Set("ties", std::uint64_t{model.labels.ties})
            .Set("uncovered", std::uint64_t{model.labels.uncovered});
      }
      if (model.accuracy) entry.Set("accuracy", *model.accuracy);
      if (model.against_majority) {
        entry.Set("difference", model.against_majority->difference)
            .Set("difference_low", model.against_majority->difference_interval.low)
            .Set("difference_high", model.against_majority->difference_interval.high)
            .Set("verdict", VerdictText(*model.against_majority));
      }
      out.Add("models", entry);
    }
    Print(out.Text());
    return ExitStatus::kOk;
  }

  Print(FormatCount(rows) + " rows; with a vote " + FormatPercent(summary->coverage) +
        ", with several " + FormatPercent(summary->overlap) + ", with conflicting ones " +
        FormatPercent(summary->conflict) + "\n\n");
  Table each({"FUNCTION", "VOTES FOR", ">COVERAGE", ">OVERLAP", ">CONFLICT", ">ACCURACY", "95 %"});
  std::vector<Bar> bars;
  for (std::size_t f = 0; f < functions.size(); ++f) {
    const auto& one = summary->functions[f];
    std::string polarity;
    for (const std::int32_t index : one.polarity) {
      polarity += (polarity.empty() ? "" : ", ") + classes[index];
    }
    each.Add(
        {functions[f]->name, polarity, FormatNumber(one.coverage, 3), FormatNumber(one.overlap, 3),
         FormatNumber(one.conflict, 3), one.accuracy ? FormatNumber(*one.accuracy, 3) : "-",
         one.accuracy ? FormatInterval(one.accuracy_interval.low, one.accuracy_interval.high, 3)
                      : "-"});
    bars.push_back({functions[f]->name, one.coverage, FormatPercent(one.coverage)});
  }
  Print(each.Text() + "\nCoverage\n" + BarChart(bars) + "\n");
  Table fitted({"MODEL", ">TIES", ">ACCURACY", "AGAINST MAJORITY"});
  for (const auto& model : models) {
    fitted.Add({model.name, model.problem.empty() ? FormatCount(model.labels.ties) : "-",
                model.accuracy ? FormatNumber(*model.accuracy) : "-",
                !model.problem.empty() ? "not applicable, because " + model.problem
                : !model.against_majority
                    ? ""
                    : VerdictText(*model.against_majority) + ", difference " +
                          FormatInterval(model.against_majority->difference_interval.low,
                                         model.against_majority->difference_interval.high)});
  }
  Print(fitted.Text());
  return ExitStatus::kOk;
}

}  // namespace

void AddAnalyzeLabelFunctions(CommandLine& line, CLI::App* group) {
  const auto options = std::make_shared<LabelFunctionsOptions>();
  auto* command = line.AddCommand(group, "label-functions",
                                  "Coverage, conflicts and label models of labeling functions");
  command
      ->add_option("votes", options->votes,
                   "CSV: a column a labeling function, a row a sample, each field a class")
      ->required();
  command->add_option("--gold", options->gold, "The column of true labels, if there is one");
  command->add_option("--abstain", options->abstain, "What an abstention looks like, beside empty")
      ->capture_default_str();
  line.OnRun(command, [&line, options] { return Run(line, *options); });
}

}  // namespace tidewheel::cli
