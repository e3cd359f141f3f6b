INSERT INTO limits (scope, action, "window", max)
VALUES (?1->>'scope', coalesce(?1->>'action', 'publish'), ?1->>'window', ?1->>'max')
ON CONFLICT (scope, action, "window") DO UPDATE SET max = excluded.max
RETURNING json_object('scope', scope, 'action', action, 'window', "window", 'max', max)
