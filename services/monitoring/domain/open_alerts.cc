#include "tidewheel/monitoring/domain/open_alerts.h"

#include <algorithm>

namespace tidewheel::monitoring {

std::string ModelState(const std::string& model_version_id) { return "model/" + model_version_id; }

std::string SliceState(const std::string& model_version_id, const std::string& slice) {
  return "slice/" + model_version_id + "/" + slice;
}

bool IsProduction(const WindowRows& window) {
  std::size_t production = 0;
  for (const auto& row : window.rows) {
    production += row.role.empty() || row.role == "production" ? 1 : 0;
  }
  return 2 * production > window.rows.size();
}

Alert* FindOpen(std::vector<Alert>* open, std::string_view cause) {
  for (auto& alert : *open) {
    if (alert.open() && alert.diagnosis.cause == cause) return &alert;
  }
  return nullptr;
}

Alert* FindHome(std::vector<Alert>* open, const std::string& cause) {
  if (Alert* const same = FindOpen(open, cause)) return same;
  for (auto& alert : *open) {
    if (alert.open() && CauseExplains(alert.diagnosis.cause, cause)) return &alert;
  }
  return nullptr;
}

Result<void> KeepFindings(AlertLedger& ledger, const WindowRows& window, const Judgement& judgement,
                          const std::map<std::string, std::string>& alert_of_finding) {
  std::vector<Finding> kept;
  std::vector<std::string> alert_ids;
  WindowNote note;
  note.estimated_accuracy = judgement.expected_accuracy;
  note.estimated_low = judgement.expected_low;
  note.estimated_high = judgement.expected_high;
  for (std::size_t i = 0; i < judgement.findings.size(); ++i) {
    const Finding& finding = judgement.findings[i];
    // A count of nothing is worth no row.
    if (i < judgement.rare.size() && judgement.rare[i].hits == 0 &&
        finding.kind != FindingKind::kInputQuality) {
      continue;
    }
    if (finding.kind != FindingKind::kLabelShift && finding.method != kNotApplicable) {
      double& largest = note.drift[std::string(Name(finding.kind))];
      const double share = judgement.standardized[i] > 0 && judgement.pair_level > 0
                               ? judgement.standardized[i] / judgement.pair_level
                               : std::max(0.0, i < judgement.rare.size() ? finding.Share() : 0.0);
      largest = std::max(largest, share);
    }
    kept.push_back(finding);
    const auto alert = alert_of_finding.find(finding.id);
    alert_ids.push_back(alert == alert_of_finding.end() ? "" : alert->second);
  }
  const auto replaced = ledger.ReplaceFindings(window.key().Id(), kept, alert_ids);
  if (!replaced) return replaced;
  return ledger.NoteWindow(window.key(), note);
}

}  // namespace tidewheel::monitoring
