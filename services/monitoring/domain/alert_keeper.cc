#include "tidewheel/monitoring/domain/alert_keeper.h"

#include <algorithm>
#include <cmath>

#include "tidewheel/base/ids.h"
#include "tidewheel/monitoring/domain/open_alerts.h"
#include "tidewheel/stats/adwin.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::monitoring {
namespace {

constexpr std::size_t kMostRecent = 8;  // Judged windows a watch keeps.
constexpr std::size_t kMostPast = 200;  // Outcomes in which a change is looked for.
constexpr std::size_t kMostSlices = 64;
constexpr std::size_t kMostTelling = 10;
constexpr std::size_t kMostAlertFindings = 40;
constexpr double kQuietOutcomes = 0.05;   // p-value above which a block is like the reference.
constexpr double kAnnotatorLevel = 1e-4;  // p-value of "as good as before".
constexpr double kAnnotatorDrop = 0.1;    // And agreement that fell by as much.
constexpr double kAnnotatorRecovered = 0.05;
constexpr std::uint64_t kSampleBlock = 50;  // Captured samples that are looked at together.
constexpr std::uint32_t kAdwinEvery = 32;
constexpr std::uint64_t kAuditChunk = 50;  // Outcomes that one estimate is held against.
constexpr std::size_t kMostAudited = 40;   // Chunks that an audit looks at.
constexpr double kAuditLevel = 1e-3;       // p-value of "the bands hold what they promise".
constexpr double kNormal95 = 1.959963984540054;

/// Outcomes that are looked at together.
std::uint64_t BlockSize(const MonitoringPolicy& policy) {
  return policy.window_predictions <= 100 ? 25 : 50;
}

bool IsDrift(const std::string& name) {
  return name == cause::kDataDrift || name == cause::kLabelShift ||
         name == cause::kPredictionDrift || name == cause::kAccuracy;
}

std::vector<std::size_t> RareFires(Judgement* judgement, const ModelWatch::JudgedWindow* before) {
  std::vector<std::size_t> fires;
  for (std::size_t i = 0; i < judgement->rare.size(); ++i) {
    const RareCount& count = judgement->rare[i];
    // Strange values may as well be the first sign of a drift: the window after tells.
    const bool waits = MayBeDrift(count);
    bool fire = judgement->findings[i].fires && !waits;
    // Those of a window that had drifted itself are explained by that.
    const bool explained = waits && before != nullptr && before->pair_share > 1;
    if (!fire && before != nullptr && !explained && (count.hits > 0 || waits)) {
      for (const auto& earlier : before->rare) {
        if (earlier.subject != count.subject) continue;
        fire = PredictiveTail(count.hits + earlier.hits, count.rows + earlier.rows,
                              count.reference_hits, count.reference_rows) <= judgement->rare_level;
      }
    }
    judgement->findings[i].fires = fire;
    if (fire) fires.push_back(i);
  }
  return fires;
}

Finding OutcomeFinding(const ModelKey& model, FindingKind kind, const std::string& slice,
                       std::string method, double statistic, double threshold,
                       const ModelWatch::Block& block, double reference_error) {
  Finding finding;
  finding.id = NewUuid();
  finding.model = model;
  finding.slice = slice;
  finding.kind = kind;
  finding.subject = slice.empty() ? "accuracy" : slice;
  finding.method = std::move(method);
  finding.statistic = statistic;
  finding.threshold = threshold;
  finding.fires = true;
  finding.predictions = block.outcomes;
  const double rate = static_cast<double>(block.errors) /
                      static_cast<double>(std::max<std::uint64_t>(block.outcomes, 1));
  finding.effect = rate - reference_error;
  if (const auto interval = stats::WilsonInterval(block.errors, block.outcomes, 0.95)) {
    finding.effect_low = interval->low - reference_error;
    finding.effect_high = interval->high - reference_error;
  }
  return finding;
}

/// The audit's newest look takes the place of the one before.
Result<void> KeepAudit(AlertLedger& ledger, const ModelKey& model, const ModelWatch::Audit& audit,
                       Timestamp at, std::vector<Alert>* open) {
  stats::AuditOptions options;
  options.nominal_coverage = 0.95;
  options.significance = kAuditLevel;
  const auto audited = stats::AuditEstimates(audit.chunks, options);
  if (!audited) return audited.error();
  Finding finding;
  finding.id = NewUuid();
  finding.model = model;
  finding.kind = FindingKind::kEstimateAudit;
  finding.subject = "accuracy";
  finding.method = "coverage";
  finding.statistic = audited->p_value > 0 ? -std::log10(audited->p_value) : 300;
  finding.threshold = -std::log10(kAuditLevel);
  finding.effect = audited->mean_error;
  double squares = 0;
  const double n = static_cast<double>(audit.chunks.size());
  for (const auto& chunk : audit.chunks) {
    squares += (chunk.error() - audited->mean_error) * (chunk.error() - audited->mean_error) / n;
  }
  const double half = kNormal95 * std::sqrt(squares / n);
  finding.effect_low = finding.effect - half;
  finding.effect_high = finding.effect + half;
  finding.fires = audited->verdict == stats::EstimateVerdict::kUntrustworthy;
  finding.predictions = kAuditChunk * audit.chunks.size();
  finding.first_at = at;
  finding.last_at = at;
  finding.window_id = "audit/" + model.model_version_id;
  // What changed its meaning is where estimates go wrong.
  const Alert* const alert = finding.fires ? FindOpen(open, cause::kConceptDrift) : nullptr;
  const std::vector<std::string> ids = {alert != nullptr ? alert->id : ""};
  return ledger.ReplaceFindings(finding.window_id, {&finding, 1}, ids);
}

std::string Points(double share) { return std::to_string(std::lround(100 * share)) + " points"; }

}  // namespace

