#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "tidewheel/cli/analyze/analyze.h"
#include "tidewheel/cli/analyze/inputs.h"
#include "tidewheel/cli/output/chart.h"
#include "tidewheel/stats/corrections.h"
#include "tidewheel/stats/drift_profile.h"
#include "tidewheel/stats/drift_verdict.h"
#include "tidewheel/stats/histograms.h"
#include "tidewheel/stats/many_features.h"
#include "tidewheel/stats/two_sample.h"

namespace tidewheel::cli {
namespace {

constexpr std::size_t kPictureColumns = 24;

struct DriftOptions {
  std::filesystem::path reference;
  std::filesystem::path current;
  std::vector<std::string> columns;
  double false_alarms = 0.05;
  double smallest_effect = 0;
  std::uint64_t seed = 1;
  bool together = false;
};

/// What is said of one column.
struct ColumnReport {
  std::string name;
  bool numeric = false;
  std::optional<stats::DriftVerdict> verdict = {};
  std::string problem = {};            // Why there is no verdict.
  std::optional<double> p_value = {};  // Of Kolmogorov-Smirnov or chi-square.
  std::optional<double> adjusted = {};
  std::optional<double> psi = {};
  std::optional<double> distance = {};  // Wasserstein in reference deviations, or total variation.
  std::string reference_picture = {};
  std::string current_picture = {};
};

std::vector<double> WithoutMissing(std::span<const double> numbers) {
  std::vector<double> present;
  for (const double number : numbers) {
    if (!std::isnan(number)) present.push_back(number);
  }
  return present;
}

/// Shares over a common grid of both.
void DrawNumbers(const std::vector<double>& reference, const std::vector<double>& current,
                 ColumnReport& report) {
  if (reference.empty() || current.empty()) return;
  const auto [low_r, high_r] = std::minmax_element(reference.begin(), reference.end());
  const auto [low_c, high_c] = std::minmax_element(current.begin(), current.end());
  const double low = std::min(*low_r, *low_c);
  const double high = std::max(*high_r, *high_c);
  if (!(high > low) || !std::isfinite(high - low)) return;
  const auto shares = [&](const std::vector<double>& values) {
    std::vector<double> bins(kPictureColumns, 0);
    for (const double value : values) {
      const auto bin = static_cast<std::size_t>((value - low) / (high - low) * kPictureColumns);
      bins[std::min(bin, kPictureColumns - 1)] += 1.0 / static_cast<double>(values.size());
    }
    return bins;
  };
  report.reference_picture = Sparkline(shares(reference));
  report.current_picture = Sparkline(shares(current));
}

ColumnReport ReportNumbers(const TableColumn& reference, const TableColumn& current,
                           const stats::DriftPolicy& policy) {
  ColumnReport report{.name = reference.name, .numeric = true};
  const auto verdict = stats::NumericDrift(reference.numbers, current.numbers, policy);
  if (verdict) {
    report.verdict = *verdict;
  } else {
    report.problem = verdict.error().message;
  }
  const auto first = WithoutMissing(reference.numbers);
  const auto second = WithoutMissing(current.numbers);
  if (const auto test = stats::KolmogorovSmirnov(first, second)) report.p_value = test->p_value;
  const std::array<std::span<const double>, 1> profiled{reference.numbers};
  const std::array<std::span<const double>, 1> counted{current.numbers};
  if (auto profile = stats::DriftProfile::OfReference(stats::DoubleColumns(profiled))) {
    auto window = profile->Empty();
    if (window.Add(stats::DoubleColumns(counted)).ok()) {
      const auto compared = stats::CompareProfiles(*profile, window);
      if (compared && compared->front()) {
        report.psi = compared->front()->psi;
        report.distance = compared->front()->scaled_wasserstein;
      }
    }
  }
  DrawNumbers(first, second, report);
  return report;
}

ColumnReport ReportTexts(const TableColumn& reference, const TableColumn& current,
                         const stats::DriftPolicy& policy) {
  ColumnReport report{.name = reference.name};
  const Names names = Names::Of(std::vector<const TableColumn*>{&reference, &current});
  const auto first = names.IndicesOf(reference);
  const auto second = names.IndicesOf(current);
  const auto verdict = stats::CategoricalDrift(first, second, names.size(), policy);
  if (verdict) {
    report.verdict = *verdict;
  } else {
    report.problem = verdict.error().message;
  }
  const auto counts_of = [&names](const std::vector<std::int32_t>& indices) {
    std::vector<std::uint64_t> counts(names.size(), 0);
    for (const std::int32_t index : indices) {
      if (index >= 0) ++counts[static_cast<std::size_t>(index)];
    }
    return counts;
  };
  const auto reference_counts = counts_of(first);
  const auto current_counts = counts_of(second);
  if (const auto test = stats::ChiSquare(reference_counts, current_counts)) {
    report.p_value = test->p_value;
  }
  if (const auto psi = stats::PopulationStabilityIndex(reference_counts, current_counts)) {
    report.psi = *psi;
  }
  if (const auto distance = stats::TotalVariation(reference_counts, current_counts)) {
    report.distance = *distance;
  }
  if (names.size() <= kPictureColumns) {
    const auto picture = [](const std::vector<std::uint64_t>& counts) {
      return Sparkline(std::vector<double>(counts.begin(), counts.end()));
    };
    report.reference_picture = picture(reference_counts);
    report.current_picture = picture(current_counts);
  }
  return report;
}

/// The numeric columns without missing values as one matrix.
std::vector<double> MatrixOf(const NumberTable& table, const std::vector<std::string>& names) {
  std::vector<double> values(table.rows() * names.size());
  for (std::size_t c = 0; c < names.size(); ++c) {
    const auto& numbers = (*table.Find(names[c]))->numbers;
    for (std::size_t r = 0; r < numbers.size(); ++r) values[r * names.size() + c] = numbers[r];
  }
  return values;
}

Result<ExitStatus> Run(CommandLine& line, const DriftOptions& options) {
  TableOptions wanted;
  for (const auto& column : options.columns) wanted.columns.push_back({column, ColumnKind::kAuto});
  const auto reference = NumberTable::Read(options.reference, wanted);
  if (!reference) return reference.error();
  // The reference decides what is a number, so that a text among the current numbers is an error.
  TableOptions same;
  for (const auto& column : reference->columns()) {
    same.columns.push_back(
        {column.name, column.IsNumbers() ? ColumnKind::kNumbers : ColumnKind::kTexts});
  }
  const auto current = NumberTable::Read(options.current, same);
  if (!current) return current.error();

  stats::DriftPolicy policy;
  policy.seed = options.seed;
  policy.smallest_effect = options.smallest_effect;
  const auto each = stats::FalseAlarmRateEach(options.false_alarms, reference->columns().size());
  if (!each) return each.error();
  policy.false_alarm_rate = *each;
  // The threshold is a quantile of the resamples: rare false alarms want more of them.
  policy.resamples = std::max(policy.resamples, static_cast<std::size_t>(std::ceil(10 / *each)));

  std::vector<ColumnReport> reports;
  for (const auto& column : reference->columns()) {
    const TableColumn& other = **current->Find(column.name);
    reports.push_back(column.IsNumbers() ? ReportNumbers(column, other, policy)
                                         : ReportTexts(column, other, policy));
  }
  std::vector<double> p_values;
  for (const auto& report : reports) {
    if (report.p_value) p_values.push_back(*report.p_value);
  }
  if (!p_values.empty()) {
    const auto adjusted = stats::BenjaminiHochbergAdjusted(p_values);
    if (!adjusted) return adjusted.error();
    std::size_t next = 0;
    for (auto& report : reports) {
      if (report.p_value) report.adjusted = (*adjusted)[next++];
    }
  }

  std::optional<stats::DomainClassifierTest> together;
  std::string not_together;
  if (options.together) {
    std::vector<std::string> complete;
    for (const auto& column : reference->columns()) {
      if (column.IsNumbers() && column.missing == 0 &&
          (*current->Find(column.name))->missing == 0) {
        complete.push_back(column.name);
      }
    }
    const auto first = MatrixOf(*reference, complete);
    const auto second = MatrixOf(*current, complete);
    stats::DomainClassifierOptions classifier;
    classifier.seed = options.seed;
    auto tested = stats::DomainClassifier({first, reference->rows(), complete.size()},
                                          {second, current->rows(), complete.size()}, classifier);
    if (tested) {
      together = *std::move(tested);
    } else {
      not_together = tested.error().message;
    }
  }
  const auto drifted = static_cast<std::uint64_t>(std::count_if(
      reports.begin(), reports.end(),
      [](const ColumnReport& report) { return report.verdict && report.verdict->drifted; }));
  const auto not_judged = static_cast<std::uint64_t>(std::count_if(
      reports.begin(), reports.end(), [](const ColumnReport& report) { return !report.verdict; }));

  if (line.json()) {
    JsonObject out;
    out.Set("reference_rows", std::uint64_t{reference->rows()})
        .Set("current_rows", std::uint64_t{current->rows()})
        .Set("false_alarm_rate", options.false_alarms)
        .Set("drifted", drifted)
        .Set("not_applicable", not_judged);
    for (const auto& report : reports) {
      JsonObject entry;
      entry.Set("name", report.name).Set("kind", report.numeric ? "numeric" : "categorical");
      if (report.verdict) {
        entry.Set("drifted", report.verdict->drifted)
            .Set("effect", report.verdict->effect)
            .Set("low", report.verdict->interval.low)
            .Set("high", report.verdict->interval.high)
            .Set("threshold", report.verdict->threshold)
            .Set("missing_difference", report.verdict->missing.difference);
      } else {
        entry.Set("problem", report.problem);
      }
      if (report.p_value) entry.Set("p_value", *report.p_value);
      if (report.adjusted) entry.Set("adjusted_p_value", *report.adjusted);
      if (report.psi) entry.Set("psi", *report.psi);
      if (report.distance) {
        entry.Set(report.numeric ? "scaled_wasserstein" : "total_variation", *report.distance);
      }
      out.Add("columns", entry);
    }
    if (together) {
      out.Set("together", JsonObject()
                              .Set("auc", together->auc.value)
                              .Set("low", together->auc.interval.low)
                              .Set("high", together->auc.interval.high)
                              .Set("p_value", together->p_value));
    } else if (!not_together.empty()) {
      out.Set("together", JsonObject().Set("problem", not_together));
    }
    Print(out.Text());
    return ExitStatus::kOk;
  }

  Print(FormatCount(reference->rows()) + " reference rows, " + FormatCount(current->rows()) +
        " current; " + FormatCount(drifted) + " of " + FormatCount(reports.size()) +
        " columns drifted (any false alarm in " + FormatPercent(options.false_alarms) +
        " of windows without drift)\n\n");
  const auto shown = [](const std::optional<double>& value) {
    return value ? FormatShort(*value) : std::string("-");
  };
  Table table({"COLUMN", "DRIFTED", ">EFFECT", "95 %", ">THRESHOLD", ">PSI", ">DISTANCE",
               ">P ADJUSTED", "REFERENCE", "CURRENT"});
  for (const auto& report : reports) {
    const auto& verdict = report.verdict;
    table.Add({report.name,
               !verdict           ? "?"
               : verdict->drifted ? "DRIFTED"
                                  : "no",
               verdict ? FormatNumber(verdict->effect, 3) : "-",
               verdict ? FormatInterval(verdict->interval.low, verdict->interval.high, 3) : "-",
               verdict ? FormatNumber(verdict->threshold, 3) : "-", shown(report.psi),
               shown(report.distance), shown(report.adjusted), report.reference_picture,
               report.current_picture});
  }
  Print(table.Text());
  for (const auto& report : reports) {
    if (!report.verdict) Print("\n" + report.name + ": " + report.problem + "\n");
  }
  Print(
      "\nEffect: Kolmogorov-Smirnov's distance of numbers, total variation of texts. Distance: "
      "Wasserstein's in\nstandard deviations of the reference, total variation of texts.\n");
  if (together) {
    Print("\nAll numbers together: a classifier tells the samples apart with an area of " +
          FormatNumber(together->auc.value, 3) + " " +
          FormatInterval(together->auc.interval.low, together->auc.interval.high, 3) +
          ", p = " + FormatShort(together->p_value) + "\n");
  } else if (!not_together.empty()) {
    Print("\nAll numbers together: not applicable, because " + not_together + "\n");
  }
  return ExitStatus::kOk;
}

}  // namespace

void AddAnalyzeDrift(CommandLine& line, CLI::App* group) {
  const auto options = std::make_shared<DriftOptions>();
  auto* command = line.AddCommand(group, "drift", "Whether columns differ between two samples");
  command->add_option("reference", options->reference, "CSV")->required();
  command->add_option("current", options->current, "CSV with the same columns")->required();
  command->add_option("--columns", options->columns, "Only these")->delimiter(',');
  command
      ->add_option("--false-alarms", options->false_alarms,
                   "Share of windows without drift in which any column may be called drifted")
      ->capture_default_str();
  command
      ->add_option("--smallest-effect", options->smallest_effect,
                   "A drift below this is not called one")
      ->capture_default_str();
  command->add_flag("--together", options->together,
                    "Also train a classifier to tell the samples apart");
  command->add_option("--seed", options->seed, "Of the resampling")->capture_default_str();
  line.OnRun(command, [&line, options] { return Run(line, *options); });
}

}  // namespace tidewheel::cli
