-- Recipes that say which samples are new, and builds that carry their caller's id. Safe beside a running release: new columns
-- have defaults, and a new table.
ALTER TABLE dataset_versions
    ADD COLUMN previous_dataset_version_id uuid,  -- Null: no sample is new.
    ADD COLUMN new_sample_weight           double precision NOT NULL DEFAULT 1 CHECK (new_sample_weight > 0);

-- What a caller's build came to: a repeat returns it, whatever was labeled since.
CREATE TABLE build_requests (
    request_id         text        NOT NULL CHECK (request_id <> ''),
    dataset_version_id uuid        NOT NULL REFERENCES dataset_versions (dataset_version_id),
    asked_at           timestamptz NOT NULL,
    CONSTRAINT build_requests_pkey PRIMARY KEY (request_id)
);
REVOKE UPDATE, DELETE, TRUNCATE ON build_requests FROM tidewheel_curation;
