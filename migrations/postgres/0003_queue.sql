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
    at timestamptz := coalesce((argument->>'now')::timestamptz, now());
    patience text := current_setting('lock_timeout');
BEGIN
    IF EXISTS (SELECT FROM publisher.posts WHERE status = 'pending' AND due_at <= at)
    OR EXISTS (SELECT FROM publisher.posts WHERE status = 'publishing' AND lease_until < at)
    OR EXISTS (SELECT FROM publisher.posts WHERE status = 'unconfirmed' AND due_at <= at) THEN
        -- The others' claims are waited for longer than a lock on a row.
        PERFORM set_config('lock_timeout', '20s', true);
        PERFORM pg_advisory_xact_lock(5067418302416);
        PERFORM set_config('lock_timeout', patience, true);
        RETURN QUERY EXECUTE claim USING argument;
    ELSE
        RETURN NEXT jsonb_build_object('now', at, 'schema', (SELECT max(version) FROM publisher.migrations));
    END IF;
END $$;
