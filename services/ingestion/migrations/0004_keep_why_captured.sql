-- Why each request was captured, and not only the first one of its picture: who draws at random must know all that were captured
-- at random. Safe beside a running release: columns with defaults, a new view.
ALTER TABLE captured_requests
    ADD COLUMN captured_because      text             NOT NULL DEFAULT '',  -- Empty: not known (captured by an earlier release).
    ADD COLUMN inclusion_probability double precision NOT NULL DEFAULT 0    -- 0: not captured at random.
        CHECK (inclusion_probability BETWEEN 0 AND 1);

CREATE VIEW captured_requests_v2 AS
    SELECT task, request_id, request_index, sample_id, captured_at, captured_because, inclusion_probability
    FROM captured_requests;
GRANT SELECT ON captured_requests_v2 TO tidewheel_labeling, tidewheel_curation, tidewheel_training, tidewheel_monitoring;
