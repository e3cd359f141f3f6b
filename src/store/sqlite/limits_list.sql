-- Every rule, and what of it is used up; as in due.sql, but for each rule and not only the strictest. Each part stands
-- apart, to be a search in its own partial index; what is published is counted account by account.
WITH rule AS MATERIALIZED (
    SELECT scope, action, "window", max,
           strftime('%Y-%m-%dT%H:%M:%fZ', 'now',
                    CASE "window" WHEN 'minute' THEN '-1 minute' WHEN 'hour' THEN '-1 hour'
                                  WHEN 'day' THEN '-24 hours' ELSE '-30 days' END) AS since
    FROM limits
),
member AS MATERIALIZED (
    SELECT 'platform:' || platform AS scope, id AS account_id FROM accounts
    UNION ALL SELECT 'owner:' || owner, id FROM accounts
    UNION ALL SELECT 'account:' || id, id FROM accounts
),
counted AS MATERIALIZED (
    SELECT r.scope, r.action, r."window", r.since, m.account_id FROM rule r CROSS JOIN member m WHERE m.scope = r.scope
),
held AS MATERIALIZED (
    SELECT account_id, count(*) AS posts FROM posts WHERE status = 'publishing' GROUP BY account_id
),
doubt AS MATERIALIZED (
    SELECT account_id, updated_at FROM posts
    WHERE status = 'unconfirmed' AND updated_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-30 days')
),
part AS (
    SELECT c.scope, c.action, c."window",
           (SELECT count(*) FROM posts p
            WHERE p.account_id = c.account_id AND p.status = 'published' AND p.published_at > c.since) AS posts
    FROM counted c
    UNION ALL
    SELECT c.scope, c.action, c."window", h.posts
    FROM counted c CROSS JOIN held h WHERE h.account_id = c.account_id
    UNION ALL
    SELECT c.scope, c.action, c."window", 1
    FROM counted c CROSS JOIN doubt d WHERE d.account_id = c.account_id AND d.updated_at > c.since
)
SELECT json_object('scope', r.scope, 'action', r.action, 'window', r."window", 'max', r.max, 'used', coalesce(u.used, 0))
FROM rule r
LEFT JOIN (SELECT scope, action, "window", sum(posts) AS used FROM part GROUP BY scope, action, "window") u
       ON u.scope = r.scope AND u.action = r.action AND u."window" = r."window"
ORDER BY r.scope, r.action, r."window"
