-- What grants on tables leave out, as JSON, and the key of the hashes that stand in place of masked values.

ALTER TABLE resource_grants ADD COLUMN restriction VARCHAR;

CREATE TABLE mask_key (
    key VARCHAR NOT NULL
);