Result<void> AlertKeeper::Close(AlertLedger& ledger, Alert* alert, std::string resolution) {
  const Timestamp now = clock_.Now();
  alert->state = AlertState::kResolved;
  alert->resolved_at = now;
  alert->updated_at = now;
  alert->resolution = std::move(resolution);
  counters_.resolved.Add(1);
  return ledger.Save(*alert, AlertChange::kResolved, now);
}

Result<void> AlertKeeper::Quiet(AlertLedger& ledger, Alert* alert, const ModelKey& model,
                                const char* what) {
  if (alert->quiet_model != model.model_version_id) {
    alert->quiet = 0;
    alert->quiet_model = model.model_version_id;
  }
  if (++alert->quiet >= kQuietToResolve) {
    return Close(ledger, alert,
                 "measured: " + std::to_string(kQuietToResolve) + " " + what +
                     " without a finding, of model version " + model.model_version_id);
  }
  return ledger.Save(*alert, AlertChange::kUpdated, clock_.Now());
}

Result<void> AlertKeeper::Absorb(AlertLedger& ledger, std::vector<Alert>* open,
                                 const ModelKey& model, Diagnosis diagnosis,
                                 const MonitoringPolicy& policy,
                                 std::map<std::string, std::string>* alert_of_finding) {
  const Timestamp now = clock_.Now();
  if (Alert* const home = FindHome(open, diagnosis.cause)) {
    for (const auto& finding : diagnosis.findings) (*alert_of_finding)[finding.id] = home->id;
    home->quiet = 0;
    home->updated_at = now;
    Diagnosis& kept = home->diagnosis;
    if (kept.cause == diagnosis.cause && home->model == model) {
      // What is newest is told; where it began stays.
      kept.damage = diagnosis.damage;
      kept.findings = std::move(diagnosis.findings);
      kept.histograms = std::move(diagnosis.histograms);
      if (!diagnosis.telling_predictions.empty()) {
        kept.telling_predictions = std::move(diagnosis.telling_predictions);
      }
      if (!diagnosis.predicted.empty()) {
        kept.predicted.resize(std::max(kept.predicted.size(), diagnosis.predicted.size()));
        for (std::size_t k = 0; k < diagnosis.predicted.size(); ++k) {
          kept.predicted[k] += diagnosis.predicted[k];
        }
      }
      if (!diagnosis.class_shares.empty()) kept.class_shares = std::move(diagnosis.class_shares);
    } else {
      kept.damage = std::max(kept.damage, diagnosis.damage);
      for (auto& finding : diagnosis.findings) {
        if (kept.findings.size() < kMostAlertFindings) kept.findings.push_back(std::move(finding));
      }
    }
    return ledger.Save(*home, AlertChange::kUpdated, now);
  }

  Alert alert;
  alert.id = NewUuid();
  alert.model = model;
  alert.diagnosis = std::move(diagnosis);
  alert.raised_at = now;
  alert.updated_at = now;
  alert.webhooks = policy.webhooks;
  if (alert.diagnosis.findings.size() > kMostAlertFindings) {
    alert.diagnosis.findings.resize(kMostAlertFindings);
  }
  for (const auto& finding : alert.diagnosis.findings) (*alert_of_finding)[finding.id] = alert.id;
  for (auto& other : *open) {
    if (other.open() && CauseExplains(alert.diagnosis.cause, other.diagnosis.cause)) {
      const auto closed =
          Close(ledger, &other, "explained by " + alert.diagnosis.cause + ", alert " + alert.id);
      if (!closed) return closed;
    }
  }
  if (const auto saved = ledger.Save(alert, AlertChange::kRaised, now); !saved) return saved;
  counters_.raised.Add(1);
  open->push_back(std::move(alert));
  return {};
}

Result<void> AlertKeeper::SettleSuspicion(AlertLedger& ledger, ModelWatch* watch,
                                          std::vector<Alert>* open, const ModelKey& model,
                                          const Judgement* judgement,
                                          const MonitoringPolicy& policy) {
  if (!watch->suspicion) return {};
  const ModelWatch::Suspicion& suspicion = *watch->suspicion;
  const double reference_error = judgement != nullptr && judgement->reference_rows > 0
                                     ? static_cast<double>(judgement->reference_errors) /
                                           static_cast<double>(judgement->reference_rows)
                                     : 0;
  Diagnosis diagnosis;
  diagnosis.cause = cause::kConceptDrift;
  Finding finding =
      OutcomeFinding(model, FindingKind::kConceptDrift, "", suspicion.method, suspicion.statistic,
                     suspicion.threshold, {suspicion.outcomes, suspicion.errors}, reference_error);
  finding.first_at = suspicion.since;
  finding.last_at = suspicion.until;
  diagnosis.damage = std::max(0.0, finding.effect);
  diagnosis.since = suspicion.since;
  diagnosis.delay_predictions = suspicion.delay;
  diagnosis.telling_predictions = suspicion.telling;
  const double rate =
      static_cast<double>(suspicion.errors) / static_cast<double>(suspicion.outcomes);
  diagnosis.title = Percent(rate) + " of the answers turned out wrong, against " +
                    Percent(reference_error) + " of the held-out ones";
  diagnosis.description =
      "Of the last " + std::to_string(suspicion.outcomes) + " outcomes " +
      std::to_string(suspicion.errors) +
      " differ from the answer, while the inputs look as they did: what they mean has changed. "
      "Since about " +
      FormatUtc(suspicion.since) + ", told after " + std::to_string(suspicion.delay) + " outcomes.";
  const bool explained = FindHome(open, cause::kConceptDrift) != nullptr;
  const ModelWatch::JudgedWindow* newest = nullptr;
  for (const auto& window : watch->recent) {
    if (window.kind == "count") newest = &window;
  }
  if (!explained) {
    // The inputs of that time are not judged yet, or look odd: the next window will tell.
    const bool judged = newest != nullptr && newest->last_at >= suspicion.until;
    if (!judged) return {};
    if (newest->pair_share > 1 && !watch->several_conditions) return {};
  }
  finding.window_id =
      "outcomes/" + model.model_version_id + "/" + std::to_string(watch->next_outcome);
  diagnosis.findings.push_back(finding);
  watch->suspicion.reset();
  std::map<std::string, std::string> alert_of_finding;
  const std::string window_id = finding.window_id;
  if (const auto absorbed =
          Absorb(ledger, open, model, std::move(diagnosis), policy, &alert_of_finding);
      !absorbed) {
    return absorbed;
  }
  const std::vector<std::string> ids = {alert_of_finding[finding.id]};
  return ledger.ReplaceFindings(window_id, {&finding, 1}, ids);
}

