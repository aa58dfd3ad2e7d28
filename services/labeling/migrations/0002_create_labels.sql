-- Labels: versions are added, the newest of a sample is in force. Safe beside a running release: only new tables.
CREATE TABLE labels (
    label_id      uuid             NOT NULL,
    task          text             NOT NULL CHECK (task <> ''),
    sample_id     uuid             NOT NULL,
    version       integer          NOT NULL CHECK (version > 0),
    class_name    text             CHECK (class_name <> ''),  -- Null: the label was withdrawn.
    confidence    double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    method        text             NOT NULL CHECK (method IN ('majority', 'dawid-skene')),
    votes         integer          NOT NULL CHECK (votes >= 0),
    decided_at    timestamptz      NOT NULL,
    superseded_at timestamptz,  -- Null while it is the newest.
    CONSTRAINT labels_pkey PRIMARY KEY (sample_id, version)
);

-- "One newest version of a sample" lives here, where no race can break it.
CREATE UNIQUE INDEX labels_one_newest ON labels (task, sample_id) WHERE superseded_at IS NULL;
CREATE INDEX labels_by_class ON labels (task, class_name, sample_id) WHERE superseded_at IS NULL;

-- The latest computation of each task's labels. A younger one shuts an older one out by its number.
CREATE TABLE consensus (
    task          text        NOT NULL CHECK (task <> ''),
    number        bigint      NOT NULL CHECK (number > 0),
    method        text        NOT NULL CHECK (method IN ('majority', 'dawid-skene')),
    begun_at      timestamptz NOT NULL,
    finished_at   timestamptz,  -- Null while it runs, or when it was interrupted.
    samples       bigint      NOT NULL DEFAULT 0,
    votes         bigint      NOT NULL DEFAULT 0,
    changed       bigint      NOT NULL DEFAULT 0,
    without_label bigint      NOT NULL DEFAULT 0,
    ties          bigint      NOT NULL DEFAULT 0,
    rounds        integer     NOT NULL DEFAULT 0,
    CONSTRAINT consensus_pkey PRIMARY KEY (task)
);

CREATE VIEW labels_v1 AS
    SELECT sample_id, task, label_id, class_name, confidence, method, version, votes, decided_at
    FROM labels
    WHERE superseded_at IS NULL AND class_name IS NOT NULL;

GRANT SELECT ON labels_v1 TO tidewheel_curation;

-- The service may end a version's time in force, and nothing else about it.
REVOKE UPDATE, DELETE, TRUNCATE ON labels FROM tidewheel_labeling;
GRANT UPDATE (superseded_at) ON labels TO tidewheel_labeling;
