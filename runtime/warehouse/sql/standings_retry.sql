-- Has schedules try again, now, what a dead server left off.
UPDATE standings
SET retry_at = make_timestamp_ns($1), failures = dead.attempt
FROM (
    SELECT source, max(attempt) AS attempt
    FROM runs JOIN orders ON run = id
    WHERE state = 'running' AND triggered_by = 'schedule' AND attempt < $2
    GROUP BY source
) AS dead
WHERE standings.source = dead.source
