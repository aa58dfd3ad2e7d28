-- The bus: topics of partitions, an append-only table of events, and how far each consumer group has read.
-- Safe to run while anything serves: only new tables.
CREATE TABLE topics (
    topic      text        NOT NULL CHECK (topic <> ''),
    partitions integer     NOT NULL CHECK (partitions BETWEEN 1 AND 1000),
    made_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT topics_pkey PRIMARY KEY (topic)
);

-- Who appends to a partition holds its row until the commit, so offsets have no gap and become visible in their order.
CREATE TABLE partitions (
    id          integer NOT NULL GENERATED ALWAYS AS IDENTITY,
    topic       text    NOT NULL REFERENCES topics (topic),
    partition   integer NOT NULL CHECK (partition >= 0),
    next_offset bigint  NOT NULL DEFAULT 0 CHECK (next_offset >= 0),
    CONSTRAINT partitions_pkey PRIMARY KEY (id),
    CONSTRAINT partitions_one_each UNIQUE (topic, partition)
) WITH (fillfactor = 20);  -- Updated at every append: room for the next versions on the same page.

CREATE TABLE events (
    partition_id   integer     NOT NULL,
    "offset"       bigint      NOT NULL,
    key            text        NOT NULL,
    event_id       text        NOT NULL,
    type           text        NOT NULL,
    source         text        NOT NULL,
    time           timestamptz NOT NULL,
    schema_version integer     NOT NULL,
    traceparent    text        NOT NULL,
    headers        text[]      NOT NULL,  -- Name, value, name, value.
    payload        bytea       NOT NULL,
    published_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT events_pkey PRIMARY KEY (partition_id, "offset")
);

-- For retention and for reading from a time; rows lie in that order.
CREATE INDEX events_published_at ON events USING brin (published_at) WITH (autosummarize = on);

-- One row per group, to lock while its partitions are shared out.
CREATE TABLE groups (
    group_name text NOT NULL CHECK (group_name <> ''),
    CONSTRAINT groups_pkey PRIMARY KEY (group_name)
);

CREATE TABLE members (
    group_name  text        NOT NULL REFERENCES groups (group_name),
    member      uuid        NOT NULL,
    topics      text[]      NOT NULL,
    lease_until timestamptz NOT NULL,  -- By the server's clock. After it anybody may take the member's partitions.
    joined_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT members_pkey PRIMARY KEY (group_name, member)
) WITH (fillfactor = 50);

-- How far a group is, and who may say so: a commit must name the member and the generation of its hold on the partition.
CREATE TABLE positions (
    group_name   text    NOT NULL REFERENCES groups (group_name),
    partition_id integer NOT NULL REFERENCES partitions (id),
    "offset"     bigint  NOT NULL DEFAULT 0 CHECK ("offset" >= 0),  -- The next one to read.
    member       uuid,
    generation   bigint  NOT NULL DEFAULT 0,  -- Rises whenever the partition changes hands.
    CONSTRAINT positions_pkey PRIMARY KEY (group_name, partition_id)
) WITH (fillfactor = 50);

-- Appends messages in the order given. READ COMMITTED: each statement sees what was committed before it began, so the
-- offsets that are read behind the lock are the latest.
CREATE FUNCTION append(partition_ids integer[], keys text[], event_ids text[], types text[], sources text[],
                       times timestamptz[], schema_versions integer[], traceparents text[], header_lists text[],
                       payloads bytea[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    appended bigint;
BEGIN
    -- Sorted, so that two publishers never wait for each other in a ring.
    PERFORM 1 FROM partitions p WHERE p.id = ANY (partition_ids) ORDER BY p.id FOR UPDATE;

    INSERT INTO events (partition_id, "offset", key, event_id, type, source, time, schema_version, traceparent,
                        headers, payload)
    SELECT m.partition_id, p.next_offset + m.rank, m.key, m.event_id, m.type, m.source, m.time, m.schema_version,
           m.traceparent, m.headers::text[], m.payload
    FROM (SELECT u.*, row_number() OVER (PARTITION BY u.partition_id ORDER BY u.place) - 1 AS rank
          FROM unnest(partition_ids, keys, event_ids, types, sources, times, schema_versions, traceparents,
                      header_lists, payloads) WITH ORDINALITY
               AS u (partition_id, key, event_id, type, source, time, schema_version, traceparent, headers, payload,
                     place)) m
    JOIN partitions p ON p.id = m.partition_id;
    GET DIAGNOSTICS appended = ROW_COUNT;
    IF appended <> cardinality(partition_ids) THEN
        RAISE EXCEPTION 'the bus has no such partition';
    END IF;

    UPDATE partitions p SET next_offset = p.next_offset + m.messages
    FROM (SELECT id, count(*) AS messages FROM unnest(partition_ids) AS id GROUP BY id) m
    WHERE p.id = m.id;

    PERFORM pg_notify('bus_events', t.topic)
    FROM (SELECT DISTINCT p.topic FROM partitions p WHERE p.id = ANY (partition_ids)) t;
END
$$;

GRANT EXECUTE ON FUNCTION append(integer[], text[], text[], text[], text[], timestamptz[], integer[], text[], text[],
                                 bytea[]) TO tidewheel_bus;
