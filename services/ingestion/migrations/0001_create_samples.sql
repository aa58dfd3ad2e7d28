-- Samples and what was set aside. Safe beside a running release: only new tables.
CREATE TABLE samples (
    sample_id      uuid             NOT NULL,
    task           text             NOT NULL,
    sha256         bytea            NOT NULL CHECK (length(sha256) = 32),
    payload_ref    text             NOT NULL CHECK (payload_ref <> ''),
    name           text             NOT NULL CHECK (name <> ''),
    source         text             NOT NULL,
    group_key      text             NOT NULL CHECK (group_key <> ''),
    split          text             NOT NULL CHECK (split IN ('training', 'validation', 'test')),
    collected_at   timestamptz      NOT NULL,
    added_at       timestamptz      NOT NULL,
    deactivated_at timestamptz,                                  -- Null: active.
    deactivated_because text        NOT NULL DEFAULT '',
    metadata       jsonb            NOT NULL,                    -- Texts by name.
    measures       jsonb            NOT NULL,                    -- Numbers by name.
    hash_high      bigint           NOT NULL,                    -- The 128-bit difference hash.
    hash_low       bigint           NOT NULL,
    width          integer          NOT NULL CHECK (width > 0),  -- Pixels.
    height         integer          NOT NULL CHECK (height > 0), -- Pixels.
    size_bytes     bigint           NOT NULL CHECK (size_bytes > 0),
    content_type   text             NOT NULL,
    -- Of the transaction that stored it: who follows the table reads up to the oldest that may still commit, and so never
    -- skips a late one.
    added_xid      xid8             NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT samples_pkey PRIMARY KEY (sample_id),
    -- "Stored once" lives here, where no race can break it.
    CONSTRAINT samples_one_per_content UNIQUE (task, sha256)
);
CREATE INDEX samples_in_order ON samples (task, sample_id);
CREATE INDEX samples_by_name ON samples (task, name);
CREATE INDEX samples_followed ON samples (task, added_xid, sample_id);
CREATE INDEX samples_by_group ON samples (task, group_key);

CREATE TABLE quarantine (
    quarantine_id  uuid        NOT NULL,
    task           text        NOT NULL,
    sha256         bytea       NOT NULL CHECK (length(sha256) = 32),
    payload_ref    text        NOT NULL,  -- Empty for exact duplicates: the sample has the bytes.
    name           text        NOT NULL CHECK (name <> ''),
    source         text        NOT NULL,
    size_bytes     bigint      NOT NULL CHECK (size_bytes > 0),
    quarantined_at timestamptz NOT NULL,
    CONSTRAINT quarantine_pkey PRIMARY KEY (quarantine_id),
    CONSTRAINT quarantine_one_per_name UNIQUE (task, sha256, name)
);
CREATE INDEX quarantine_in_order ON quarantine (task, quarantine_id);

CREATE TABLE quarantine_reasons (
    quarantine_id uuid     NOT NULL REFERENCES quarantine (quarantine_id) ON DELETE CASCADE,
    place         smallint NOT NULL CHECK (place >= 0),
    reason        text     NOT NULL CHECK (reason IN ('undecodable', 'too_small', 'too_large', 'underexposed', 'overexposed',
                                                      'blurred', 'exact_duplicate', 'near_duplicate')),
    message       text     NOT NULL,
    sample_id     uuid,                -- For duplicates.
    CONSTRAINT quarantine_reasons_pkey PRIMARY KEY (quarantine_id, place)
);
CREATE INDEX quarantine_reasons_by_reason ON quarantine_reasons (reason, quarantine_id);
