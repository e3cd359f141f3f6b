-- Settled posts that are old, the next of them, and which of these stay all the same. The one parameter is a JSON object:
-- before (null at first: older_than_seconds ago), after (where the last page ended), batch, with_external_ref.
WITH bounds AS MATERIALIZED (
    SELECT coalesce(($1::jsonb->>'before')::timestamptz,
                    now() - make_interval(secs => ($1::jsonb->>'older_than_seconds')::float8)) AS before,
           coalesce(($1::jsonb->'after'->>'at')::timestamptz, '-infinity') AS after_at,
           coalesce(($1::jsonb->'after'->>'id')::bigint, '-9223372036854775808') AS after_id
),
-- One index, in its order: neither what is young nor what waits is read.
old AS MATERIALIZED (
    SELECT id, updated_at AS at, status, published_at, external_ref, group_id FROM publisher.posts
    WHERE status IN ('published', 'failed', 'expired', 'canceled')
      AND updated_at < (SELECT before FROM bounds)
      AND (updated_at, id) > ((SELECT after_at FROM bounds), (SELECT after_id FROM bounds))
    ORDER BY updated_at, id
    LIMIT ($1::jsonb->>'batch')::bigint
),
referred AS MATERIALIZED (
    SELECT publisher.referred(ARRAY(SELECT id FROM old)) AS id
),
judged AS MATERIALIZED (
    SELECT id, at,
           -- Limits and quotas count 30 days at most. Whatever clock said so, what is younger is still counted.
           CASE WHEN status = 'published' AND published_at >= now() - interval '31 days' THEN 'young'
                -- It keeps an import from making the post again.
                WHEN external_ref IS NOT NULL AND NOT ($1::jsonb->>'with_external_ref')::boolean THEN 'external_ref'
                WHEN EXISTS (SELECT FROM publisher.posts u
                             WHERE u.group_id = old.group_id
                               AND u.status IN ('pending', 'publishing', 'unconfirmed')) THEN 'group'
                WHEN id IN (SELECT id FROM referred) THEN 'referred' END AS kept
    FROM old
)
SELECT jsonb_build_object(
    'before', bounds.before, 'seen', (SELECT count(*) FROM judged),
    'ids', (SELECT coalesce(jsonb_agg(id), '[]') FROM judged WHERE kept IS NULL),
    'kept', (SELECT jsonb_build_object('external_ref', count(*) FILTER (WHERE kept = 'external_ref'),
                                       'group', count(*) FILTER (WHERE kept = 'group'),
                                       'referred', count(*) FILTER (WHERE kept = 'referred')) FROM judged),
    'next', (SELECT jsonb_build_object('at', at, 'id', id) FROM judged ORDER BY at DESC, id DESC LIMIT 1))::text
FROM bounds
