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
    md5        VARCHAR
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
