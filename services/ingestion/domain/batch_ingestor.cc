#include "tidewheel/ingestion/domain/batch_ingestor.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

#include "tidewheel/base/ids.h"

namespace tidewheel::ingestion {
namespace {

constexpr std::size_t kMaxNameBytes = 1'024;
constexpr std::size_t kMaxSourceBytes = 256;
constexpr std::size_t kMaxGroupBytes = 256;
constexpr std::size_t kMaxMetadata = 64;
constexpr std::size_t kMaxCaptureMetadata = 16;  // What serving says of a capture, on top.
constexpr std::size_t kMaxKeyBytes = 64;
constexpr std::size_t kMaxValueBytes = 1'024;
// Somebody else may store the same bytes between look-up and insert, but then the next look-up
// finds them.
constexpr int kMaxRounds = 5;

Result<void> CheckText(const std::string& where, const std::string& text, std::size_t limit) {
  if (text.size() > limit) {
    return Error{ErrorCode::kInvalidArgument, where + " has " + std::to_string(text.size()) +
                                                  " bytes, the limit is " + std::to_string(limit)};
  }
  if (text.find('\0') != std::string::npos) {
    return Error{ErrorCode::kInvalidArgument, where + " holds a zero byte"};
  }
  return {};
}

Result<void> CheckSample(const NewSample& sample, std::size_t place) {
  const std::string where = "sample " + std::to_string(place);
  if (sample.payload.empty()) {
    return Error{ErrorCode::kInvalidArgument, where + " has no payload"};
  }
  if (sample.name.empty()) return Error{ErrorCode::kInvalidArgument, where + " has no name"};
  for (const auto& [field, text, limit] : {std::tuple{"name", &sample.name, kMaxNameBytes},
                                           std::tuple{"source", &sample.source, kMaxSourceBytes},
                                           std::tuple{"group", &sample.group, kMaxGroupBytes}}) {
    if (const auto good = CheckText(where + ": " + field, *text, limit); !good) return good;
  }
  const std::size_t most_metadata = kMaxMetadata + (sample.request ? kMaxCaptureMetadata : 0);
  if (sample.metadata.size() > most_metadata) {
    return Error{ErrorCode::kInvalidArgument,
                 where + ": metadata has " + std::to_string(sample.metadata.size()) +
                     " pairs, the limit is " + std::to_string(most_metadata)};
  }
  for (const auto& [key, value] : sample.metadata) {
    if (const auto good = CheckText(where + ": metadata key", key, kMaxKeyBytes); !good)
      return good;
    if (const auto good = CheckText(where + ": metadata " + key, value, kMaxValueBytes); !good) {
      return good;
    }
  }
  return {};
}

Result<void> CheckBatch(std::span<const NewSample> samples) {
  if (samples.empty()) return Error{ErrorCode::kInvalidArgument, "a batch has at least one sample"};
  if (samples.size() > BatchIngestor::kMaxSamples) {
    return Error{ErrorCode::kInvalidArgument,
                 "a batch has at most " + std::to_string(BatchIngestor::kMaxSamples) +
                     " samples, this one has " + std::to_string(samples.size())};
  }
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (const auto good = CheckSample(samples[i], i); !good) return good;
    bytes += samples[i].payload.size();
  }
  if (bytes > BatchIngestor::kMaxBytes) {
    return Error{ErrorCode::kInvalidArgument,
                 "a batch has at most " + std::to_string(BatchIngestor::kMaxBytes) +
                     " bytes of payload, this one has " + std::to_string(bytes)};
  }
  return {};
}

std::string NearMessage(const NearSample& near, int limit) {
  return "differs in " + std::to_string(near.distance) + " of 128 bits from sample " +
         near.sample_id + ", " + std::to_string(limit) + " or fewer are taken for the same picture";
}

}  // namespace

int Distance(const PictureHash& a, const PictureHash& b) {
  return std::popcount(a[0] ^ b[0]) + std::popcount(a[1] ^ b[1]);
}

struct BatchIngestor::Candidate {
  const NewSample* pushed = nullptr;
  std::optional<Examination> examination;  // Absent: not needed yet.
  Verdict verdict;
  bool settled = false;  // Nothing to store.
  std::string id;        // Of the row to make.
  std::string group;
  std::string payload_ref;  // Once its bytes are durable.

