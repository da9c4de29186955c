-- Forgets the oldest of more alerts than are kept.
DELETE FROM alerts
WHERE id NOT IN (SELECT id FROM alerts ORDER BY noted_at DESC, id DESC LIMIT ?)
