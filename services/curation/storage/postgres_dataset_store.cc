#include "tidewheel/curation/storage/postgres_dataset_store.h"

#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "tidewheel/base/ids.h"
#include "tidewheel/curation/storage/rows.h"
#include "tidewheel/curation/stream/dataset_events.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/outbox.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::curation {
namespace {

// What every statement of a build has in common: $1 task, $2 least confidence, $3 sources, $4 added
// until.
const std::string kSamples = R"(
FROM ingestion.samples_v1 s
LEFT JOIN labeling.labels_v1 l ON l.sample_id = s.sample_id AND l.task = s.task
WHERE s.task = $1
  AND (cardinality($3::text[]) = 0 OR s.source = ANY ($3::text[]))
  AND ($4::timestamptz IS NULL OR s.added_at <= $4::timestamptz)
)";
const std::string kPicked = kSamples + R"(
  AND s.deactivated_at IS NULL AND l.confidence >= $2::double precision
)";

const std::string kCountCells = R"(
SELECT l.class_name, s.split, count(*), sum(l.votes)
)" + kPicked + R"(
GROUP BY l.class_name, s.split
ORDER BY l.class_name, s.split)";

const std::string kCountLeftOut = R"(
SELECT count(*) FILTER (WHERE s.deactivated_at IS NULL AND l.sample_id IS NULL),
       count(*) FILTER (WHERE s.deactivated_at IS NULL AND l.confidence < $2::double precision),
       count(*) FILTER (WHERE s.deactivated_at IS NOT NULL)
)" + kSamples;

const std::string kCountLeaks = R"(
WITH picked AS MATERIALIZED (SELECT s.sha256, s.split, s.group_key )" +
                                kPicked + R"(),
     payloads AS (SELECT sha256, split, count(*) AS n FROM picked GROUP BY sha256, split),
     pairs AS (SELECT (sum(n) * sum(n) - sum(n * n)) / 2 AS n FROM payloads GROUP BY sha256 HAVING count(*) > 1)
SELECT (SELECT count(*) FROM (SELECT FROM picked WHERE group_key <> ''
                              GROUP BY group_key HAVING min(split) <> max(split)) AS leaking),
       (SELECT coalesce(sum(n), 0)::bigint FROM pairs))";

// One order of items everywhere: by content, so that it is the same whenever the same data is
// built.
constexpr char kItemOrder[] = R"(s.sha256, s.split COLLATE "C", c.place, s.sample_id)";

// $5: the task's classes.
// New is what the previous version ($6) does not hold, by content: then a rebuild from the same
// data says the same.
const std::string kDeclareItems = R"(
DECLARE picked_items NO SCROLL CURSOR FOR
SELECT p.sha256, p.place - 1, p.split,
       $6::uuid IS NOT NULL AND NOT EXISTS (
         SELECT FROM dataset_items o WHERE o.dataset_version_id = $6::uuid AND o.sha256 = p.sha256)
FROM (SELECT s.sha256, c.place, s.split, row_number() OVER (ORDER BY )" +
                                  std::string(kItemOrder) + R"() AS number
      FROM (SELECT s.sample_id, s.sha256, s.split, l.class_name )" +
                                  kPicked + R"() AS s
      JOIN unnest($5::text[]) WITH ORDINALITY AS c (class_name, place) ON c.class_name = s.class_name) AS p
ORDER BY p.number)";

// $6: the version's id, $7: the classes' weights, $8 and $9: the previous version and the weight of
// what it does not hold.
const std::string kInsertItems = R"(
INSERT INTO dataset_items (dataset_version_id, ordinal, sample_id, sha256, payload_ref, class_index, split, weight,
                           label_id, label_confidence)
SELECT $6::uuid, row_number() OVER (ORDER BY )" +
                                 std::string(kItemOrder) + R"() - 1, s.sample_id, s.sha256,
       s.payload_ref, c.place - 1, s.split,
       CASE WHEN s.split <> 'training' THEN 1
            WHEN $8::uuid IS NOT NULL AND NOT EXISTS (
              SELECT FROM dataset_items o WHERE o.dataset_version_id = $8::uuid AND o.sha256 = s.sha256)
            THEN ($7::double precision[])[c.place] * $9::double precision
            ELSE ($7::double precision[])[c.place] END, s.label_id, s.confidence
