-- The first schema. No primary keys and no unique indexes: uniqueness is checked by the one writer in
-- its transaction, since indexes were seen corrupted after a kill.

CREATE TABLE publishers (
    name       VARCHAR NOT NULL,
    public_key VARCHAR NOT NULL,
    added_at   TIMESTAMP_NS NOT NULL
);

CREATE TABLE versions (
    digest          VARCHAR NOT NULL,
    manifest        VARCHAR NOT NULL,
    publisher       VARCHAR NOT NULL,
    trusted         BOOLEAN NOT NULL,
    size_bytes      BIGINT NOT NULL,
    compiled_digest VARCHAR,
    compiled_engine VARCHAR,
    uploaded_at     TIMESTAMP_NS NOT NULL
);

CREATE TABLE sources (
    name       VARCHAR NOT NULL,
    connector  VARCHAR NOT NULL,
    version    VARCHAR NOT NULL,
    settings   VARCHAR NOT NULL,
    granted    VARCHAR NOT NULL,
    enabled    BOOLEAN NOT NULL,
    created_at TIMESTAMP_NS NOT NULL
);

-- Encrypted before they come here.
CREATE TABLE credentials (
    source VARCHAR NOT NULL,
    slot   VARCHAR NOT NULL,
    sealed BLOB NOT NULL
);

CREATE TABLE runs (
    id          VARCHAR NOT NULL,
    source      VARCHAR NOT NULL,
    version     VARCHAR NOT NULL,
    operation   VARCHAR NOT NULL,
    state       VARCHAR NOT NULL,
    queued_at   TIMESTAMP_NS NOT NULL,
    started_at  TIMESTAMP_NS,
    finished_at TIMESTAMP_NS,
    rows        BIGINT NOT NULL,
    bytes_in    BIGINT NOT NULL,
    bytes_out   BIGINT NOT NULL,
    requests    BIGINT NOT NULL,
    failure     VARCHAR
);

CREATE SEQUENCE line_numbers;

CREATE TABLE run_log (
    number  BIGINT NOT NULL DEFAULT nextval('line_numbers'),
    run     VARCHAR NOT NULL,
    noted_at TIMESTAMP_NS NOT NULL,
    level   VARCHAR NOT NULL,
    message VARCHAR NOT NULL
);

CREATE TABLE egress (
    number       BIGINT NOT NULL DEFAULT nextval('line_numbers'),
    run          VARCHAR NOT NULL,
    noted_at     TIMESTAMP_NS NOT NULL,
    decision     VARCHAR NOT NULL,
    host         VARCHAR NOT NULL,
    address      VARCHAR,
    method       VARCHAR NOT NULL,
    path         VARCHAR NOT NULL,
    status       INTEGER,
    milliseconds BIGINT NOT NULL
);

CREATE TABLE users (
    id         VARCHAR NOT NULL,
    email      VARCHAR NOT NULL,
    role       VARCHAR NOT NULL,
    created_at TIMESTAMP_NS NOT NULL
);

-- The sha256 of each token; the token itself is kept by its holder alone.
CREATE TABLE tokens (
    id         VARCHAR NOT NULL,
    user_id    VARCHAR NOT NULL,
    hash       VARCHAR NOT NULL,
    created_at TIMESTAMP_NS NOT NULL,
    revoked_at TIMESTAMP_NS
);

-- At most one row: the sha256 of the code with which the first admin claims the server.
CREATE TABLE bootstrap (
    hash VARCHAR NOT NULL
);
