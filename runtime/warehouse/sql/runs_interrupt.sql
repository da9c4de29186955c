-- Ends the runs that a dead server left behind.
UPDATE runs
SET state = 'interrupted', finished_at = make_timestamp_ns(?), failure = ?
WHERE state IN ('queued', 'running')
