-- Training counts the labels that came since the last dataset version: enough of them start a cycle. Safe beside a running
-- release: rights alone.
GRANT USAGE ON SCHEMA labeling TO tidewheel_training;
GRANT SELECT ON labels_v1 TO tidewheel_training;
