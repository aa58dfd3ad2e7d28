#include "tidewheel/model_registry/storage/postgres_audit_log.h"

#include "tidewheel/base/page_token.h"
#include "tidewheel/blob/sha256.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::model_registry {
namespace {

// One chain, so one writer at a time; the lock goes with the transaction. (LOCK TABLE would ask for
// rights to change rows.)
constexpr char kLockChain[] = "SELECT pg_advisory_xact_lock(hashtextextended('registry/audit', 0))";
constexpr char kFindLast[] = "SELECT number, hash FROM audit_entries ORDER BY number DESC LIMIT 1";
constexpr char kAppend[] =
    "INSERT INTO audit_entries (number, at, actor, action, subject, details, previous_hash, hash) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
constexpr char kList[] =
    "SELECT number, at, actor, action, subject, details, previous_hash, hash FROM audit_entries "
    "WHERE ($1 = '' OR subject = $1) AND number < $2 ORDER BY number DESC LIMIT $3";
constexpr char kReadOn[] =
    "SELECT number, at, actor, action, subject, details, previous_hash, hash FROM audit_entries "
    "WHERE number > $1 ORDER BY number LIMIT 1000";

AuditEntry EntryFrom(const pqxx::row& row) {
  AuditEntry entry;
  entry.number = row["number"].as<std::uint64_t>();
  entry.at = row["at"].as<Timestamp>();
  entry.actor = row["actor"].c_str();
  entry.action = row["action"].c_str();
  entry.subject = row["subject"].c_str();
  entry.details = row["details"].c_str();
  entry.previous_hash = row["previous_hash"].c_str();
  entry.hash = row["hash"].c_str();
  return entry;
}

}  // namespace

void AppendAuditEntry(pqxx::work& tx, const AuditDraft& draft, Timestamp at) {
  tx.exec(kLockChain);
  const auto last = tx.exec(kFindLast);
  AuditEntry entry;
  entry.number = last.empty() ? 1 : last[0]["number"].as<std::uint64_t>() + 1;
  entry.at = at;
  entry.actor = draft.actor;
  entry.action = draft.action;
  entry.subject = draft.subject;
  entry.details = CanonicalJson(draft.details);
  entry.previous_hash = last.empty() ? FirstPreviousHash() : last[0]["hash"].c_str();
  entry.hash = blob::Sha256(HashedBytes(entry)).Hex();
  tx.exec_params0(kAppend, entry.number, entry.at, entry.actor, entry.action, entry.subject,
                  entry.details, entry.previous_hash, entry.hash);
}

Result<Page<AuditEntry>> PostgresAuditLog::List(const std::string& subject,
                                                const PageRequest& request) {
  const auto after = DecodePageToken("audit/" + subject, request.token, 1);
  if (!after) return after.error();
  const std::string below = after->empty() ? "9223372036854775807" : (*after)[0];
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<AuditEntry>> {
    const auto rows = tx.exec_params(kList, subject, below, request.size + 1);
    Page<AuditEntry> page;
    for (const auto& row : rows) {
      if (page.items.size() == request.size) {
        page.next_token =
            EncodePageToken("audit/" + subject, {std::to_string(page.items.back().number)});
        break;
      }
      page.items.push_back(EntryFrom(row));
    }
    return page;
  });
}

Result<ChainReport> PostgresAuditLog::Verify() {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<ChainReport> {
    ChainReport report;
    std::string previous = FirstPreviousHash();
    const auto broken = [&report](std::uint64_t number, std::string problem) {
      report.intact = false;
      report.first_broken_number = number;
      report.problem = std::move(problem);
      return report;
    };
    while (true) {
      const auto rows = tx.exec_params(kReadOn, report.entries);
      if (rows.empty()) return report;
      for (const auto& row : rows) {
        const AuditEntry entry = EntryFrom(row);
        if (entry.number != report.entries + 1) {
          return broken(report.entries + 1,
                        "entry " + std::to_string(report.entries + 1) + " is missing");
        }
        if (entry.previous_hash != previous) {
          return broken(entry.number, "entry " + std::to_string(entry.number) +
                                          " does not follow the hash of the one before it");
        }
        if (blob::Sha256(HashedBytes(entry)).Hex() != entry.hash) {
          return broken(entry.number,
                        "entry " + std::to_string(entry.number) + " does not give its own hash");
        }
        previous = entry.hash;
        ++report.entries;
      }
    }
  });
}

}  // namespace tidewheel::model_registry
