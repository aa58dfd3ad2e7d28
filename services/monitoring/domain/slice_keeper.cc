#include <algorithm>
#include <chrono>

#include "tidewheel/monitoring/domain/alert_keeper.h"
#include "tidewheel/monitoring/domain/open_alerts.h"

namespace tidewheel::monitoring {
namespace {

constexpr std::size_t kMostRecent = 4;        // Judged windows a watch keeps.
constexpr std::uint64_t kQuietAtHome = 3;     // Windows in a row, before a drift is told.
constexpr double kFlawedExplains = 0.1;       // Share of flawed rows that explains the drift.
constexpr char kByOutcomes[] = "predictive";  // Method of what outcomes found in a slice.

double SecondsBetween(Timestamp from, Timestamp to) {
  return std::chrono::duration<double>(to - from).count();
}

/// The slice's part of the model's traffic, by how fast windows fill; 1 where that is not known.
double ShareOfTraffic(const WindowRows& window, const ModelWatch& whole,
                      const MonitoringPolicy& policy) {
  const ModelWatch::JudgedWindow* first = nullptr;
  const ModelWatch::JudgedWindow* last = nullptr;
  for (const auto& each : whole.recent) {
    if (each.kind != "count") continue;
    if (first == nullptr) first = &each;
    last = &each;
  }
  const double slice_seconds = SecondsBetween(window.first_at, window.last_at);
  if (first == last || !(slice_seconds > 0)) return 1;
  const double seconds = SecondsBetween(first->last_at, last->last_at);
  if (!(seconds > 0)) return 1;
  const double rows = static_cast<double>(last->number - first->number) * policy.window_predictions;
  const double of_slice = static_cast<double>(window.rows.size()) / slice_seconds;
  return std::clamp(of_slice * seconds / rows, 0.0, 1.0);
}

bool IsOfWindows(const Finding& finding, const std::string& slice) {
  return finding.slice == slice && finding.method != kByOutcomes;
}

/// One alert names all drifted slices, the dearest first.
void MergeSlices(const Alert* home, const std::string& slice, Diagnosis* diagnosis) {
  if (home == nullptr || home->diagnosis.cause != cause::kSlice) return;
  std::vector<Finding> all = diagnosis->findings;
  for (const auto& other : home->diagnosis.findings) {
    if (!IsOfWindows(other, slice)) all.push_back(other);
  }
  std::map<std::string, double> damage;
  for (const auto& finding : all) {
    if (finding.kind == FindingKind::kSlicePerformance && finding.method != kByOutcomes) {
      damage[finding.slice] = finding.statistic;
    }
  }
  std::stable_sort(all.begin(), all.end(), [&](const Finding& a, const Finding& b) {
    return damage[a.slice] > damage[b.slice];
  });
  diagnosis->findings = std::move(all);
  double sum = 0;
  std::string names;
  for (const auto& finding : diagnosis->findings) {
    if (finding.kind != FindingKind::kSlicePerformance || finding.method == kByOutcomes) continue;
    sum += finding.statistic;
    names += (names.empty() ? "" : ", ") + finding.slice;
  }
  diagnosis->damage = std::min(1.0, std::max(diagnosis->damage, sum));
  if (damage.size() > 1) diagnosis->title = "the inputs have drifted in the slices " + names;
}

}  // namespace

Result<void> AlertKeeper::OnSliceWindow(const WindowRows& window, const Profile* profile,
                                        const MonitoringPolicy& policy) {
  const std::string& model = window.model.model_version_id;
  Judgement judgement = judge_.Judge(window, profile, policy, policy.window_seconds > 0 ? 2 : 1);
  for (auto& finding : judgement.findings) finding.fires = false;
  std::shared_ptr<PreparedReference> prepared;
  if (profile != nullptr) {
    if (auto made = judge_.Prepare(model, *profile); made) prepared = *std::move(made);
  }
  const double flawed =
      static_cast<double>(judgement.flawed_rows) / static_cast<double>(window.rows.size());
  const bool judged = prepared != nullptr && window.kind == "count" && IsProduction(window) &&
                      judgement.not_applicable.empty() && flawed < kFlawedExplains;

  return store_.InTask(window.model.task, [&](AlertLedger& ledger) -> Result<void> {
    std::map<std::string, std::string> alert_of_finding;
    if (!judged) return KeepFindings(ledger, window, judgement, alert_of_finding);
    const std::string name = SliceState(model, window.slice);
    const auto slice_bytes = ledger.State(name);
    if (!slice_bytes) return slice_bytes.error();
    auto watch = SliceWatch::FromBytes(*slice_bytes);
    if (!watch) return watch.error();
    const auto model_bytes = ledger.State(ModelState(model));
    if (!model_bytes) return model_bytes.error();
    const auto whole = ModelWatch::FromBytes(*model_bytes);
    if (!whole) return whole.error();
    const auto task_bytes = ledger.State(kTaskState);
    if (!task_bytes) return task_bytes.error();
    const auto task = TaskWatch::FromBytes(*task_bytes);
    if (!task) return task.error();
    auto open = ledger.OpenAlerts();
    if (!open) return open.error();

    const ModelWatch::JudgedWindow* before = nullptr;
    bool newer = false;
    for (const auto& each : watch->recent) {
      if (each.number == window.number && each.fingerprint == window.fingerprint) return {};
      if (each.number + 1 == window.number) before = &each;
      newer = newer || each.number > window.number;
    }
    const bool single = judgement.SingleShare() > 1;
    const bool pair = judgement.PairShare() > 1 && before != nullptr && before->pair_share > 1;
    const bool mixture = whole->several_conditions && judgement.Known();
    const bool serves = task->serving_model == model;
    // Where all traffic is suspicious, that is what is told of.
    bool whole_quiet = true;
    for (const auto& each : whole->recent) {
      if (each.kind == "count") whole_quiet = each.pair_share <= 1;
    }
    Alert* const home = FindHome(&*open, cause::kSlice);
    const bool told = (single || pair) && watch->at_home && !mixture && serves && !newer &&
                      (whole_quiet || home != nullptr);
    if (told) {
      const double level = pair ? judgement.pair_level : judgement.single_level;
      Diagnosis diagnosis = ExplainSlice(&judgement, level, window, *profile, *prepared,
                                         ShareOfTraffic(window, *whole, policy));
      judgement.findings.push_back(diagnosis.findings.front());
      judgement.standardized.push_back(0);
      MergeSlices(home, window.slice, &diagnosis);
      if (home != nullptr) {
        std::erase_if(home->diagnosis.findings,
                      [&](const Finding& each) { return IsOfWindows(each, window.slice); });
      }
      const auto absorbed =
          Absorb(ledger, &*open, window.model, std::move(diagnosis), policy, &alert_of_finding);
      if (!absorbed) return absorbed;
    }
    if (!newer) {
      const bool quiet = judgement.PairShare() <= 1 || mixture;
      watch->quiet = quiet ? watch->quiet + 1 : 0;
      watch->at_home = watch->at_home || watch->quiet >= kQuietAtHome;
      Alert* const alert = FindOpen(&*open, cause::kSlice);
      if (alert != nullptr && serves && watch->quiet >= kQuietToResolve) {
        const auto gone = std::erase_if(alert->diagnosis.findings, [&](const Finding& each) {
          return IsOfWindows(each, window.slice);
        });
        if (gone > 0) {
          const auto saved = alert->diagnosis.findings.empty()
                                 ? Close(ledger, alert,
                                         "measured: " + std::to_string(kQuietToResolve) +
                                             " windows without a finding, in " + window.slice)
                                 : ledger.Save(*alert, AlertChange::kUpdated, clock_.Now());
          if (!saved) return saved;
        }
      }
    }
    ModelWatch::JudgedWindow kept;
    kept.kind = window.kind;
    kept.number = window.number;
    kept.fingerprint = window.fingerprint;
    kept.last_at = window.last_at;
    kept.pair_share = judgement.PairShare();
    kept.quiet = !told;
    std::erase_if(watch->recent, [&](const auto& each) { return each.number == window.number; });
    watch->recent.push_back(std::move(kept));
    std::sort(watch->recent.begin(), watch->recent.end(),
              [](const auto& a, const auto& b) { return a.number < b.number; });
    if (watch->recent.size() > kMostRecent) watch->recent.erase(watch->recent.begin());
    if (const auto saved = ledger.SaveState(name, watch->ToBytes()); !saved) return saved;
    return KeepFindings(ledger, window, judgement, alert_of_finding);
  });
}

}  // namespace tidewheel::monitoring
