-- The queue of samples that wait for votes, outcomes that wait for their sample, and how annotators do of late. Safe beside a
-- running release: new tables and columns that may be null.
CREATE TABLE batches (
    number         bigint           GENERATED ALWAYS AS IDENTITY,
    batch_id       text             NOT NULL CHECK (batch_id <> ''),
    task           text             NOT NULL CHECK (task <> ''),
    votes_wanted   integer          NOT NULL CHECK (votes_wanted > 0),  -- Of each sample.
    state          text             NOT NULL CHECK (state IN ('open', 'complete', 'cancelled')),
    queued_at      timestamptz      NOT NULL,
    settled_at     timestamptz,  -- Nobody is asked any more; its labels may still be due.
    completed_at   timestamptz,  -- And its labels are computed.
    cancelled_because text          NOT NULL DEFAULT '',
    skipped        jsonb            NOT NULL DEFAULT '{}',  -- How many were not asked, by reason.
    votes          bigint           NOT NULL DEFAULT 0 CHECK (votes >= 0),
    CONSTRAINT batches_pkey PRIMARY KEY (batch_id)
);
CREATE UNIQUE INDEX batches_in_order ON batches (number);
CREATE INDEX batches_open ON batches (task) WHERE state = 'open';

CREATE TABLE items (
    number       bigint           GENERATED ALWAYS AS IDENTITY,
    item_id      uuid             NOT NULL,
    batch_id     text             NOT NULL REFERENCES batches (batch_id),
    task         text             NOT NULL,
    sample_id    uuid             NOT NULL,
    priority     double precision NOT NULL,
    reason       text             NOT NULL,
    gold_class   text             CHECK (gold_class <> ''),  -- Of a sample whose label is known; null: a question.
    votes_wanted integer          NOT NULL CHECK (votes_wanted > 0),
    votes        integer          NOT NULL DEFAULT 0 CHECK (votes BETWEEN 0 AND votes_wanted),
    state        text             NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'answered', 'unjudged', 'cancelled')),
    CONSTRAINT items_pkey PRIMARY KEY (item_id)
);
-- "A sample is asked in one place at a time" lives here, where no race can break it.
CREATE UNIQUE INDEX items_one_waiting ON items (task, sample_id) WHERE state = 'waiting' AND gold_class IS NULL;
CREATE INDEX items_next ON items (task, priority DESC, number) WHERE state = 'waiting';
CREATE INDEX items_of_any_task ON items (priority DESC, number) WHERE state = 'waiting';
CREATE INDEX items_of_sample ON items (task, sample_id);
CREATE INDEX items_of_batch ON items (batch_id, number);
CREATE UNIQUE INDEX items_in_order ON items (number);

CREATE TABLE leases (
    lease_id   uuid        NOT NULL,
    item_id    uuid        NOT NULL REFERENCES items (item_id),
    batch_id   text        NOT NULL,
    annotator  text        NOT NULL CHECK (annotator <> ''),
    leased_at  timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- An open one that has expired holds nothing any more, but may still be answered.
    state      text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'answered', 'released', 'declined')),
    class_name text        CHECK (class_name <> ''),  -- Of an answered one.
    ended_at   timestamptz,
    CONSTRAINT leases_pkey PRIMARY KEY (lease_id),
    CONSTRAINT leases_answered_with CHECK ((state = 'answered') = (class_name IS NOT NULL))
);
-- "An annotator answers an item once" lives here.
CREATE UNIQUE INDEX leases_one_answer ON leases (item_id, annotator) WHERE state IN ('answered', 'declined');
CREATE INDEX leases_of_item ON leases (item_id);
CREATE INDEX leases_of_batch ON leases (batch_id, annotator, leased_at);

CREATE INDEX votes_of_annotator ON votes (annotator, sample_id) WHERE superseded_at IS NULL;

-- Tasks whose labels are to be computed, and from when on. The number tells whether more came while they were.
CREATE TABLE label_work (
    task   text        NOT NULL CHECK (task <> ''),
    due_at timestamptz NOT NULL,
    number bigint      NOT NULL DEFAULT 1,
    CONSTRAINT label_work_pkey PRIMARY KEY (task)
);

-- Outcomes whose sample is not known yet, and may never be.
CREATE TABLE pending_outcomes (
    task          text        NOT NULL CHECK (task <> ''),
    request_id    text        NOT NULL CHECK (request_id <> ''),
    request_index integer     NOT NULL CHECK (request_index >= 0),
    source        text        NOT NULL,
    class_name    text        NOT NULL CHECK (class_name <> ''),
    observed_at   timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    CONSTRAINT pending_outcomes_pkey PRIMARY KEY (task, request_id, request_index, source)
);
CREATE INDEX pending_outcomes_by_age ON pending_outcomes (received_at);

-- How good an annotator was of late beside before; null until there is enough to tell.
ALTER TABLE annotators
    ADD COLUMN recent_votes    bigint,
    ADD COLUMN recent_agreed   bigint,
    ADD COLUMN earlier_votes   bigint,
    ADD COLUMN earlier_agreed  bigint,
    ADD COLUMN worse_p_value   double precision CHECK (worse_p_value BETWEEN 0 AND 1),
    ADD COLUMN assessed_at     timestamptz,
    ADD COLUMN assessed_votes  bigint,       -- Answers it had then, and the time of the last:
    ADD COLUMN assessed_until  timestamptz;  -- another one is news.
