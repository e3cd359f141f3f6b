-- The same of runs, but for the last one, of which `stats` tells however long ago it was.
WITH bounds AS MATERIALIZED (
    SELECT coalesce(($1::jsonb->>'before')::timestamptz,
                    now() - make_interval(secs => ($1::jsonb->>'older_than_seconds')::float8)) AS before,
           coalesce(($1::jsonb->'after'->>'at')::timestamptz, '-infinity') AS after_at,
           coalesce(($1::jsonb->'after'->>'id')::uuid, '00000000-0000-0000-0000-000000000000') AS after_id
),
old AS MATERIALIZED (
    SELECT id, started_at AS at FROM publisher.runs
    WHERE started_at < (SELECT before FROM bounds) AND finished_at < (SELECT before FROM bounds)
      AND started_at < (SELECT max(started_at) FROM publisher.runs)
      AND (started_at, id) > ((SELECT after_at FROM bounds), (SELECT after_id FROM bounds))
    ORDER BY started_at, id
    LIMIT ($1::jsonb->>'batch')::bigint
)
SELECT jsonb_build_object(
    'before', bounds.before, 'seen', (SELECT count(*) FROM old),
    'ids', coalesce((SELECT jsonb_agg(id) FROM old), '[]'),
    'next', (SELECT jsonb_build_object('at', at, 'id', id) FROM old ORDER BY at DESC, id DESC LIMIT 1))::text
FROM bounds
