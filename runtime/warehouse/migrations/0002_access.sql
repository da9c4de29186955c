-- Users get names, passwords and groups; groups get grants; tokens get kinds, scopes and an end.

ALTER TABLE users RENAME TO users_before;

CREATE TABLE users (
    id             VARCHAR NOT NULL,
    email          VARCHAR NOT NULL,
    name           VARCHAR NOT NULL,
    active         BOOLEAN NOT NULL,
    password_hash  VARCHAR,
    created_at     TIMESTAMP_NS NOT NULL,
    deactivated_at TIMESTAMP_NS
);
INSERT INTO users SELECT id, email, '', true, NULL, created_at, NULL FROM users_before;

CREATE TABLE user_groups (
    id          VARCHAR NOT NULL,
    name        VARCHAR NOT NULL,
    description VARCHAR NOT NULL,
    origin      VARCHAR NOT NULL,
    created_at  TIMESTAMP_NS NOT NULL,
    created_by  VARCHAR
);
INSERT INTO user_groups VALUES
    ('01900000-0000-7000-8000-000000000001', 'Admin', 'May do everything', 'system_seed',
        current_timestamp::TIMESTAMP, NULL),
    ('01900000-0000-7000-8000-000000000002', 'Everyone', 'All users', 'system_seed',
        current_timestamp::TIMESTAMP, NULL);

-- A row for each origin, so that what one origin takes back another can still give.
CREATE TABLE user_group_members (
    user_id  VARCHAR NOT NULL,
    group_id VARCHAR NOT NULL,
    origin   VARCHAR NOT NULL,
    added_at TIMESTAMP_NS NOT NULL,
    added_by VARCHAR
);
INSERT INTO user_group_members
    SELECT id, '01900000-0000-7000-8000-000000000001', 'system_seed', created_at, NULL
    FROM users_before WHERE role = 'admin';

DROP TABLE users_before;

CREATE TABLE resource_grants (
    id            VARCHAR NOT NULL,
    group_id      VARCHAR NOT NULL,
    permission    VARCHAR NOT NULL,
    resource_type VARCHAR NOT NULL,
    resource_id   VARCHAR NOT NULL,
    granted_at    TIMESTAMP_NS NOT NULL,
    granted_by    VARCHAR
);

CREATE TABLE data_packages (
    name        VARCHAR NOT NULL,
    description VARCHAR NOT NULL,
    created_at  TIMESTAMP_NS NOT NULL
);

CREATE TABLE data_package_tables (
    package    VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL
);

-- Who a user is at an identity provider.
CREATE TABLE identities (
    issuer  VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    user_id VARCHAR NOT NULL
);

ALTER TABLE tokens RENAME TO tokens_before;

CREATE TABLE tokens (
    id             VARCHAR NOT NULL,
    user_id        VARCHAR NOT NULL,
    kind           VARCHAR NOT NULL,
    name           VARCHAR NOT NULL,
    hash           VARCHAR NOT NULL,
    scopes         VARCHAR,
    created_at     TIMESTAMP_NS NOT NULL,
    expires_at     TIMESTAMP_NS NOT NULL,
    last_used_at   TIMESTAMP_NS,
    last_used_from VARCHAR,
    revoked_at     TIMESTAMP_NS
);
-- Tokens of the first schema end after 365 days, as their claims say.
INSERT INTO tokens
    SELECT id, user_id, 'pat', 'first token', hash, NULL, created_at, created_at + INTERVAL 365 DAYS,
        NULL, NULL, revoked_at
    FROM tokens_before;
DROP TABLE tokens_before;

-- One-time links: the sha256 of purpose and secret. A link that was used is gone.
CREATE TABLE links (
    purpose    VARCHAR NOT NULL,
    user_id    VARCHAR NOT NULL,
    hash       VARCHAR NOT NULL,
    expires_at TIMESTAMP_NS NOT NULL
);