Result<void> AlertKeeper::OnWindow(const WindowRows& window, const Profile* profile,
                                   const MonitoringPolicy& policy) {
  if (window.rows.empty()) return {};
  if (!window.slice.empty()) return OnSliceWindow(window, profile, policy);
  const std::string& task = window.model.task;
  const bool by_count = window.kind == "count";

  ModelWatch watch;
  // Of one model nobody else is told meanwhile, so what is read here still holds below.
  const auto read = store_.InTask(task, [&](AlertLedger& ledger) -> Result<void> {
    const auto bytes = ledger.State(ModelState(window.model.model_version_id));
    if (!bytes) return bytes.error();
    auto found = ModelWatch::FromBytes(*bytes);
    if (!found) return found.error();
    watch = *std::move(found);
    return {};
  });
  if (!read) return read;
  ModelWatch::JudgedWindow* here = nullptr;
  const ModelWatch::JudgedWindow* before = nullptr;
  bool newer_there = false;
  for (auto& judged : watch.recent) {
    if (judged.kind != window.kind) continue;
    if (judged.number == window.number) here = &judged;
    if (judged.number + 1 == window.number) before = &judged;
    if (judged.number > window.number) newer_there = true;
  }
  if (here != nullptr && here->fingerprint == window.fingerprint) return {};

  const int kinds = policy.window_seconds > 0 ? 2 : 1;
  Judgement judgement = judge_.Judge(window, profile, policy, kinds);
  const bool production = IsProduction(window);
  // Of a model that knows several conditions, only what it does not know is drift.
  const bool expected_mixture = watch.several_conditions && judgement.Known();
  DriftEvidence drift = DriftEvidence::kNone;
  if (!expected_mixture && judgement.not_applicable.empty()) {
    if (judgement.SingleShare() > 1) {
      drift = DriftEvidence::kSingle;
    } else if (judgement.PairShare() > 1 && before != nullptr && before->pair_share > 1) {
      drift = DriftEvidence::kPair;
    }
  }
  const std::vector<std::size_t> rare_fires = RareFires(&judgement, before);
  std::shared_ptr<PreparedReference> prepared;
  if (profile != nullptr) {
    if (auto made = judge_.Prepare(window.model.model_version_id, *profile); made) {
      prepared = *std::move(made);
    }
  }
  CauseOptions options;
  options.seen_before = before != nullptr && before->pair_share > 1;
  std::vector<Diagnosis> diagnoses =
      Explain(&judgement, drift, rare_fires, window, by_count ? window.before.get() : nullptr,
              profile, prepared.get(), options);

  const auto settled = store_.InTask(task, [&](AlertLedger& ledger) -> Result<void> {
    auto open = ledger.OpenAlerts();
    if (!open) return open.error();
    std::map<std::string, std::string> alert_of_finding;

    if (by_count && production && !newer_there) {
      auto task_bytes = ledger.State(kTaskState);
      if (!task_bytes) return task_bytes.error();
      auto task_watch = TaskWatch::FromBytes(*task_bytes);
      if (!task_watch) return task_watch.error();
      const bool serves = window.last_at >= task_watch->serving_at;
      if (serves) {
        task_watch->serving_at = window.last_at;
        task_watch->serving_model = window.model.model_version_id;
        const auto saved = ledger.SaveState(kTaskState, task_watch->ToBytes());
        if (!saved) return saved;
      }
      // An open alert of an older model: is the one that serves now at home in this traffic?
      bool measured_by_knowledge = false;
      for (const auto& alert : *open) {
        if (IsDrift(alert.diagnosis.cause) && alert.model != window.model &&
            judgement.PairShare() > 1 && judgement.SurelyKnown()) {
          measured_by_knowledge = true;
        }
      }
      // What a model that no longer serves met on its last windows is kept, and not told.
      std::vector<Diagnosis> told = serves ? diagnoses : std::vector<Diagnosis>();
      if (measured_by_knowledge) {
        std::erase_if(told, [](const Diagnosis& each) { return IsDrift(each.cause); });
        watch.several_conditions = true;
      }
      // A first raise waits until the cause is certain; the next window tells.
      std::erase_if(told, [&](const Diagnosis& each) {
        return !each.certain && FindHome(&*open, each.cause) == nullptr;
      });
      for (auto& diagnosis : told) {
        if (diagnosis.cause == cause::kLabelShift) {
          if (const Alert* const shift = FindOpen(&*open, cause::kLabelShift)) {
            // All windows since the change tell of the shares together.
            auto counts = shift->diagnosis.predicted;
            counts.resize(diagnosis.predicted.size());
            for (std::size_t k = 0; k < counts.size(); ++k) counts[k] += diagnosis.predicted[k];
            if (prepared != nullptr) {
              auto shares = EstimatedShares(*prepared, counts, profile->classes);
              if (!shares.empty()) diagnosis.class_shares = std::move(shares);
            }
          }
        }
        const auto absorbed =
            Absorb(ledger, &*open, window.model, std::move(diagnosis), policy, &alert_of_finding);
        if (!absorbed) return absorbed;
      }
      if (serves) {
        const bool drift_quiet =
            judgement.not_applicable.empty() &&
            (judgement.PairShare() <= 1 || measured_by_knowledge || expected_mixture);
        bool flawed = false;
        bool broken = false;
        for (const auto i : rare_fires) {
          (judgement.rare[i].kind == FindingKind::kInputQuality ? flawed : broken) = true;
        }
        for (auto& alert : *open) {
          if (!alert.open()) continue;
          const std::string& name = alert.diagnosis.cause;
          const bool quiet = IsDrift(name)                 ? drift_quiet
                             : name == cause::kSensorFault ? !flawed
                             : name == cause::kDataQuality ? !broken
                                                           : false;
          const bool ours =
              IsDrift(name) || name == cause::kSensorFault || name == cause::kDataQuality;
          if (!ours) continue;
          if (quiet) {
            const auto counted = Quiet(ledger, &alert, window.model, "windows");
            if (!counted) return counted;
          } else if (alert.quiet > 0) {
            alert.quiet = 0;
            const auto saved = ledger.Save(alert, AlertChange::kUpdated, clock_.Now());
            if (!saved) return saved;
          }
        }
      }
    }

    ModelWatch::JudgedWindow judged;
    judged.kind = window.kind;
    judged.number = window.number;
    judged.fingerprint = window.fingerprint;
    judged.last_at = window.last_at;
    judged.pair_share = judgement.PairShare();
    judged.quiet = diagnoses.empty();
    for (const auto& count : judgement.rare) {
      if (count.hits > 0) judged.rare.push_back(count);
    }
    std::erase_if(watch.recent, [&](const ModelWatch::JudgedWindow& other) {
      return other.kind == judged.kind && other.number == judged.number;
    });
    watch.recent.push_back(std::move(judged));
    std::sort(watch.recent.begin(), watch.recent.end(),
              [](const ModelWatch::JudgedWindow& a, const ModelWatch::JudgedWindow& b) {
                return std::tie(a.kind, a.number) < std::tie(b.kind, b.number);
              });
    for (const char* const kind : {"count", "time"}) {
      std::size_t of_kind = 0;
      for (const auto& each : watch.recent) of_kind += each.kind == kind ? 1 : 0;
      if (of_kind <= kMostRecent) continue;
      watch.recent.erase(std::find_if(watch.recent.begin(), watch.recent.end(),
                                      [&](const auto& each) { return each.kind == kind; }));
    }
    const auto waited = SettleSuspicion(ledger, &watch, &*open, window.model, &judgement, policy);
    if (!waited) return waited;
    const auto saved = ledger.SaveState(ModelState(window.model.model_version_id), watch.ToBytes());
    if (!saved) return saved;
    return KeepFindings(ledger, window, judgement, alert_of_finding);
  });
  return settled;
}

