-- A further reason to choose a sample. Safe beside a running release, which chooses for the others.
ALTER TABLE cycle_samples DROP CONSTRAINT cycle_samples_reason_check;
ALTER TABLE cycle_samples ADD CONSTRAINT cycle_samples_reason_check
    CHECK (reason IN ('uncertain', 'drifted', 'slice', 'random', 'diverse'));
