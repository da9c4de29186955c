-- Ends the runs in which a dead server left off; those that only waited go on waiting.
UPDATE runs
SET state = 'interrupted', finished_at = make_timestamp_ns(?), failure = ?
WHERE state = 'running' OR (state = 'queued' AND id NOT IN (SELECT run FROM orders))
