-- Every rule, and what of it is used up; as in due.sql, but for each rule and not only the strictest.
SELECT jsonb_build_object('scope', l.scope, 'action', l.action, 'window', l."window", 'max', l.max, 'used', (
    SELECT count(*)
    FROM publisher.accounts a JOIN publisher.posts p ON p.account_id = a.id
    WHERE p.status = 'published' AND p.published_at > s.since
      AND l.scope IN ('platform:' || a.platform, 'owner:' || a.owner, 'account:' || a.id)
) + (
    SELECT count(*)
    FROM publisher.posts p JOIN publisher.accounts a ON a.id = p.account_id
    WHERE (p.status = 'publishing' OR p.status = 'unconfirmed' AND p.updated_at > s.since)
      AND l.scope IN ('platform:' || a.platform, 'owner:' || a.owner, 'account:' || a.id)
))::text
FROM publisher.limits l,
     LATERAL (SELECT now() - CASE l."window" WHEN 'minute' THEN interval '1 minute' WHEN 'hour' THEN interval '1 hour'
                                             WHEN 'day' THEN interval '24 hours' ELSE interval '30 days' END AS since) s
ORDER BY l.scope, l.action, l."window"
