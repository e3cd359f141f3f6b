-- The newest posts that match. Two indexes hold each account's posts of one status (of what is pending: of one priority)
-- in the order of their time. So the newest few of each are looked up first; as many of these as are wanted say how far
-- back it is worth to look, and then no more is read than that. (IN keeps it a look for each; CROSS JOIN keeps the order.)
WITH RECURSIVE account AS MATERIALIZED (
    SELECT a.id FROM accounts a
    WHERE (?1->>'platform' IS NULL OR a.platform = ?1->>'platform')
      AND (?1->>'owner' IS NULL OR a.owner = ?1->>'owner')
      AND (?1->>'account_id' IS NULL OR a.id = ?1->>'account_id')
),
status (name) AS (
    SELECT v.column1 FROM (VALUES ('published'), ('failed'), ('expired'), ('canceled')) v
    WHERE ?1->>'id' IS NULL AND ?1->>'ids' IS NULL
      AND (?1->>'status' IS NULL OR v.column1 = ?1->>'status')
),
-- The priorities that wait, highest first, each by one step through the index.
level (priority) AS (
    SELECT * FROM (SELECT p.priority FROM posts p
                   WHERE p.status = 'pending' AND ?1->>'id' IS NULL AND ?1->>'ids' IS NULL
                     AND (?1->>'status' IS NULL OR ?1->>'status' = 'pending')
                   ORDER BY p.priority DESC LIMIT 1)
    UNION ALL
    SELECT (SELECT p.priority FROM posts p
            WHERE p.status = 'pending' AND p.priority < l.priority ORDER BY p.priority DESC LIMIT 1)
    FROM level l WHERE l.priority IS NOT NULL
),
few AS MATERIALIZED (
    SELECT 1 + 2 * (?1->>'limit') / max(count(*), 1) AS posts FROM account
),
head AS MATERIALIZED (
    SELECT a.id AS account_id, s.name AS status, NULL AS priority, p.scheduled_at
    FROM account a CROSS JOIN status s CROSS JOIN posts p
    WHERE p.id IN (SELECT q.id FROM posts q
                   WHERE q.status = s.name AND q.status IN ('published', 'failed', 'expired', 'canceled')
                     AND q.account_id = a.id
                   ORDER BY q.scheduled_at DESC, q.id DESC LIMIT (SELECT posts FROM few))
    UNION ALL
    SELECT a.id, 'pending', l.priority, p.scheduled_at
    FROM account a CROSS JOIN level l CROSS JOIN posts p
    WHERE l.priority IS NOT NULL
      AND p.id IN (SELECT q.id FROM posts q
                   WHERE q.status = 'pending' AND q.priority = l.priority AND q.account_id = a.id
                   ORDER BY q.scheduled_at DESC, q.id DESC LIMIT (SELECT posts FROM few))
),
since AS MATERIALIZED (
    SELECT coalesce((SELECT scheduled_at FROM head ORDER BY scheduled_at DESC
                     LIMIT 1 OFFSET max(?1->>'limit' - 1, 0)), '') AS at
),
line AS MATERIALIZED (
    SELECT DISTINCT account_id, status, priority FROM head WHERE scheduled_at >= (SELECT at FROM since)
),
found AS MATERIALIZED (
    SELECT id, scheduled_at FROM (
        SELECT p.id, p.scheduled_at
        FROM line n CROSS JOIN posts p
        WHERE n.priority IS NULL
          AND p.id IN (SELECT q.id FROM posts q
                       WHERE q.status = n.status AND q.status IN ('published', 'failed', 'expired', 'canceled')
                         AND q.account_id = n.account_id AND q.scheduled_at >= (SELECT at FROM since)
                       ORDER BY q.scheduled_at DESC, q.id DESC LIMIT ?1->>'limit')
        UNION ALL
        SELECT p.id, p.scheduled_at
        FROM line n CROSS JOIN posts p
        WHERE n.priority IS NOT NULL
          AND p.id IN (SELECT q.id FROM posts q
                       WHERE q.status = 'pending' AND q.priority = n.priority AND q.account_id = n.account_id
                         AND q.scheduled_at >= (SELECT at FROM since)
                       ORDER BY q.scheduled_at DESC, q.id DESC LIMIT ?1->>'limit')
        UNION ALL
        SELECT p.id, p.scheduled_at FROM posts p
        WHERE p.status = 'publishing' AND p.account_id IN (SELECT id FROM account)
          AND ?1->>'id' IS NULL AND ?1->>'ids' IS NULL
          AND (?1->>'status' IS NULL OR ?1->>'status' = 'publishing')
        UNION ALL
        SELECT p.id, p.scheduled_at FROM posts p
        WHERE p.status = 'unconfirmed' AND p.account_id IN (SELECT id FROM account)
          AND ?1->>'id' IS NULL AND ?1->>'ids' IS NULL
          AND (?1->>'status' IS NULL OR ?1->>'status' = 'unconfirmed')
        UNION ALL
        SELECT p.id, p.scheduled_at FROM posts p
        WHERE p.id IN (SELECT value FROM json_each(CASE WHEN ?1->>'ids' IS NULL THEN json_array(?1->>'id')
                                                        ELSE ?1->'ids' END))
          AND (?1->>'id' IS NOT NULL OR ?1->>'ids' IS NOT NULL)
          AND (?1->>'id' IS NULL OR +p.id = ?1->>'id')
          AND +p.account_id IN (SELECT id FROM account)
          AND (?1->>'status' IS NULL OR +p.status = ?1->>'status'))
    ORDER BY scheduled_at DESC, id DESC
    LIMIT ?1->>'limit'
)
SELECT json_object(
    'id', p.id, 'account_id', p.account_id, 'group_id', p.group_id, 'kind', p.kind, 'body', p.body, 'link', p.link,
    'media', json(p.media), 'options', json(p.options), 'scheduled_at', p.scheduled_at, 'local_time', p.local_time,
    'timezone', p.timezone, 'due_at', p.due_at, 'expires_at', p.expires_at, 'priority', p.priority,
    'status', p.status, 'attempts', p.attempts, 'max_attempts', p.max_attempts, 'claim', p.claim,
    'lease_until', p.lease_until, 'checkpoint', json(p.checkpoint), 'platform_post_id', p.platform_post_id,
    'permalink', p.permalink, 'published_at', p.published_at, 'error_class', p.error_class,
    'error_code', p.error_code, 'error', p.error, 'history', json(p.history), 'external_ref', p.external_ref,
    'created_at', p.created_at, 'updated_at', p.updated_at,
    'owner', a.owner, 'platform', a.platform, 'account', a.platform || ':' || a.external_id)
FROM found f CROSS JOIN posts p CROSS JOIN accounts a
WHERE p.id = f.id AND a.id = p.account_id
ORDER BY f.scheduled_at DESC, f.id DESC
