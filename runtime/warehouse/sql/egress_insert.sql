-- Adds a row to the egress audit.
INSERT INTO egress (run, noted_at, decision, host, address, method, path, status, milliseconds)
VALUES (?, make_timestamp_ns(?), ?, ?, ?, ?, ?, ?, ?)
