-- When an alert was kept, so that it can be forgotten; what a task's cycles of one day cost. Safe beside a running release: a
-- column with a default and indexes.
ALTER TABLE waiting_alerts ADD COLUMN kept_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX waiting_alerts_oldest ON waiting_alerts (kept_at);
CREATE INDEX cycles_ended_of_task ON cycles (task, ended_at) WHERE ended_at IS NOT NULL;
