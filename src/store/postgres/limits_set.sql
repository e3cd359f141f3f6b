INSERT INTO publisher.limits (scope, action, "window", max)
SELECT r.scope, coalesce(r.action, 'publish'), r."window", r.max
FROM jsonb_to_record($1::jsonb) AS r (scope text, action text, "window" text, max integer)
ON CONFLICT (scope, action, "window") DO UPDATE SET max = excluded.max
RETURNING jsonb_build_object('scope', scope, 'action', action, 'window', "window", 'max', max)::text
