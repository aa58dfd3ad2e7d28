#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tidewheel/cli/analyze/analyze.h"
#include "tidewheel/cli/analyze/inputs.h"
#include "tidewheel/cli/output/chart.h"
#include "tidewheel/stats/auc_comparison.h"
#include "tidewheel/stats/model_comparison.h"
#include "tidewheel/stats/sequential_test.h"

namespace tidewheel::cli {
namespace {

struct CompareOptions {
  std::filesystem::path baseline;
  std::filesystem::path candidate;
  std::string id;
  std::string label = "label";
  std::string predicted = "predicted";
  std::string score;
  std::string slice;
  stats::ComparisonOptions comparison;
  double alpha = 0.05;
};

/// The rows of both files that belong together, in the baseline's order.
struct Pairs {
  std::vector<std::size_t> candidate_row;  // Of each row of the baseline.
};

Result<Pairs> Join(const NumberTable& baseline, const NumberTable& candidate,
                   const CompareOptions& options) {
  Pairs pairs;
  if (options.id.empty()) {
    if (baseline.rows() != candidate.rows()) {
      return Error{ErrorCode::kInvalidArgument,
                   options.baseline.string() + " has " + std::to_string(baseline.rows()) +
                       " rows, " + options.candidate.string() + " " +
                       std::to_string(candidate.rows()) + "; --id joins them by a column"};
    }
    for (std::size_t i = 0; i < baseline.rows(); ++i) pairs.candidate_row.push_back(i);
    return pairs;
  }
  const auto ids = baseline.Find(options.id);
  if (!ids) return ids.error();
  const auto other_ids = candidate.Find(options.id);
  if (!other_ids) return other_ids.error();
  std::map<std::string, std::size_t> row_of;
  for (std::size_t i = 0; i < candidate.rows(); ++i) {
    const std::int32_t code = (*other_ids)->codes[i];
    if (code < 0) continue;
    const auto& id = (*other_ids)->texts[static_cast<std::size_t>(code)];
    if (!row_of.try_emplace(id, i).second) {
      return Error{ErrorCode::kInvalidArgument, options.candidate.string() + ", row " +
                                                    std::to_string(i) + ": " + options.id + " " +
                                                    id + " comes twice"};
    }
  }
  for (std::size_t i = 0; i < baseline.rows(); ++i) {
    const std::int32_t code = (*ids)->codes[i];
    const auto found =
        code < 0 ? row_of.end() : row_of.find((*ids)->texts[static_cast<std::size_t>(code)]);
    if (found == row_of.end()) {
      return Error{ErrorCode::kInvalidArgument, options.candidate.string() + " has no row of " +
                                                    options.baseline.string() + ", row " +
                                                    std::to_string(i)};
    }
    pairs.candidate_row.push_back(found->second);
  }
  return pairs;
}

TableOptions Wanted(const CompareOptions& options, bool baseline) {
  TableOptions wanted;
  wanted.columns = {{options.label, ColumnKind::kTexts}, {options.predicted, ColumnKind::kTexts}};
  if (!options.id.empty()) wanted.columns.push_back({options.id, ColumnKind::kTexts});
  if (!options.score.empty()) wanted.columns.push_back({options.score, ColumnKind::kNumbers});
  if (baseline && !options.slice.empty()) {
    wanted.columns.push_back({options.slice, ColumnKind::kTexts});
  }
  return wanted;
}

JsonObject ToJson(const stats::AccuracyComparison& one) {
  return JsonObject()
      .Set("name", one.name)
      .Set("samples", one.counts.total())
      .Set("baseline", one.baseline.value)
      .Set("candidate", one.candidate.value)
      .Set("difference", one.difference.value)
      .Set("low", one.difference.interval.low)
      .Set("high", one.difference.interval.high)
      .Set("mcnemar_p_value", one.mcnemar.p_value)
      .Set("answer", stats::Name(one.verdict.answer))
      .Set("reason", one.verdict.reason);
}

void AddRow(Table& table, const std::string& name, const stats::AccuracyComparison& one) {
  table.Add({name, FormatCount(one.counts.total()), FormatNumber(one.baseline.value),
             FormatNumber(one.candidate.value), FormatNumber(one.difference.value),
             FormatInterval(one.difference.interval.low, one.difference.interval.high),
             std::string(stats::Name(one.verdict.answer))});
}

Result<ExitStatus> Run(CommandLine& line, const CompareOptions& options) {
  const auto baseline = NumberTable::Read(options.baseline, Wanted(options, true));
  if (!baseline) return baseline.error();
  const auto candidate = NumberTable::Read(options.candidate, Wanted(options, false));
  if (!candidate) return candidate.error();
  const auto pairs = Join(*baseline, *candidate, options);
  if (!pairs) return pairs.error();

  const TableColumn& label_column = **baseline->Find(options.label);
  const TableColumn& other_label_column = **candidate->Find(options.label);
  const TableColumn& baseline_column = **baseline->Find(options.predicted);
  const TableColumn& candidate_column = **candidate->Find(options.predicted);
  for (const auto* column : {&label_column, &baseline_column}) {
    if (auto complete = RequireComplete(*column, options.baseline); !complete) {
      return complete.error();
    }
  }
  for (const auto* column : {&other_label_column, &candidate_column}) {
    if (auto complete = RequireComplete(*column, options.candidate); !complete) {
      return complete.error();
    }
  }
  const Names classes = Names::Of(std::vector<const TableColumn*>{
      &label_column, &other_label_column, &baseline_column, &candidate_column});
  const auto labels = classes.IndicesOf(label_column);
  const auto other_labels = classes.IndicesOf(other_label_column);
  const auto first = classes.IndicesOf(baseline_column);
  const auto unordered = classes.IndicesOf(candidate_column);
  std::vector<std::int32_t> second;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::size_t row = pairs->candidate_row[i];
    if (other_labels[row] != labels[i]) {
      return Error{ErrorCode::kInvalidArgument,
                   options.baseline.string() + ", row " + std::to_string(i) + ": its label is " +
                       classes[labels[i]] + ", in " + options.candidate.string() + " " +
                       classes[other_labels[row]]};
    }
    second.push_back(unordered[row]);
  }

