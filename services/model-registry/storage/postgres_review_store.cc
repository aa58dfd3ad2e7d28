#include "tidewheel/model_registry/storage/postgres_review_store.h"

#include <array>
#include <pqxx/pqxx>
#include <utility>

#include "tidewheel/base/page_token.h"
#include "tidewheel/model_registry/storage/postgres_audit_log.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::model_registry {
namespace {

// Also what keeps two calls with one id apart: the second waits here and then finds the first.
constexpr char kInsert[] =
    "INSERT INTO gate_evaluations (evaluation_id, model_version_id, baseline_id, "
    "dataset_version_id, verdict, evaluated_at, actor) "
    "VALUES ($1, $2, nullif($3, '')::uuid, $4, $5, $6, $7) "
    "ON CONFLICT (evaluation_id) DO NOTHING RETURNING number";
constexpr char kInsertCriteria[] =
    "INSERT INTO gate_criteria (evaluation_number, ordinal, name, verdict, reason, difference, "
    "low, high, samples, p_value) SELECT $1, c.ordinal, c.name, c.verdict, c.reason, c.difference, "
    "c.low, c.high, c.samples, c.p_value FROM unnest($2::text[], $3::text[], $4::text[], "
    "$5::float8[], $6::float8[], $7::float8[], $8::bigint[], $9::float8[]) WITH ORDINALITY "
    "AS c(name, verdict, reason, difference, low, high, samples, p_value, ordinal)";
constexpr char kColumns[] =
    "SELECT number, evaluation_id, model_version_id, baseline_id, dataset_version_id, verdict, "
    "evaluated_at, actor FROM gate_evaluations ";
constexpr char kCriteria[] =
    "SELECT evaluation_number, name, verdict, reason, difference, low, high, samples, p_value "
    "FROM gate_criteria WHERE evaluation_number = ANY($1::bigint[]) "
    "ORDER BY evaluation_number, ordinal";

constexpr char kSign[] =
    "INSERT INTO sign_offs (model_version_id, role, actor, approved, reason, signed_at) "
    "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (model_version_id, role) DO NOTHING";
constexpr char kSignatures[] =
    "SELECT model_version_id, role, actor, approved, reason, signed_at FROM sign_offs "
    "WHERE model_version_id = $1 AND ($2 = '' OR role = $2) ORDER BY signed_at, role";

GateVerdict VerdictFrom(std::string_view name) {
  for (const GateVerdict verdict :
       {GateVerdict::kPass, GateVerdict::kFail, GateVerdict::kInconclusive}) {
    if (VerdictName(verdict) == name) return verdict;
  }
  return GateVerdict::kNotEvaluated;
}

std::optional<double> NumberFrom(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  return field.as<double>();
}

GateEvaluation EvaluationFrom(const pqxx::row& row) {
  GateEvaluation evaluation;
  evaluation.evaluation_id = row["evaluation_id"].c_str();
  evaluation.model_version_id = row["model_version_id"].c_str();
  if (!row["baseline_id"].is_null()) {
    evaluation.baseline_model_version_id = row["baseline_id"].c_str();
  }
  evaluation.dataset_version_id = row["dataset_version_id"].c_str();
  evaluation.verdict = VerdictFrom(row["verdict"].c_str());
  evaluation.evaluated_at = row["evaluated_at"].as<Timestamp>();
  evaluation.actor = row["actor"].c_str();
  return evaluation;
}

using Numbered = std::vector<std::pair<std::int64_t, GateEvaluation>>;

/// The evaluations of `rows` with their criteria.
Numbered Complete(pqxx::transaction_base& tx, const pqxx::result& rows) {
  Numbered evaluations;
  postgres::ArrayLiteral numbers;
  for (const auto& row : rows) {
    evaluations.emplace_back(row["number"].as<std::int64_t>(), EvaluationFrom(row));
    numbers.AddInt(evaluations.back().first);
  }
  if (evaluations.empty()) return evaluations;
  for (const auto& row : tx.exec_params(kCriteria, numbers.text())) {
    GateCriterion criterion;
    criterion.name = row["name"].c_str();
    criterion.verdict = VerdictFrom(row["verdict"].c_str());
    criterion.reason = row["reason"].c_str();
    criterion.difference = NumberFrom(row["difference"]);
    criterion.low = NumberFrom(row["low"]);
    criterion.high = NumberFrom(row["high"]);
    criterion.samples = row["samples"].as<std::uint64_t>();
    criterion.p_value = NumberFrom(row["p_value"]);
    const auto number = row["evaluation_number"].as<std::int64_t>();
    for (auto& [each, evaluation] : evaluations) {
      if (each == number) evaluation.criteria.push_back(criterion);
    }
  }
  return evaluations;
}

void InsertCriteria(pqxx::work& tx, std::int64_t number,
                    const std::vector<GateCriterion>& criteria) {
  postgres::ArrayLiteral names;
  postgres::ArrayLiteral verdicts;
  postgres::ArrayLiteral reasons;
  postgres::ArrayLiteral samples;
  std::array<postgres::ArrayLiteral, 4> numbers;
  for (const auto& criterion : criteria) {
    names.AddText(std::string_view(criterion.name));
    verdicts.AddText(VerdictName(criterion.verdict));
    reasons.AddText(std::string_view(criterion.reason));
    samples.AddInt(static_cast<std::int64_t>(criterion.samples));
    const std::array<std::optional<double>, 4> values = {criterion.difference, criterion.low,
                                                         criterion.high, criterion.p_value};
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] ? numbers[i].AddDouble(*values[i]) : numbers[i].AddNull();
    }
  }
  tx.exec_params0(kInsertCriteria, number, names.text(), verdicts.text(), reasons.text(),
                  numbers[0].text(), numbers[1].text(), numbers[2].text(), samples.text(),
                  numbers[3].text());
}

