-- What every schema has beside its own tables: events on their way out, and the ids of events already applied.
-- Safe while the previous release serves: only new tables.
CREATE TABLE outbox (
    id          bigint      GENERATED ALWAYS AS IDENTITY (CACHE 1),  -- No cache: order of ids is order of enqueuing.
    event_id    uuid        NOT NULL,
    topic       text        NOT NULL CHECK (topic <> ''),
    key         text        NOT NULL,
    type        text        NOT NULL CHECK (type <> ''),
    headers     jsonb       NOT NULL DEFAULT '{}',                   -- Texts by name.
    payload     bytea       NOT NULL,
    traceparent text        NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT outbox_pkey PRIMARY KEY (id)
);

-- Rows live for milliseconds, so the table is nearly empty and nearly all garbage: clean by count, not by share.
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE TABLE inbox (
    consumer    text        NOT NULL CHECK (consumer <> ''),
    event_id    uuid        NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT inbox_pkey PRIMARY KEY (consumer, event_id)
);

-- Rows are in the order of time, which is what a block range index is for: next to nothing per insert.
CREATE INDEX inbox_received_at ON inbox USING brin (received_at);
