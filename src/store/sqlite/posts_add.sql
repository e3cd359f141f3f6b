INSERT INTO posts (account_id, group_id, kind, body, link, media, options, scheduled_at, local_time, timezone,
                   expires_at, priority, max_attempts, external_ref, due_at)
SELECT value->>'account_id', value->>'group_id', coalesce(value->>'kind', 'post'), coalesce(value->>'body', ''),
       value->>'link', coalesce(nullif(value->'media', 'null'), '[]'), coalesce(nullif(value->'options', 'null'), '{}'),
       value->>'scheduled_at', value->>'local_time', value->>'timezone', value->>'expires_at',
       coalesce(value->>'priority', 0), coalesce(value->>'max_attempts', 5), value->>'external_ref',
       value->>'scheduled_at'
FROM json_each(?1, '$.rows')
WHERE true
ORDER BY key
ON CONFLICT (external_ref) WHERE external_ref IS NOT NULL DO NOTHING
RETURNING CAST(id AS TEXT)
