-- Turns of the loop and every decision about them. Safe beside a running release: only new tables.
CREATE TABLE cycles (
    cycle_id                    uuid        NOT NULL,
    request_id                  text        NOT NULL CHECK (request_id <> ''),
    task                        text        NOT NULL CHECK (task <> ''),
    task_version                integer     NOT NULL CHECK (task_version > 0),  -- Whose policy holds throughout.
    state                       text        NOT NULL
                                CHECK (state IN ('triggered', 'collecting', 'labeling', 'building', 'training', 'gating',
                                                 'awaiting_sign_off', 'shadow', 'canary', 'promoted', 'rejected',
                                                 'rolled_back', 'cancelled', 'failed')),
    open                        boolean     NOT NULL GENERATED ALWAYS AS
                                (state NOT IN ('promoted', 'rejected', 'rolled_back', 'cancelled', 'failed')) STORED,
    reason                      text        NOT NULL DEFAULT '',
    -- Why it was started, and by whom.
    trigger                     text        NOT NULL CHECK (trigger IN ('alert', 'labels', 'schedule', 'hand')),
    alert_id                    text        NOT NULL,
    alert_cause                 text        NOT NULL,
    damage                      double precision NOT NULL,
    since                       timestamptz,           -- Samples are chosen from here on; null: from all traffic.
    actor                       text        NOT NULL,
    asked_because               text        NOT NULL,
    labels_at_hand              boolean     NOT NULL,
    given_candidate             boolean     NOT NULL,
    override_reason             text        NOT NULL,
    -- What it has come to.
    baseline_model_version_id   text        NOT NULL DEFAULT '',
    previous_dataset_version_id text        NOT NULL DEFAULT '',
    slice                       text        NOT NULL DEFAULT '',
    batch_id                    text        NOT NULL DEFAULT '',
    dataset_version_id          text        NOT NULL DEFAULT '',
    run_id                      text        NOT NULL DEFAULT '',
    candidate_model_version_id  text        NOT NULL DEFAULT '',
    gate_evaluation_id          text        NOT NULL DEFAULT '',
    gain                        double precision,
    gain_low                    double precision,
    gain_high                   double precision,
    -- What it cost.
    labels                      integer     NOT NULL DEFAULT 0 CHECK (labels >= 0),
    cpu_seconds                 double precision NOT NULL DEFAULT 0 CHECK (cpu_seconds >= 0),
    harmed_requests             bigint      NOT NULL DEFAULT 0 CHECK (harmed_requests >= 0),
    -- How far the step is that goes on.
    step                        integer     NOT NULL DEFAULT 0 CHECK (step >= 0),
    share_number                integer     NOT NULL DEFAULT 0 CHECK (share_number >= 0),
    comparison_id               text        NOT NULL DEFAULT '',
    has_traffic                 boolean     NOT NULL DEFAULT false,
    retries                     integer     NOT NULL DEFAULT 0 CHECK (retries >= 0),
    failures_in_row             integer     NOT NULL DEFAULT 0 CHECK (failures_in_row >= 0),
    stage_since                 timestamptz NOT NULL,  -- Limits of time count from here; time paused is added.
    ending                      text,                  -- Decided; then everything is taken back.
    ending_reason               text        NOT NULL DEFAULT '',
    failed_in                   text,
    -- What people asked for: never written by the driver.
    paused_at                   timestamptz,
    cancel_requested            boolean     NOT NULL DEFAULT false,
    cancel_reason               text        NOT NULL DEFAULT '',
    -- Who takes its next step, and until when nobody else may.
    owner                       text        NOT NULL DEFAULT '',
    lease_until                 timestamptz,
    next_step_at                timestamptz NOT NULL,
    started_at                  timestamptz NOT NULL,
    ended_at                    timestamptz,
    CONSTRAINT cycles_pkey PRIMARY KEY (cycle_id),
    CONSTRAINT cycles_one_per_request UNIQUE (request_id),
    CONSTRAINT cycles_ended CHECK ((ended_at IS NULL) = (state NOT IN ('promoted', 'rejected', 'rolled_back', 'cancelled', 'failed')))
);
-- "One at a time" lives here, where no race can break it.
CREATE UNIQUE INDEX cycles_one_open ON cycles (task) WHERE open;
CREATE INDEX cycles_due ON cycles (next_step_at) WHERE open;
CREATE INDEX cycles_newest ON cycles (started_at DESC, cycle_id DESC);
CREATE INDEX cycles_of_task ON cycles (task, started_at DESC, cycle_id DESC);