FROM (SELECT s.sample_id, s.sha256, s.payload_ref, s.split, l.class_name, l.label_id, l.confidence )" +
                                 kPicked + R"() AS s
JOIN unnest($5::text[]) WITH ORDINALITY AS c (class_name, place) ON c.class_name = s.class_name)";

// In REPEATABLE READ the second of two builds fails here with 40001, and is run again.
constexpr char kNextNumber[] = R"(
INSERT INTO task_counters (task, versions) VALUES ($1, 1)
ON CONFLICT (task) DO UPDATE SET versions = task_counters.versions + 1
RETURNING versions)";

constexpr char kInsertVersion[] = R"(
INSERT INTO dataset_versions (dataset_version_id, task, version, digest, task_version, class_weighting, min_confidence,
                              sources, added_until, classes, items, votes, training, validation, test, imbalance,
                              groups_across_splits, equal_payloads_across_splits, unlabeled, low_confidence, deactivated,
                              manifest_ref, description, built_at, built_by, previous_dataset_version_id,
                              new_sample_weight)
VALUES ($1::uuid, $2, $3, $4, $5, $6, $7, $8::text[], $9::timestamptz, $10::text[], $11, $12, $13, $14, $15, $16, $17, $18,
        $19, $20, $21, $22, $23, $24, $25, $26, $27))";

constexpr char kInsertClasses[] = R"(
INSERT INTO dataset_classes (dataset_version_id, class_index, class_name, training, validation, test, weight)
SELECT $1::uuid, c.place - 1, c.class_name, c.training, c.validation, c.test, c.weight
FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::double precision[]) WITH ORDINALITY
  AS c (class_name, training, validation, test, weight, place))";

const std::string kSelectVersions = R"(
SELECT dataset_version_id, task, version, digest, task_version, class_weighting, min_confidence, sources, added_until,
       items, votes, training, validation, test, imbalance, groups_across_splits, equal_payloads_across_splits, unlabeled,
       low_confidence, deactivated, manifest_ref, description, built_at, built_by, previous_dataset_version_id,
       new_sample_weight
FROM dataset_versions
)";

constexpr char kSelectClasses[] = R"(
SELECT dataset_version_id, class_name, training, validation, test, weight
FROM dataset_classes
WHERE dataset_version_id = ANY ($1::text[]::uuid[])
ORDER BY dataset_version_id, class_index)";

const std::string kListItems = "SELECT " + std::string(kItemColumns) + R"(
FROM dataset_items i
JOIN dataset_classes c ON c.dataset_version_id = i.dataset_version_id AND c.class_index = i.class_index
WHERE i.dataset_version_id = $1::uuid AND i.ordinal >= $2
  AND ($3 = '' OR i.split = $3) AND ($4 = '' OR c.class_name = $4)
ORDER BY i.ordinal
LIMIT $5)";

constexpr int kRowsAtOnce = 10'000;

std::vector<std::string> TextsOf(const pqxx::field& field) {
  std::vector<std::string> texts;
  pqxx::array_parser parser = field.as_array();
  for (auto [juncture, text] = parser.get_next(); juncture != pqxx::array_parser::juncture::done;
       std::tie(juncture, text) = parser.get_next()) {
    if (juncture == pqxx::array_parser::juncture::string_value) texts.push_back(text);
  }
  return texts;
}

