-- A slot is filled by a sealed value or by the name of an environment variable; who did it, and when.

ALTER TABLE credentials RENAME TO credentials_before;

CREATE TABLE credentials (
    source     VARCHAR NOT NULL,
    slot       VARCHAR NOT NULL,
    sealed     BLOB,
    variable   VARCHAR,
    entered_at TIMESTAMP_NS,
    entered_by VARCHAR
);
INSERT INTO credentials SELECT source, slot, sealed, NULL, NULL, NULL FROM credentials_before;

DROP TABLE credentials_before;
