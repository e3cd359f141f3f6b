-- Settled posts that are old, the next of them, and which of these stay all the same. The one parameter is a JSON object:
-- before (null at first: older_than_seconds ago), after (where the last page ended), batch, with_external_ref.
WITH bounds AS MATERIALIZED (
    SELECT coalesce(?1->>'before', strftime('%Y-%m-%dT%H:%M:%fZ', 'now',
                                            '-' || (?1->>'older_than_seconds') || ' seconds')) AS before,
           coalesce(?1->'after'->>'at', '') AS after_at,
           coalesce(?1->'after'->>'id', -9223372036854775808) AS after_id
),
-- One index, in its order: neither what is young nor what waits is read.
old AS MATERIALIZED (
    SELECT id, updated_at AS at, status, published_at, external_ref, group_id FROM posts INDEXED BY posts_settled
    WHERE status IN ('published', 'failed', 'expired', 'canceled')
      AND updated_at < (SELECT before FROM bounds)
      AND (updated_at, id) > ((SELECT after_at FROM bounds), (SELECT after_id FROM bounds))
    ORDER BY updated_at, id
    LIMIT (?1->>'batch')
),
-- What a foreign key refers to can't be asked here: the removal itself is refused.
judged AS MATERIALIZED (
    SELECT id, at,
           -- Limits and quotas count 30 days at most. Whatever clock said so, what is younger is still counted.
           CASE WHEN status = 'published' AND published_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-31 days') THEN 'young'
                -- It keeps an import from making the post again.
                WHEN external_ref IS NOT NULL AND NOT (?1->>'with_external_ref') THEN 'external_ref'
                WHEN EXISTS (SELECT 1 FROM posts u
                             WHERE u.group_id = old.group_id
                               AND u.status IN ('pending', 'publishing', 'unconfirmed')) THEN 'group' END AS kept
    FROM old
)
SELECT json_object(
    'before', bounds.before, 'seen', (SELECT count(*) FROM judged),
    -- What comes out of a sub-query is text until json() says otherwise.
    'ids', json((SELECT json_group_array(id) FROM judged WHERE kept IS NULL)),
    'kept', json((SELECT json_object('external_ref', count(*) FILTER (WHERE kept = 'external_ref'),
                                     'group', count(*) FILTER (WHERE kept = 'group')) FROM judged)),
    'next', json((SELECT json_object('at', at, 'id', id) FROM judged ORDER BY at DESC, id DESC LIMIT 1)))
FROM bounds
