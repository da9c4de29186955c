-- The versions that sources left, and the moves of sources that have not happened yet.

-- The last few of each source, with where its tables stood: what a rollback brings back.
CREATE TABLE pins (
    source  VARCHAR NOT NULL,
    number  BIGINT NOT NULL,
    version VARCHAR NOT NULL,
    mark    VARCHAR NOT NULL,
    left_at TIMESTAMP_NS NOT NULL,
    left_by VARCHAR
);

-- At most one a source: an upgrade that waits for a grant, or a rollback that has begun.
CREATE TABLE moves (
    source   VARCHAR NOT NULL,
    version  VARCHAR NOT NULL,
    kind     VARCHAR NOT NULL,
    asked_at TIMESTAMP_NS NOT NULL,
    asked_by VARCHAR
);