Result<DatasetVersion> VersionOf(const pqxx::row& row) {
  const auto digest = Digest::FromHex(row["digest"].c_str());
  if (!digest) return Error{ErrorCode::kInternal, digest.error().message};
  const auto weighting = ParseClassWeighting(row["class_weighting"].c_str());
  if (!weighting) return Error{ErrorCode::kInternal, weighting.error().message};

  DatasetVersion version;
  version.dataset_version_id = row["dataset_version_id"].as<DatasetVersionId>();
  version.task = row["task"].as<std::string>();
  version.version = row["version"].as<std::uint32_t>();
  version.digest = *digest;
  version.task_version = row["task_version"].as<std::uint32_t>();
  version.recipe = {.task = version.task,
                    .class_weighting = *weighting,
                    .min_confidence = row["min_confidence"].as<double>(),
                    .sources = TextsOf(row["sources"]),
                    .added_until = row["added_until"].as<std::optional<Timestamp>>(),
                    .previous_dataset_version_id =
                        DatasetVersionId(row["previous_dataset_version_id"].is_null()
                                             ? ""
                                             : row["previous_dataset_version_id"].c_str()),
                    .new_sample_weight = row["new_sample_weight"].as<double>()};
  version.items = row["items"].as<std::uint64_t>();
  version.votes = row["votes"].as<std::uint64_t>();
  SplitReport& report = version.report;
  report.training = row["training"].as<std::uint64_t>();
  report.validation = row["validation"].as<std::uint64_t>();
  report.test = row["test"].as<std::uint64_t>();
  report.imbalance = row["imbalance"].as<double>();
  report.groups_across_splits = row["groups_across_splits"].as<std::uint64_t>();
  report.equal_payloads_across_splits = row["equal_payloads_across_splits"].as<std::uint64_t>();
  report.unlabeled = row["unlabeled"].as<std::uint64_t>();
  report.low_confidence = row["low_confidence"].as<std::uint64_t>();
  report.deactivated = row["deactivated"].as<std::uint64_t>();
  version.manifest_ref = row["manifest_ref"].as<std::string>();
  version.description = row["description"].as<std::string>();
  version.built_at = row["built_at"].as<Timestamp>();
  version.built_by = row["built_by"].as<std::string>();
  return version;
}

/// With their classes: two statements however many there are.
Result<std::vector<DatasetVersion>> VersionsOf(pqxx::transaction_base& tx,
                                               const pqxx::result& rows) {
  std::vector<DatasetVersion> versions;
  std::unordered_map<std::string, std::size_t> places;
  postgres::TextArray ids;
  for (const auto& row : rows) {
    auto version = VersionOf(row);
    if (!version) return version.error();
    places.emplace(version->dataset_version_id.text(), versions.size());
    ids.Add(version->dataset_version_id.text());
    versions.push_back(std::move(*version));
  }
  if (versions.empty()) return versions;
  for (const auto& row : tx.exec_params(kSelectClasses, ids.Parameter())) {
    const auto place = places.find(row[0].c_str());
    if (place == places.end()) continue;
    versions[place->second].report.classes.push_back({.class_name = row[1].as<std::string>(),
                                                      .training = row[2].as<std::uint64_t>(),
                                                      .validation = row[3].as<std::uint64_t>(),
                                                      .test = row[4].as<std::uint64_t>(),
                                                      .weight = row[5].as<double>()});
  }
  return versions;
}

Result<DatasetVersion> TheOne(pqxx::transaction_base& tx, const pqxx::result& rows,
                              const std::string& missing) {
  auto versions = VersionsOf(tx, rows);
  if (!versions) return versions.error();
  if (versions->empty()) return Error{ErrorCode::kNotFound, missing};
  return std::move(versions->front());
}

/// The samples a transaction sees. What libpqxx throws passes through to Pool, which knows whether
/// the transaction is worth another try.
class PostgresSelection final : public Selection {
 public:
  PostgresSelection(pqxx::work& tx, const SelectionRule& rule) : tx_(tx), rule_(rule) {
    for (const std::string& source : rule.sources) sources_.Add(source);
    for (const std::string& name : rule.classes) classes_.Add(name);
  }

  Result<SelectionCounts> Count() override {
    SelectionCounts counts;
    for (const auto& row : Exec(kCountCells)) {
      const auto split = ParseSplit(row[1].c_str());
      if (!split) return Error{ErrorCode::kInternal, split.error().message};
      counts.cells.push_back({.class_name = row[0].as<std::string>(),
                              .split = *split,
                              .items = row[2].as<std::uint64_t>()});
      counts.votes += row[3].as<std::uint64_t>();
    }
    const auto left_out = Exec(kCountLeftOut);
    counts.unlabeled = left_out[0][0].as<std::uint64_t>();
    counts.low_confidence = left_out[0][1].as<std::uint64_t>();
    counts.deactivated = left_out[0][2].as<std::uint64_t>();
    const auto leaks = Exec(kCountLeaks);
    counts.groups_across_splits = leaks[0][0].as<std::uint64_t>();
    counts.equal_payloads_across_splits = leaks[0][1].as<std::uint64_t>();
    return counts;
  }

