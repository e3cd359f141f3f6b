UPDATE accounts
SET blocked_until = NULL, blocked_reason = NULL
WHERE blocked_until IS NOT NULL
  AND ?1->>'scope' IN ('platform:' || platform, 'owner:' || owner, 'account:' || id)
RETURNING CAST(id AS TEXT)