  std::vector<stats::ComparedSlice> slices;
  if (!options.slice.empty()) {
    const TableColumn& column = **baseline->Find(options.slice);
    const Names names = Names::Of(std::vector<const TableColumn*>{&column});
    slices.resize(names.size());
    for (std::size_t s = 0; s < names.size(); ++s) slices[s].name = names[s];
    const auto indices = names.IndicesOf(column);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      if (indices[i] < 0) continue;
      slices[static_cast<std::size_t>(indices[i])].samples.push_back(static_cast<std::uint32_t>(i));
    }
  }
  const auto compared =
      stats::CompareModels(labels, first, second, classes.size(), slices, options.comparison);
  if (!compared) return compared.error();

  std::optional<stats::AucComparison> areas;
  std::string no_areas;
  if (!options.score.empty()) {
    const auto scores = baseline->Numbers(options.score);
    const auto other = candidate->Numbers(options.score);
    std::vector<double> ordered;
    for (const std::size_t row : pairs->candidate_row) ordered.push_back((*other)[row]);
    auto made = stats::CompareAuc(labels, *scores, ordered, options.comparison.confidence);
    if (made) {
      areas = *std::move(made);
    } else {
      no_areas = made.error().message;
    }
  }
  auto sequential = stats::PairedSequentialTest::Make(
      {.alpha = options.alpha, .margin = options.comparison.non_inferiority_margin});
  if (!sequential) return sequential.error();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    sequential->Add(first[i] == labels[i], second[i] == labels[i]);
  }
  const auto look = sequential->Look();

  const auto status = compared->overall.verdict.answer == stats::Answer::kFail ? ExitStatus::kPartly
                                                                               : ExitStatus::kOk;
  if (line.json()) {
    JsonObject out;
    out.Set("overall", ToJson(compared->overall))
        .Set("superiority", JsonObject()
                                .Set("answer", stats::Name(compared->superiority.answer))
                                .Set("reason", compared->superiority.reason))
        .EnsureList("classes");
    for (std::size_t k = 0; k < compared->classes.size(); ++k) {
      auto entry = ToJson(compared->classes[k]);
      out.Add("classes", entry.Set("name", classes[k]));
    }
    out.EnsureList("slices");
    for (const auto& slice : compared->slices) out.Add("slices", ToJson(slice));
    if (areas) {
      out.Set("auc", JsonObject()
                         .Set("baseline", areas->baseline.value)
                         .Set("candidate", areas->candidate.value)
                         .Set("difference", areas->difference.value)
                         .Set("low", areas->difference.interval.low)
                         .Set("high", areas->difference.interval.high)
                         .Set("p_value", areas->p_value));
    } else if (!no_areas.empty()) {
      out.Set("auc", JsonObject().Set("problem", no_areas));
    }
    out.Set("sequential", JsonObject()
                              .Set("answer", stats::Name(look.verdict.answer))
                              .Set("reason", look.verdict.reason)
                              .Set("decided_at", look.decided_at)
                              .Set("low", look.interval.low)
                              .Set("high", look.interval.high));
    Print(out.Text());
    return status;
  }

  Table table({"", ">SAMPLES", ">BASELINE", ">CANDIDATE", ">DIFFERENCE", "INTERVAL", "NOT WORSE"});
  AddRow(table, "all", compared->overall);
  for (std::size_t k = 0; k < compared->classes.size(); ++k) {
    AddRow(table, "class " + classes[k], compared->classes[k]);
  }
  for (const auto& slice : compared->slices) {
    AddRow(table, options.slice + " " + slice.name, slice);
  }
  Print(table.Text() + "\n");
  Print("Not worse: " + std::string(stats::Name(compared->overall.verdict.answer)) + ", " +
        compared->overall.verdict.reason + "\n");
  Print("Better: " + std::string(stats::Name(compared->superiority.answer)) + ", " +
        compared->superiority.reason + "\n");
  Print("McNemar: p = " + FormatShort(compared->overall.mcnemar.p_value) + "\n");
  if (areas) {
    Print("Area under the ROC curve: " + FormatNumber(areas->baseline.value) + " and " +
          FormatNumber(areas->candidate.value) + ", difference within " +
          FormatInterval(areas->difference.interval.low, areas->difference.interval.high) +
          ", p = " + FormatShort(areas->p_value) + " (DeLong)\n");
  } else if (!no_areas.empty()) {
    Print("Area under the ROC curve: not applicable, because " + no_areas + "\n");
  }
  Print("Looked at after every row, as a canary would be: " +
        std::string(stats::Name(look.verdict.answer)) +
        (look.decided_at > 0 ? " after " + FormatCount(look.decided_at) + " rows" : "") + ", " +
        look.verdict.reason + "\n");
  return status;
}

}  // namespace

