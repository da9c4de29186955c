-- How each run went, as a few points for a plot.

CREATE TABLE run_series (
    run    VARCHAR NOT NULL,
    points VARCHAR NOT NULL
);
