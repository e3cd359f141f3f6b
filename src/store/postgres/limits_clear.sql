DELETE FROM publisher.limits
WHERE scope = $1::jsonb->>'scope' AND ($1::jsonb->>'window' IS NULL OR "window" = $1::jsonb->>'window')
RETURNING jsonb_build_object('scope', scope, 'action', action, 'window', "window", 'max', max)::text
