-- What the outcomes say about accounts. (PostgreSQL does this inside settled.sql; SQLite has no UPDATE in a WITH.)
-- An account may be spoken of more than once, by its id and by its platform: the longest block wins, with its reason
-- (a bare column beside one max() is of the row that has it).
UPDATE accounts AS a
SET status = CASE WHEN s.needs_login AND a.status = 'active' THEN 'needs_login' ELSE a.status END,
    blocked_until = CASE WHEN s.blocked_until > coalesce(a.blocked_until, '') THEN s.blocked_until
                         ELSE a.blocked_until END,
    blocked_reason = CASE WHEN s.blocked_until > coalesce(a.blocked_until, '') THEN s.reason ELSE a.blocked_reason END
FROM (SELECT account_id, total(needs_login) > 0 AS needs_login, max(blocked_until) AS blocked_until, reason
      FROM (SELECT r.value->>'id' AS account_id, r.value->>'needs_login' AS needs_login,
                   r.value->>'blocked_until' AS blocked_until, r.value->>'reason' AS reason
            FROM json_each(?1, '$.accounts') AS r
            WHERE r.value->>'id' IS NOT NULL
            UNION ALL
            SELECT accounts.id, p.needs_login, p.blocked_until, p.reason
            FROM (SELECT r.value->>'platform' AS platform, total(r.value->>'needs_login') AS needs_login,
                         max(r.value->>'blocked_until') AS blocked_until, r.value->>'reason' AS reason
                  FROM json_each(?1, '$.accounts') AS r
                  GROUP BY 1) AS p
            JOIN accounts ON accounts.platform = p.platform)
      GROUP BY account_id) AS s
WHERE a.id = s.account_id
  -- A commit that is tried again after it went through must not undo what a person did meanwhile.
  AND NOT EXISTS (SELECT 1 FROM runs WHERE id = ?1->>'claim')
RETURNING CAST(id AS TEXT)