  Result<void> VisitItems(const Visitor& visit) override {
    // All rows will be read: plan for the last one, not for the first.
    tx_.exec("SET LOCAL cursor_tuple_fraction = 1");
    Exec(kDeclareItems, classes_.Parameter(), Previous());
    const std::string fetch = "FETCH " + std::to_string(kRowsAtOnce) + " FROM picked_items";
    while (true) {
      const auto rows = tx_.exec(fetch);
      if (rows.empty()) break;
      for (const auto& row : rows) {
        const auto split = ParseSplit(row[2].c_str());
        if (!split) return Error{ErrorCode::kInternal, split.error().message};
        visit(postgres::DigestOf(row[0]), row[1].as<std::size_t>(), *split, row[3].as<bool>());
      }
    }
    tx_.exec("CLOSE picked_items");
    return {};
  }

  Result<std::optional<DatasetVersion>> FindByDigest(const Digest& digest) override {
    auto versions =
        VersionsOf(tx_, tx_.exec_params(kSelectVersions + "WHERE digest = $1", digest.Hex()));
    if (!versions) return versions.error();
    if (versions->empty()) return std::optional<DatasetVersion>();
    return std::optional(std::move(versions->front()));
  }

  Result<std::optional<DatasetVersion>> FindByRequest(const std::string& request_id) override {
    auto versions =
        VersionsOf(tx_, tx_.exec_params(kSelectVersions + "WHERE dataset_version_id = (SELECT "
                                                          "dataset_version_id FROM build_requests "
                                                          "WHERE request_id = $1)",
                                        request_id));
    if (!versions) return versions.error();
    if (versions->empty()) return std::optional<DatasetVersion>();
    return std::optional(std::move(versions->front()));
  }

  Result<void> KeepRequest(const std::string& request_id, const DatasetVersion& version,
                           Timestamp now) override {
    // In REPEATABLE READ a twin that committed meanwhile makes this fail with 40001: run again, it
    // finds what the twin built.
    tx_.exec_params0(
        "INSERT INTO build_requests (request_id, dataset_version_id, asked_at) "
        "VALUES ($1, $2::uuid, $3) ON CONFLICT DO NOTHING",
        request_id, version.dataset_version_id, now);
    return {};
  }

  Result<DatasetVersion> Save(DatasetVersion version) override {
    version.dataset_version_id = DatasetVersionId(NewUuid());
    version.version = tx_.exec_params1(kNextNumber, version.task)[0].as<std::uint32_t>();

    const SplitReport& report = version.report;
    tx_.exec_params(kInsertVersion, version.dataset_version_id, version.task, version.version,
                    version.digest.Hex(), version.task_version,
                    Name(version.recipe.class_weighting), *version.recipe.min_confidence,
                    sources_.Parameter(), version.recipe.added_until, classes_.Parameter(),
                    version.items, version.votes, report.training, report.validation, report.test,
                    report.imbalance, report.groups_across_splits,
                    report.equal_payloads_across_splits, report.unlabeled, report.low_confidence,
                    report.deactivated, version.manifest_ref, version.description, version.built_at,
                    version.built_by, Previous(), version.recipe.new_sample_weight);

    postgres::BigintArray training, validation, test;
    postgres::DoubleArray weights;
    for (const ClassCount& count : report.classes) {
      training.Add(static_cast<std::int64_t>(count.training));
      validation.Add(static_cast<std::int64_t>(count.validation));
      test.Add(static_cast<std::int64_t>(count.test));
      weights.Add(count.weight);
    }
    tx_.exec_params(kInsertClasses, version.dataset_version_id, classes_.Parameter(),
                    training.Parameter(), validation.Parameter(), test.Parameter(),
                    weights.Parameter());
    const auto inserted = Exec(kInsertItems, classes_.Parameter(), version.dataset_version_id,
                               weights.Parameter(), Previous(), rule_.new_sample_weight)
                              .affected_rows();
    if (inserted != version.items) {
      return Error{ErrorCode::kInternal, "the manifest has " + std::to_string(version.items) +
                                             " items, the table got " + std::to_string(inserted)};
    }
    if (auto queued = postgres::Outbox("curation").Enqueue(tx_, ToEvent(version)); !queued) {
      return queued.error();
    }
    return version;
  }

