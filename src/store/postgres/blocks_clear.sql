UPDATE publisher.accounts a
SET blocked_until = NULL, blocked_reason = NULL
WHERE a.blocked_until IS NOT NULL
  AND $1::jsonb->>'scope' IN ('platform:' || a.platform, 'owner:' || a.owner, 'account:' || a.id)
RETURNING a.id::text
