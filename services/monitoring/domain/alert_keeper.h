#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/alert_store.h"
#include "tidewheel/monitoring/domain/alert_watch.h"
#include "tidewheel/monitoring/domain/judge.h"
#include "tidewheel/monitoring/domain/window_rows.h"

namespace tidewheel::monitoring {

/// An annotator's votes against the labels that the others make, of lately and before.
struct AnnotatorFact {
  std::string task;
  std::string annotator;
  std::uint64_t recent_votes = 0;
  std::uint64_t recent_agreed = 0;
  std::uint64_t earlier_votes = 0;
  std::uint64_t earlier_agreed = 0;
  double p_value = 1;
  Timestamp at{};
};

/// A sample that was captured from traffic, taken or set aside.
struct CapturedSample {
  std::string event_id;
  std::string task;
  std::string name;                  // Of the sample or quarantine.
  std::vector<std::string> reasons;  // Empty: taken.
  Timestamp at{};
};

struct KeeperCounters {
  Counter& raised = Counter::None();
  Counter& resolved = Counter::None();
};

/// Turns windows, outcomes and other facts into alerts: judges, explains, and keeps one alert open
/// for each cause.
///
/// - Drift fires when two windows in a row are above the pair level, or one is above the single
///   one. It is told once its cause is certain (Diagnosis::certain), a window later at most.
/// - What an open alert explains (CauseExplains) updates it and is not told apart; an alert that a
///   deeper one comes to explain is resolved with that reason.
/// - Outcomes that tell of errors wait until the inputs of the same time have been judged: only if
///   those have not drifted the concept has.
/// - The window of a slice that once was like the reference tells where it no longer is, as long as
///   all traffic together is as it was.
/// - What was expected of answers is audited when their outcomes come
/// (FindingKind::kEstimateAudit).
/// - Windows of shadows and canaries are judged and kept, and neither raise nor resolve.
/// - An alert is resolved after kQuietToResolve quiet windows (blocks, for outcomes) in a row of
/// the
///   model that serves. If that model is newer than the alert it was likely made from the old and
///   the new condition together, and traffic of one of them is not like that mixture: then a window
///   is quiet where the model knows such inputs and expects no loss (Judgement::SurelyKnown), and
///   from then on drift of this model is only what it does not know.
///
/// Of one model it is told one thing at a time (see WindowListener); otherwise thread-safe, and any
/// number of copies may work on one database. Repeats change nothing.
class AlertKeeper final : public WindowListener {
 public:
  AlertKeeper(AlertStore& store, const Clock& clock, KeeperCounters counters = {})
      : store_(store), clock_(clock), counters_(counters) {}

  Result<void> OnWindow(const WindowRows& window, const Profile* profile,
                        const MonitoringPolicy& policy) override;
  Result<void> OnOutcomes(const ModelKey& model, const std::vector<std::string>& classes,
                          std::span<const ObservedRow> rows, std::uint64_t first_number,
                          const Profile* profile, const MonitoringPolicy& policy) override;

  /// In the order of the topic; a repeat changes at most when something is noticed.
  Result<void> OnAnnotator(const AnnotatorFact& fact, const MonitoringPolicy& policy);
  Result<void> OnCapturedSample(const CapturedSample& sample, const MonitoringPolicy& policy);
  /// Call it every few seconds, for each task: tells of silence, and of its end.
  Result<void> OnTime(const TaskActivity& activity, const MonitoringPolicy& policy);

  /// By hand. kNotFound; kFailedPrecondition: it is resolved. A repeat changes nothing.
  Result<Alert> Acknowledge(const std::string& alert_id, const std::string& actor);
  Result<Alert> Mute(const std::string& alert_id, const std::string& actor, double seconds);
  Result<Alert> Resolve(const std::string& alert_id, const std::string& actor,
                        const std::string& reason);

 private:
  struct Settled;  // What one fact does to the open alerts.

  Result<void> OnSliceWindow(const WindowRows& window, const Profile* profile,
                             const MonitoringPolicy& policy);
  Result<void> Absorb(AlertLedger& ledger, std::vector<Alert>* open, const ModelKey& model,
                      Diagnosis diagnosis, const MonitoringPolicy& policy,
                      std::map<std::string, std::string>* alert_of_finding);
  Result<void> Close(AlertLedger& ledger, Alert* alert, std::string resolution);
  Result<void> Quiet(AlertLedger& ledger, Alert* alert, const ModelKey& model, const char* what);
  Result<void> SettleSuspicion(AlertLedger& ledger, ModelWatch* watch, std::vector<Alert>* open,
                               const ModelKey& model, const Judgement* judgement,
                               const MonitoringPolicy& policy);
  Result<Alert> Change(const std::string& alert_id, AlertChange change,
                       const std::function<bool(Alert*)>& edit);

  AlertStore& store_;
  const Clock& clock_;
  const KeeperCounters counters_;
  WindowJudge judge_;
};

}  // namespace tidewheel::monitoring
