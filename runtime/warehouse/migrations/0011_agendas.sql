-- When sources run by themselves, what runs were asked to do, and what people are told about it.

-- What people decided; at most one a source. One without a row follows what its connector proposes.
CREATE TABLE agendas (
    source            VARCHAR NOT NULL,
    schedule          VARCHAR NOT NULL,
    zone              VARCHAR,
    jitter_seconds    BIGINT,
    stale_after_hours BIGINT,
    paused            BOOLEAN NOT NULL,
    set_at            TIMESTAMP_NS NOT NULL,
    set_by            VARCHAR
);

-- Where each source stands in its schedule.
CREATE TABLE standings (
    source      VARCHAR NOT NULL,
    planned_for VARCHAR,
    due_at      TIMESTAMP_NS,
    served_to   TIMESTAMP_NS,
    retry_at    TIMESTAMP_NS,
    failures    BIGINT NOT NULL
);

-- What each run was asked to do; its operation stands with the run.
CREATE TABLE orders (
    run          VARCHAR NOT NULL,
    triggered_by VARCHAR NOT NULL,
    table_names  VARCHAR NOT NULL,
    attempt      BIGINT NOT NULL
);

-- How each source is, as far as people were told.
CREATE TABLE healths (
    source   VARCHAR NOT NULL,
    failing  BOOLEAN NOT NULL,
    stale    BOOLEAN NOT NULL,
    fresh_at TIMESTAMP_NS NOT NULL
);

-- What was not delivered yet.
CREATE TABLE alerts (
    id       VARCHAR NOT NULL,
    noted_at TIMESTAMP_NS NOT NULL,
    message  VARCHAR NOT NULL
);

-- What worked before is known from the runs.
INSERT INTO healths
SELECT source, false, false, max(finished_at)
FROM runs
WHERE state = 'succeeded' AND operation = 'sync' AND finished_at IS NOT NULL AND source IN (SELECT name FROM sources)
GROUP BY source;