Result<void> AlertKeeper::OnOutcomes(const ModelKey& model, const std::vector<std::string>& classes,
                                     std::span<const ObservedRow> rows, std::uint64_t first_number,
                                     const Profile* profile, const MonitoringPolicy& policy) {
  if (rows.empty()) return {};
  std::uint64_t reference_rows = 0;
  std::uint64_t reference_errors = 0;
  if (profile != nullptr) {
    const auto& confusion = profile->predictions.confusion;
    for (std::size_t i = 0; i < confusion.size(); ++i) {
      reference_rows += confusion[i];
      if (i % (profile->classes.size() + 1) != 0) reference_errors += confusion[i];
    }
  }
  const double reference_error = reference_rows > 0 ? static_cast<double>(reference_errors) /
                                                          static_cast<double>(reference_rows)
                                                    : 0;
  std::shared_ptr<PreparedReference> prepared;
  if (profile != nullptr) {
    if (auto made = judge_.Prepare(model.model_version_id, *profile); made) {
      prepared = *std::move(made);
    }
  }
  const std::uint64_t size = BlockSize(policy);
  const double of_block = AllowedPerWindow(policy, size);
  const double level = of_block * budget::kOutcomes / 3;

  return store_.InTask(model.task, [&](AlertLedger& ledger) -> Result<void> {
    const std::string name = ModelState(model.model_version_id);
    const auto bytes = ledger.State(name);
    if (!bytes) return bytes.error();
    auto found = ModelWatch::FromBytes(*bytes);
    if (!found) return found.error();
    ModelWatch& watch = *found;
    if (first_number + rows.size() <= watch.next_outcome) return {};
    auto open = ledger.OpenAlerts();
    if (!open) return open.error();
    const auto task_bytes = ledger.State(kTaskState);
    if (!task_bytes) return task_bytes.error();
    const auto task_watch = TaskWatch::FromBytes(*task_bytes);
    if (!task_watch) return task_watch.error();
    const bool serves =
        task_watch->serving_model.empty() || task_watch->serving_model == model.model_version_id;

    std::unique_ptr<stats::StreamDetector> detector;
    if (!watch.detector.empty()) {
      auto restored = stats::RestoreDetector(watch.detector);
      if (!restored) return restored.error();
      detector = *std::move(restored);
    } else {
      stats::AdwinOptions options;
      // A scan cuts without a change with probability delta at most (Bifet, Gavalda 2007).
      options.delta = AllowedPerWindow(policy, kAdwinEvery) * budget::kOutcomes / 3;
      options.check_every = kAdwinEvery;
      auto made = stats::Adwin::Make(options);
      if (!made) return made.error();
      detector = std::make_unique<stats::Adwin>(*std::move(made));
    }

    const auto suspect = [&](std::string method, double statistic, double threshold,
                             const ModelWatch::Block& block) {
      if (watch.suspicion) {
        // Newer evidence of the same; where it is looked for stays.
        watch.suspicion->outcomes = block.outcomes;
        watch.suspicion->errors = block.errors;
        return;
      }
      ModelWatch::Suspicion suspicion;
      suspicion.method = std::move(method);
      suspicion.statistic = statistic;
      suspicion.threshold = threshold;
      suspicion.outcomes = block.outcomes;
      suspicion.errors = block.errors;
      const double was = std::clamp(reference_error, 0.005, 0.98);
      const double now =
          std::clamp(static_cast<double>(block.errors) / static_cast<double>(block.outcomes),
                     was + 0.01, 0.995);
      std::vector<double> scores;
      for (const auto& past : watch.past) {
        scores.push_back(past.wrong ? std::log(now / was) : std::log((1 - now) / (1 - was)));
      }
      const std::size_t change = ChangePoint(scores);
      suspicion.since = watch.past[change].at;
      suspicion.delay = watch.past.size() - change;
      for (std::size_t i = change; i < watch.past.size(); ++i) {
        suspicion.until = std::max(suspicion.until, watch.past[i].at);
        if (watch.past[i].wrong && suspicion.telling.size() < kMostTelling) {
          suspicion.telling.push_back(watch.past[i].name);
        }
      }
      watch.suspicion = std::move(suspicion);
    };

    const auto audit = [&](const ObservedRow& row, bool wrong) -> Result<void> {
      if (prepared == nullptr || row.class_index >= row.probabilities.size()) return {};
      const JudgeReference& reference = prepared->reference();
      const double right =
          reference.ExpectedRight(static_cast<double>(row.probabilities[row.class_index]));
      ModelWatch::Audit& chunk = watch.audit;
      chunk.expected += right;
      chunk.variance += right * (1 - right);
      ++chunk.current.outcomes;
      chunk.current.errors += wrong ? 1 : 0;
      if (chunk.current.outcomes < kAuditChunk) return {};
      const double n = static_cast<double>(chunk.current.outcomes);
      const double estimated = chunk.expected / n;
      // One answer more or less is what counts come in.
      const double half =
          1 / n + kNormal95 * std::sqrt(chunk.variance / (n * n) + reference.AccuracyVariance());
      chunk.chunks.push_back({estimated,
                              {std::max(0.0, estimated - half), std::min(1.0, estimated + half)},
                              1 - static_cast<double>(chunk.current.errors) / n});
      if (chunk.chunks.size() > kMostAudited) chunk.chunks.erase(chunk.chunks.begin());
      chunk.expected = 0;
      chunk.variance = 0;
      chunk.current = {};
      return KeepAudit(ledger, model, watch.audit, row.at, &*open);
    };

    std::map<std::string, std::string> alert_of_finding;
    const auto whole_block = [&](ModelWatch::Blocks* blocks) -> Result<void> {
      const ModelWatch::Block both{blocks->current.outcomes + blocks->before.outcomes,
                                   blocks->current.errors + blocks->before.errors};
      if (reference_rows > 0) {
        const double p_one = PredictiveTail(blocks->current.errors, blocks->current.outcomes,
                                            reference_errors, reference_rows);
        const double p_two =
            PredictiveTail(both.errors, both.outcomes, reference_errors, reference_rows);
        const double p = std::min(p_one, p_two);
        if (p <= level) {
          suspect("predictive", p > 0 ? -std::log10(p) : 300, -std::log10(level),
                  p_one <= p_two ? blocks->current : both);
        }
        for (auto& alert : *open) {
          const bool ours = alert.diagnosis.cause == cause::kConceptDrift;
          if (!alert.open() || !ours || !serves) continue;
          if (p_one > kQuietOutcomes) {
            const auto counted = Quiet(ledger, &alert, model, "blocks of outcomes");
            if (!counted) return counted;
          } else {
            alert.quiet = 0;
            const auto saved = ledger.Save(alert, AlertChange::kUpdated, clock_.Now());
            if (!saved) return saved;
          }
        }
      }
      blocks->before = blocks->current;
      blocks->current = {};
      return {};
    };
    const auto slice_block = [&](const std::string& slice,
                                 ModelWatch::Blocks* blocks) -> Result<void> {
      const ModelWatch::Block both{blocks->current.outcomes + blocks->before.outcomes,
                                   blocks->current.errors + blocks->before.errors};
      const double slice_level =
          of_block * budget::kSlices / static_cast<double>(2 * watch.slices.size());
      const double p =
          reference_rows == 0
              ? 1
              : std::min(
                    PredictiveTail(blocks->current.errors, blocks->current.outcomes,
                                   reference_errors, reference_rows),
                    PredictiveTail(both.errors, both.outcomes, reference_errors, reference_rows));
      if (p <= slice_level && serves && !watch.suspicion) {
        Finding finding = OutcomeFinding(model, FindingKind::kSlicePerformance, slice, "predictive",
                                         p > 0 ? -std::log10(p) : 300, -std::log10(slice_level),
                                         both, reference_error);
        finding.window_id = "outcomes/" + model.model_version_id + "/" + slice + "/" +
                            std::to_string(watch.next_outcome);
        finding.first_at = rows.front().at;
        finding.last_at = rows.back().at;
        Diagnosis diagnosis;
        diagnosis.cause = cause::kSlice;
        std::uint64_t of_slice = 0;
        std::uint64_t of_all = 0;
        for (const auto& row : rows) {
          ++of_all;
          of_slice += std::find(row.slices.begin(), row.slices.end(), slice) != row.slices.end();
        }
        const double share =
            static_cast<double>(std::max<std::uint64_t>(of_slice, 1)) / static_cast<double>(of_all);
        diagnosis.damage = std::max(0.0, finding.effect) * share;
        diagnosis.since = finding.first_at;
        diagnosis.delay_predictions = both.outcomes;
        diagnosis.title = "worse in " + slice + ": " + Points(finding.effect) + " more errors";
        diagnosis.description = "Of the last " + std::to_string(both.outcomes) +
                                " outcomes there " + std::to_string(both.errors) +
                                " differ from the answer.";
        diagnosis.findings.push_back(finding);
        if (const Alert* const alert = FindOpen(&*open, cause::kSlice)) {
          // One alert names all slices.
          for (const auto& other : alert->diagnosis.findings) {
            if (other.subject != slice) diagnosis.findings.push_back(other);
          }
        }
        const auto absorbed =
            Absorb(ledger, &*open, model, std::move(diagnosis), policy, &alert_of_finding);
        if (!absorbed) return absorbed;
        const std::vector<std::string> ids = {alert_of_finding[finding.id]};
        const auto replaced = ledger.ReplaceFindings(finding.window_id, {&finding, 1}, ids);
        if (!replaced) return replaced;
      }
      blocks->quiet = p > kQuietOutcomes ? blocks->quiet + 1 : 0;
      Alert* const alert = FindOpen(&*open, cause::kSlice);
      if (alert != nullptr && serves && blocks->quiet >= kQuietToResolve) {
        const auto gone = std::erase_if(alert->diagnosis.findings, [&](const Finding& other) {
          return other.subject == slice;
        });
        if (gone > 0) {
          const auto saved = alert->diagnosis.findings.empty()
                                 ? Close(ledger, alert,
                                         "measured: " + std::to_string(kQuietToResolve) +
                                             " blocks of outcomes without a finding, in " + slice)
                                 : ledger.Save(*alert, AlertChange::kUpdated, clock_.Now());
          if (!saved) return saved;
        }
      }
      blocks->before = blocks->current;
      blocks->current = {};
      return {};
    };

    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (first_number + i < watch.next_outcome) continue;
      watch.next_outcome = first_number + i + 1;
      const ObservedRow& row = rows[i];
      if (row.role == "shadow") continue;
      // A class that the model does not have is an error too.
      const bool wrong = !row.outcome || *row.outcome != row.class_index;
      watch.past.push_back({row.at, wrong, row.request_id + "#" + std::to_string(row.index)});
      if (watch.past.size() > kMostPast) watch.past.erase(watch.past.begin());
      const auto* const adwin = dynamic_cast<const stats::Adwin*>(detector.get());
      const double before_mean = adwin != nullptr ? adwin->mean() : 0;
      const auto state = detector->Update(wrong ? 1 : 0);
      if (!state) return state.error();
      if (*state == stats::StreamState::kDrift && adwin != nullptr &&
          adwin->mean() > std::max(before_mean, reference_error)) {
        const auto width = std::max<std::uint64_t>(adwin->width(), 1);
        suspect("adwin", adwin->mean(), reference_error,
                {width, static_cast<std::uint64_t>(
                            std::lround(adwin->mean() * static_cast<double>(width)))});
      }
      if (const auto audited = audit(row, wrong); !audited) return audited;
      const auto add = [&](ModelWatch::Blocks* blocks) {
        ++blocks->current.outcomes;
        blocks->current.errors += wrong ? 1 : 0;
        return blocks->current.outcomes >= size;
      };
      for (const auto& slice : row.slices) {
        if (!watch.slices.contains(slice) && watch.slices.size() >= kMostSlices) continue;
        ModelWatch::Blocks& blocks = watch.slices[slice];
        if (add(&blocks)) {
          if (const auto looked = slice_block(slice, &blocks); !looked) return looked;
        }
      }
      if (add(&watch.all)) {
        if (const auto looked = whole_block(&watch.all); !looked) return looked;
      }
    }
    watch.detector = detector->SaveState();

    Judgement reference;
    reference.reference_rows = reference_rows;
    reference.reference_errors = reference_errors;
    if (serves) {
      const auto settled = SettleSuspicion(ledger, &watch, &*open, model, &reference, policy);
      if (!settled) return settled;
    }
    (void)classes;
    return ledger.SaveState(name, watch.ToBytes());
  });
}

