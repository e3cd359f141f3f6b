-- The newest posts that match. Two indexes hold each account's posts of one status (of what is pending: of one priority)
-- in the order of their time. So the newest few of each are looked up first; as many of these as are wanted say how far
-- back it is worth to look, and then no more is read than that.
WITH RECURSIVE account AS MATERIALIZED (
    SELECT a.id FROM publisher.accounts a
    WHERE ($1::jsonb->>'platform' IS NULL OR a.platform = $1::jsonb->>'platform')
      AND ($1::jsonb->>'owner' IS NULL OR a.owner = $1::jsonb->>'owner')
      AND ($1::jsonb->>'account_id' IS NULL OR a.id = ($1::jsonb->>'account_id')::bigint)
),
status (name) AS (
    SELECT v.name FROM (VALUES ('published'), ('failed'), ('expired'), ('canceled')) v (name)
    WHERE $1::jsonb->>'id' IS NULL AND $1::jsonb->>'ids' IS NULL
      AND ($1::jsonb->>'status' IS NULL OR v.name = $1::jsonb->>'status')
),
-- The priorities that wait, highest first, each by one step through the index.
level (priority) AS (
    (SELECT p.priority FROM publisher.posts p
     WHERE p.status = 'pending' AND $1::jsonb->>'id' IS NULL AND $1::jsonb->>'ids' IS NULL
       AND ($1::jsonb->>'status' IS NULL OR $1::jsonb->>'status' = 'pending')
     ORDER BY p.priority DESC LIMIT 1)
    UNION ALL
    SELECT (SELECT p.priority FROM publisher.posts p
            WHERE p.status = 'pending' AND p.priority < l.priority ORDER BY p.priority DESC LIMIT 1)
    FROM level l WHERE l.priority IS NOT NULL
),
few AS MATERIALIZED (
    SELECT 1 + 2 * ($1::jsonb->>'limit')::bigint / greatest(count(*), 1) AS posts FROM account
),
head AS MATERIALIZED (
    SELECT a.id AS account_id, s.name AS status, NULL::integer AS priority, p.scheduled_at
    FROM account a CROSS JOIN status s CROSS JOIN LATERAL (
        SELECT p.scheduled_at FROM publisher.posts p
        WHERE p.status = s.name AND p.status IN ('published', 'failed', 'expired', 'canceled') AND p.account_id = a.id
        ORDER BY p.scheduled_at DESC, p.id DESC LIMIT (SELECT posts FROM few)) p
    UNION ALL
    SELECT a.id, 'pending', l.priority, p.scheduled_at
    FROM account a CROSS JOIN level l CROSS JOIN LATERAL (
        SELECT p.scheduled_at FROM publisher.posts p
        WHERE p.status = 'pending' AND p.priority = l.priority AND p.account_id = a.id
        ORDER BY p.scheduled_at DESC, p.id DESC LIMIT (SELECT posts FROM few)) p
    WHERE l.priority IS NOT NULL
),
since AS MATERIALIZED (
    SELECT coalesce((SELECT scheduled_at FROM head ORDER BY scheduled_at DESC
                     OFFSET greatest(($1::jsonb->>'limit')::bigint - 1, 0) LIMIT 1), '-infinity') AS at
),
line AS MATERIALIZED (
    SELECT DISTINCT account_id, status, priority FROM head WHERE scheduled_at >= (SELECT at FROM since)
),
found AS MATERIALIZED (
    SELECT n.id, n.scheduled_at FROM (
        SELECT p.id, p.scheduled_at
        FROM line n CROSS JOIN LATERAL (
            SELECT p.id, p.scheduled_at FROM publisher.posts p
            WHERE p.status = n.status AND p.status IN ('published', 'failed', 'expired', 'canceled')
              AND p.account_id = n.account_id AND p.scheduled_at >= (SELECT at FROM since)
            ORDER BY p.scheduled_at DESC, p.id DESC LIMIT ($1::jsonb->>'limit')::bigint) p
        WHERE n.priority IS NULL
        UNION ALL
        SELECT p.id, p.scheduled_at
        FROM line n CROSS JOIN LATERAL (
            SELECT p.id, p.scheduled_at FROM publisher.posts p
            WHERE p.status = 'pending' AND p.priority = n.priority AND p.account_id = n.account_id
              AND p.scheduled_at >= (SELECT at FROM since)
            ORDER BY p.scheduled_at DESC, p.id DESC LIMIT ($1::jsonb->>'limit')::bigint) p
        WHERE n.priority IS NOT NULL
        UNION ALL
        SELECT p.id, p.scheduled_at FROM publisher.posts p
        WHERE p.status = 'publishing' AND p.account_id IN (SELECT id FROM account)
          AND $1::jsonb->>'id' IS NULL AND $1::jsonb->>'ids' IS NULL
          AND ($1::jsonb->>'status' IS NULL OR $1::jsonb->>'status' = 'publishing')
        UNION ALL
        SELECT p.id, p.scheduled_at FROM publisher.posts p
        WHERE p.status = 'unconfirmed' AND p.account_id IN (SELECT id FROM account)
          AND $1::jsonb->>'id' IS NULL AND $1::jsonb->>'ids' IS NULL
          AND ($1::jsonb->>'status' IS NULL OR $1::jsonb->>'status' = 'unconfirmed')
        UNION ALL
        -- OFFSET keeps it a search by the number, whatever else is asked for.
        SELECT p.id, p.scheduled_at
        FROM (SELECT id, scheduled_at, account_id, status FROM publisher.posts
              WHERE id = ANY (ARRAY(SELECT jsonb_array_elements_text(
                                        coalesce(nullif($1::jsonb->'ids', 'null'), jsonb_build_array($1::jsonb->'id')))::bigint))
                AND ($1::jsonb->>'id' IS NOT NULL OR $1::jsonb->>'ids' IS NOT NULL)
              OFFSET 0) p
        WHERE ($1::jsonb->>'id' IS NULL OR p.id = ($1::jsonb->>'id')::bigint)
          AND p.account_id IN (SELECT id FROM account)
          AND ($1::jsonb->>'status' IS NULL OR p.status = $1::jsonb->>'status')
    ) n
    ORDER BY n.scheduled_at DESC, n.id DESC
    LIMIT ($1::jsonb->>'limit')::bigint
)
SELECT (to_jsonb(p) || jsonb_build_object('owner', a.owner, 'platform', a.platform,
                                          'account', a.platform || ':' || a.external_id))::text
FROM found f
JOIN publisher.posts p ON p.id = f.id
JOIN publisher.accounts a ON a.id = p.account_id
ORDER BY f.scheduled_at DESC, f.id DESC
