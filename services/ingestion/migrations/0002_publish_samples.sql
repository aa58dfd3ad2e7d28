-- What other services may read. A view is a contract: columns are added under a new number only.
CREATE VIEW samples_v1 AS
    SELECT sample_id, task, sha256, payload_ref, name, source, group_key, split, collected_at, added_at, deactivated_at, width,
           height, metadata
    FROM samples;
GRANT USAGE ON SCHEMA ingestion TO tidewheel_labeling, tidewheel_curation;
GRANT SELECT ON samples_v1 TO tidewheel_labeling, tidewheel_curation;