Result<void> AlertKeeper::OnAnnotator(const AnnotatorFact& fact, const MonitoringPolicy& policy) {
  return store_.InTask(fact.task, [&](AlertLedger& ledger) -> Result<void> {
    const auto bytes = ledger.State(kTaskState);
    if (!bytes) return bytes.error();
    auto watch = TaskWatch::FromBytes(*bytes);
    if (!watch) return watch.error();
    const auto rate = [](std::uint64_t agreed, std::uint64_t votes) {
      return votes > 0 ? static_cast<double>(agreed) / static_cast<double>(votes) : 0.0;
    };
    const double now = rate(fact.recent_agreed, fact.recent_votes);
    const double was = rate(fact.earlier_agreed, fact.earlier_votes);
    const bool worse = fact.p_value <= kAnnotatorLevel && was - now >= kAnnotatorDrop;
    const bool recovered = fact.p_value > kAnnotatorRecovered;
    Finding finding;
    finding.id = NewUuid();
    finding.model = {fact.task, watch->serving_model};
    finding.kind = FindingKind::kAnnotatorQuality;
    finding.subject = fact.annotator;
    finding.method = "agreement";
    finding.statistic = fact.p_value > 0 ? -std::log10(fact.p_value) : 300;
    finding.threshold = -std::log10(kAnnotatorLevel);
    finding.effect = now - was;
    if (const auto interval = stats::WilsonInterval(fact.recent_agreed, fact.recent_votes, 0.95)) {
      finding.effect_low = interval->low - was;
      finding.effect_high = interval->high - was;
    }
    finding.fires = worse;
    finding.predictions = fact.recent_votes;
    finding.first_at = fact.at;
    finding.last_at = fact.at;
    finding.window_id = "annotator/" + fact.annotator;
    const auto keep = [&](const std::string& alert_id) {
      const std::vector<std::string> ids = {alert_id};
      return ledger.ReplaceFindings(finding.window_id, {&finding, 1}, ids);
    };
    const bool known = watch->annotators.contains(fact.annotator);
    // Also that all is well is kept: who looks sees that it was looked at.
    if (!worse && !(known && recovered)) return keep("");

    auto open = ledger.OpenAlerts();
    if (!open) return open.error();
    if (recovered) {
      watch->annotators.erase(fact.annotator);
      Alert* const alert = FindOpen(&*open, cause::kAnnotatorQuality);
      if (alert != nullptr && watch->annotators.empty()) {
        const auto closed = Close(ledger, alert, "measured: their votes agree as before");
        if (!closed) return closed;
      }
      if (const auto kept = keep(""); !kept) return kept;
      return ledger.SaveState(kTaskState, watch->ToBytes());
    }
    watch->annotators[fact.annotator] = Percent(was) + " to " + Percent(now);
    Diagnosis diagnosis;
    diagnosis.cause = cause::kAnnotatorQuality;
    diagnosis.since = fact.at;
    std::string all;
    for (const auto& [who, how] : watch->annotators) {
      all += (all.empty() ? "" : ", ") + who + " (" + how + ")";
    }
    diagnosis.title = "votes have got worse: " + all;
    diagnosis.description =
        "Their agreement with the labels that the others' votes make has fallen; "
        "labels that rest on them are in doubt.";
    diagnosis.findings.push_back(finding);
    if (Alert* const alert = FindOpen(&*open, cause::kAnnotatorQuality)) {
      std::erase_if(alert->diagnosis.findings,
                    [&](const Finding& other) { return other.subject == fact.annotator; });
      diagnosis.findings.insert(diagnosis.findings.end(), alert->diagnosis.findings.begin(),
                                alert->diagnosis.findings.end());
      alert->diagnosis.title = diagnosis.title;
    }
    std::map<std::string, std::string> alert_of_finding;
    const ModelKey model{fact.task, watch->serving_model};
    // One alert whatever model serves.
    if (Alert* const alert = FindOpen(&*open, cause::kAnnotatorQuality)) alert->model = model;
    const auto absorbed =
        Absorb(ledger, &*open, model, std::move(diagnosis), policy, &alert_of_finding);
    if (!absorbed) return absorbed;
    if (const auto kept = keep(alert_of_finding[finding.id]); !kept) return kept;
    return ledger.SaveState(kTaskState, watch->ToBytes());
  });
}

