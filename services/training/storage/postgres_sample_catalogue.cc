#include "tidewheel/training/storage/postgres_sample_catalogue.h"

#include <algorithm>
#include <pqxx/pqxx>

#include "tidewheel/base/digest.h"
#include "tidewheel/base/ids.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/values.h"
#include "tidewheel/training/storage/rows.h"

namespace tidewheel::training {
namespace {

// By request (the sample that was captured, or the one that looks like it), or by content: the same
// picture may have come under a request that was not captured.
constexpr char kCaptured[] = R"(
WITH found AS (
  SELECT c.sample_id, c.request_id || '#' || c.request_index AS name, c.captured_because AS because,
         c.inclusion_probability AS probability
  FROM unnest($2::text[], $5::integer[]) AS asked (request_id, request_index)
  JOIN ingestion.captured_requests_v2 c ON c.task = $1 AND c.request_id = asked.request_id
                                       AND c.request_index = asked.request_index
  UNION
  SELECT sample_id, name, '', 0 FROM ingestion.samples_v1 WHERE task = $1 AND sha256 = ANY ($3::bytea[]))
SELECT DISTINCT ON (found.name, s.sample_id) s.sample_id, found.name, encode(s.sha256, 'hex') AS sha256, s.group_key,
       s.split, found.because, found.probability, coalesce(s.metadata ->> 'captured_because', '') AS captured_because,
       coalesce(s.metadata ->> 'inclusion_probability', '') AS inclusion_probability,
       EXISTS (SELECT FROM curation.dataset_items_v1 i
               WHERE i.dataset_version_id = nullif($4, '')::uuid AND i.sample_id = s.sample_id) AS known
FROM found JOIN ingestion.samples_v1 s USING (sample_id)
WHERE s.deactivated_at IS NULL ORDER BY found.name, s.sample_id, found.because DESC)";

constexpr char kNewestDataset[] =
    "SELECT dataset_version_id FROM curation.dataset_versions_v1 WHERE task = $1 "
    "ORDER BY version DESC LIMIT 1";

constexpr char kCountNewItems[] =
    "SELECT count(*) FROM curation.dataset_items_v1 i WHERE i.dataset_version_id = $1 AND NOT "
    "EXISTS (SELECT FROM curation.dataset_items_v1 p WHERE p.dataset_version_id = $2 "
    "AND p.sample_id = i.sample_id AND p.class_name = i.class_name)";

constexpr char kLabelsOf[] =
    "SELECT sample_id, class_name FROM labeling.labels_v1 "
    "WHERE task = $1 AND sample_id = ANY (CAST($2::text[] AS uuid[]))";

constexpr char kCountNewLabels[] =
    "SELECT count(*) FROM labeling.labels_v1 WHERE task = $1 AND decided_at > coalesce((SELECT "
    "max(built_at) FROM curation.dataset_versions_v1 WHERE task = $1), '-infinity'::timestamptz)";

// New is what the previous dataset version does not hold.
const std::string kJoined = R"(
LEFT JOIN (SELECT sample_id FROM curation.dataset_items_v1 WHERE dataset_version_id = $2) old
       ON old.sample_id = c.sample_id
LEFT JOIN ingestion.samples_v1 s ON s.sample_id = c.sample_id AND cardinality($3::text[]) > 0
LEFT JOIN LATERAL (SELECT array_agg(key || '=' || (s.metadata ->> key) ORDER BY key) AS slices
                   FROM unnest($3::text[]) AS key WHERE s.metadata ? key) m ON true
)";
const std::string kGateSamples = R"(
SELECT c.split, c.given_class, c.predicted_class, c.baseline_probabilities, NULL::integer AS baseline_class,
       old.sample_id IS NULL AS is_new, m.slices
FROM run_predictions c )" + kJoined +
                                 "WHERE c.run_id = $1 ORDER BY c.ordinal";
const std::string kGateSamplesOf = R"(
SELECT b.split, b.given_class, c.predicted_class, '{}'::real[] AS baseline_probabilities,
       b.predicted_class AS baseline_class, old.sample_id IS NULL AS is_new, m.slices
FROM run_predictions c JOIN run_predictions b ON b.run_id = $4 AND b.sample_id = c.sample_id AND b.split = c.split )" +
                                   kJoined + "WHERE c.run_id = $1 ORDER BY b.ordinal";

std::optional<std::uint32_t> Best(const std::vector<float>& probabilities) {
  if (probabilities.empty()) return std::nullopt;
  return static_cast<std::uint32_t>(std::max_element(probabilities.begin(), probabilities.end()) -
                                    probabilities.begin());
}

GateSample SampleFrom(const pqxx::row& row) {
  GateSample sample;
  sample.given_class = row["given_class"].as<std::uint32_t>();
  sample.candidate_class = row["predicted_class"].as<std::uint32_t>();
  sample.baseline_class = row["baseline_class"].is_null()
                              ? Best(ArrayFrom<float>(row["baseline_probabilities"]))
                              : Optional<std::uint32_t>(row["baseline_class"]);
  sample.is_new_condition = row["is_new"].as<bool>();
  if (!row["slices"].is_null()) sample.slices = ArrayFrom<std::string>(row["slices"]);
  sample.split = row["split"].c_str();
  return sample;
}

