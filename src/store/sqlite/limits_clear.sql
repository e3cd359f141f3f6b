DELETE FROM limits
WHERE scope = ?1->>'scope' AND (?1->>'window' IS NULL OR "window" = ?1->>'window')
RETURNING json_object('scope', scope, 'action', action, 'window', "window", 'max', max)