 private:
  std::optional<std::string> Previous() const {
    return rule_.previous.empty() ? std::optional<std::string>()
                                  : std::optional(rule_.previous.text());
  }
  template <typename... Rest>
  pqxx::result Exec(const std::string& statement, const Rest&... rest) {
    return tx_.exec_params(statement, rule_.task, rule_.min_confidence, sources_.Parameter(),
                           rule_.added_until, rest...);
  }

  pqxx::work& tx_;
  const SelectionRule& rule_;
  postgres::TextArray sources_;
  postgres::TextArray classes_;
};

}  // namespace

Result<DatasetItem> ItemOf(const pqxx::row& row) {
  const auto split = ParseSplit(row[4].c_str());
  if (!split) return Error{ErrorCode::kInternal, split.error().message};
  return DatasetItem{.ordinal = row[0].as<std::uint64_t>(),
                     .sample_id = row[1].as<SampleId>(),
                     .sha256 = postgres::DigestOf(row[2]),
                     .class_name = row[3].as<std::string>(),
                     .split = *split,
                     .weight = row[5].as<double>(),
                     .label_id = row[6].as<LabelId>(),
                     .label_confidence = row[7].as<double>()};
}

Result<BuildOutcome> PostgresDatasetStore::Build(const SelectionRule& rule, const Body& body) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<BuildOutcome> {
    tx.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    PostgresSelection selection(tx, rule);
    return body(selection);
  });
}

Result<DatasetVersion> PostgresDatasetStore::Find(const DatasetVersionId& id) {
  const std::string missing = "no dataset version " + id.text();
  if (!IsUuid(id.text())) return Error{ErrorCode::kNotFound, missing};
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<DatasetVersion> {
    return TheOne(tx, tx.exec_params(kSelectVersions + "WHERE dataset_version_id = $1::uuid", id),
                  missing);
  });
}

Result<DatasetVersion> PostgresDatasetStore::FindByDigest(const Digest& digest) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<DatasetVersion> {
    return TheOne(tx, tx.exec_params(kSelectVersions + "WHERE digest = $1", digest.Hex()),
                  "no dataset version with digest " + digest.Hex());
  });
}

Result<DatasetVersion> PostgresDatasetStore::FindByName(const std::string& task,
                                                        std::uint32_t version) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<DatasetVersion> {
    if (version == 0) {
      return TheOne(
          tx,
          tx.exec_params(kSelectVersions + "WHERE task = $1 ORDER BY version DESC LIMIT 1", task),
          "task " + task + " has no dataset version");
    }
    return TheOne(
        tx, tx.exec_params(kSelectVersions + "WHERE task = $1 AND version = $2", task, version),
        "task " + task + " has no dataset version " + std::to_string(version));
  });
}

Result<std::vector<DatasetVersion>> PostgresDatasetStore::List(
    const DatasetVersionFilter& filter, const std::optional<VersionCursor>& after,
    std::size_t at_most) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<DatasetVersion>> {
    constexpr char kOrder[] = " ORDER BY built_at DESC, dataset_version_id DESC LIMIT $2";
    const std::string where = kSelectVersions + "WHERE ($1 = '' OR task = $1)";
    if (!after) return VersionsOf(tx, tx.exec_params(where + kOrder, filter.task, at_most));
    return VersionsOf(
        tx,
        tx.exec_params(
            where + " AND (built_at, dataset_version_id) < ($3::timestamptz, $4::uuid)" + kOrder,
            filter.task, at_most, after->built_at, after->dataset_version_id));
  });
}

Result<std::vector<DatasetItem>> PostgresDatasetStore::ListItems(const ItemFilter& filter,
                                                                 std::uint64_t from,
                                                                 std::size_t at_most) {
  const std::string& id = filter.dataset_version_id.text();
  const Error missing{ErrorCode::kNotFound, "no dataset version " + id};
  if (!IsUuid(id)) return missing;
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<DatasetItem>> {
    if (tx.exec_params("SELECT FROM dataset_versions WHERE dataset_version_id = $1::uuid", id)
            .empty()) {
      return missing;
    }
    const std::string split(filter.split ? Name(*filter.split) : std::string_view());
    std::vector<DatasetItem> items;
    for (const auto& row :
         tx.exec_params(kListItems, id, from, split, filter.class_name, at_most)) {
      auto item = ItemOf(row);
      if (!item) return item.error();
      items.push_back(std::move(*item));
    }
    return items;
  });
}

}  // namespace tidewheel::curation