  Sample ToSample(const std::string& task, Timestamp now) const {
    Sample sample;
    sample.id = id;
    sample.task = task;
    sample.sha256 = verdict.sha256;
    sample.payload_ref = payload_ref;
    sample.name = pushed->name;
    sample.source = pushed->source;
    sample.collected_at = pushed->collected_at.value_or(now);
    sample.added_at = now;
    sample.metadata = pushed->metadata;
    sample.group = group;
    sample.split = *verdict.split;
    sample.measures = examination->measures;
    sample.hash = examination->hash;
    sample.width = examination->width;
    sample.height = examination->height;
    sample.size_bytes = pushed->payload.size();
    sample.content_type = examination->content_type;
    sample.request = pushed->request;
    return sample;
  }

  QuarantinedSample ToQuarantine(const std::string& task, Timestamp now) const {
    return {NewUuid(),
            task,
            verdict.sha256,
            payload_ref,
            pushed->name,
            pushed->source,
            verdict.reasons,
            pushed->payload.size(),
            now,
            pushed->collected_at.value_or(now),
            pushed->request};
  }
};

Result<std::vector<Verdict>> BatchIngestor::Ingest(const std::string& task,
                                                   std::span<const NewSample> samples) {
  if (const auto good = CheckBatch(samples); !good) return good.error();
  const auto rules = tasks_.Find(task);
  if (!rules) return rules.error();

  std::vector<Candidate> candidates(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    candidates[i].pushed = &samples[i];
    candidates[i].verdict.sha256 = examiner_.Hash(samples[i].payload);
  }
  for (int round = 0;; ++round) {
    if (round == kMaxRounds) {
      return Error{ErrorCode::kAborted, "others are storing the same samples; send them again"};
    }
    if (const auto decided = Decide(**rules, candidates); !decided) return decided.error();
    const auto stored = Store(**rules, candidates);
    if (!stored) return stored.error();
    if (*stored) break;
  }

  std::vector<Verdict> verdicts;
  verdicts.reserve(candidates.size());
  for (auto& candidate : candidates) {
    Count(candidate.verdict);
    verdicts.push_back(std::move(candidate.verdict));
  }
  return verdicts;
}

Result<void> BatchIngestor::Decide(const TaskRules& rules, std::vector<Candidate>& candidates) {
  std::vector<PushedName> names;
  names.reserve(candidates.size());
  for (const auto& candidate : candidates) {
    names.push_back({candidate.verdict.sha256, candidate.pushed->name});
  }
  const auto known = store_.FindKnown(rules.name, names);
  if (!known) return known.error();

  std::unordered_map<Digest, const Candidate*> first_of;  // Accepted in this batch, by content.
  std::vector<const Candidate*> accepted;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    Candidate& candidate = candidates[i];
    Verdict& verdict = candidate.verdict;
    verdict = {Disposition::kUnchanged, "", verdict.sha256, {}, {}};
    candidate.settled = true;

    const auto& sample = known->samples[i];
    if (sample && sample->name == candidate.pushed->name) {
      verdict.sample_id = sample->id;
      verdict.split = sample->split;
      continue;
    }
    if (const auto& set_aside = known->quarantined[i]) {
      verdict.sample_id = sample ? sample->id : std::string();
      verdict.reasons = *set_aside;
      continue;
    }
    const auto twin = first_of.find(verdict.sha256);
    if (twin != first_of.end() && twin->second->pushed->name == candidate.pushed->name) {
      // The very same push twice in one batch.
      verdict.sample_id = twin->second->id;
      verdict.split = twin->second->verdict.split;
      continue;
    }

    candidate.settled = false;
    verdict.disposition = Disposition::kQuarantined;
    if (sample || twin != first_of.end()) {
      verdict.sample_id = sample ? sample->id : twin->second->id;
      const std::string& name = sample ? sample->name : twin->second->pushed->name;
      verdict.reasons = {{ReasonCode::kExactDuplicate,
                          "has the same bytes as sample " + verdict.sample_id + " (" + name + ")",
                          verdict.sample_id}};
      continue;
    }

    if (!candidate.examination) {
      candidate.examination = examiner_.Examine(candidate.pushed->payload, rules.quality);
    }
    verdict.reasons = candidate.examination->reasons;
    if (!verdict.reasons.empty()) continue;

    const auto near = FindNear(rules, candidate, accepted);
    if (!near) return near.error();
    if (*near && (*near)->distance <= rules.near_duplicate_quarantine_distance) {
      verdict.reasons = {{ReasonCode::kNearDuplicate,
                          NearMessage(**near, rules.near_duplicate_quarantine_distance),
                          (*near)->sample_id}};
      continue;
    }

    if (candidate.id.empty()) candidate.id = NewUuid();
    if (!candidate.pushed->group.empty()) {
      candidate.group = candidate.pushed->group;
    } else if (*near) {
      candidate.group = (*near)->group;
    } else {
      candidate.group = verdict.sha256.Hex();
    }
    verdict.disposition = Disposition::kAccepted;
    verdict.sample_id = candidate.id;
    verdict.split = AssignSplit(rules.splits, candidate.group, candidate.pushed->metadata);
    first_of.emplace(verdict.sha256, &candidate);
    accepted.push_back(&candidate);
  }
  return {};
}

