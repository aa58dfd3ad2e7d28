-- Candidates beside the serving version, what was judged of model versions, and one revision for everything that a reader
-- of a task's deployment must see. Safe beside a running release: only new tables, and a release that does not know
-- task_revisions still grows the revisions of deployments, which are read too.

-- Of the last change of a task that its deployment's readers must see: promotions, roll backs, rollouts, and the task's own
-- capture and quality rules. The revision is taken when the audit chain is locked: revisions grow in the order of commits.
CREATE TABLE task_revisions (
    task     text   NOT NULL,
    revision bigint NOT NULL,
    CONSTRAINT task_revisions_pkey PRIMARY KEY (task)
);

CREATE TABLE rollouts (
    number           bigint           GENERATED ALWAYS AS IDENTITY,
    task             text             NOT NULL,
    model_version_id uuid             NOT NULL REFERENCES model_versions (model_version_id),
    stage            text             NOT NULL CHECK (stage IN ('shadow', 'canary')),
    share            double precision NOT NULL,  -- Of requests.
    since            timestamptz      NOT NULL,
    set_by           text             NOT NULL,
    reason           text             NOT NULL,
    ended_at         timestamptz,                -- Null: in force.
    ended_by         text,
    end_reason       text,
    CONSTRAINT rollouts_pkey PRIMARY KEY (number),
    CONSTRAINT rollouts_share CHECK ((stage = 'shadow' AND share = 0) OR (stage = 'canary' AND share > 0 AND share < 1))
);
-- "One rollout per task" lives here, where no race can break it.
CREATE UNIQUE INDEX rollouts_one_current ON rollouts (task) WHERE ended_at IS NULL;

-- Candidates held against the serving model.
CREATE TABLE gate_evaluations (
    number             bigint      GENERATED ALWAYS AS IDENTITY,
    evaluation_id      text        NOT NULL CHECK (evaluation_id <> ''),
    model_version_id   uuid        NOT NULL REFERENCES model_versions (model_version_id),
    baseline_id        uuid        REFERENCES model_versions (model_version_id),  -- Null: nothing served.
    dataset_version_id text        NOT NULL,
    verdict            text        NOT NULL CHECK (verdict IN ('pass', 'fail', 'not evaluated', 'inconclusive')),
    evaluated_at       timestamptz NOT NULL,
    actor              text        NOT NULL,
    CONSTRAINT gate_evaluations_pkey PRIMARY KEY (number),
    CONSTRAINT gate_evaluations_id UNIQUE (evaluation_id)
);
CREATE INDEX gate_evaluations_model ON gate_evaluations (model_version_id, number);

CREATE TABLE gate_criteria (
    evaluation_number bigint           NOT NULL REFERENCES gate_evaluations (number),
    ordinal           integer          NOT NULL CHECK (ordinal > 0),
    name              text             NOT NULL,
    verdict           text             NOT NULL CHECK (verdict IN ('pass', 'fail', 'not evaluated', 'inconclusive')),
    reason            text             NOT NULL,
    difference        double precision,  -- Candidate minus baseline, and its interval.
    low               double precision,
    high              double precision,
    samples           bigint           NOT NULL CHECK (samples >= 0),
    p_value           double precision CHECK (p_value BETWEEN 0 AND 1),
    CONSTRAINT gate_criteria_pkey PRIMARY KEY (evaluation_number, ordinal)
);

CREATE TABLE sign_offs (
    model_version_id uuid        NOT NULL REFERENCES model_versions (model_version_id),
    role             text        NOT NULL,
    actor            text        NOT NULL CHECK (actor <> ''),
    approved         boolean     NOT NULL,
    reason           text        NOT NULL,
    signed_at        timestamptz NOT NULL,
    -- One signature per version and role.
    CONSTRAINT sign_offs_pkey PRIMARY KEY (model_version_id, role),
    CONSTRAINT sign_offs_refusal_says_why CHECK (approved OR reason <> '')
);
REVOKE UPDATE, DELETE, TRUNCATE ON gate_evaluations, gate_criteria, sign_offs FROM tidewheel_registry;
REVOKE DELETE, TRUNCATE ON rollouts FROM tidewheel_registry;
