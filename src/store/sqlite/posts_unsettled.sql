-- Each branch has its index; what is pending is looked up account by account, priority by priority.
WITH RECURSIVE level (priority) AS (
    SELECT * FROM (SELECT p.priority FROM posts p WHERE p.status = 'pending' ORDER BY p.priority DESC LIMIT 1)
    UNION ALL
    SELECT (SELECT p.priority FROM posts p
            WHERE p.status = 'pending' AND p.priority < l.priority ORDER BY p.priority DESC LIMIT 1)
    FROM level l WHERE l.priority IS NOT NULL
),
account AS MATERIALIZED (
    SELECT a.id FROM accounts a
    WHERE (?1->>'account_ids' IS NULL OR a.id IN (SELECT value FROM json_each(?1->'account_ids')))
      AND (?1->>'platform' IS NULL OR a.platform = ?1->>'platform')
      AND (?1->>'owner' IS NULL OR a.owner = ?1->>'owner')
)
SELECT json_object('id', u.id, 'account_id', u.account_id, 'scheduled_at', u.scheduled_at, 'body', u.body,
                   'link', u.link, 'media', json(u.media), 'external_ref', u.external_ref)
FROM (
    SELECT p.id, p.account_id, p.scheduled_at, p.body, p.link, p.media, p.external_ref
    FROM account a CROSS JOIN level l CROSS JOIN posts p
    WHERE p.status = 'pending' AND p.priority = l.priority AND p.account_id = a.id
      AND p.scheduled_at >= coalesce(?1->>'from', '') AND p.scheduled_at <= coalesce(?1->>'until', '~')
    UNION ALL
    SELECT id, account_id, scheduled_at, body, link, media, external_ref FROM posts
    WHERE status = 'publishing' AND account_id IN (SELECT id FROM account)
      AND scheduled_at >= coalesce(?1->>'from', '') AND scheduled_at <= coalesce(?1->>'until', '~')
    UNION ALL
    SELECT id, account_id, scheduled_at, body, link, media, external_ref FROM posts
    WHERE status = 'unconfirmed' AND +account_id IN (SELECT id FROM account)
      AND scheduled_at >= coalesce(?1->>'from', '') AND scheduled_at <= coalesce(?1->>'until', '~')
) u
ORDER BY u.id
