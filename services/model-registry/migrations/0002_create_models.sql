-- Model versions: registered -> production -> retired (and back by a roll back). Safe beside a running release: only new tables.
CREATE TABLE model_versions (
    model_version_id   uuid        NOT NULL,
    task               text        NOT NULL,
    version            integer     NOT NULL CHECK (version > 0),
    stage              text        NOT NULL DEFAULT 'registered' CHECK (stage IN ('registered', 'production', 'retired')),
    run_id             text        NOT NULL,  -- Empty: an upload.
    dataset_version_id text        NOT NULL,
    dataset_digest     text        NOT NULL,
    package_digest     text        NOT NULL CHECK (length(package_digest) = 64),
    recipe             text        NOT NULL,
    seed               numeric(20) NOT NULL CHECK (seed >= 0),
    code_version       text        NOT NULL,
    code_clean         boolean     NOT NULL,
    classes            text[]      NOT NULL,
    registered_at      timestamptz NOT NULL,
    registered_by      text        NOT NULL,
    CONSTRAINT model_versions_pkey PRIMARY KEY (model_version_id),
    CONSTRAINT model_versions_number UNIQUE (task, version)
);
-- One version per run; an upload is known by its package.
CREATE UNIQUE INDEX model_versions_one_per_run ON model_versions (run_id) WHERE run_id <> '';
CREATE UNIQUE INDEX model_versions_one_per_upload ON model_versions (task, package_digest) WHERE run_id = '';
-- "One serving version per task" lives here, where no race can break it.
CREATE UNIQUE INDEX model_versions_one_production ON model_versions (task) WHERE stage = 'production';

CREATE TABLE model_files (
    model_version_id uuid   NOT NULL REFERENCES model_versions (model_version_id),
    name             text   NOT NULL,
    sha256           text   NOT NULL CHECK (length(sha256) = 64),
    size_bytes       bigint NOT NULL CHECK (size_bytes >= 0),
    payload_ref      text   NOT NULL,
    CONSTRAINT model_files_pkey PRIMARY KEY (model_version_id, name)
);

-- On the test split.
CREATE TABLE model_metrics (
    model_version_id uuid             NOT NULL REFERENCES model_versions (model_version_id),
    name             text             NOT NULL,
    value            double precision NOT NULL,
    CONSTRAINT model_metrics_pkey PRIMARY KEY (model_version_id, name)
);
REVOKE UPDATE, DELETE, TRUNCATE ON model_files, model_metrics FROM tidewheel_registry;

CREATE SEQUENCE deployment_revisions;

-- What serves a task now, and what it followed: a roll back walks this list.
CREATE TABLE deployments (
    task             text        NOT NULL,
    revision         bigint      NOT NULL DEFAULT nextval('deployment_revisions'),
    model_version_id uuid        NOT NULL REFERENCES model_versions (model_version_id),
    -- The version a roll back returns to; null for the first.
    previous_id      uuid        REFERENCES model_versions (model_version_id),
    deployed_at      timestamptz NOT NULL,
    deployed_by      text        NOT NULL,
    current          boolean     NOT NULL DEFAULT true,
    CONSTRAINT deployments_pkey PRIMARY KEY (revision)
);
CREATE UNIQUE INDEX deployments_one_current ON deployments (task) WHERE current;