Result<void> AlertKeeper::OnCapturedSample(const CapturedSample& sample,
                                           const MonitoringPolicy& policy) {
  // What resembles another sample is no fault of the sensor.
  bool flawed = false;
  for (const auto& reason : sample.reasons) {
    flawed = flawed || reason.find("duplicate") == std::string::npos;
  }
  if (!sample.reasons.empty() && !flawed) return {};
  return store_.InTask(sample.task, [&](AlertLedger& ledger) -> Result<void> {
    const auto first = ledger.FirstTime(sample.event_id);
    if (!first) return first.error();
    if (!*first) return {};
    const auto bytes = ledger.State(kTaskState);
    if (!bytes) return bytes.error();
    auto watch = TaskWatch::FromBytes(*bytes);
    if (!watch) return watch.error();
    ++watch->block.outcomes;
    watch->block.errors += flawed ? 1 : 0;
    if (watch->block.outcomes >= kSampleBlock) {
      const std::uint64_t known = std::max<std::uint64_t>(watch->samples, kLeastReferenceRows);
      const double level = AllowedPerWindow(policy, kSampleBlock) * budget::kRare / 2;
      const double p =
          PredictiveTail(watch->block.errors, watch->block.outcomes, watch->quarantined, known);
      if (p <= level) {
        Finding finding;
        finding.id = NewUuid();
        finding.model = {sample.task, watch->serving_model};
        finding.kind = FindingKind::kInputQuality;
        finding.subject = "quarantine";
        finding.method = "predictive";
        finding.statistic = p > 0 ? -std::log10(p) : 300;
        finding.threshold = -std::log10(level);
        finding.effect =
            static_cast<double>(watch->block.errors) / static_cast<double>(watch->block.outcomes);
        if (const auto interval =
                stats::WilsonInterval(watch->block.errors, watch->block.outcomes, 0.95)) {
          finding.effect_low = interval->low;
          finding.effect_high = interval->high;
        }
        finding.fires = true;
        finding.predictions = watch->block.outcomes;
        finding.first_at = sample.at;
        finding.last_at = sample.at;
        finding.window_id = "quarantine/" + sample.name;
        Diagnosis diagnosis;
        diagnosis.cause = cause::kSensorFault;
        diagnosis.since = sample.at;
        diagnosis.delay_predictions = watch->block.outcomes;
        diagnosis.damage = finding.effect / 2;
        diagnosis.title = Percent(finding.effect) + " of the captured inputs were set aside";
        diagnosis.description =
            "A burst of quarantine: a sensor or what lies before it is likely "
            "at fault; training on such inputs would not help.";
        diagnosis.findings.push_back(finding);
        auto open = ledger.OpenAlerts();
        if (!open) return open.error();
        std::map<std::string, std::string> alert_of_finding;
        const auto absorbed = Absorb(ledger, &*open, {sample.task, watch->serving_model},
                                     std::move(diagnosis), policy, &alert_of_finding);
        if (!absorbed) return absorbed;
        const std::vector<std::string> ids = {alert_of_finding[finding.id]};
        const auto replaced = ledger.ReplaceFindings(finding.window_id, {&finding, 1}, ids);
        if (!replaced) return replaced;
      } else {
        watch->samples += watch->block.outcomes;
        watch->quarantined += watch->block.errors;
      }
      watch->block = {};
    }
    return ledger.SaveState(kTaskState, watch->ToBytes());
  });
}

