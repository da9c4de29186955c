-- What admins decided about sources beside their settings, and how versions compared over recorded runs.

-- At most one a source; one without a row is moved by hand and recorded as the configuration says.
CREATE TABLE policies (
    source       VARCHAR NOT NULL,
    upgrade      VARCHAR NOT NULL,
    compare_runs BIGINT NOT NULL,
    recordings   BIGINT,
    set_at       TIMESTAMP_NS NOT NULL,
    set_by       VARCHAR
);

-- The last few of each source.
CREATE TABLE comparisons (
    id          VARCHAR NOT NULL,
    source      VARCHAR NOT NULL,
    old_version VARCHAR NOT NULL,
    new_version VARCHAR NOT NULL,
    most_runs   BIGINT NOT NULL,
    state       VARCHAR NOT NULL,
    runs        VARCHAR NOT NULL,
    missing     VARCHAR NOT NULL,
    failure     VARCHAR,
    asked_at    TIMESTAMP_NS NOT NULL,
    asked_by    VARCHAR,
    finished_at TIMESTAMP_NS
);