Result<std::optional<NearSample>> BatchIngestor::FindNear(
    const TaskRules& rules, const Candidate& candidate,
    std::span<const Candidate* const> accepted) {
  const int radius =
      std::max(rules.near_duplicate_quarantine_distance, rules.near_duplicate_group_distance);
  if (radius < 0) return std::optional<NearSample>();
  auto near = near_duplicates_.Nearest(rules.name, candidate.examination->hash, radius);
  if (!near) return near.error();
  for (const Candidate* other : accepted) {
    const int distance = Distance(other->examination->hash, candidate.examination->hash);
    if (distance > radius || (*near && (*near)->distance <= distance)) continue;
    *near = NearSample{other->id, other->group, distance};
  }
  return *near;
}

Result<bool> BatchIngestor::Store(const TaskRules& rules, std::vector<Candidate>& candidates) {
  std::vector<Candidate*> storing;
  std::vector<Candidate*> without_bytes;
  std::vector<HashedPayload> payloads;
  for (auto& candidate : candidates) {
    if (candidate.settled) continue;
    storing.push_back(&candidate);
    // The bytes of an exact duplicate are there already.
    const bool needs_bytes = candidate.examination && candidate.payload_ref.empty();
    if (!needs_bytes) continue;
    without_bytes.push_back(&candidate);
    payloads.push_back({candidate.pushed->payload, candidate.verdict.sha256});
  }
  if (storing.empty()) return true;
  // The bytes first: a row never points at nothing. Bytes without a row are harmless.
  if (!payloads.empty()) {
    auto refs = payloads_.PutMany(payloads);
    if (!refs) return refs.error();
    for (std::size_t i = 0; i < without_bytes.size(); ++i) {
      without_bytes[i]->payload_ref = std::move((*refs)[i]);
    }
  }

  const Timestamp now = clock_.Now();
  BatchToStore batch;
  for (const Candidate* candidate : storing) {
    if (candidate->verdict.disposition == Disposition::kQuarantined) {
      batch.quarantined.push_back(candidate->ToQuarantine(rules.name, now));
    } else {
      batch.samples.push_back(candidate->ToSample(rules.name, now));
    }
  }
  const auto stored = store_.Save(batch);
  if (!stored || !*stored) return stored;
  for (const auto& sample : batch.samples) {
    near_duplicates_.Add(rules.name, sample.hash, sample.id, sample.group);
  }
  return true;
}

void BatchIngestor::Count(const Verdict& verdict) const {
  switch (verdict.disposition) {
    case Disposition::kAccepted:
      counters_.accepted.Add();
      return;
    case Disposition::kUnchanged:
      counters_.unchanged.Add();
      return;
    case Disposition::kQuarantined:
      counters_.quarantined.Add();
      for (const auto& reason : verdict.reasons) {
        const auto counter = counters_.reasons.find(reason.code);
        if (counter != counters_.reasons.end()) counter->second->Add();
      }
      return;
  }
}

}  // namespace tidewheel::ingestion
