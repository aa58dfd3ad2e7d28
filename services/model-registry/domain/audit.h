#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tidewheel/base/clock.h"

namespace tidewheel::model_registry {

/// A state change that is about to happen, as the audit log will tell it.
struct AuditDraft {
  std::string actor;
  // "task.applied", "model.registered", "model.promoted", "model.rolled_back", "model.rollout_set",
  // "model.rollout_cleared", "gate.evaluated", "model.signed", "model.refused".
  std::string action;
  std::string subject;  // "task/traffic-lights", "model/<id>".
  std::map<std::string, std::string> details;
};

/// One link of the chain: its hash covers its content and the hash before it.
struct AuditEntry {
  std::uint64_t number = 0;  // Counts from 1 without gaps.
  Timestamp at{};
  std::string actor;
  std::string action;
  std::string subject;
  std::string details;        // Canonical JSON.
  std::string previous_hash;  // 64 zeros for the first.
  std::string hash;
};

/// {"a":"1","b":"2"}: keys in order, strings alone, escaped the one way.
std::string CanonicalJson(const std::map<std::string, std::string>& values);

/// The bytes an entry's hash is taken over: every field but the hash, each with its length before
/// it, so that no two different entries give the same bytes.
std::string HashedBytes(const AuditEntry& entry);

/// The hash before the first entry.
std::string FirstPreviousHash();

}  // namespace tidewheel::model_registry
