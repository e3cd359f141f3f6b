-- What many machines and many years ask of the queue: how much of it waits, and which posts may be removed.
-- Each part stands alone; what is added goes to the end.

-- How much waits, for whoever decides how many runs to start. It counts what a claim would take for sending or looking
-- up: what is over a limit is in it, and so is a post past its expiry if its account is in order.
-- A monitoring role needs EXECUTE and no rights on the tables, so it runs with their owner's rights and returns a number
-- and no more. The plan is a search in three partial indexes whatever the statistics say.
CREATE FUNCTION publisher.backlog() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog SET enable_seqscan = off SET jit = off AS $$
    SELECT (SELECT count(*) FROM publisher.posts p JOIN publisher.accounts a ON a.id = p.account_id
            WHERE p.status = 'pending' AND p.due_at <= now()
              AND a.status = 'active' AND (a.blocked_until IS NULL OR a.blocked_until <= now()))
         -- A dead run's posts can't wait for anything.
         + (SELECT count(*) FROM publisher.posts p WHERE p.status = 'publishing' AND p.lease_until < now())
         + (SELECT count(*) FROM publisher.posts p JOIN publisher.accounts a ON a.id = p.account_id
            WHERE p.status = 'unconfirmed' AND p.due_at <= now()
              AND a.status = 'active' AND (a.blocked_until IS NULL OR a.blocked_until <= now()))
$$;
COMMENT ON FUNCTION publisher.backlog() IS
    'How many posts are due and in no run''s hands: pending, left by a run that died, or to be looked up.';
REVOKE ALL ON FUNCTION publisher.backlog() FROM PUBLIC;

-- `publisher prune` goes through what ended, oldest first, and asks which groups are not through yet.
CREATE INDEX posts_settled ON publisher.posts (updated_at, id)
    WHERE status IN ('published', 'failed', 'expired', 'canceled');
CREATE INDEX posts_group ON publisher.posts (group_id)
    WHERE status IN ('pending', 'publishing', 'unconfirmed') AND group_id IS NOT NULL;

-- Which of these posts a foreign key keeps from being removed, whosever table it is in. Tables that may not be read here
-- speak for themselves: they refuse the removal.
CREATE FUNCTION publisher.referred(ids bigint[]) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    reference record;
BEGIN
    FOR reference IN
        SELECT c.conrelid::regclass AS place, a.attname AS name
        FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        JOIN pg_class t ON t.oid = c.conrelid
        WHERE c.contype = 'f' AND c.confrelid = 'publisher.posts'::regclass AND c.confdeltype IN ('a', 'r')
          AND has_schema_privilege(t.relnamespace, 'USAGE') AND has_column_privilege(t.oid, a.attnum, 'SELECT')
    LOOP
        RETURN QUERY EXECUTE format('SELECT %I::bigint FROM %s WHERE %I = ANY ($1)',
                                    reference.name, reference.place, reference.name) USING ids;
    END LOOP;
END $$;
COMMENT ON FUNCTION publisher.referred(bigint[]) IS 'Which of these posts a foreign key keeps from being removed.';
REVOKE ALL ON FUNCTION publisher.referred(bigint[]) FROM PUBLIC;
