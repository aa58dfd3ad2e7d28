-- Predictions, what turned out to be true of them, and sums over both. Safe beside a running release: only new tables.
CREATE TABLE models (
    task             text             NOT NULL,
    model_version_id text             NOT NULL,
    window_size      integer          NOT NULL CHECK (window_size > 0),  -- Fixed by the first prediction.
    predictions      bigint           NOT NULL DEFAULT 0,
    confidence_sum   double precision NOT NULL DEFAULT 0,
    outcomes         bigint           NOT NULL DEFAULT 0,
    correct          bigint           NOT NULL DEFAULT 0,
    last_at          timestamptz      NOT NULL,
    CONSTRAINT models_pkey PRIMARY KEY (task, model_version_id)
);

CREATE TABLE windows (
    task             text             NOT NULL,
    model_version_id text             NOT NULL,
    number           bigint           NOT NULL CHECK (number > 0),
    first_at         timestamptz      NOT NULL,
    last_at          timestamptz      NOT NULL,
    predictions      bigint           NOT NULL,
    confidence_sum   double precision NOT NULL,
    outcomes         bigint           NOT NULL,
    correct          bigint           NOT NULL CHECK (correct <= outcomes),
    CONSTRAINT windows_pkey PRIMARY KEY (task, model_version_id, number),
    CONSTRAINT windows_model FOREIGN KEY (task, model_version_id) REFERENCES models (task, model_version_id)
);

CREATE TABLE window_classes (
    task             text   NOT NULL,
    model_version_id text   NOT NULL,
    number           bigint NOT NULL,
    class_name       text   NOT NULL,
    predictions      bigint NOT NULL CHECK (predictions > 0),
    CONSTRAINT window_classes_pkey PRIMARY KEY (task, model_version_id, number, class_name),
    CONSTRAINT window_classes_window FOREIGN KEY (task, model_version_id, number) REFERENCES windows (task, model_version_id, number)
);

CREATE TABLE predictions (
    request_id       text             NOT NULL CHECK (request_id <> ''),
    place            integer          NOT NULL CHECK (place >= 0),  -- Within the request.
    task             text             NOT NULL,
    model_version_id text             NOT NULL,
    window_number    bigint           NOT NULL,
    class_name       text             NOT NULL,
    confidence       double precision NOT NULL CHECK (confidence >= 0 AND confidence <= 1.000001),
    probabilities    real[]           NOT NULL,
    predicted_at     timestamptz      NOT NULL,
    payload_sha256   text             NOT NULL,
    measures         jsonb            NOT NULL,  -- Numbers by name.
    outcome_class    text,                       -- Null while unknown.
    outcome_at       timestamptz,
    CONSTRAINT predictions_pkey PRIMARY KEY (request_id, place)
);
CREATE INDEX predictions_by_time ON predictions USING brin (predicted_at);

-- Also those whose prediction has not come yet.
CREATE TABLE outcomes (
    request_id  text        NOT NULL CHECK (request_id <> ''),
    place       integer     NOT NULL CHECK (place >= 0),
    source      text        NOT NULL,
    class_name  text        NOT NULL CHECK (class_name <> ''),
    observed_at timestamptz NOT NULL,
    CONSTRAINT outcomes_pkey PRIMARY KEY (request_id, place, source)
);
CREATE INDEX outcomes_by_time ON outcomes USING brin (observed_at);
