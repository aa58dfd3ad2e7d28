-- Samples that were captured from traffic, and the removal of deactivated ones from the look-alikes. Safe beside a running
-- release: columns that may be null and a new table; the release before ignores both.
ALTER TABLE samples
    ADD COLUMN request_id      text,     -- Of the prediction it was captured for; null: pushed.
    ADD COLUMN request_index   integer CHECK (request_index >= 0),
    -- Of the transaction that deactivated it: who follows the table learns of it as of new samples.
    ADD COLUMN deactivated_xid xid8;
CREATE INDEX samples_leaving ON samples (task, deactivated_xid, sample_id) WHERE deactivated_xid IS NOT NULL;

-- Which sample stands for a captured payload: itself, or the one with the same bytes (or picture) that was there.
CREATE TABLE captured_requests (
    task          text        NOT NULL CHECK (task <> ''),
    request_id    text        NOT NULL CHECK (request_id <> ''),
    request_index integer     NOT NULL CHECK (request_index >= 0),
    sample_id     uuid        NOT NULL,
    captured_at   timestamptz NOT NULL,
    CONSTRAINT captured_requests_pkey PRIMARY KEY (task, request_id, request_index)
);
CREATE INDEX captured_requests_by_sample ON captured_requests (sample_id);

CREATE VIEW samples_v2 AS
    SELECT sample_id, task, sha256, payload_ref, name, source, group_key, split, collected_at, added_at, deactivated_at, width,
           height, metadata, measures, request_id, request_index
    FROM samples;
CREATE VIEW captured_requests_v1 AS
    SELECT task, request_id, request_index, sample_id, captured_at
    FROM captured_requests;
GRANT USAGE ON SCHEMA ingestion TO tidewheel_training, tidewheel_monitoring;
GRANT SELECT ON samples_v1 TO tidewheel_training, tidewheel_monitoring;
GRANT SELECT ON samples_v2, captured_requests_v1
    TO tidewheel_labeling, tidewheel_curation, tidewheel_training, tidewheel_monitoring;