Result<void> AlertKeeper::OnTime(const TaskActivity& activity, const MonitoringPolicy& policy) {
  const Timestamp now = clock_.Now();
  const double silent = std::chrono::duration<double>(now - activity.arrived_at).count();
  const bool silence = policy.silence_seconds > 0 && silent > policy.silence_seconds;
  return store_.InTask(activity.task, [&](AlertLedger& ledger) -> Result<void> {
    auto open = ledger.OpenAlerts();
    if (!open) return open.error();
    Alert* const alert = FindOpen(&*open, cause::kSilence);
    if ((alert != nullptr) == silence) return {};
    if (!silence) return Close(ledger, alert, "measured: predictions come again");
    const auto bytes = ledger.State(kTaskState);
    if (!bytes) return bytes.error();
    const auto watch = TaskWatch::FromBytes(*bytes);
    if (!watch) return watch.error();
    const ModelKey model{activity.task, watch->serving_model};
    Finding finding;
    finding.id = NewUuid();
    finding.model = model;
    finding.kind = FindingKind::kSilence;
    finding.method = "timer";
    finding.statistic = silent;
    finding.threshold = policy.silence_seconds;
    finding.effect = silent;
    finding.effect_low = silent;
    finding.effect_high = silent;
    finding.fires = true;
    finding.first_at = activity.newest_at;
    finding.last_at = activity.newest_at;
    finding.window_id = "silence/" + FormatUtc(activity.arrived_at);
    Diagnosis diagnosis;
    diagnosis.cause = cause::kSilence;
    diagnosis.since = activity.newest_at;
    diagnosis.title = "no prediction for " + std::to_string(std::lround(silent)) + " s";
    diagnosis.description = "The last one was made at " + FormatUtc(activity.newest_at) +
                            "; the task allows " +
                            std::to_string(std::lround(policy.silence_seconds)) + " s.";
    diagnosis.findings.push_back(finding);
    std::map<std::string, std::string> alert_of_finding;
    const auto absorbed =
        Absorb(ledger, &*open, model, std::move(diagnosis), policy, &alert_of_finding);
    if (!absorbed) return absorbed;
    const std::vector<std::string> ids = {alert_of_finding[finding.id]};
    return ledger.ReplaceFindings(finding.window_id, {&finding, 1}, ids);
  });
}