postgres::TextArray KeysOf(std::span<const std::string> slice_keys) {
  std::vector<std::string> once(slice_keys.begin(), slice_keys.end());
  std::sort(once.begin(), once.end());
  once.erase(std::unique(once.begin(), once.end()), once.end());
  postgres::TextArray keys;
  for (const auto& key : once) keys.Add(key);
  return keys;
}

double ProbabilityFrom(const std::string& text) {
  double value = 0;
  try {
    pqxx::from_string(text.c_str(), value);
  } catch (const pqxx::conversion_error&) {
    return 0;  // Metadata is anybody's text.
  }
  return value > 0 && value <= 1 ? value : 0;
}

}  // namespace

Result<std::vector<CapturedSample>> PostgresSampleCatalogue::FindCaptured(
    const std::string& task, const std::string& previous_dataset_version_id,
    std::span<const RankedPrediction> predictions) {
  std::vector<Digest> digests;
  postgres::TextArray requests;
  postgres::IntegerArray indexes;
  for (const auto& prediction : predictions) {
    requests.Add(prediction.request_id);
    indexes.Add(static_cast<std::int32_t>(prediction.index));
    if (const auto digest = Digest::FromHex(prediction.payload_sha256)) digests.push_back(*digest);
  }
  postgres::ByteaArray contents;
  for (const auto& digest : digests) contents.Add(postgres::BytesView(digest));
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<CapturedSample>> {
    std::vector<CapturedSample> samples;
    for (const auto& row :
         tx.exec_params(kCaptured, task, requests.Parameter(), contents.Parameter(),
                        previous_dataset_version_id, indexes.Parameter())) {
      // The request's own reason; of those that an earlier release took, their first one's.
      const bool has_own = row["because"].size() > 0;
      samples.push_back({row["sample_id"].c_str(), row["name"].c_str(), row["sha256"].c_str(),
                         row["group_key"].c_str(), row["split"].c_str(),
                         row[has_own ? "because" : "captured_because"].c_str(),
                         has_own ? row["probability"].as<double>()
                                 : ProbabilityFrom(row["inclusion_probability"].c_str()),
                         row["known"].as<bool>()});
    }
    return samples;
  });
}

Result<std::string> PostgresSampleCatalogue::NewestDataset(const std::string& task) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::string> {
    const auto rows = tx.exec_params(kNewestDataset, task);
    return rows.empty() ? std::string() : std::string(rows[0][0].c_str());
  });
}

Result<std::uint64_t> PostgresSampleCatalogue::CountNewItems(const std::string& dataset_version_id,
                                                             const std::string& previous) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::uint64_t> {
    return tx.exec_params1(kCountNewItems, dataset_version_id, previous)[0].as<std::uint64_t>();
  });
}

Result<std::map<std::string, std::string>> PostgresSampleCatalogue::LabelsOf(
    const std::string& task, std::span<const std::string> sample_ids) {
  postgres::TextArray ids;
  for (const auto& id : sample_ids) ids.Add(id);
  return pool_.ReadOnly(
      [&](pqxx::transaction_base& tx) -> Result<std::map<std::string, std::string>> {
        std::map<std::string, std::string> labels;
        for (const auto& row : tx.exec_params(kLabelsOf, task, ids.Parameter())) {
          labels.emplace(row[0].c_str(), row[1].c_str());
        }
        return labels;
      });
}

Result<std::uint64_t> PostgresSampleCatalogue::CountNewLabels(const std::string& task) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::uint64_t> {
    return tx.exec_params1(kCountNewLabels, task)[0].as<std::uint64_t>();
  });
}

Result<std::vector<GateSample>> PostgresSampleCatalogue::GateSamples(
    const std::string& run_id, const std::string& previous,
    std::span<const std::string> slice_keys) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<GateSample>> {
    std::vector<GateSample> samples;
    for (const auto& row :
         tx.exec_params(kGateSamples, run_id, previous, KeysOf(slice_keys).Parameter())) {
      samples.push_back(SampleFrom(row));
    }
    return samples;
  });
}

Result<std::vector<GateSample>> PostgresSampleCatalogue::GateSamplesOf(
    const std::string& run_id, const std::string& baseline_run_id, const std::string& previous,
    std::span<const std::string> slice_keys) {
  // Runs of an earlier platform, or none of ours: nothing is known of their answers.
  if (!IsUuid(run_id) || !IsUuid(baseline_run_id)) return std::vector<GateSample>();
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<GateSample>> {
    std::vector<GateSample> samples;
    for (const auto& row : tx.exec_params(kGateSamplesOf, run_id, previous,
                                          KeysOf(slice_keys).Parameter(), baseline_run_id)) {
      samples.push_back(SampleFrom(row));
    }
    return samples;
  });
}

}  // namespace tidewheel::training
