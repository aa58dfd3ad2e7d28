#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "tidewheel/cli/analyze/analyze.h"
#include "tidewheel/cli/analyze/inputs.h"
#include "tidewheel/cli/output/chart.h"
#include "tidewheel/stats/stream_calibration.h"
#include "tidewheel/stats/stream_detector.h"

namespace tidewheel::cli {
namespace {

struct StreamOptions {
  std::filesystem::path values;
  std::string column;
  std::string detector = "adwin";
  std::uint64_t reference = 0;
  double days = 0;
  double per_day = 0;
  double values_per_alarm = 0;
  bool blocks = false;
  std::uint64_t seed = 1;
  std::uint64_t limit = 50;
};

Result<std::vector<double>> ReadSeries(const StreamOptions& options) {
  const auto matrix = options.values.extension() == ".npy"
                          ? std::optional(NumberMatrix::Read(options.values))
                          : std::nullopt;
  if (matrix) {
    if (!*matrix) return matrix->error();
    if ((*matrix)->columns() != 1) {
      return Error{ErrorCode::kInvalidArgument,
                   options.values.string() + ": one dimension is wanted"};
    }
    return (*matrix)->Visit([](const auto& view) {
      return std::vector<double>(view.values.begin(), view.values.end());
    });
  }
  const auto table = NumberTable::Read(options.values);
  if (!table) return table.error();
  const std::string name = options.column.empty() ? table->columns().front().name : options.column;
  const auto numbers = table->Numbers(name);
  if (!numbers) return numbers.error();
  const auto column = table->Find(name);
  if (auto complete = RequireComplete(**column, options.values); !complete) {
    return complete.error();
  }
  return std::vector<double>(numbers->begin(), numbers->end());
}

/// The budget in values between two false alarms; 0: none was given.
Result<double> Budget(const StreamOptions& options) {
  if (options.values_per_alarm > 0) return options.values_per_alarm;
  if (options.days == 0 && options.per_day == 0) return 0.0;
  return stats::ValuesPerAlarm(options.days, options.per_day);
}

Result<ExitStatus> Run(CommandLine& line, const StreamOptions& options) {
  const auto kind = stats::DetectorNamed(options.detector);
  if (!kind) return kind.error();
  const auto series = ReadSeries(options);
  if (!series) return series.error();
  const auto budget = Budget(options);
  if (!budget) return budget.error();
  if ((*budget > 0) != (options.reference > 0)) {
    return Error{ErrorCode::kInvalidArgument,
                 "a false-alarm budget (--days with --per-day, or --values-per-alarm) and "
                 "--reference belong together"};
  }
  if (options.reference >= series->size()) {
    return Error{ErrorCode::kInvalidArgument, "--reference " + std::to_string(options.reference) +
                                                  " leaves nothing of " +
                                                  std::to_string(series->size()) + " values"};
  }

  std::unique_ptr<stats::StreamDetector> detector = stats::MakeDetector(*kind);
  std::optional<stats::Calibration> calibration;
  if (*budget > 0) {
    const auto family = stats::OpenThreshold(*kind);
    stats::CalibrationOptions calibration_options;
    calibration_options.values_per_alarm = *budget;
    calibration_options.block_length = options.blocks ? 0 : 1;
    calibration_options.seed = options.seed;
    auto calibrated = stats::CalibrateThreshold(std::span(*series).first(options.reference), family,
                                                calibration_options);
    if (!calibrated) return calibrated.error();
    calibration = *std::move(calibrated);
    auto made = family.make(calibration->threshold);
    if (!made) return made.error();
    detector = *std::move(made);
  }
  const auto watched = std::span(*series).subspan(options.reference);
  const auto events = stats::FindEvents(*detector, watched);
  if (!events) return events.error();

  std::vector<std::size_t> drifts;
  std::uint64_t warnings = 0;
  for (const auto& event : *events) {
    if (event.state == stats::StreamState::kDrift) {
      drifts.push_back(static_cast<std::size_t>(event.index + options.reference));
    } else {
      ++warnings;
    }
  }
  if (line.json()) {
    JsonObject out;
    out.Set("detector", stats::Name(*kind))
        .Set("values", std::uint64_t{watched.size()})
        .Set("first_value", options.reference)
        .Set("warnings", warnings)
        .Set("drifts", std::uint64_t{drifts.size()});
    if (calibration) {
      out.Set("calibration", JsonObject()
                                 .Set("values_per_alarm", *budget)
                                 .Set("threshold", calibration->threshold)
                                 .Set("per_budget", calibration->rate.per_budget)
                                 .Set("low", calibration->rate.per_budget_interval.low)
                                 .Set("high", calibration->rate.per_budget_interval.high)
                                 .Set("block_length", calibration->rate.block_length)
                                 .Set("reference_alarms", calibration->rate.reference_alarms));
    }
    out.EnsureList("events");
    for (const auto& event : *events) {
      out.Add("events",
              JsonObject()
                  .Set("index", event.index + options.reference)
                  .Set("state", event.state == stats::StreamState::kDrift ? "drift" : "warning"));
    }
    Print(out.Text());
    return ExitStatus::kOk;
  }

  if (calibration) {
    Print("Calibrated on the first " + FormatCount(options.reference) + " values: threshold " +
          FormatShort(calibration->threshold) + "; false alarms for each one allowed " +
          FormatNumber(calibration->rate.per_budget, 2) + ", 95 % within " +
          FormatInterval(calibration->rate.per_budget_interval.low,
                         calibration->rate.per_budget_interval.high, 2) +
          "\n\n");
    if (calibration->rate.reference_alarms > 2) {
      Remark("the detector alarms " + std::to_string(calibration->rate.reference_alarms) +
             " times on the reference itself: it holds a change, or try --blocks");
    }
  }
  Print(LineChart(*series, {.marks = drifts}) + "\n");
  Print(std::string(stats::Name(*kind)) + ": " + FormatCount(drifts.size()) + " drifts, " +
        FormatCount(warnings) + " warnings in " + FormatCount(watched.size()) + " values\n");
  if (!events->empty()) {
    Table table({">INDEX", "STATE"});
    const std::size_t count =
        options.limit == 0 ? events->size() : std::min<std::size_t>(options.limit, events->size());
    for (std::size_t i = 0; i < count; ++i) {
      const auto& event = (*events)[i];
      table.Add({std::to_string(event.index + options.reference),
                 event.state == stats::StreamState::kDrift ? "drift" : "warning"});
    }
    Print("\n" + table.Text());
    if (count < events->size()) {
      Remark("showing " + std::to_string(count) + " of " + std::to_string(events->size()) +
             "; --limit 0 shows all");
    }
  }
  return ExitStatus::kOk;
}

}  // namespace

void AddAnalyzeStream(CommandLine& line, CLI::App* group) {
  const auto options = std::make_shared<StreamOptions>();
  auto* command =
      line.AddCommand(group, "stream", "Changes in a stream of errors (1: an error) or numbers");
  command->add_option("values", options->values, "In order of time (.npy or CSV)")->required();
  command->add_option("--column", options->column, "Of a CSV (default: the first)");
  command
      ->add_option("--detector", options->detector,
                   "adwin, ddm, eddm, hddm_a, hddm_w, page_hinkley, kswin, cusum or ewma")
      ->capture_default_str();
  command->add_option("--reference", options->reference,
                      "So many first values without a change calibrate the detector");
  command->add_option("--days", options->days, "At most one false alarm in so many days");
  command->add_option("--per-day", options->per_day, "Values a day");
  command->add_option("--values-per-alarm", options->values_per_alarm,
                      "The same budget in values between two false alarms");
  command->add_flag("--blocks", options->blocks,
                    "Resample the reference in blocks, for values that depend on those before");
  command->add_option("--seed", options->seed, "Of the resampling")->capture_default_str();
  AddLimit(command, &options->limit);
  line.OnRun(command, [&line, options] { return Run(line, *options); });
}

}  // namespace tidewheel::cli
