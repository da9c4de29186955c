-- Tables that sources publish or admins have registered.
CREATE TABLE table_registry (
    id                 VARCHAR NOT NULL,
    name               VARCHAR NOT NULL,
    source             VARCHAR,
    source_type        VARCHAR,
    bucket             VARCHAR,
    source_table       VARCHAR,
    sync_strategy      VARCHAR NOT NULL,
    query_mode         VARCHAR NOT NULL,
    sync_schedule      VARCHAR,
    profile_after_sync BOOLEAN NOT NULL,
    primary_key        VARCHAR NOT NULL,
    folder             VARCHAR,
    description        VARCHAR,
    registered_by      VARCHAR,
    registered_at      TIMESTAMP_NS NOT NULL
);

-- What is known of the rows of a registered table that was published at least once.
CREATE TABLE sync_state (
    table_id        VARCHAR NOT NULL,
    last_sync       TIMESTAMP_NS NOT NULL,
    rows            BIGINT NOT NULL,
    file_size_bytes BIGINT NOT NULL,
    columns         BIGINT NOT NULL,
    hash            VARCHAR,
    status          VARCHAR NOT NULL,
    error           VARCHAR
);

-- The newest syncs of each registered table.
CREATE TABLE sync_history (
    id          VARCHAR NOT NULL,
    table_id    VARCHAR NOT NULL,
    synced_at   TIMESTAMP_NS NOT NULL,
    rows        BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    status      VARCHAR NOT NULL,
    error       VARCHAR
);

-- Definitions of business metrics; what is looked up stands beside the whole.
CREATE TABLE metric_definitions (
    id         VARCHAR NOT NULL,
    category   VARCHAR NOT NULL,
    definition VARCHAR NOT NULL
);

-- What people know about the data.
CREATE TABLE knowledge_items (
    id          VARCHAR NOT NULL,
    title       VARCHAR NOT NULL,
    content     VARCHAR NOT NULL,
    category    VARCHAR NOT NULL,
    tags        VARCHAR NOT NULL,
    status      VARCHAR NOT NULL,
    source_user VARCHAR NOT NULL,
    audience    VARCHAR,
    confidence  DOUBLE NOT NULL,
    domain      VARCHAR,
    entities    VARCHAR NOT NULL,
    source_type VARCHAR NOT NULL,
    is_personal BOOLEAN NOT NULL,
    created_at  TIMESTAMP_NS NOT NULL,
    updated_at  TIMESTAMP_NS NOT NULL
);

-- One vote of a user on an item: 1 or -1.
CREATE TABLE knowledge_votes (
    item_id  VARCHAR NOT NULL,
    user_id  VARCHAR NOT NULL,
    vote     TINYINT NOT NULL,
    voted_at TIMESTAMP_NS NOT NULL
);