void AddAnalyzeCompare(CommandLine& line, CLI::App* group) {
  const auto options = std::make_shared<CompareOptions>();
  auto* command = line.AddCommand(group, "compare",
                                  "Two models on the same samples (3: the candidate is worse)");
  command->add_option("baseline", options->baseline, "CSV with a row a sample")->required();
  command->add_option("candidate", options->candidate, "CSV with a row a sample")->required();
  command->add_option("--id", options->id, "Column that joins the files (default: by row)");
  command->add_option("--label", options->label, "Column: what was true")->capture_default_str();
  command->add_option("--predicted", options->predicted, "Column: the model's answer")
      ->capture_default_str();
  command->add_option("--score", options->score,
                      "Column: score of class 1 of two, for the area under the ROC curve");
  command->add_option("--slice", options->slice, "Column of the baseline whose values are slices");
  command
      ->add_option("--margin", options->comparison.non_inferiority_margin,
                   "Worse by less than this is not worse")
      ->capture_default_str();
  command
      ->add_option("--slice-margin", options->comparison.slice_margin,
                   "The same of a class and of a slice")
      ->capture_default_str();
  command->add_option("--confidence", options->comparison.confidence, "Of intervals")
      ->capture_default_str();
  command->add_option("--alpha", options->alpha, "Of the test that may be looked at any time")
      ->capture_default_str();
  line.OnRun(command, [&line, options] { return Run(line, *options); });
}

}  // namespace tidewheel::cli
