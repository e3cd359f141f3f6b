-- Every rule, and what of it is used up; as in due.sql, but for each rule and not only the strictest.
SELECT json_object('scope', l.scope, 'action', l.action, 'window', l."window", 'max', l.max, 'used', (
    SELECT count(*)
    FROM accounts a CROSS JOIN posts p
    WHERE p.account_id = a.id AND p.status = 'published' AND p.published_at > l.since
      AND l.scope IN ('platform:' || a.platform, 'owner:' || a.owner, 'account:' || a.id)
) + (
    SELECT count(*)
    FROM posts p CROSS JOIN accounts a
    WHERE (p.status = 'publishing' OR p.status = 'unconfirmed' AND p.updated_at > l.since) AND a.id = p.account_id
      AND l.scope IN ('platform:' || a.platform, 'owner:' || a.owner, 'account:' || a.id)
))
FROM (SELECT scope, action, "window", max,
             strftime('%Y-%m-%dT%H:%M:%fZ', 'now',
                      CASE "window" WHEN 'minute' THEN '-1 minute' WHEN 'hour' THEN '-1 hour'
                                    WHEN 'day' THEN '-24 hours' ELSE '-30 days' END) AS since
      FROM limits) l
ORDER BY l.scope, l.action, l."window"
