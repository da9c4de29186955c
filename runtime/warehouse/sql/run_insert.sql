-- Writes a run.
INSERT INTO runs
VALUES (?, ?, ?, ?, ?, make_timestamp_ns(?), make_timestamp_ns(?), make_timestamp_ns(?), ?, ?, ?, ?, ?)
