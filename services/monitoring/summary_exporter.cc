#include "tidewheel/monitoring/summary_exporter.h"

#include "tidewheel/log/log.h"

namespace tidewheel::monitoring {
namespace {

constexpr std::chrono::hours kForgetInterval{1};

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
      window_accuracy_(registry.Gauges("tidewheel_monitoring_window_accuracy_ratio",
                                       "The same in the newest window.", {"task", "model"})),
      window_confidence_(registry.Gauges("tidewheel_monitoring_window_confidence_ratio",
                                         "Mean confidence in the newest window.",
                                         {"task", "model"})),
      window_class_share_(registry.Gauges("tidewheel_monitoring_window_class_share_ratio",
                                          "Share of a class among the newest window's predictions.",
                                          {"task", "model", "class"})),
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
      const std::vector<std::string> labels = {summary.model.task, summary.model.model_version_id};
      predictions_.Set(labels, static_cast<double>(summary.tally.predictions));
      outcomes_.Set(labels, static_cast<double>(summary.tally.outcomes));
      if (const auto accuracy = summary.tally.Accuracy()) accuracy_.Set(labels, *accuracy);

      const auto newest = store_.ListWindows(summary.model, {1, ""});
      if (!newest) return newest.error();
      if (newest->items.empty()) continue;
      const Tally& window = newest->items.front().tally;
      window_confidence_.Set(labels, window.MeanConfidence());
      if (const auto accuracy = window.Accuracy()) window_accuracy_.Set(labels, *accuracy);
      // A class that has gone from the window has a share of none.
      for (const auto& [name, count] : summary.tally.by_class) {
        const auto here = window.by_class.find(name);
        const double part = here == window.by_class.end() ? 0 : static_cast<double>(here->second);
        window_class_share_.Set({labels[0], labels[1], name},
                                part / static_cast<double>(window.predictions));
      }
    }
    request.token = page->next_token;
  } while (!request.token.empty());
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
