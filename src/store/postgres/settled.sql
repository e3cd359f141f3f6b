-- The second bulk UPDATE: everything else, and what it says about the accounts.
WITH account AS (
    UPDATE publisher.accounts a
    SET status = CASE WHEN r.needs_login AND a.status = 'active' THEN 'needs_login' ELSE a.status END,
        blocked_until = greatest(a.blocked_until, r.blocked_until),
        blocked_reason = CASE WHEN r.blocked_until IS NULL THEN a.blocked_reason ELSE r.reason END
    FROM jsonb_to_recordset($1::jsonb->'accounts')
         AS r (id bigint, platform text, needs_login boolean, blocked_until timestamptz, reason text)
    WHERE a.id = r.id OR a.platform = r.platform
)
UPDATE publisher.posts p
SET status = r.status, lease_until = NULL, due_at = coalesce(r.due_at, p.due_at), attempts = r.attempts,
    checkpoint = r.checkpoint,
    error_class = CASE WHEN r.entry IS NULL THEN p.error_class ELSE r.error_class END,
    error_code = CASE WHEN r.entry IS NULL THEN p.error_code ELSE r.error_code END,
    error = CASE WHEN r.entry IS NULL THEN p.error ELSE r.error END,
    history = CASE WHEN r.entry IS NULL THEN p.history
                   WHEN jsonb_array_length(p.history) >= 50 THEN (p.history - 0) || r.entry
                   ELSE p.history || r.entry END
FROM jsonb_to_recordset($1::jsonb->'rows')
     AS r (id bigint, status text, due_at timestamptz, attempts integer, checkpoint jsonb,
           error_class text, error_code text, error text, entry jsonb)
WHERE p.id = r.id AND p.status = 'publishing' AND p.claim = ($1::jsonb->>'claim')::uuid
RETURNING p.id::text
