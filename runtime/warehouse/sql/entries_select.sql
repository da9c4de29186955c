-- All sources, or one, with when they run, where they stand and how they are.
SELECT s.name, s.enabled, epoch_ns(s.created_at), v.manifest,
    a.schedule, a.zone, a.jitter_seconds, a.stale_after_hours, a.paused,
    t.planned_for, epoch_ns(t.due_at), epoch_ns(t.served_to), epoch_ns(t.retry_at), t.failures,
    h.failing, h.stale, epoch_ns(h.fresh_at)
FROM sources AS s
LEFT JOIN versions AS v ON v.digest = s.version
LEFT JOIN agendas AS a ON a.source = s.name
LEFT JOIN standings AS t ON t.source = s.name
LEFT JOIN healths AS h ON h.source = s.name
WHERE $1 IS NULL OR lower(s.name) = lower($1)
ORDER BY s.created_at, s.name
