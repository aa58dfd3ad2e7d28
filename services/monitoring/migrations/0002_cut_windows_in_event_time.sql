-- Windows in event time: a function of the set of events, whatever order they come in. The windows of 0001 were cut in the
-- order of arrival and cannot be carried over; they go, with the single predictions below them. Not safe beside a running
-- release of 0001: stop it first.
DROP TABLE window_classes, windows, predictions, outcomes, models;

-- How far the events of a task have come. Times of arrival are by this server's clock.
CREATE TABLE task_clocks (
    task               text        NOT NULL,
    lateness           bigint      NOT NULL CHECK (lateness >= 0),  -- Microseconds.
    newest_at          timestamptz NOT NULL,                        -- Event time.
    arrived_at         timestamptz NOT NULL,
    newest_outcome_at  timestamptz,
    outcome_arrived_at timestamptz,
    CONSTRAINT task_clocks_pkey PRIMARY KEY (task)
) WITH (fillfactor = 20);

-- A model version and its dictionaries: rows name classes and features by their place in them (from 0).
CREATE TABLE models (
    id                integer          NOT NULL GENERATED ALWAYS AS IDENTITY,
    task              text             NOT NULL,
    model_version_id  text             NOT NULL,
    classes           text[]           NOT NULL,
    features          text[]           NOT NULL DEFAULT '{}',
    window_size       integer          NOT NULL CHECK (window_size > 0),      -- Fixed by the first prediction, as is the next.
    window_seconds    double precision NOT NULL CHECK (window_seconds >= 0),  -- 0: no windows by time.
    outcomes_numbered bigint           NOT NULL DEFAULT 0,
    outcomes_told     bigint           NOT NULL DEFAULT 0,
    forgotten_before  timestamptz,
    CONSTRAINT models_pkey PRIMARY KEY (id),
    CONSTRAINT models_one_each UNIQUE (task, model_version_id)
);

-- All traffic of a model (slice '') or a slice of it. Who adds rows or cuts windows holds its row.
CREATE TABLE streams (
    id               integer     NOT NULL GENERATED ALWAYS AS IDENTITY,
    model_id         integer     NOT NULL REFERENCES models (id),
    slice            text        NOT NULL,
    predictions      bigint      NOT NULL DEFAULT 0,
    last_at          timestamptz,
    fresh_from       timestamptz,                     -- The oldest row since the last cut.
    closed           bigint      NOT NULL DEFAULT 0,  -- Windows by count that are closed, and the position of the last row in them.
    boundary_at      timestamptz,
    boundary_request text COLLATE "C",
    boundary_place   integer,
    timed_until      timestamptz,                     -- Windows by time are closed up to here.
    open_stale       boolean     NOT NULL DEFAULT false,
    opened_at        timestamptz NOT NULL DEFAULT '-infinity',  -- When the open window was last written.
    CONSTRAINT streams_pkey PRIMARY KEY (id),
    CONSTRAINT streams_one_each UNIQUE (model_id, slice)
) WITH (fillfactor = 20);

CREATE TABLE windows (
    stream_id          integer          NOT NULL REFERENCES streams (id),
    kind               text             NOT NULL CHECK (kind IN ('count', 'time')),
    number             bigint           NOT NULL,
    closed             boolean          NOT NULL,
    first_at           timestamptz      NOT NULL,
    first_request      text             COLLATE "C" NOT NULL,
    first_place        integer          NOT NULL,
    last_at            timestamptz      NOT NULL,
    last_request       text             COLLATE "C" NOT NULL,
    last_place         integer          NOT NULL,
    predictions        bigint           NOT NULL CHECK (predictions > 0),
    confidence_sum     bigint           NOT NULL,  -- In 1e-9.
    class_counts       bigint[]         NOT NULL,  -- By class index; may end before the last class.
    outcomes           bigint           NOT NULL DEFAULT 0,
    correct            bigint           NOT NULL DEFAULT 0 CHECK (correct <= outcomes),
    fingerprint        bigint           NOT NULL,  -- Of the set of its rows.
    judged             boolean          NOT NULL DEFAULT false,
    estimated_accuracy double precision,
    estimated_low      double precision,
    estimated_high     double precision,
    drift              jsonb            NOT NULL DEFAULT '{}',
    CONSTRAINT windows_pkey PRIMARY KEY (stream_id, kind, number)
);
CREATE INDEX windows_by_time ON windows (last_at, stream_id, number);
CREATE INDEX windows_to_judge ON windows (stream_id) WHERE closed AND NOT judged;

