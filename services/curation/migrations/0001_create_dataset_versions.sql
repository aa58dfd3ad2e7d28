-- Dataset versions with their classes and items: added, never changed. Safe beside a running release: only new tables.

-- Gives version numbers. Two builds of one task meet here: the second starts over on a fresh snapshot.
CREATE TABLE task_counters (
    task     text    NOT NULL CHECK (task <> ''),
    versions integer NOT NULL CHECK (versions > 0),
    CONSTRAINT task_counters_pkey PRIMARY KEY (task)
);

CREATE TABLE dataset_versions (
    dataset_version_id           uuid             NOT NULL,
    task                         text             NOT NULL CHECK (task <> ''),
    version                      integer          NOT NULL CHECK (version > 0),
    digest                       text             NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),  -- SHA-256 of the manifest.
    task_version                 integer          NOT NULL CHECK (task_version > 0),
    -- The recipe, with the task's policy filled in.
    class_weighting              text             NOT NULL
                                 CHECK (class_weighting IN ('none', 'inverse-frequency', 'effective-number')),
    min_confidence               double precision NOT NULL CHECK (min_confidence BETWEEN 0 AND 1),
    sources                      text[]           NOT NULL,  -- Empty: all.
    added_until                  timestamptz,
    -- The report.
    classes                      text[]           NOT NULL CHECK (cardinality(classes) >= 2),
    items                        bigint           NOT NULL CHECK (items > 0),
    votes                        bigint           NOT NULL CHECK (votes >= 0),
    training                     bigint           NOT NULL CHECK (training > 0),
    validation                   bigint           NOT NULL CHECK (validation > 0),
    test                         bigint           NOT NULL CHECK (test > 0),
    imbalance                    double precision NOT NULL CHECK (imbalance >= 1),
    groups_across_splits         bigint           NOT NULL CHECK (groups_across_splits >= 0),
    equal_payloads_across_splits bigint           NOT NULL CHECK (equal_payloads_across_splits >= 0),
    unlabeled                    bigint           NOT NULL CHECK (unlabeled >= 0),
    low_confidence               bigint           NOT NULL CHECK (low_confidence >= 0),
    deactivated                  bigint           NOT NULL CHECK (deactivated >= 0),
    manifest_ref                 text             NOT NULL CHECK (manifest_ref <> ''),
    description                  text             NOT NULL,
    built_at                     timestamptz      NOT NULL,
    built_by                     text             NOT NULL,
    CONSTRAINT dataset_versions_pkey PRIMARY KEY (dataset_version_id),
    CONSTRAINT dataset_versions_number UNIQUE (task, version),
    CONSTRAINT dataset_versions_digest UNIQUE (digest),
    CONSTRAINT dataset_versions_items CHECK (items = training + validation + test)
);
CREATE INDEX dataset_versions_by_time ON dataset_versions (built_at, dataset_version_id);

CREATE TABLE dataset_classes (
    dataset_version_id uuid             NOT NULL REFERENCES dataset_versions (dataset_version_id),
    class_index        integer          NOT NULL CHECK (class_index >= 0),
    class_name         text             NOT NULL CHECK (class_name <> ''),
    training           bigint           NOT NULL CHECK (training > 0),
    validation         bigint           NOT NULL CHECK (validation >= 0),
    test               bigint           NOT NULL CHECK (test >= 0),
    weight             double precision NOT NULL CHECK (weight > 0),  -- Of each training sample.
    CONSTRAINT dataset_classes_pkey PRIMARY KEY (dataset_version_id, class_index)
);

-- No foreign keys: they would look up every one of a version's rows again, and all are added by one statement beside
-- the version itself.
CREATE TABLE dataset_items (
    dataset_version_id uuid             NOT NULL,
    ordinal            bigint           NOT NULL CHECK (ordinal >= 0),  -- In the order of sha256.
    sample_id          uuid             NOT NULL,
    sha256             bytea            NOT NULL CHECK (length(sha256) = 32),
    payload_ref        text             NOT NULL,
    class_index        integer          NOT NULL CHECK (class_index >= 0),
    split              text             NOT NULL CHECK (split IN ('training', 'validation', 'test')),
    weight             double precision NOT NULL CHECK (weight > 0),
    label_id           uuid             NOT NULL,
    label_confidence   double precision NOT NULL CHECK (label_confidence BETWEEN 0 AND 1),
    CONSTRAINT dataset_items_pkey PRIMARY KEY (dataset_version_id, ordinal)
);
CREATE INDEX dataset_items_by_sample ON dataset_items (sample_id);

-- What was built stays as it is.
REVOKE UPDATE, DELETE, TRUNCATE ON dataset_versions, dataset_classes, dataset_items FROM tidewheel_curation;

CREATE VIEW dataset_versions_v1 AS
    SELECT dataset_version_id, task, version, digest, items, manifest_ref, classes, task_version, built_at
    FROM dataset_versions;

CREATE VIEW dataset_items_v1 AS
    SELECT i.dataset_version_id, i.ordinal, i.sample_id, i.sha256, i.payload_ref, i.class_index, c.class_name, i.split,
           i.weight, i.label_id, i.label_confidence
    FROM dataset_items i
    JOIN dataset_classes c ON c.dataset_version_id = i.dataset_version_id AND c.class_index = i.class_index;

GRANT USAGE ON SCHEMA curation TO tidewheel_training;
GRANT SELECT ON dataset_versions_v1, dataset_items_v1 TO tidewheel_training;
