-- Every rule, and what of it is used up; as in due.sql, but for each rule and not only the strictest. Each part stands
-- apart, to be a search in its own partial index; what is published is counted account by account.
WITH rule AS MATERIALIZED (
    SELECT l.*, now() - CASE l."window" WHEN 'minute' THEN interval '1 minute' WHEN 'hour' THEN interval '1 hour'
                                        WHEN 'day' THEN interval '24 hours' ELSE interval '30 days' END AS since
    FROM publisher.limits l
),
member AS MATERIALIZED (
    SELECT s.scope, a.id AS account_id
    FROM publisher.accounts a
    CROSS JOIN LATERAL (VALUES ('platform:' || a.platform), ('owner:' || a.owner), ('account:' || a.id)) s (scope)
),
counted AS MATERIALIZED (
    SELECT r.scope, r.action, r."window", r.since, m.account_id FROM rule r JOIN member m ON m.scope = r.scope
),
part AS (
    SELECT c.scope, c.action, c."window", p.posts
    FROM counted c CROSS JOIN LATERAL (
        SELECT count(*) AS posts FROM publisher.posts p
        WHERE p.account_id = c.account_id AND p.status = 'published' AND p.published_at > c.since) p
    UNION ALL
    SELECT c.scope, c.action, c."window", p.posts
    FROM counted c JOIN (
        SELECT account_id, count(*) AS posts FROM publisher.posts
        WHERE status = 'publishing' GROUP BY account_id) p ON p.account_id = c.account_id
    UNION ALL
    SELECT c.scope, c.action, c."window", 1
    FROM counted c JOIN (
        SELECT account_id, updated_at FROM publisher.posts
        WHERE status = 'unconfirmed' AND updated_at > now() - interval '30 days') p
      ON p.account_id = c.account_id AND p.updated_at > c.since
)
SELECT jsonb_build_object('scope', r.scope, 'action', r.action, 'window', r."window", 'max', r.max,
                          'used', coalesce(u.used, 0))::text
FROM rule r
LEFT JOIN (SELECT scope, action, "window", sum(posts) AS used FROM part GROUP BY scope, action, "window") u
       ON u.scope = r.scope AND u.action = r.action AND u."window" = r."window"
ORDER BY r.scope, r.action, r."window"
