#pragma once

#include <span>
#include <string>

#include "tidewheel/monitoring/domain/alert.h"

namespace tidewheel::monitoring {

/// What a webhook is sent: the alert as one JSON object, without histograms.
std::string WebhookJson(const Alert& alert, AlertChange change);

/// What Alertmanager's POST /api/v2/alerts takes. An alert is known there by its labels (alertname,
/// task, cause, alert_id); a resolved one has ended, an open one ends by itself when it is not sent
/// again in Alertmanager's `resolve_timeout`.
std::string AlertmanagerJson(std::span<const Alert> alerts);

}  // namespace tidewheel::monitoring
