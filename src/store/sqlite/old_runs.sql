-- The same of runs, but for the last one, of which `stats` tells however long ago it was.
WITH bounds AS MATERIALIZED (
    SELECT coalesce(?1->>'before', strftime('%Y-%m-%dT%H:%M:%fZ', 'now',
                                            '-' || (?1->>'older_than_seconds') || ' seconds')) AS before,
           coalesce(?1->'after'->>'at', '') AS after_at,
           coalesce(?1->'after'->>'id', '') AS after_id
),
old AS MATERIALIZED (
    SELECT id, started_at AS at FROM runs
    WHERE started_at < (SELECT before FROM bounds) AND finished_at < (SELECT before FROM bounds)
      AND started_at < (SELECT max(started_at) FROM runs)
      AND started_at >= (SELECT after_at FROM bounds)
      AND (started_at, id) > ((SELECT after_at FROM bounds), (SELECT after_id FROM bounds))
    ORDER BY started_at, id
    LIMIT (?1->>'batch')
)
SELECT json_object(
    'before', bounds.before, 'seen', (SELECT count(*) FROM old),
    'ids', json((SELECT json_group_array(id) FROM old)),
    'next', json((SELECT json_object('at', at, 'id', id) FROM old ORDER BY at DESC, id DESC LIMIT 1)))
FROM bounds
