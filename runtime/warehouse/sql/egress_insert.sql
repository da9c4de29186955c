-- Adds rows to the egress audit; their values follow.
INSERT INTO egress (run, noted_at, decision, host, address, method, path, status, milliseconds)
