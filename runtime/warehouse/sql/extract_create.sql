-- The tables of an extract. The first one is the contract with other programs; those that begin with
-- `_sluice` are this host's own.
CREATE TABLE _meta (
    table_name   VARCHAR NOT NULL,
    description  VARCHAR NOT NULL,
    rows         BIGINT NOT NULL,
    size_bytes   BIGINT NOT NULL,
    extracted_at TIMESTAMP NOT NULL,
    query_mode   VARCHAR NOT NULL
);

CREATE TABLE _sluice_file (
    table_name VARCHAR NOT NULL,
    path       VARCHAR NOT NULL,
    rows       BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256     VARCHAR,
    md5        VARCHAR,
    -- The partition of a split table that it holds, and the file in whose place it stands.
    partition  VARCHAR,
    origin     VARCHAR
);

-- Tables that the next run brings anew, whatever their write mode and cursor.
CREATE TABLE _sluice_anew (
    table_name VARCHAR NOT NULL
);

CREATE TABLE _sluice_cursor (
    table_name VARCHAR NOT NULL,
    cursor     BLOB NOT NULL
);

CREATE TABLE _sluice_remote (
    table_name  VARCHAR NOT NULL,
    alias       VARCHAR NOT NULL,
    remote_name VARCHAR NOT NULL
);
