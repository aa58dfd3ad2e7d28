#include "tidewheel/monitoring/summary_exporter.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "tidewheel/log/log.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::monitoring {
namespace {

constexpr std::chrono::hours kForgetInterval{1};
constexpr double kConfidence = 0.95;
constexpr std::size_t kMostSlices = 200;  // Shown of one model.
constexpr std::size_t kWindows = 10;      // Looked at for the newest with outcomes or an estimate.

std::vector<std::string> Labels() { return {"task", "model", "slice"}; }

double SecondsBetween(Timestamp from, Timestamp to) {
  return std::chrono::duration<double>(to - from).count();
}

/// Of the newest window; of as many before it as it takes where all its predictions are of one
/// instant, as those of one large request are.
std::optional<double> PredictionsPerSecond(const std::vector<Window>& newest_first) {
  double predictions = -1;  // Between n of them lie n - 1 gaps.
  for (const Window& window : newest_first) {
    predictions += static_cast<double>(window.tally.predictions);
    const double length = SecondsBetween(window.first_at, newest_first.front().last_at);
    if (length > 0) return predictions / length;
  }
  return std::nullopt;
}

}  // namespace

SummaryExporter::SummaryExporter(MonitoringStore& store, metrics::Registry& registry,
                                 const Clock& clock, const Options& options)
    : store_(store),
      clock_(clock),
      options_(options),
      predictions_(registry.Gauges("tidewheel_monitoring_stored_predictions",
                                   "Predictions counted so far.", {"task", "model"})),
      outcomes_(registry.Gauges("tidewheel_monitoring_stored_outcomes",
                                "Predictions whose outcome is known.", {"task", "model"})),
      accuracy_(registry.Gauges("tidewheel_monitoring_accuracy_ratio",
                                "Share of right predictions among those whose outcome is known.",
                                {"task", "model"})),
      accuracy_low_(registry.Gauges("tidewheel_monitoring_accuracy_low_ratio",
                                    "Lower end of its 95 % interval.", {"task", "model"})),
      accuracy_high_(registry.Gauges("tidewheel_monitoring_accuracy_high_ratio",
                                     "Upper end of its 95 % interval.", {"task", "model"})),
      window_accuracy_(registry.Gauges("tidewheel_monitoring_window_accuracy_ratio",
                                       "The same in the newest window that has outcomes.",
                                       Labels())),
      window_accuracy_low_(registry.Gauges("tidewheel_monitoring_window_accuracy_low_ratio",
                                           "Lower end of its 95 % interval.", Labels())),
      window_accuracy_high_(registry.Gauges("tidewheel_monitoring_window_accuracy_high_ratio",
                                            "Upper end of its 95 % interval.", Labels())),
      window_estimate_(registry.Gauges("tidewheel_monitoring_window_estimated_accuracy_ratio",
                                       "Accuracy as estimated without outcomes, in the newest "
                                       "window that has an estimate.",
                                       Labels())),
      window_estimate_low_(
          registry.Gauges("tidewheel_monitoring_window_estimated_accuracy_low_ratio",
                          "Lower end of its 95 % interval.", Labels())),
      window_estimate_high_(
          registry.Gauges("tidewheel_monitoring_window_estimated_accuracy_high_ratio",
                          "Upper end of its 95 % interval.", Labels())),
      window_drift_(registry.Gauges("tidewheel_monitoring_window_drift_ratio",
                                    "Largest finding of a kind over its threshold, in the newest "
                                    "window that was judged.",
                                    {"task", "model", "slice", "kind"})),
      window_confidence_(registry.Gauges("tidewheel_monitoring_window_confidence_ratio",
                                         "Mean confidence in the newest window.", Labels())),
      window_class_share_(registry.Gauges("tidewheel_monitoring_window_class_share_ratio",
                                          "Share of a class among the newest window's predictions.",
                                          {"task", "model", "slice", "class"})),
      window_traffic_(registry.Gauges("tidewheel_monitoring_window_predictions_per_second_ratio",
                                      "Predictions a second in the newest window.", Labels())),
      label_delay_(registry.Gauges("tidewheel_monitoring_label_delay_seconds",
                                   "From a prediction to its outcome, over the newest thousand.",
                                   {"task", "model", "statistic"})),
      newest_prediction_(registry.Gauges("tidewheel_monitoring_newest_prediction_time_seconds",
                                         "Event time of a task's newest prediction, since 1970.",
                                         {"task"})),
      worker_("export", [this](std::stop_token stop) {
        auto forget_due = std::chrono::steady_clock::now();
        do {
          if (const auto exported = Export(); !exported) {
            log::Warning("windows not exported", {{"error", exported.error()}});
          }
          if (std::chrono::steady_clock::now() >= forget_due) {
            Forget();
            forget_due = std::chrono::steady_clock::now() + kForgetInterval;
          }
        } while (pause_.Wait(stop, options_.interval));
      }) {}

