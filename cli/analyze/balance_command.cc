#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tidewheel/cli/analyze/analyze.h"
#include "tidewheel/cli/analyze/inputs.h"
#include "tidewheel/cli/output/chart.h"
#include "tidewheel/stats/classification.h"
#include "tidewheel/stats/imbalance.h"

namespace tidewheel::cli {
namespace {

struct BalanceOptions {
  std::filesystem::path table;
  std::string label = "label";
  std::string predicted;
  double beta = 0.999;
};

Result<ExitStatus> Run(CommandLine& line, const BalanceOptions& options) {
  TableOptions wanted;
  wanted.columns = {{options.label, ColumnKind::kTexts}};
  if (!options.predicted.empty()) {
    wanted.columns.push_back({options.predicted, ColumnKind::kTexts});
  }
  const auto table = NumberTable::Read(options.table, wanted);
  if (!table) return table.error();
  std::vector<const TableColumn*> columns;
  for (const auto& column : table->columns()) {
    if (auto complete = RequireComplete(column, options.table); !complete) return complete.error();
    columns.push_back(&column);
  }
  const Names classes = Names::Of(columns);
  const auto labels = classes.IndicesOf(*columns[0]);
  std::vector<std::uint64_t> counts(classes.size(), 0);
  for (const std::int32_t label : labels) ++counts[static_cast<std::size_t>(label)];

  const auto imbalance = stats::Imbalance(counts);
  if (!imbalance) return imbalance.error();
  const auto inverse = stats::InverseFrequencyWeights(counts);
  if (!inverse) return inverse.error();
  const auto effective = stats::EffectiveNumberWeights(counts, options.beta);
  if (!effective) return effective.error();
  std::optional<stats::ImbalanceReport> report;
  if (!options.predicted.empty()) {
    auto made = stats::ImbalanceReport::Of(labels, classes.IndicesOf(*columns[1]), classes.size());
    if (!made) return made.error();
    report = *std::move(made);
  }

  if (line.json()) {
    JsonObject out;
    out.Set("rows", std::uint64_t{labels.size()}).Set("imbalance", *imbalance);
    for (std::size_t k = 0; k < classes.size(); ++k) {
      JsonObject entry;
      entry.Set("name", classes[k])
          .Set("rows", counts[k])
          .Set("share", static_cast<double>(counts[k]) / static_cast<double>(labels.size()))
          .Set("inverse_frequency_weight", (*inverse)[k])
          .Set("effective_number_weight", (*effective)[k]);
      if (report) entry.Set("recall", report->recall()[k]);
      out.Add("classes", entry);
    }
    if (report) {
      const auto& accuracy = report->accuracy();
      JsonObject entry;
      entry.Set("accuracy", accuracy.accuracy)
          .Set("constant_answer", accuracy.constant_answer)
          .Set("balanced_accuracy", accuracy.balanced_accuracy)
          .Set("macro_f1", accuracy.macro_f1)
          .Set("matthews", accuracy.matthews)
          .Set("worst_class", classes[accuracy.worst_class])
          .Set("worst_recall", accuracy.worst_recall);
      if (accuracy.kappa) entry.Set("kappa", *accuracy.kappa);
      out.Set("answers", entry);
    }
    Print(out.Text());
    return ExitStatus::kOk;
  }

  Print(FormatCount(labels.size()) + " rows; the largest class has " + FormatShort(*imbalance) +
        " times the rows of the smallest\n\n");
  std::vector<Bar> bars;
  Table each({"CLASS", ">ROWS", ">SHARE", ">1/FREQUENCY", ">EFFECTIVE NUMBER", ">RECALL"});
  for (std::size_t k = 0; k < classes.size(); ++k) {
    const double share = static_cast<double>(counts[k]) / static_cast<double>(labels.size());
    bars.push_back({classes[k], share, FormatPercent(share)});
    each.Add({classes[k], FormatCount(counts[k]), FormatPercent(share), FormatNumber((*inverse)[k]),
              FormatNumber((*effective)[k]), report ? FormatNumber(report->recall()[k]) : "-"});
  }
  Print(BarChart(bars) + "\n" + each.Text());
  if (report) {
    Print("\n" + report->Describe() + " (" + classes[report->accuracy().worst_class] + ")\n");
  }
  return ExitStatus::kOk;
}

}  // namespace

void AddAnalyzeBalance(CommandLine& line, CLI::App* group) {
  const auto options = std::make_shared<BalanceOptions>();
  auto* command = line.AddCommand(group, "balance", "Classes, their weights, and answers by class");
  command->add_option("table", options->table, "CSV")->required();
  command->add_option("--label", options->label, "Column: the class")->capture_default_str();
  command->add_option("--predicted", options->predicted, "Column: a model's answer");
  command->add_option("--beta", options->beta, "Of the effective number of samples, below 1")
      ->capture_default_str();
  line.OnRun(command, [&line, options] { return Run(line, *options); });
}

}  // namespace tidewheel::cli
