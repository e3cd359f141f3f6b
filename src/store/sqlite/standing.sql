-- What the outcomes say about accounts. (PostgreSQL does this inside settled.sql; SQLite has no UPDATE in a WITH.)
UPDATE accounts AS a
SET status = CASE WHEN r.value->>'needs_login' AND a.status = 'active' THEN 'needs_login' ELSE a.status END,
    blocked_until = CASE WHEN r.value->>'blocked_until' IS NULL THEN a.blocked_until
                         ELSE max(coalesce(a.blocked_until, ''), r.value->>'blocked_until') END,
    blocked_reason = CASE WHEN r.value->>'blocked_until' IS NULL THEN a.blocked_reason ELSE r.value->>'reason' END
FROM json_each(?1, '$.accounts') AS r
WHERE a.id = r.value->>'id' OR a.platform = r.value->>'platform'
RETURNING CAST(id AS TEXT)