Result<void> SummaryExporter::Export() {
  PageRequest request{1'000, ""};
  do {
    const auto page = store_.ListSummaries("", request);
    if (!page) return page.error();
    for (const auto& summary : page->items) {
      if (const auto exported = ExportModel(summary); !exported) return exported;
    }
    request.token = page->next_token;
  } while (!request.token.empty());
  return ExportTimes();
}

Result<void> SummaryExporter::ExportModel(const ModelSummary& summary) {
  const std::vector<std::string> labels = {summary.model.task, summary.model.model_version_id};
  predictions_.Set(labels, static_cast<double>(summary.tally.predictions));
  outcomes_.Set(labels, static_cast<double>(summary.tally.outcomes));
  if (const auto accuracy = summary.tally.Accuracy()) {
    accuracy_.Set(labels, *accuracy);
    const auto interval =
        stats::WilsonInterval(summary.tally.correct, summary.tally.outcomes, kConfidence);
    if (interval) {
      accuracy_low_.Set(labels, interval->low);
      accuracy_high_.Set(labels, interval->high);
    }
  }
  if (const auto exported = ExportWindows(summary, ""); !exported) return exported;
  const auto slices = store_.ListSlices(summary.model);
  if (!slices) return slices.error();
  for (std::size_t i = 0; i < std::min(slices->size(), kMostSlices); ++i) {
    if (const auto exported = ExportWindows(summary, (*slices)[i]); !exported) return exported;
  }
  return {};
}

Result<void> SummaryExporter::ExportWindows(const ModelSummary& summary, const std::string& slice) {
  const auto windows = store_.ListWindows({summary.model, slice, "count"}, {kWindows, ""});
  if (!windows) return windows.error();
  if (windows->items.empty()) return {};
  const std::vector<std::string> labels = {summary.model.task, summary.model.model_version_id,
                                           slice};
  const Window& newest = windows->items.front();
  window_confidence_.Set(labels, newest.tally.MeanConfidence());
  const auto whole = static_cast<double>(newest.tally.predictions);
  // A class that has gone from the window has a share of none.
  for (const auto& [name, count] : summary.tally.by_class) {
    const auto here = newest.tally.by_class.find(name);
    const double part = here == newest.tally.by_class.end() ? 0 : static_cast<double>(here->second);
    window_class_share_.Set({labels[0], labels[1], labels[2], name}, part / whole);
  }
  if (const auto rate = PredictionsPerSecond(windows->items)) window_traffic_.Set(labels, *rate);

  for (const auto& window : windows->items) {
    const auto accuracy = window.tally.Accuracy();
    if (!accuracy) continue;
    window_accuracy_.Set(labels, *accuracy);
    const auto interval =
        stats::WilsonInterval(window.tally.correct, window.tally.outcomes, kConfidence);
    if (interval) {
      window_accuracy_low_.Set(labels, interval->low);
      window_accuracy_high_.Set(labels, interval->high);
    }
    break;
  }
  for (const auto& window : windows->items) {
    if (!window.estimated_accuracy) continue;
    window_estimate_.Set(labels, *window.estimated_accuracy);
    window_estimate_low_.Set(labels, window.estimated_low);
    window_estimate_high_.Set(labels, window.estimated_high);
    break;
  }
  for (const auto& window : windows->items) {
    if (window.drift.empty()) continue;
    for (const auto& [kind, share] : window.drift) {
      window_drift_.Set({labels[0], labels[1], labels[2], kind}, share);
    }
    break;
  }
  return {};
}

Result<void> SummaryExporter::ExportTimes() {
  const auto delays = store_.ListLabelDelays();
  if (!delays) return delays.error();
  for (const auto& delay : *delays) {
    const auto& [task, model] = delay.model;
    label_delay_.Set({task, model, "median"}, delay.median_seconds);
    label_delay_.Set({task, model, "mean"}, delay.mean_seconds);
  }
  const auto tasks = store_.ListActivity();
  if (!tasks) return tasks.error();
  for (const auto& task : *tasks) {
    newest_prediction_.Set(
        {task.task}, std::chrono::duration<double>(task.newest_at.time_since_epoch()).count());
  }
  return {};
}

void SummaryExporter::Forget() {
  const auto before =
      clock_.Now() - std::chrono::duration_cast<std::chrono::microseconds>(options_.retention);
  const auto forgotten = store_.Forget(before);
  if (!forgotten) {
    log::Warning("old predictions not dropped", {{"error", forgotten.error()}});
  } else if (*forgotten > 0) {
    log::Info("old predictions dropped", {{"predictions", *forgotten}});
  }
}

}  // namespace tidewheel::monitoring
