, picked AS MATERIALIZED (
    SELECT id, place, action FROM queue WHERE held_by IS NULL ORDER BY place LIMIT ($1::jsonb->>'limit')::bigint
),
-- Locks posts alone: locking the joined accounts too would block other runs and foreign-key inserts. The place and the
-- action travel along, so that each step joins by id to the one before it and none compares all with all.
locked AS MATERIALIZED (
    SELECT p.id, picked.place, picked.action, p.lease_until AS held_until
    FROM picked
    JOIN publisher.posts p ON p.id = picked.id
    WHERE p.status = 'pending' AND p.due_at <= coalesce(($1::jsonb->>'now')::timestamptz, now())
       OR p.status = 'publishing' AND p.lease_until < coalesce(($1::jsonb->>'now')::timestamptz, now())
       OR p.status = 'unconfirmed' AND p.due_at <= coalesce(($1::jsonb->>'now')::timestamptz, now())
    FOR NO KEY UPDATE OF p SKIP LOCKED
),
claimed AS (
    UPDATE publisher.posts p
    SET status = 'publishing',
        claim = ($1::jsonb->>'claim')::uuid,
        lease_until = coalesce(($1::jsonb->>'now')::timestamptz, now())
                      + make_interval(secs => ($1::jsonb->>'lease_seconds')::float8),
        -- A number at its bound stays there: the row's CHECK would refuse the whole claim.
        attempts = least(p.attempts + CASE WHEN locked.action = 'publish' THEN 1 ELSE 0 END, 1000000)
    FROM locked
    WHERE p.id = locked.id
    RETURNING p.id, locked.place, locked.action, locked.held_until, p.account_id, p.kind, p.body, p.link, p.media,
              p.options, p.scheduled_at, p.expires_at, p.attempts, p.max_attempts, p.checkpoint
)
-- The columns of publisher.claim_due. One row comes back in any case: it has the clock, the schema's version, and the
-- accounts of the others, once each.
SELECT coalesce(($1::jsonb->>'now')::timestamptz, now()), (SELECT max(version) FROM publisher.migrations),
       coalesce((SELECT json_agg(json_build_object(
           'id', a.id, 'owner', a.owner, 'platform', a.platform, 'external_id', a.external_id,
           'display_name', a.display_name, 'credentials', a.credentials,
           'token_expires_at', a.token_expires_at, 'settings', a.settings, 'updated_at', a.updated_at))
       FROM publisher.accounts a WHERE a.id IN (SELECT account_id FROM claimed)), '[]')::text,
       NULL, NULL::bigint, NULL::bigint, NULL, NULL::timestamptz, NULL, NULL::bigint, NULL, NULL, NULL, NULL, NULL,
       NULL::timestamptz, NULL::timestamptz, NULL::bigint, NULL::bigint, NULL
UNION ALL
SELECT NULL, NULL, NULL, NULL, c.id, c.place, c.action, CASE WHEN c.action = 'recover' THEN c.held_until END, NULL,
       c.account_id, c.kind, c.body, c.link, c.media::text, c.options::text, c.scheduled_at,
       least(c.scheduled_at + interval '7 days',
             coalesce(c.expires_at, c.scheduled_at + make_interval(secs => ($1::jsonb->>'expiry_seconds')::float8))),
       c.attempts, c.max_attempts, c.checkpoint::text
FROM claimed c