-- Everything counted of a model, by the class it answered; shadow answers are not counted.
CREATE TABLE model_tallies (
    model_id       integer NOT NULL REFERENCES models (id),
    class_index    integer NOT NULL,
    predictions    bigint  NOT NULL DEFAULT 0,
    confidence_sum bigint  NOT NULL DEFAULT 0,  -- In 1e-9.
    outcomes       bigint  NOT NULL DEFAULT 0,
    correct        bigint  NOT NULL DEFAULT 0,
    CONSTRAINT model_tallies_pkey PRIMARY KEY (model_id, class_index)
) WITH (fillfactor = 50);

CREATE TABLE predictions (
    request_id   text        COLLATE "C" NOT NULL CHECK (request_id <> ''),
    place        integer     NOT NULL CHECK (place >= 0),  -- Within the request.
    model_id     integer     NOT NULL,
    predicted_at timestamptz NOT NULL,
    class_index  integer     NOT NULL,
    confidence   real        NOT NULL CHECK (confidence >= 0 AND confidence <= 1.000001),
    seconds      real        NOT NULL,
    role         smallint    NOT NULL CHECK (role IN (0, 1, 2)),  -- Production, canary, shadow.
    answered     integer,                                         -- Of a shadow: the class that the client was told.
    slices       integer[],                                       -- Streams beside that of all traffic.
    body         bytea       NOT NULL,                            -- storage/packed_row.h.
    CONSTRAINT predictions_pkey PRIMARY KEY (request_id, place, model_id)
);
CREATE INDEX predictions_by_time ON predictions (model_id, predicted_at);

CREATE TABLE slice_predictions (
    stream_id    integer     NOT NULL,
    predicted_at timestamptz NOT NULL,
    request_id   text        COLLATE "C" NOT NULL,
    place        integer     NOT NULL,
    class_index  integer     NOT NULL,
    confidence   real        NOT NULL,
    CONSTRAINT slice_predictions_pkey PRIMARY KEY (stream_id, predicted_at, request_id, place)
);

-- Requests that got no answer.
CREATE TABLE failures (
    request_id text        COLLATE "C" NOT NULL CHECK (request_id <> ''),
    model_id   integer     NOT NULL,
    failed_at  timestamptz NOT NULL,
    seconds    real        NOT NULL,
    role       smallint    NOT NULL CHECK (role IN (0, 1, 2)),
    error      text        NOT NULL,
    CONSTRAINT failures_pkey PRIMARY KEY (request_id, model_id)
);
CREATE INDEX failures_by_time ON failures (model_id, failed_at);

-- Also those whose prediction has not come yet: they wait.
CREATE TABLE outcomes (
    request_id  text        COLLATE "C" NOT NULL CHECK (request_id <> ''),
    place       integer     NOT NULL CHECK (place >= 0),
    source      text        NOT NULL,
    class_name  text        NOT NULL CHECK (class_name <> ''),
    observed_at timestamptz NOT NULL,
    waiting     boolean     NOT NULL DEFAULT true,
    CONSTRAINT outcomes_pkey PRIMARY KEY (request_id, place, source)
);
CREATE INDEX outcomes_by_time ON outcomes USING brin (observed_at);
CREATE INDEX outcomes_waiting ON outcomes (request_id, place) WHERE waiting;

-- The outcome that counts, of each prediction that has one: the first observed, sources decide between equals.
CREATE TABLE joined_outcomes (
    model_id     integer     NOT NULL,
    request_id   text        COLLATE "C" NOT NULL,
    place        integer     NOT NULL,
    role         smallint    NOT NULL,
    predicted_at timestamptz NOT NULL,
    class_index  integer     NOT NULL,
    class_name   text        NOT NULL,  -- What was true; may be none of the model's classes.
    correct      boolean     NOT NULL,
    source       text        NOT NULL,
    observed_at  timestamptz NOT NULL,
    number       bigint,                -- In the order they are told, from 0 for each model; null until then and of shadows.
    CONSTRAINT joined_outcomes_pkey PRIMARY KEY (model_id, request_id, place)
);
CREATE INDEX joined_outcomes_by_time ON joined_outcomes (model_id, predicted_at);
CREATE UNIQUE INDEX joined_outcomes_told ON joined_outcomes (model_id, number) WHERE number IS NOT NULL;
CREATE INDEX joined_outcomes_to_number ON joined_outcomes (model_id, observed_at) WHERE number IS NULL AND role < 2;