SignOffRecord SignOffFrom(const pqxx::row& row) {
  SignOffRecord record;
  record.model_version_id = row["model_version_id"].c_str();
  record.role = row["role"].c_str();
  record.actor = row["actor"].c_str();
  record.approved = row["approved"].as<bool>();
  record.reason = row["reason"].c_str();
  record.signed_at = row["signed_at"].as<Timestamp>();
  return record;
}

}  // namespace

Result<StoredEvaluation> PostgresReviewStore::Append(const GateEvaluation& evaluation,
                                                     const AuditDraft& audit) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<StoredEvaluation> {
    const auto inserted = tx.exec_params(
        kInsert, evaluation.evaluation_id, evaluation.model_version_id,
        evaluation.baseline_model_version_id, evaluation.dataset_version_id,
        std::string(VerdictName(evaluation.verdict)), evaluation.evaluated_at, evaluation.actor);
    if (inserted.empty()) {
      const auto known =
          Complete(tx, tx.exec_params(std::string(kColumns) + "WHERE evaluation_id = $1",
                                      evaluation.evaluation_id));
      return StoredEvaluation{known.front().second, false};
    }
    InsertCriteria(tx, inserted[0][0].as<std::int64_t>(), evaluation.criteria);
    AppendAuditEntry(tx, audit, evaluation.evaluated_at);
    return StoredEvaluation{evaluation, true};
  });
}

Result<std::optional<GateEvaluation>> PostgresReviewStore::FindNewest(
    const std::string& model_version_id) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::optional<GateEvaluation>> {
    auto found =
        Complete(tx, tx.exec_params(std::string(kColumns) +
                                        "WHERE model_version_id = $1 ORDER BY number DESC LIMIT 1",
                                    model_version_id));
    if (found.empty()) return std::optional<GateEvaluation>();
    return std::optional<GateEvaluation>(std::move(found.front().second));
  });
}

Result<Page<GateEvaluation>> PostgresReviewStore::ListEvaluations(
    const std::string& model_version_id, const PageRequest& request) {
  const std::string query = "gate/" + model_version_id;
  const auto after = DecodePageToken(query, request.token, 1);
  if (!after) return after.error();
  const std::string below = after->empty() ? "9223372036854775807" : (*after)[0];
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<GateEvaluation>> {
    auto found = Complete(
        tx, tx.exec_params(std::string(kColumns) + "WHERE model_version_id = $1 AND number < $2 "
                                                   "ORDER BY number DESC LIMIT $3",
                           model_version_id, below, request.size + 1));
    Page<GateEvaluation> page;
    for (auto& [number, evaluation] : found) {
      if (page.items.size() == request.size) {
        const auto& last = found[request.size - 1];
        page.next_token = EncodePageToken(query, {std::to_string(last.first)});
        break;
      }
      page.items.push_back(std::move(evaluation));
    }
    return page;
  });
}

Result<StoredSignOff> PostgresReviewStore::Append(const SignOffRecord& record,
                                                  const AuditDraft& audit) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<StoredSignOff> {
    const auto signed_now =
        tx.exec_params0(kSign, record.model_version_id, record.role, record.actor, record.approved,
                        record.reason, record.signed_at);
    if (signed_now.affected_rows() == 0) {
      return StoredSignOff{
          SignOffFrom(tx.exec_params1(kSignatures, record.model_version_id, record.role)), false};
    }
    AppendAuditEntry(tx, audit, record.signed_at);
    return StoredSignOff{record, true};
  });
}

Result<std::vector<SignOffRecord>> PostgresReviewStore::ListSignOffs(
    const std::string& model_version_id) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<SignOffRecord>> {
    std::vector<SignOffRecord> records;
    for (const auto& row : tx.exec_params(kSignatures, model_version_id, "")) {
      records.push_back(SignOffFrom(row));
    }
    return records;
  });
}

}  // namespace tidewheel::model_registry
