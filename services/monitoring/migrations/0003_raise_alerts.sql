-- Findings, alerts with their evidence, what judging goes on from, and whom to tell. Safe beside a running release: only new
-- tables.
CREATE TABLE alerts (
    alert_id          uuid             NOT NULL,
    task              text             NOT NULL CHECK (task <> ''),
    model_version_id  text             NOT NULL,
    cause             text             NOT NULL CHECK (cause IN ('data_drift', 'prediction_drift', 'label_shift', 'concept_drift',
                                           'accuracy', 'sensor_fault', 'data_quality', 'silence', 'slice', 'annotator_quality')),
    state             text             NOT NULL CHECK (state IN ('raised', 'acknowledged', 'resolved')),
    muted_until       timestamptz,
    title             text             NOT NULL,
    description       text             NOT NULL,
    damage            double precision NOT NULL CHECK (damage >= 0 AND damage <= 1),
    findings          uuid[]           NOT NULL,  -- The newest, the most damaging first.
    telling           text[]           NOT NULL,
    since             timestamptz      NOT NULL,
    delay_predictions bigint           NOT NULL,
    share_classes     text[]           NOT NULL,  -- Estimated shares of the classes, beside each other.
    shares            double precision[] NOT NULL,
    predicted         bigint[]         NOT NULL,  -- Answers since the change, by class.
    raised_at         timestamptz      NOT NULL,
    updated_at        timestamptz      NOT NULL,
    resolved_at       timestamptz,
    acknowledged_by   text             NOT NULL,
    resolution        text             NOT NULL,
    quiet             integer          NOT NULL,
    quiet_model       text             NOT NULL,
    webhooks          text[]           NOT NULL,
    CONSTRAINT alerts_pkey PRIMARY KEY (alert_id),
    CONSTRAINT alerts_resolved CHECK ((state = 'resolved') = (resolved_at IS NOT NULL))
);
-- One open alert for each cause, whatever copies of the service run.
CREATE UNIQUE INDEX alerts_one_open ON alerts (task, cause) WHERE state <> 'resolved';
CREATE INDEX alerts_by_time ON alerts (raised_at, alert_id);

CREATE TABLE alert_histograms (
    alert_id         uuid     NOT NULL REFERENCES alerts (alert_id),
    place            integer  NOT NULL,
    subject          text     NOT NULL,
    bounds           double precision[] NOT NULL,
    names            text[]   NOT NULL,
    reference_shares double precision[] NOT NULL,
    current_shares   double precision[] NOT NULL,
    CONSTRAINT alert_histograms_pkey PRIMARY KEY (alert_id, place)
);

CREATE TABLE findings (
    finding_id       uuid             NOT NULL,
    task             text             NOT NULL,
    model_version_id text             NOT NULL,
    slice            text             NOT NULL,
    kind             text             NOT NULL,
    subject          text             NOT NULL,
    method           text             NOT NULL,
    statistic        double precision NOT NULL,
    threshold        double precision NOT NULL,
    effect           double precision NOT NULL,
    effect_low       double precision NOT NULL,
    effect_high      double precision NOT NULL,
    fires            boolean          NOT NULL,
    predictions      bigint           NOT NULL,
    first_at         timestamptz      NOT NULL,
    last_at          timestamptz      NOT NULL,
    window_id        text             NOT NULL,
    alert_id         uuid,
    CONSTRAINT findings_pkey PRIMARY KEY (finding_id)
);
CREATE INDEX findings_by_window ON findings (window_id);
CREATE INDEX findings_by_time ON findings (last_at, finding_id);
CREATE INDEX findings_by_alert ON findings (alert_id) WHERE alert_id IS NOT NULL;
CREATE INDEX findings_firing ON findings (task, last_at, finding_id) WHERE fires;

-- What the judgement of the next window or outcome goes on from (domain/alert_watch.h).
CREATE TABLE watch_states (
    task  text  NOT NULL,
    name  text  NOT NULL,
    state bytea NOT NULL,
    CONSTRAINT watch_states_pkey PRIMARY KEY (task, name)
) WITH (fillfactor = 50);

-- Who is to be told of which change, until they have been.
CREATE TABLE notifications (
    id           bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    alert_id     uuid        NOT NULL,
    change       text        NOT NULL,
    target       text        NOT NULL,  -- A URL, or 'alertmanager'.
    body         text        NOT NULL,
    attempts     integer     NOT NULL DEFAULT 0,
    due_at       timestamptz NOT NULL,
    delivered_at timestamptz,
    abandoned_at timestamptz,
    last_error   text        NOT NULL DEFAULT '',
    CONSTRAINT notifications_pkey PRIMARY KEY (id)
);
CREATE INDEX notifications_waiting ON notifications (due_at, id) WHERE delivered_at IS NULL AND abandoned_at IS NULL;

-- A candidate beside the baseline; what both did is counted from predictions, failures and joined outcomes.
CREATE TABLE comparisons (
    comparison_id      uuid             NOT NULL,
    task               text             NOT NULL CHECK (task <> ''),
    candidate          text             NOT NULL,
    baseline           text             NOT NULL CHECK (baseline <> candidate),
    stage              text             NOT NULL CHECK (stage IN ('shadow', 'canary')),
    alpha              double precision NOT NULL,
    max_accuracy_loss  double precision NOT NULL,
    max_error_increase double precision NOT NULL,
    max_latency_ratio  double precision NOT NULL,
    max_disagreement   double precision NOT NULL,
    started_at         timestamptz      NOT NULL,
    verdict            text             NOT NULL DEFAULT 'undecided' CHECK (verdict IN ('undecided', 'harmful', 'harmless')),
    reason             text             NOT NULL DEFAULT '',
    updated_at         timestamptz      NOT NULL,
    CONSTRAINT comparisons_pkey PRIMARY KEY (comparison_id)
);
CREATE INDEX comparisons_by_time ON comparisons (started_at, comparison_id);
