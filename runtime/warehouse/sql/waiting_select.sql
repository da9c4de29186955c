-- The runs that were accepted and have not begun, oldest first, each with what it was asked to do.
SELECT id, source, version, operation, state, epoch_ns(queued_at), epoch_ns(started_at), epoch_ns(finished_at),
    rows, bytes_in, bytes_out, requests, failure, triggered_by, table_names, attempt
FROM runs JOIN orders ON run = id
WHERE state = 'queued'
ORDER BY queued_at, id
