-- Who did what, on what, from where, and how it ended. Rows are only ever added; retention removes
-- the oldest. Each row's hash covers the whole row and the hash before it. Times are UTC.

CREATE TABLE audit_log (
    seq           BIGINT NOT NULL,
    id            VARCHAR NOT NULL,
    timestamp     TIMESTAMP NOT NULL,
    user_id       VARCHAR,
    token_id      VARCHAR,
    action        VARCHAR NOT NULL,
    resource      VARCHAR,
    params        VARCHAR,
    result        VARCHAR,
    duration_ms   INTEGER,
    address       VARCHAR,
    request_id    VARCHAR,
    previous_hash VARCHAR NOT NULL,
    hash          VARCHAR NOT NULL
);

-- One row: the newest entry, and the last one that retention removed.
CREATE TABLE audit_chain (
    head_seq    BIGINT NOT NULL,
    head_hash   VARCHAR NOT NULL,
    anchor_seq  BIGINT NOT NULL,
    anchor_hash VARCHAR NOT NULL,
    removed     BIGINT NOT NULL
);

INSERT INTO audit_chain VALUES (0, repeat('0', 64), 0, repeat('0', 64), 0);
