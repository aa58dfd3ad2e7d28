#include "tidewheel/monitoring/storage/comparison_postgres_store.h"

#include <pqxx/pqxx>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/page_token.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::monitoring {
namespace {

constexpr char kColumns[] =
    "comparison_id, task, candidate, baseline, stage, alpha, max_accuracy_loss, "
    "max_error_increase, max_latency_ratio, max_disagreement, started_at, verdict, reason, "
    "updated_at";
constexpr char kAdd[] =
    "INSERT INTO comparisons (comparison_id, task, candidate, baseline, stage, alpha, "
    "max_accuracy_loss, max_error_increase, max_latency_ratio, max_disagreement, started_at, "
    "updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) ON CONFLICT DO NOTHING";
// Requests and their latency are counted at their first item.
constexpr char kCountPredictions[] =
    "SELECT count(*), count(*) FILTER (WHERE p.place = 0), "
    "count(*) FILTER (WHERE p.answered IS NOT NULL AND p.answered <> p.class_index), "
    "coalesce(sum(p.seconds) FILTER (WHERE p.place = 0), 0)::float8, "
    "coalesce(sum(ln(greatest(p.seconds, 1e-6)::float8)) FILTER (WHERE p.place = 0), 0)::float8, "
    "coalesce(sum(ln(greatest(p.seconds, 1e-6)::float8) ^ 2) FILTER (WHERE p.place = 0), "
    "0)::float8 "
    "FROM predictions p JOIN models m ON m.id = p.model_id WHERE m.task = $1 "
    "AND m.model_version_id = $2 AND p.role = $3 AND p.predicted_at >= $4";
constexpr char kCountFailures[] =
    "SELECT count(*) FROM failures f JOIN models m ON m.id = f.model_id WHERE m.task = $1 "
    "AND m.model_version_id = $2 AND f.role = $3 AND f.failed_at >= $4";
constexpr char kCountOutcomes[] =
    "SELECT count(*), count(*) FILTER (WHERE j.correct) FROM joined_outcomes j "
    "JOIN models m ON m.id = j.model_id WHERE m.task = $1 AND m.model_version_id = $2 "
    "AND j.role = $3 AND j.predicted_at >= $4";
constexpr int kProduction = 0;
constexpr int kCanary = 1;
constexpr int kShadow = 2;

ComparisonStore::Stored StoredFrom(const pqxx::row& row) {
  ComparisonStore::Stored stored;
  ComparisonPlan& plan = stored.plan;
  plan.id = row["comparison_id"].c_str();
  plan.task = row["task"].c_str();
  plan.candidate = row["candidate"].c_str();
  plan.baseline = row["baseline"].c_str();
  plan.stage = row["stage"].c_str();
  plan.alpha = row["alpha"].as<double>();
  plan.max_accuracy_loss = row["max_accuracy_loss"].as<double>();
  plan.max_error_increase = row["max_error_increase"].as<double>();
  plan.max_latency_ratio = row["max_latency_ratio"].as<double>();
  plan.max_disagreement = row["max_disagreement"].as<double>();
  plan.started_at = row["started_at"].as<Timestamp>();
  stored.verdict = row["verdict"].c_str();
  stored.reason = row["reason"].c_str();
  stored.updated_at = row["updated_at"].as<Timestamp>();
  return stored;
}

ArmCounts CountArm(pqxx::transaction_base& tx, const ComparisonPlan& plan, const std::string& model,
                   int role, std::uint64_t* disagreements) {
  ArmCounts arm;
  const auto made = tx.exec_params1(kCountPredictions, plan.task, model, role, plan.started_at);
  arm.predictions = made[0].as<std::uint64_t>();
  arm.requests = made[1].as<std::uint64_t>();
  if (disagreements != nullptr) *disagreements = made[2].as<std::uint64_t>();
  arm.seconds.count = arm.requests;
  arm.seconds.sum = made[3].as<double>();
  arm.seconds.logs = made[4].as<double>();
  arm.seconds.squares = made[5].as<double>();
  arm.errors = tx.exec_params1(kCountFailures, plan.task, model, role, plan.started_at)[0]
                   .as<std::uint64_t>();
  const auto outcomes = tx.exec_params1(kCountOutcomes, plan.task, model, role, plan.started_at);
  arm.outcomes = outcomes[0].as<std::uint64_t>();
  arm.correct = outcomes[1].as<std::uint64_t>();
  return arm;
}

}  // namespace

Result<bool> PostgresComparisonStore::Add(const ComparisonPlan& plan) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<bool> {
    const auto added =
        tx.exec_params0(kAdd, plan.id, plan.task, plan.candidate, plan.baseline, plan.stage,
                        plan.alpha, plan.max_accuracy_loss, plan.max_error_increase,
                        plan.max_latency_ratio, plan.max_disagreement, plan.started_at);
    return added.affected_rows() > 0;
  });
}

Result<std::optional<ComparisonStore::Stored>> PostgresComparisonStore::FindComparison(
    const std::string& id) {
  if (!IsUuid(id)) return std::optional<Stored>();
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::optional<Stored>> {
    const auto rows = tx.exec_params(
        std::string("SELECT ") + kColumns + " FROM comparisons WHERE comparison_id = $1", id);
    if (rows.empty()) return std::optional<Stored>();
    return std::optional<Stored>(StoredFrom(rows[0]));
  });
}

Result<Page<ComparisonStore::Stored>> PostgresComparisonStore::ListComparisons(
    const std::string& task, const PageRequest& request) {
  const std::string query = "comparisons/" + task;
  const auto token = DecodePageToken(query, request.token, 2);
  if (!token) return token.error();
  const std::vector<std::string> after = token->empty() ? std::vector<std::string>{"", ""} : *token;
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<Stored>> {
    Page<Stored> page;
    const auto rows = tx.exec_params(
        std::string("SELECT ") + kColumns +
            " FROM comparisons WHERE ($1 = '' OR task = $1) AND ($2 = '' OR "
            "(started_at, comparison_id) < (nullif($2, '')::timestamptz, nullif($3, '')::uuid)) "
            "ORDER BY started_at DESC, comparison_id DESC LIMIT $4",
        task, after[0], after[1], request.size + 1);
    for (const auto& row : rows) {
      if (page.items.size() == request.size) {
        const ComparisonPlan& last = page.items.back().plan;
        page.next_token = EncodePageToken(query, {FormatUtc(last.started_at), last.id});
        break;
      }
      page.items.push_back(StoredFrom(row));
    }
    return page;
  });
}

Result<ComparisonCounts> PostgresComparisonStore::Count(const ComparisonPlan& plan) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<ComparisonCounts> {
    ComparisonCounts counts;
    const int role = plan.stage == "shadow" ? kShadow : kCanary;
    counts.candidate = CountArm(tx, plan, plan.candidate, role, &counts.disagreements);
    counts.baseline = CountArm(tx, plan, plan.baseline, kProduction, nullptr);
    return counts;
  });
}

Result<void> PostgresComparisonStore::Decide(const std::string& id, const std::string& verdict,
                                             const std::string& reason, Timestamp at) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    tx.exec_params0(
        "UPDATE comparisons SET verdict = $2, reason = $3, updated_at = $4 "
        "WHERE comparison_id = $1 AND verdict = 'undecided'",
        id, verdict, reason, at);
    return {};
  });
}

}  // namespace tidewheel::monitoring