Result<Alert> AlertKeeper::Change(const std::string& alert_id, AlertChange change,
                                  const std::function<bool(Alert*)>& edit) {
  const auto found = store_.FindAlert(alert_id);
  if (!found) return found.error();
  if (!*found) return Error{ErrorCode::kNotFound, "no alert " + alert_id.substr(0, 64)};
  std::optional<Alert> changed;
  const auto done = store_.InTask((*found)->model.task, [&](AlertLedger& ledger) -> Result<void> {
    auto open = ledger.OpenAlerts();
    if (!open) return open.error();
    for (auto& alert : *open) {
      if (alert.id != alert_id) continue;
      const bool different = edit(&alert);
      changed = alert;
      if (!different) return {};
      alert.updated_at = clock_.Now();
      changed = alert;
      return ledger.Save(alert, change, clock_.Now());
    }
    return {};
  });
  if (!done) return done.error();
  if (changed) return *std::move(changed);
  if (change == AlertChange::kResolved) return **found;  // A repeat.
  return Error{ErrorCode::kFailedPrecondition, "alert " + alert_id + " is resolved"};
}

Result<Alert> AlertKeeper::Acknowledge(const std::string& alert_id, const std::string& actor) {
  return Change(alert_id, AlertChange::kAcknowledged, [&](Alert* alert) {
    if (alert->state == AlertState::kAcknowledged) return false;
    alert->state = AlertState::kAcknowledged;
    alert->acknowledged_by = actor;
    return true;
  });
}

Result<Alert> AlertKeeper::Mute(const std::string& alert_id, const std::string& actor,
                                double seconds) {
  (void)actor;
  const Timestamp until =
      clock_.Now() + std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6));
  return Change(alert_id, AlertChange::kMuted, [&](Alert* alert) {
    alert->muted_until = seconds > 0 ? until : Timestamp{};
    return true;
  });
}

Result<Alert> AlertKeeper::Resolve(const std::string& alert_id, const std::string& actor,
                                   const std::string& reason) {
  return Change(alert_id, AlertChange::kResolved, [&](Alert* alert) {
    alert->state = AlertState::kResolved;
    alert->resolved_at = clock_.Now();
    alert->resolution = "by " + actor + (reason.empty() ? "" : ": " + reason);
    counters_.resolved.Add(1);
    return true;
  });
}

}  // namespace tidewheel::monitoring
