-- Each branch has its index; what is pending is looked up account by account, priority by priority.
WITH RECURSIVE level (priority) AS (
    (SELECT p.priority FROM publisher.posts p WHERE p.status = 'pending' ORDER BY p.priority DESC LIMIT 1)
    UNION ALL
    SELECT (SELECT p.priority FROM publisher.posts p
            WHERE p.status = 'pending' AND p.priority < l.priority ORDER BY p.priority DESC LIMIT 1)
    FROM level l WHERE l.priority IS NOT NULL
),
account AS MATERIALIZED (
    SELECT a.id FROM publisher.accounts a
    WHERE ($1::jsonb->>'account_ids' IS NULL
           OR a.id = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb->'account_ids')::bigint)))
      AND ($1::jsonb->>'platform' IS NULL OR a.platform = $1::jsonb->>'platform')
      AND ($1::jsonb->>'owner' IS NULL OR a.owner = $1::jsonb->>'owner')
)
SELECT jsonb_build_object('id', u.id, 'account_id', u.account_id, 'scheduled_at', u.scheduled_at, 'body', u.body,
                          'link', u.link, 'media', u.media, 'external_ref', u.external_ref)::text
FROM (
    -- OFFSET and the index's order keep it a look for each account; else all that waits may be read.
    SELECT p.*
    FROM account a CROSS JOIN level l CROSS JOIN LATERAL (
        SELECT id, account_id, scheduled_at, body, link, media, external_ref FROM publisher.posts
        WHERE status = 'pending' AND priority = l.priority AND account_id = a.id
          AND scheduled_at >= coalesce(($1::jsonb->>'from')::timestamptz, '-infinity')
          AND scheduled_at <= coalesce(($1::jsonb->>'until')::timestamptz, 'infinity')
        ORDER BY posts.scheduled_at, posts.id OFFSET 0) p
    UNION ALL
    SELECT id, account_id, scheduled_at, body, link, media, external_ref FROM publisher.posts
    WHERE status = 'publishing' AND account_id IN (SELECT id FROM account)
      AND scheduled_at >= coalesce(($1::jsonb->>'from')::timestamptz, '-infinity')
      AND scheduled_at <= coalesce(($1::jsonb->>'until')::timestamptz, 'infinity')
    UNION ALL
    SELECT id, account_id, scheduled_at, body, link, media, external_ref FROM publisher.posts
    WHERE status = 'unconfirmed' AND account_id IN (SELECT id FROM account)
      AND scheduled_at >= coalesce(($1::jsonb->>'from')::timestamptz, '-infinity')
      AND scheduled_at <= coalesce(($1::jsonb->>'until')::timestamptz, 'infinity')
) u
ORDER BY u.id
