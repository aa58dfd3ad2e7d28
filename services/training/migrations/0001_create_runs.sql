-- The queue of runs and what they found. Safe beside a running release: only new tables.
CREATE TABLE runs (
    run_id             uuid        NOT NULL,
    request_id         text        NOT NULL CHECK (request_id <> ''),
    task               text        NOT NULL,
    dataset_version_id uuid        NOT NULL,
    dataset_digest     text        NOT NULL,
    dataset_items      bigint      NOT NULL,
    classes            text[]      NOT NULL,
    recipe             text        NOT NULL,
    seed               numeric(20) NOT NULL CHECK (seed >= 0),
    -- Asked for; null is the recipe's default.
    epochs             integer,
    batch_size         integer,
    learning_rate      double precision,
    weight_decay       double precision,
    patience           integer,
    class_weights      boolean,
    -- In force once it has trained.
    effective_epochs        integer,
    effective_batch_size    integer,
    effective_learning_rate double precision,
    effective_weight_decay  double precision,
    effective_patience      integer,
    effective_class_weights boolean,
    actor              text        NOT NULL,
    state              text        NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    reason             text        NOT NULL DEFAULT '',
    cancel_requested   boolean     NOT NULL DEFAULT false,
    attempt            integer     NOT NULL DEFAULT 0,
    -- Who runs it, and until when nobody else may.
    owner              text        NOT NULL DEFAULT '',
    lease_until        timestamptz,
    phase              text        NOT NULL DEFAULT '',
    steps_done         bigint      NOT NULL DEFAULT 0,
    steps_total        bigint      NOT NULL DEFAULT 0,
    epoch              integer     NOT NULL DEFAULT 0,
    epochs_total       integer     NOT NULL DEFAULT 0,
    training_loss      double precision NOT NULL DEFAULT 0,
    validation_metric  double precision NOT NULL DEFAULT 0,
    samples_per_second double precision NOT NULL DEFAULT 0,
    seconds_left       double precision NOT NULL DEFAULT 0,
    code_version       text        NOT NULL DEFAULT '',
    code_clean         boolean     NOT NULL DEFAULT false,
    build              text        NOT NULL DEFAULT '',
    model_version_id   text        NOT NULL DEFAULT '',
    best_epoch         integer     NOT NULL DEFAULT 0,
    training_seconds   double precision NOT NULL DEFAULT 0,
    queued_at          timestamptz NOT NULL,
    started_at         timestamptz,
    ended_at           timestamptz,
    CONSTRAINT runs_pkey PRIMARY KEY (run_id),
    CONSTRAINT runs_one_per_request UNIQUE (request_id),
    CONSTRAINT runs_owned_while_running CHECK ((state = 'running') = (lease_until IS NOT NULL))
);
CREATE INDEX runs_queue ON runs (queued_at, run_id) WHERE state = 'queued';
CREATE INDEX runs_running ON runs (lease_until) WHERE state = 'running';
CREATE INDEX runs_newest ON runs (queued_at DESC, run_id DESC);

CREATE TABLE run_metrics (
    run_id   uuid             NOT NULL REFERENCES runs (run_id),
    split    text             NOT NULL CHECK (split IN ('validation', 'test')),
    place    integer          NOT NULL,
    name     text             NOT NULL,
    value    double precision NOT NULL,
    low      double precision NOT NULL,
    high     double precision NOT NULL,
    interval text             NOT NULL,
    CONSTRAINT run_metrics_pkey PRIMARY KEY (run_id, split, place)
);

CREATE TABLE run_evaluations (
    run_id    uuid     NOT NULL REFERENCES runs (run_id),
    split     text     NOT NULL CHECK (split IN ('validation', 'test')),
    samples   bigint   NOT NULL,
    confusion bigint[] NOT NULL,  -- Row by row: given class, then predicted class.
    CONSTRAINT run_evaluations_pkey PRIMARY KEY (run_id, split)
);

-- Every validation and test sample's probabilities.
CREATE TABLE run_predictions (
    run_id          uuid    NOT NULL REFERENCES runs (run_id),
    ordinal         bigint  NOT NULL CHECK (ordinal >= 0),  -- Of the dataset version's item.
    sample_id       uuid    NOT NULL,
    split           text    NOT NULL CHECK (split IN ('validation', 'test')),
    given_class     integer NOT NULL,
    predicted_class integer NOT NULL,
    probabilities   real[]  NOT NULL,
    CONSTRAINT run_predictions_pkey PRIMARY KEY (run_id, ordinal)
);
