-- The accounts; and of each how many posts wait, but no more of them than count_to, if that is given.
WITH RECURSIVE level (priority) AS (
    SELECT * FROM (SELECT p.priority FROM posts p
                   WHERE p.status = 'pending' AND ?1->>'count_to' IS NOT NULL ORDER BY p.priority DESC LIMIT 1)
    UNION ALL
    SELECT (SELECT p.priority FROM posts p
            WHERE p.status = 'pending' AND p.priority < l.priority ORDER BY p.priority DESC LIMIT 1)
    FROM level l WHERE l.priority IS NOT NULL
)
SELECT json_object(
    'id', a.id, 'owner', a.owner, 'platform', a.platform, 'external_id', a.external_id,
    'display_name', a.display_name, 'timezone', a.timezone, 'status', a.status,
    'blocked_until', a.blocked_until, 'blocked_reason', a.blocked_reason, 'token_expires_at', a.token_expires_at,
    'has_credentials', json(CASE WHEN a.credentials IS NOT NULL THEN 'true' ELSE 'false' END),
    'settings', json(a.settings), 'created_at', a.created_at,
    -- Account by account in the index that has their next posts, priority by priority.
    'pending', CASE WHEN ?1->>'count_to' IS NOT NULL THEN (
        SELECT count(*) FROM (
            SELECT 1 FROM level l CROSS JOIN posts p
            WHERE p.status = 'pending' AND p.priority = l.priority AND p.account_id = a.id
            LIMIT ?1->>'count_to')) END)
FROM accounts a
WHERE (?1->>'owner' IS NULL OR a.owner = ?1->>'owner')
  AND (?1->>'platform' IS NULL OR a.platform = ?1->>'platform')
ORDER BY a.owner, a.platform, a.id
