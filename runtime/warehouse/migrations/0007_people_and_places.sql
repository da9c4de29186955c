-- What people ask for and choose, what is said about tables, marketplaces, and whom notifications reach.

CREATE TABLE access_requests (
    id          VARCHAR NOT NULL,
    user_id     VARCHAR NOT NULL,
    table_name  VARCHAR NOT NULL,
    reason      VARCHAR NOT NULL,
    state       VARCHAR NOT NULL,
    reviewed_by VARCHAR,
    reviewed_at TIMESTAMP_NS,
    created_at  TIMESTAMP_NS NOT NULL
);

CREATE TABLE user_sync_settings (
    user_id    VARCHAR NOT NULL,
    kind       VARCHAR NOT NULL,
    name       VARCHAR NOT NULL,
    enabled    BOOLEAN NOT NULL,
    updated_at TIMESTAMP_NS NOT NULL
);

CREATE TABLE column_metadata (
    table_name  VARCHAR NOT NULL,
    column_name VARCHAR NOT NULL,
    basetype    VARCHAR,
    description VARCHAR,
    confidence  VARCHAR NOT NULL,
    source      VARCHAR NOT NULL,
    updated_at  TIMESTAMP_NS NOT NULL
);

CREATE TABLE table_profiles (
    table_name  VARCHAR NOT NULL,
    profile     VARCHAR NOT NULL,
    profiled_at TIMESTAMP_NS NOT NULL
);

-- The name of the variable with the token, never the token.
CREATE TABLE marketplace_registry (
    slug           VARCHAR NOT NULL,
    name           VARCHAR NOT NULL,
    url            VARCHAR NOT NULL,
    branch         VARCHAR,
    description    VARCHAR,
    token_env      VARCHAR,
    registered_by  VARCHAR,
    registered_at  TIMESTAMP_NS NOT NULL,
    last_synced_at TIMESTAMP_NS
);

-- Each entry as its marketplace lists it; the rest is read from that.
CREATE TABLE marketplace_plugins (
    marketplace VARCHAR NOT NULL,
    name        VARCHAR NOT NULL,
    entry       VARCHAR NOT NULL
);

CREATE TABLE telegram_links (
    user_id   VARCHAR NOT NULL,
    chat      BIGINT NOT NULL,
    linked_at TIMESTAMP_NS NOT NULL
);

-- The sha256 of a code. A code that was used is gone.
CREATE TABLE telegram_codes (
    hash       VARCHAR NOT NULL,
    chat       BIGINT NOT NULL,
    expires_at TIMESTAMP_NS NOT NULL
);

CREATE TABLE script_registry (
    id          VARCHAR NOT NULL,
    name        VARCHAR NOT NULL,
    owner       VARCHAR,
    schedule    VARCHAR,
    source      VARCHAR NOT NULL,
    deployed_at TIMESTAMP_NS NOT NULL
);
