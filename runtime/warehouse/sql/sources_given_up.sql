-- The sources in whose last attempt a server died.
SELECT DISTINCT source
FROM runs JOIN orders ON run = id
WHERE state = 'running' AND triggered_by = 'schedule' AND attempt >= ?
ORDER BY source
