-- As publisher.when_due, which stays for the programs of the versions before, with a claim that returns columns: to make
-- JSON of thousands of posts and to take it apart again costs as much as to claim them.
CREATE FUNCTION publisher.claim_due(argument jsonb, claim text) RETURNS TABLE (
    -- One row has these.
    at timestamptz, schema bigint, accounts text,
    -- The others, a post each. What `places` has on SQLite is here in columns.
    places text, id bigint, place bigint, action text, held_until timestamptz, held_by text, account_id bigint,
    kind text, body text, link text, media text, options text, scheduled_at timestamptz, expires_at timestamptz,
    attempts bigint, max_attempts bigint, checkpoint text)
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    claims constant bigint := 5067418302416;
    moment timestamptz := coalesce((argument->>'now')::timestamptz, now());
    patience text := current_setting('lock_timeout');
BEGIN
    IF EXISTS (SELECT FROM publisher.posts WHERE status = 'pending' AND due_at <= moment)
    OR EXISTS (SELECT FROM publisher.posts WHERE status = 'publishing' AND lease_until < moment)
    OR EXISTS (SELECT FROM publisher.posts WHERE status = 'unconfirmed' AND due_at <= moment) THEN
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
        moment := coalesce((argument->>'now')::timestamptz, clock_timestamp());
        RETURN QUERY EXECUTE claim USING argument || jsonb_build_object('now', moment);
    ELSE
        at := moment;
        schema := (SELECT max(version) FROM publisher.migrations);
        RETURN NEXT;
    END IF;
END $$;
COMMENT ON FUNCTION publisher.claim_due(jsonb, text) IS
    'Runs the claim, which the program brings along, if something is due; for the program alone.';
REVOKE ALL ON FUNCTION publisher.claim_due(jsonb, text) FROM PUBLIC;

-- What a run writes when it takes a post or settles it has nothing to fill in but the date, and that is all that is done
-- then: on thousands of posts the rest costs a quarter of the UPDATE. Whatever else is written is filled in as before.
-- (No operator and no name in here is looked up by the search path.)
CREATE FUNCTION publisher.posts_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := pg_catalog.clock_timestamp();
    RETURN NEW;
END $$;
COMMENT ON FUNCTION publisher.posts_touch() IS 'Keeps updated_at of a post.';
REVOKE ALL ON FUNCTION publisher.posts_touch() FROM PUBLIC;
DROP TRIGGER posts_fill ON publisher.posts;
CREATE TRIGGER posts_fill BEFORE INSERT OR UPDATE OF id, account_id, group_id, kind, body, link, media, options, scheduled_at,
        local_time, timezone, due_at, expires_at, priority, max_attempts, external_ref, created_at, updated_at
    ON publisher.posts FOR EACH ROW EXECUTE FUNCTION publisher.posts_fill();
CREATE TRIGGER posts_touch BEFORE UPDATE OF status, attempts, claim, lease_until, checkpoint, platform_post_id, permalink,
        published_at, error_class, error_code, error, history
    ON publisher.posts FOR EACH ROW WHEN (NEW.updated_at = OLD.updated_at) EXECUTE FUNCTION publisher.posts_touch();
