-- The newest entries of a kind, newest first.
SELECT seq, id, epoch_us(timestamp), user_id, token_id, action, resource, params, result, duration_ms, address,
    request_id, previous_hash, hash
FROM audit_log
WHERE starts_with(action, $1) AND ($2::VARCHAR IS NULL OR action = $2::VARCHAR)
ORDER BY seq DESC
LIMIT $3
