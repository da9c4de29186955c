-- Where retention stops: the first entry that is not older, or the number after the last one.
SELECT coalesce(min(seq) FILTER (WHERE epoch_us(timestamp) >= ?), max(seq) + 1, 0)
FROM audit_log
