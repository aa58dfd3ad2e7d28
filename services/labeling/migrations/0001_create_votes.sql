-- Votes and who gave them. Safe beside a running release: only new tables.
CREATE TABLE annotators (
    task      text   NOT NULL CHECK (task <> ''),
    annotator text   NOT NULL CHECK (annotator <> ''),
    kind      text   NOT NULL CHECK (kind IN ('person', 'rule', 'model', 'outcome', 'import')),
    votes     bigint NOT NULL DEFAULT 0 CHECK (votes >= 0),  -- In force.
    -- Of the last computation of labels; null before the first.
    quality   double precision CHECK (quality BETWEEN 0 AND 1),
    agreement double precision CHECK (agreement BETWEEN 0 AND 1),
    CONSTRAINT annotators_pkey PRIMARY KEY (task, annotator)
);

-- A vote is never overwritten: a newer opinion of the same annotator ends its time in force.
CREATE TABLE votes (
    vote_id        uuid        NOT NULL,
    task           text        NOT NULL CHECK (task <> ''),
    sample_id      uuid        NOT NULL,
    class_name     text        NOT NULL CHECK (class_name <> ''),
    annotator      text        NOT NULL CHECK (annotator <> ''),
    annotator_kind text        NOT NULL CHECK (annotator_kind IN ('person', 'rule', 'model', 'outcome', 'import')),
    source         text        NOT NULL,
    voted_at       timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    superseded_at  timestamptz,  -- Null while in force.
    CONSTRAINT votes_pkey PRIMARY KEY (task, vote_id)
);

-- "One opinion of an annotator on a sample per source" lives here, where no race can break it; a sample has one task.
CREATE UNIQUE INDEX votes_one_in_force ON votes (sample_id, annotator, source) WHERE superseded_at IS NULL;

CREATE VIEW votes_v1 AS
    SELECT sample_id, task, vote_id, class_name, annotator, annotator_kind, source, voted_at
    FROM votes
    WHERE superseded_at IS NULL;

GRANT USAGE ON SCHEMA labeling TO tidewheel_curation;
GRANT SELECT ON votes_v1 TO tidewheel_curation;

-- The service may end a vote's time in force, and nothing else about it.
REVOKE UPDATE, DELETE, TRUNCATE ON votes FROM tidewheel_labeling;
GRANT UPDATE (superseded_at) ON votes TO tidewheel_labeling;
