#!/bin/sh
# Run once by the postgres image on an empty volume: the services' roles with their password, before the first migration would make them
# without one (it leaves roles that are there as they are).
set -eu
psql --set ON_ERROR_STOP=1 --set password="$TIDEWHEEL_SERVICE_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT CONNECTION LIMIT 40 PASSWORD %L', 'tidewheel_' || name, :'password')
FROM unnest(ARRAY['registry', 'ingestion', 'labeling', 'monitoring', 'training', 'curation', 'inference', 'console']) AS name
\gexec
SQL
