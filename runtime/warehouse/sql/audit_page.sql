-- The entries of the audit log after a number, oldest first.
SELECT seq, id, epoch_us(timestamp), user_id, token_id, action, resource, params, result, duration_ms, address,
    request_id, previous_hash, hash
FROM audit_log
WHERE seq > $1
    AND ($2::VARCHAR IS NULL OR user_id = $2::VARCHAR)
    AND ($3::VARCHAR IS NULL OR action = $3::VARCHAR)
    AND ($4::VARCHAR IS NULL OR resource = $4::VARCHAR)
    AND ($5::BIGINT IS NULL OR epoch_us(timestamp) >= $5::BIGINT)
    AND ($6::BIGINT IS NULL OR epoch_us(timestamp) < $6::BIGINT)
ORDER BY seq, id
LIMIT $7
