-- Adds an entry to the audit log.
INSERT INTO audit_log
    (seq, id, timestamp, user_id, token_id, action, resource, params, result, duration_ms, address, request_id,
     previous_hash, hash)
VALUES (?, ?, make_timestamp(?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
