#include "tidewheel/curation/storage/postgres_lineage_store.h"

#include <utility>

#include "tidewheel/curation/storage/rows.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::curation {
namespace {

const std::string kExamples = "SELECT " + std::string(kItemColumns) + R"(
FROM dataset_items i
JOIN dataset_classes c ON c.dataset_version_id = i.dataset_version_id AND c.class_index = i.class_index
WHERE i.dataset_version_id = $1::uuid
ORDER BY c.class_name = $2 DESC, i.split = 'training' DESC, i.ordinal
LIMIT $3)";

constexpr char kSamples[] = R"(
SELECT sample_id, task, sha256, payload_ref, name, source, group_key, split, width, height, collected_at,
       deactivated_at IS NOT NULL
FROM ingestion.samples_v1
WHERE sample_id = ANY ($1::text[]::uuid[]))";

constexpr char kLabels[] = R"(
SELECT label_id, sample_id, class_name, confidence, method, version, votes, decided_at
FROM labeling.labels_v1
WHERE sample_id = ANY ($1::text[]::uuid[]))";

constexpr char kVotes[] = R"(
SELECT vote_id, sample_id, class_name, annotator, annotator_kind, source, voted_at
FROM labeling.votes_v1
WHERE sample_id = ANY ($1::text[]::uuid[])
ORDER BY sample_id, voted_at, vote_id
LIMIT $2)";

constexpr char kDatasets[] = R"(
SELECT DISTINCT v.built_at, v.dataset_version_id
FROM dataset_items i
JOIN dataset_versions v ON v.dataset_version_id = i.dataset_version_id
WHERE i.sample_id = $1::uuid
ORDER BY v.built_at DESC, v.dataset_version_id DESC
LIMIT $2)";

pqxx::binarystring Ids(std::span<const SampleId> samples) {
  postgres::TextArray ids;
  for (const SampleId& sample : samples) ids.Add(sample.text());
  return ids.Parameter();
}

std::string TextOf(const pqxx::field& field) {
  return field.is_null() ? std::string() : field.as<std::string>();
}

}  // namespace

Result<std::vector<DatasetItem>> PostgresLineageStore::Examples(const DatasetVersionId& dataset,
                                                                const std::string& preferred_class,
                                                                std::size_t at_most) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<DatasetItem>> {
    std::vector<DatasetItem> items;
    for (const auto& row : tx.exec_params(kExamples, dataset, preferred_class, at_most)) {
      auto item = ItemOf(row);
      if (!item) return item.error();
      items.push_back(std::move(*item));
    }
    return items;
  });
}

Result<std::vector<SampleFacts>> PostgresLineageStore::FindSamples(
    std::span<const SampleId> samples) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<SampleFacts>> {
    std::vector<SampleFacts> found;
    for (const auto& row : tx.exec_params(kSamples, Ids(samples))) {
      found.push_back({.sample_id = row[0].as<std::string>(),
                       .task = row[1].as<std::string>(),
                       .sha256 = postgres::DigestOf(row[2]).Hex(),
                       .payload_ref = TextOf(row[3]),
                       .name = TextOf(row[4]),
                       .source = TextOf(row[5]),
                       .group = TextOf(row[6]),
                       .split = TextOf(row[7]),
                       .width = row[8].as<std::uint32_t>(0),
                       .height = row[9].as<std::uint32_t>(0),
                       .collected_at = row[10].as<Timestamp>(),
                       .deactivated = row[11].as<bool>()});
    }
    return found;
  });
}

Result<std::vector<LabelFacts>> PostgresLineageStore::FindLabels(
    std::span<const SampleId> samples) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<LabelFacts>> {
    std::vector<LabelFacts> found;
    for (const auto& row : tx.exec_params(kLabels, Ids(samples))) {
      found.push_back({.label_id = row[0].as<std::string>(),
                       .sample_id = row[1].as<std::string>(),
                       .class_name = row[2].as<std::string>(),
                       .confidence = row[3].as<double>(),
                       .method = row[4].as<std::string>(),
                       .version = row[5].as<std::uint32_t>(),
                       .votes = row[6].as<std::uint32_t>(),
                       .decided_at = row[7].as<Timestamp>()});
    }
    return found;
  });
}

Result<std::vector<VoteFacts>> PostgresLineageStore::FindVotes(std::span<const SampleId> samples,
                                                               std::size_t at_most) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<VoteFacts>> {
    std::vector<VoteFacts> found;
    for (const auto& row : tx.exec_params(kVotes, Ids(samples), at_most)) {
      found.push_back({.vote_id = row[0].as<std::string>(),
                       .sample_id = row[1].as<std::string>(),
                       .class_name = row[2].as<std::string>(),
                       .annotator = row[3].as<std::string>(),
                       .annotator_kind = row[4].as<std::string>(),
                       .source = row[5].as<std::string>(),
                       .voted_at = row[6].as<Timestamp>()});
    }
    return found;
  });
}

Result<std::vector<DatasetVersionId>> PostgresLineageStore::FindDatasetsOf(const SampleId& sample,
                                                                           std::size_t at_most) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<DatasetVersionId>> {
    std::vector<DatasetVersionId> found;
    for (const auto& row : tx.exec_params(kDatasets, sample, at_most)) {
      found.push_back(row[1].as<DatasetVersionId>());
    }
    return found;
  });
}

}  // namespace tidewheel::curation
