-- An account belongs to one living run: what waits for an account that a run is publishing for can't be claimed, and so it
-- asks for no further run. Who may call the function stays as it was. (Without nested loops what is due is read once and
-- joined by hash: where the statistics know of few accounts or posts, each account's were searched in all that waits.)
CREATE OR REPLACE FUNCTION publisher.backlog() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog SET enable_seqscan = off SET enable_nestloop = off SET jit = off AS $$
    SELECT (SELECT count(*) FROM publisher.posts p JOIN publisher.accounts a ON a.id = p.account_id
            WHERE p.status = 'pending' AND p.due_at <= now()
              AND a.status = 'active' AND (a.blocked_until IS NULL OR a.blocked_until <= now())
              -- Read once and hashed, whatever the statistics say: DISTINCT keeps what they expect small enough.
              AND a.id NOT IN (SELECT DISTINCT h.account_id FROM publisher.posts h
                               WHERE h.status = 'publishing' AND h.lease_until >= now()))
         -- A dead run's posts can't wait for anything.
         + (SELECT count(*) FROM publisher.posts p WHERE p.status = 'publishing' AND p.lease_until < now())
         + (SELECT count(*) FROM publisher.posts p JOIN publisher.accounts a ON a.id = p.account_id
            WHERE p.status = 'unconfirmed' AND p.due_at <= now()
              AND a.status = 'active' AND (a.blocked_until IS NULL OR a.blocked_until <= now()))
$$;
COMMENT ON FUNCTION publisher.backlog() IS
    'How many posts are due and a run may take: pending for an account that no run is publishing for, left by a run that died, or to be looked up.';
