#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tidewheel/cli/analyze/analyze.h"
#include "tidewheel/cli/analyze/inputs.h"
#include "tidewheel/cli/output/chart.h"
#include "tidewheel/stats/slices.h"

namespace tidewheel::cli {
namespace {

constexpr std::size_t kDrawn = 12;

struct SlicesOptions {
  std::filesystem::path production;
  std::filesystem::path training;
  std::vector<std::string> columns;
  std::string label = "label";
  std::string predicted = "predicted";
  stats::SliceOptions slices;
  std::uint64_t limit = 20;
};

TableOptions Wanted(const SlicesOptions& options, bool answers) {
  TableOptions wanted;
  for (const auto& column : options.columns) wanted.columns.push_back({column, ColumnKind::kTexts});
  if (answers) {
    wanted.columns.push_back({options.label, ColumnKind::kTexts});
    wanted.columns.push_back({options.predicted, ColumnKind::kTexts});
  }
  return wanted;
}

Result<ExitStatus> Run(CommandLine& line, const SlicesOptions& options) {
  const auto production = NumberTable::Read(options.production, Wanted(options, true));
  if (!production) return production.error();
  std::optional<NumberTable> training;
  if (!options.training.empty()) {
    auto read = NumberTable::Read(options.training, Wanted(options, false));
    if (!read) return read.error();
    training = *std::move(read);
  }

  const TableColumn& labels = **production->Find(options.label);
  const TableColumn& answers = **production->Find(options.predicted);
  std::vector<std::int32_t> errors;
  for (std::size_t i = 0; i < production->rows(); ++i) {
    const std::int32_t label = labels.codes[i];
    const std::int32_t answer = answers.codes[i];
    const bool known = label >= 0 && answer >= 0;
    errors.push_back(!known ? -1
                     : labels.texts[static_cast<std::size_t>(label)] ==
                             answers.texts[static_cast<std::size_t>(answer)]
                         ? 0
                         : 1);
  }

  // Codes of both tables by one list of names a column.
  struct Column {
    std::vector<std::string> values;
    std::vector<std::int32_t> training;
    std::vector<std::int32_t> production;
  };
  std::vector<Column> columns(options.columns.size());
  std::vector<stats::SliceColumn> views;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const TableColumn& current = **production->Find(options.columns[c]);
    std::vector<const TableColumn*> both = {&current};
    if (training) both.push_back(*training->Find(options.columns[c]));
    const Names names = Names::Of(both);
    for (std::size_t v = 0; v < names.size(); ++v) columns[c].values.push_back(names[v]);
    columns[c].production = names.IndicesOf(current);
    if (training) columns[c].training = names.IndicesOf(*both[1]);
    views.push_back({.name = options.columns[c],
                     .values = columns[c].values,
                     .training = columns[c].training,
                     .production = columns[c].production});
  }
  const auto report = stats::FindWeakSlices(views, errors, options.slices);
  if (!report) return report.error();
  const std::size_t count = options.limit == 0
                                ? report->slices.size()
                                : std::min<std::size_t>(options.limit, report->slices.size());

  if (line.json()) {
    JsonObject out;
    out.Set("error_rate", report->error_rate)
        .Set("checked_rows", report->checked_rows)
        .Set("errors", report->errors)
        .Set("too_small", report->too_small)
        .EnsureList("not_sliced");
    for (const auto& reason : report->not_sliced) {
      out.Add("not_sliced", JsonObject().Set("text", reason));
    }
    out.EnsureList("slices");
    for (std::size_t i = 0; i < count; ++i) {
      const auto& slice = report->slices[i];
      out.Add("slices", JsonObject()
                            .Set("definition", slice.definition.canonical())
                            .Set("fingerprint", slice.definition.Fingerprint())
                            .Set("production_rows", slice.production_rows)
                            .Set("checked_rows", slice.checked_rows)
                            .Set("errors", slice.errors)
                            .Set("error_rate", slice.error_rate)
                            .Set("low", slice.interval.low)
                            .Set("high", slice.interval.high)
                            .Set("training_share", slice.training_share)
                            .Set("production_share", slice.production_share)
                            .Set("error_share", slice.error_share)
                            .Set("adjusted_p_value", slice.adjusted_p)
                            .Set("weak", slice.weak));
    }
    Print(out.Text());
    return ExitStatus::kOk;
  }

  Print(FormatCount(report->errors) + " errors in " + FormatCount(report->checked_rows) +
        " checked rows, " + FormatPercent(report->error_rate) + "; " +
        FormatCount(static_cast<std::uint64_t>(
            std::count_if(report->slices.begin(), report->slices.end(),
                          [](const auto& slice) { return slice.weak; }))) +
        " weak slices of " + FormatCount(report->slices.size()) + " looked at\n\n");
  std::vector<Bar> bars;
  for (std::size_t i = 0; i < std::min(kDrawn, count); ++i) {
    const auto& slice = report->slices[i];
    bars.push_back({slice.definition.canonical(), slice.error_rate,
                    FormatPercent(slice.error_rate) + (slice.weak ? "  weak" : "")});
  }
  Print("Share of errors\n" + BarChart(bars, 30) + "\n");
  Table table({"SLICE", ">ROWS", ">ERRORS", ">RATE", "95 %", ">P ADJUSTED", ">OF TRAINING",
               ">OF PRODUCTION", ">OF ERRORS"});
  for (std::size_t i = 0; i < count; ++i) {
    const auto& slice = report->slices[i];
    table.Add({slice.definition.canonical(), FormatCount(slice.checked_rows),
               FormatCount(slice.errors), FormatNumber(slice.error_rate),
               FormatInterval(slice.interval.low, slice.interval.high, 3),
               FormatShort(slice.adjusted_p), training ? FormatPercent(slice.training_share) : "-",
               FormatPercent(slice.production_share), FormatPercent(slice.error_share)});
  }
  Print(table.Text());
  for (const auto& reason : report->not_sliced) Remark(reason);
  if (count < report->slices.size()) {
    Remark("showing " + std::to_string(count) + " of " + std::to_string(report->slices.size()) +
           "; --limit 0 shows all");
  }
  return ExitStatus::kOk;
}

}  // namespace

void AddAnalyzeSlices(CommandLine& line, CLI::App* group) {
  const auto options = std::make_shared<SlicesOptions>();
  auto* command = line.AddCommand(group, "slices", "Where a classifier is worse than elsewhere");
  command->add_option("production", options->production, "CSV with labels, answers and columns")
      ->required();
  command->add_option("--columns", options->columns, "Columns to slice by, alone and in pairs")
      ->delimiter(',')
      ->required();
  command->add_option("--training", options->training, "CSV with the same columns, for shares");
  command->add_option("--label", options->label, "Column: what was true; may be missing")
      ->capture_default_str();
  command->add_option("--predicted", options->predicted, "Column: the model's answer")
      ->capture_default_str();
  command
      ->add_option("--min-support", options->slices.min_support,
                   "Slices with fewer checked rows are not looked at")
      ->capture_default_str();
  command
      ->add_option("--false-discoveries", options->slices.false_discovery_rate,
                   "Share of the weak slices that may be weak by chance")
      ->capture_default_str();
  AddLimit(command, &options->limit);
  line.OnRun(command, [&line, options] { return Run(line, *options); });
}

}  // namespace tidewheel::cli