CREATE TABLE cycle_steps (
    cycle_id      uuid        NOT NULL REFERENCES cycles (cycle_id),
    step          integer     NOT NULL CHECK (step >= 0),
    state         text        NOT NULL,
    entered_at    timestamptz NOT NULL,
    left_at       timestamptz,  -- Null: it goes on.
    result        text        NOT NULL DEFAULT '',
    detail_names  text[]      NOT NULL DEFAULT '{}',
    detail_values text[]      NOT NULL DEFAULT '{}',
    CONSTRAINT cycle_steps_pkey PRIMARY KEY (cycle_id, step),
    CONSTRAINT cycle_steps_details CHECK (cardinality(detail_names) = cardinality(detail_values))
);

-- Why each sample was chosen.
CREATE TABLE cycle_samples (
    cycle_id              uuid             NOT NULL REFERENCES cycles (cycle_id),
    place                 integer          NOT NULL CHECK (place >= 0),
    sample_id             uuid             NOT NULL,
    request_id            text             NOT NULL,
    request_index         integer          NOT NULL CHECK (request_index >= 0),
    reason                text             NOT NULL CHECK (reason IN ('uncertain', 'drifted', 'slice', 'random')),
    score                 double precision NOT NULL,
    inclusion_probability double precision NOT NULL CHECK (inclusion_probability BETWEEN 0 AND 1),  -- 0: not drawn at random.
    CONSTRAINT cycle_samples_pkey PRIMARY KEY (cycle_id, sample_id)
);

CREATE TABLE cycle_criteria (
    cycle_id   uuid    NOT NULL REFERENCES cycles (cycle_id),
    place      integer NOT NULL CHECK (place >= 0),
    name       text    NOT NULL,
    verdict    text    NOT NULL CHECK (verdict IN ('pass', 'fail', 'not_evaluated', 'inconclusive')),
    reason     text    NOT NULL,
    difference double precision,
    low        double precision,
    high       double precision,
    samples    bigint  NOT NULL CHECK (samples >= 0),
    p_value    double precision,
    CONSTRAINT cycle_criteria_pkey PRIMARY KEY (cycle_id, place)
);

-- Every time that a cycle could have been started.
CREATE TABLE decisions (
    decision_id uuid        NOT NULL,
    task        text        NOT NULL,
    decided_at  timestamptz NOT NULL,
    trigger     text        NOT NULL CHECK (trigger IN ('alert', 'labels', 'schedule', 'hand')),
    alert_id    text        NOT NULL,
    event       text        NOT NULL,
    outcome     text        NOT NULL CHECK (outcome IN ('started', 'not_started')),
    because     text        NOT NULL,
    reason      text        NOT NULL,
    cycle_id    uuid,
    CONSTRAINT decisions_pkey PRIMARY KEY (decision_id),
    -- "Decided once", however often the event is delivered.
    CONSTRAINT decisions_once UNIQUE (task, trigger, alert_id, event),
    CONSTRAINT decisions_started CHECK ((outcome = 'started') = (cycle_id IS NOT NULL))
);
CREATE INDEX decisions_newest ON decisions (decided_at DESC, decision_id DESC);

-- Alerts that came while a cycle ran or cooled down: looked at again when it has ended.
CREATE TABLE waiting_alerts (
    alert_id         text             NOT NULL,
    task             text             NOT NULL,
    model_version_id text             NOT NULL,
    cause            text             NOT NULL,
    damage           double precision NOT NULL,
    since            timestamptz,
    dropped          boolean          NOT NULL DEFAULT false,
    CONSTRAINT waiting_alerts_pkey PRIMARY KEY (alert_id)
);
CREATE INDEX waiting_alerts_waiting ON waiting_alerts (alert_id) WHERE NOT dropped;
