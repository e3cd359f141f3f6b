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

-- What a claim reads where more is due than it takes: each account's next posts, by priority and time; and whether a run
-- is publishing for an account.
CREATE INDEX posts_next ON publisher.posts (priority DESC, account_id, scheduled_at, id, due_at) WHERE status = 'pending';
CREATE INDEX posts_held ON publisher.posts (account_id) WHERE status = 'publishing';

-- Claims that find something due come one after the other, each on the state that the one before it committed: so runs
-- that start at once share the work, and limits hold over all of them. The lock is taken before the statement that the
-- claim is (at READ COMMITTED that one sees what was committed until then), ends with the transaction, and works through
-- poolers. A minute in which nothing is due takes none.
CREATE OR REPLACE FUNCTION publisher.when_due(argument jsonb, claim text) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    claims constant bigint := 5067418302416;
    at timestamptz := coalesce((argument->>'now')::timestamptz, now());
    patience text := current_setting('lock_timeout');
BEGIN
    IF EXISTS (SELECT FROM publisher.posts WHERE status = 'pending' AND due_at <= at)
    OR EXISTS (SELECT FROM publisher.posts WHERE status = 'publishing' AND lease_until < at)
    OR EXISTS (SELECT FROM publisher.posts WHERE status = 'unconfirmed' AND due_at <= at) THEN
        IF NOT pg_try_advisory_xact_lock(claims) THEN
            -- A run that was stopped or cut off while it read what it claimed would keep all others from claiming. It has
            -- nothing before it has all, so nothing of that was sent: the session ends, and its posts are free again.
            PERFORM pg_terminate_backend(holder.pid)
            FROM pg_locks held JOIN pg_stat_activity holder ON holder.pid = held.pid
            WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
              AND held.classid::bigint << 32 | held.objid::bigint = claims
              AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND holder.wait_event = 'ClientWrite' AND holder.xact_start < clock_timestamp() - interval '20 seconds'
              AND holder.usesysid = (SELECT oid FROM pg_roles WHERE rolname = current_user);
            -- The others' claims are waited for longer than a lock on a row.
            PERFORM set_config('lock_timeout', '20s', true);
            PERFORM pg_advisory_xact_lock(claims);
            PERFORM set_config('lock_timeout', patience, true);
        END IF;
        -- By now others may have been waited for: a lease counts from here.
        at := coalesce((argument->>'now')::timestamptz, clock_timestamp());
        RETURN QUERY EXECUTE claim USING argument || jsonb_build_object('now', at);
    ELSE
        RETURN NEXT jsonb_build_object('now', at, 'schema', (SELECT max(version) FROM publisher.migrations));
    END IF;
END $$;
