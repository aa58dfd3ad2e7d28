-- Tasks: versions are added, never changed. Safe beside a running release: only new tables.
CREATE TABLE tasks (
    name       text        NOT NULL CHECK (name ~ '^[a-z][a-z0-9-]{0,62}$'),
    version    integer     NOT NULL CHECK (version > 0),
    digest     text        NOT NULL CHECK (length(digest) = 64),  -- SHA-256 of the canonical YAML.
    canonical  text        NOT NULL,                              -- Every key, in a fixed order.
    yaml       text        NOT NULL,                              -- As it was applied.
    applied_at timestamptz NOT NULL,
    applied_by text        NOT NULL,
    CONSTRAINT tasks_pkey PRIMARY KEY (name, version)
);

-- The audit chain: each entry's hash covers its content and the hash before it. Nobody may change or remove an entry.
CREATE TABLE audit_entries (
    number        bigint      NOT NULL CHECK (number > 0),
    at            timestamptz NOT NULL,
    actor         text        NOT NULL,
    action        text        NOT NULL,
    subject       text        NOT NULL,
    details       text        NOT NULL,
    previous_hash text        NOT NULL CHECK (length(previous_hash) = 64),
    hash          text        NOT NULL CHECK (length(hash) = 64),
    CONSTRAINT audit_entries_pkey PRIMARY KEY (number),
    -- A chain never forks.
    CONSTRAINT audit_entries_one_successor UNIQUE (previous_hash)
);
CREATE INDEX audit_entries_subject ON audit_entries (subject, number);
REVOKE UPDATE, DELETE, TRUNCATE ON audit_entries FROM tidewheel_registry;
REVOKE UPDATE, DELETE, TRUNCATE ON tasks FROM tidewheel_registry;
