-- One more way to weigh classes. Safe beside a running release: it only lets in what was refused.
ALTER TABLE dataset_versions
    DROP CONSTRAINT dataset_versions_class_weighting_check,
    ADD CONSTRAINT dataset_versions_class_weighting_check
        CHECK (class_weighting IN ('none', 'inverse-frequency', 'effective-number', 'root-inverse-frequency'));
