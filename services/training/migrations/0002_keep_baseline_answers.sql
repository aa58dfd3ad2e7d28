-- What a run of a cycle was asked beside the training, and what it cost. Safe beside a running release: new columns have
-- defaults, and a new table.
ALTER TABLE runs
    ADD COLUMN baseline_model_version_id text   NOT NULL DEFAULT '',  -- Empty: none was asked.
    ADD COLUMN baseline_file_names       text[] NOT NULL DEFAULT '{}',
    ADD COLUMN baseline_file_refs        text[] NOT NULL DEFAULT '{}',
    ADD COLUMN cpu_seconds               double precision NOT NULL DEFAULT 0 CHECK (cpu_seconds >= 0);

ALTER TABLE run_predictions ADD COLUMN baseline_probabilities real[] NOT NULL DEFAULT '{}';

-- Tests of behaviour, as the worker counted them.
CREATE TABLE run_tests (
    run_id        uuid    NOT NULL REFERENCES runs (run_id),
    place         integer NOT NULL CHECK (place >= 0),
    name          text    NOT NULL,
    samples       bigint  NOT NULL CHECK (samples >= 0),
    passed        bigint  NOT NULL CHECK (passed BETWEEN 0 AND samples),
    not_evaluated text    NOT NULL,  -- Why; empty when it was.
    CONSTRAINT run_tests_pkey PRIMARY KEY (run_id, place)
);
