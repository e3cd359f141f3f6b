-- The second bulk UPDATE: everything else, and what it says about the accounts.
-- An account may be spoken of more than once, by its id and by its platform: the longest block wins, with its reason.
WITH said AS (
    SELECT id, platform, coalesce(bool_or(needs_login), false) AS needs_login, max(blocked_until) AS blocked_until,
           (array_agg(reason ORDER BY blocked_until DESC NULLS LAST))[1] AS reason
    FROM jsonb_to_recordset($1::jsonb->'accounts')
         AS r (id bigint, platform text, needs_login boolean, blocked_until timestamptz, reason text)
    -- A commit that is tried again after it went through must not undo what a person did meanwhile.
    WHERE NOT EXISTS (SELECT FROM publisher.runs WHERE id = ($1::jsonb->>'claim')::uuid)
    GROUP BY id, platform
),
standing AS (
    SELECT account_id, bool_or(needs_login) AS needs_login, max(blocked_until) AS blocked_until,
           (array_agg(reason ORDER BY blocked_until DESC NULLS LAST))[1] AS reason
    FROM (SELECT a.id AS account_id, s.* FROM said s JOIN publisher.accounts a ON a.id = s.id
          UNION ALL
          SELECT a.id, s.* FROM said s JOIN publisher.accounts a ON a.platform = s.platform) s
    GROUP BY account_id
),
account AS (
    UPDATE publisher.accounts a
    SET status = CASE WHEN s.needs_login AND a.status = 'active' THEN 'needs_login' ELSE a.status END,
        blocked_until = greatest(a.blocked_until, s.blocked_until),
        blocked_reason = CASE WHEN s.blocked_until > coalesce(a.blocked_until, '-infinity') THEN s.reason
                              ELSE a.blocked_reason END
    FROM standing s
    WHERE a.id = s.account_id
)
UPDATE publisher.posts p
SET status = r.status, lease_until = NULL, attempts = r.attempts,
    -- While a run held it an application may have given it a later time, before which it must not go out.
    due_at = greatest(coalesce(r.due_at, p.due_at), CASE WHEN r.status = 'pending' THEN p.scheduled_at END),
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
WHERE p.id = r.id
  AND (p.status = 'publishing' AND p.claim = ($1::jsonb->>'claim')::uuid
       -- See published.sql: what may be live must not be sent again either. But a doubt is less than a fact: where
       -- another run had the post since, its look-up or a person may have settled it.
       OR r.status = 'unconfirmed' AND p.status = 'pending' AND p.claim IS NULL AND p.attempts = r.attempts - 1)
RETURNING p.id::text
