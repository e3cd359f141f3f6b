-- The accounts; and of each how many posts wait, but no more of them than count_to, if that is given.
WITH RECURSIVE level (priority) AS (
    (SELECT p.priority FROM publisher.posts p
     WHERE p.status = 'pending' AND $1::jsonb->>'count_to' IS NOT NULL ORDER BY p.priority DESC LIMIT 1)
    UNION ALL
    SELECT (SELECT p.priority FROM publisher.posts p
            WHERE p.status = 'pending' AND p.priority < l.priority ORDER BY p.priority DESC LIMIT 1)
    FROM level l WHERE l.priority IS NOT NULL
)
SELECT jsonb_build_object(
    'id', a.id, 'owner', a.owner, 'platform', a.platform, 'external_id', a.external_id,
    'display_name', a.display_name, 'timezone', a.timezone, 'status', a.status,
    'blocked_until', a.blocked_until, 'blocked_reason', a.blocked_reason, 'token_expires_at', a.token_expires_at,
    'has_credentials', a.credentials IS NOT NULL, 'settings', a.settings, 'created_at', a.created_at,
    -- Account by account in the index that has their next posts, priority by priority: its order keeps it that one.
    'pending', CASE WHEN $1::jsonb->>'count_to' IS NOT NULL THEN (
        SELECT count(*) FROM (
            SELECT FROM level l CROSS JOIN LATERAL (
                SELECT FROM publisher.posts p
                WHERE p.status = 'pending' AND p.priority = l.priority AND p.account_id = a.id
                ORDER BY p.scheduled_at, p.id
                LIMIT ($1::jsonb->>'count_to')::bigint) p
            LIMIT ($1::jsonb->>'count_to')::bigint) n) END)::text
FROM publisher.accounts a
WHERE ($1::jsonb->>'owner' IS NULL OR a.owner = $1::jsonb->>'owner')
  AND ($1::jsonb->>'platform' IS NULL OR a.platform = $1::jsonb->>'platform')
ORDER BY a.owner, a.platform, a.id
