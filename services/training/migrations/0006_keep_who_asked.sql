-- Who asked, in every decision; and decisions about a cycle that is there. Safe beside a running release: a column with a
-- default, wider checks and an index; it goes on writing the outcomes it knows.
ALTER TABLE decisions ADD COLUMN actor text NOT NULL DEFAULT '';
ALTER TABLE decisions DROP CONSTRAINT decisions_outcome_check;
ALTER TABLE decisions ADD CONSTRAINT decisions_outcome_check
    CHECK (outcome IN ('started', 'not_started', 'paused', 'resumed', 'retried', 'cancelled', 'went_on'));
ALTER TABLE decisions DROP CONSTRAINT decisions_started;
ALTER TABLE decisions ADD CONSTRAINT decisions_of_a_cycle CHECK ((outcome = 'not_started') = (cycle_id IS NULL));
CREATE INDEX decisions_of_cycle ON decisions (cycle_id, decided_at, decision_id) WHERE cycle_id IS NOT NULL;
