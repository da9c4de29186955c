-- The columns that each table of a source has now, and how they came to be what they are.

CREATE TABLE table_columns (
    source      VARCHAR NOT NULL,
    table_name  VARCHAR NOT NULL,
    position    BIGINT NOT NULL,
    column_name VARCHAR NOT NULL,
    data_type   VARCHAR NOT NULL
);

CREATE TABLE schema_changes (
    id          VARCHAR NOT NULL,
    source      VARCHAR NOT NULL,
    table_name  VARCHAR NOT NULL,
    run         VARCHAR,
    changed_at  TIMESTAMP_NS NOT NULL,
    kind        VARCHAR NOT NULL,
    column_name VARCHAR NOT NULL,
    type_before VARCHAR,
    type_after  VARCHAR
);
