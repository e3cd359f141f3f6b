-- What is due, in the order in which it goes out, and what holds it back. The claim and the dry run both start so.
-- The one parameter is a JSON object: now (null: the database's clock), schema, expiry_seconds, platforms, owners, ….
WITH due AS MATERIALIZED (
    SELECT p.id, p.priority, p.scheduled_at, p.account_id, a.owner, a.platform,
           CASE WHEN p.status <> 'pending' THEN 'recover'
                WHEN least(p.scheduled_at + interval '7 days',
                           coalesce(p.expires_at, p.scheduled_at + make_interval(secs => ($1::jsonb->>'expiry_seconds')::float8)))
                     <= coalesce(($1::jsonb->>'now')::timestamptz, now()) THEN 'expire'
                ELSE 'publish' END AS action,
           width_bucket(extract(epoch FROM coalesce(($1::jsonb->>'now')::timestamptz, now()) - p.scheduled_at),
                        ARRAY[300.001, 3600.001, 86400.001, 604800.001]) AS class,
           CASE WHEN a.status <> 'active' THEN 'account:' || a.id || ' is ' || a.status
                WHEN a.blocked_until > coalesce(($1::jsonb->>'now')::timestamptz, now())
                THEN 'account:' || a.id || ' is blocked until '
                     || to_char(a.blocked_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
                     || coalesce(' (' || a.blocked_reason || ')', '') END AS standing
    FROM (SELECT id, priority, scheduled_at, account_id, expires_at, status FROM publisher.posts
          WHERE status = 'pending' AND due_at <= coalesce(($1::jsonb->>'now')::timestamptz, now())
          UNION ALL
          SELECT id, priority, scheduled_at, account_id, expires_at, status FROM publisher.posts
          WHERE status = 'publishing' AND lease_until < coalesce(($1::jsonb->>'now')::timestamptz, now())
          UNION ALL
          SELECT id, priority, scheduled_at, account_id, expires_at, status FROM publisher.posts
          WHERE status = 'unconfirmed' AND due_at <= coalesce(($1::jsonb->>'now')::timestamptz, now())) p
    -- Asking after a post can wait for its account, and a dead run's posts can't wait for anything.
    JOIN publisher.accounts a ON a.id = p.account_id
                             AND (p.status <> 'unconfirmed'
                                  OR a.status = 'active'
                                     AND (a.blocked_until IS NULL
                                          OR a.blocked_until <= coalesce(($1::jsonb->>'now')::timestamptz, now())))
    WHERE (SELECT max(version) FROM publisher.migrations) = ($1::jsonb->>'schema')::bigint
      AND ($1::jsonb->'platforms' = 'null' OR $1::jsonb->'platforms' ? a.platform)
      AND ($1::jsonb->'owners' = 'null' OR $1::jsonb->'owners' ? a.owner)
),
-- What the platforms allow by their own word, unless a row of `limits` says otherwise for the scope and the window.
quota AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::jsonb->'quotas') AS q (platform text, per text, "window" text, max bigint)
),
-- How much each scope may still publish, by its strictest rule.
rule AS MATERIALIZED (
    SELECT DISTINCT ON (scope) scope, remaining, scope || ': ' || max || ' per ' || "window" || whose AS rule
    FROM (
        SELECT l.scope, l."window", l.max, l.whose, l.max - (
            -- Apart, for each part to be a search in its own partial index: an OR reads all that was ever published.
            SELECT count(*)
            FROM publisher.accounts a JOIN publisher.posts p ON p.account_id = a.id
            WHERE p.status = 'published' AND p.published_at > s.since
              AND l.scope IN ('platform:' || a.platform, 'owner:' || a.owner, 'account:' || a.id)
        ) - (
            SELECT count(*)
            FROM publisher.posts p JOIN publisher.accounts a ON a.id = p.account_id
            WHERE p.status = 'publishing'
              AND l.scope IN ('platform:' || a.platform, 'owner:' || a.owner, 'account:' || a.id)
        ) - (
            SELECT count(*)
            FROM publisher.posts p JOIN publisher.accounts a ON a.id = p.account_id
            WHERE p.status = 'unconfirmed' AND p.updated_at > s.since
              AND l.scope IN ('platform:' || a.platform, 'owner:' || a.owner, 'account:' || a.id)
        ) AS remaining
        FROM (SELECT scope, "window", max, '' AS whose FROM publisher.limits WHERE action IN ('publish', '*')
              UNION ALL
              SELECT 'platform:' || q.platform, q."window", q.max, ' by the platform' FROM quota q
              WHERE q.per = 'platform'
                AND NOT EXISTS (SELECT FROM publisher.limits o
                                WHERE o.scope = 'platform:' || q.platform AND o."window" = q."window"
                                  AND o.action IN ('publish', '*'))) l,
             LATERAL (SELECT coalesce(($1::jsonb->>'now')::timestamptz, now())
                             - CASE l."window" WHEN 'minute' THEN interval '1 minute' WHEN 'hour' THEN interval '1 hour'
                                               WHEN 'day' THEN interval '24 hours' ELSE interval '30 days' END AS since) s
        WHERE EXISTS (SELECT FROM due)
        UNION ALL
        -- Of each account that has something due: what is under way counts when it is published.
        SELECT 'account:' || d.account_id, q."window", q.max, ' by the platform', q.max - (
            SELECT count(*) FROM publisher.posts p
            WHERE p.account_id = d.account_id AND p.status = 'published'
              AND p.published_at > coalesce(($1::jsonb->>'now')::timestamptz, now())
                  - CASE q."window" WHEN 'minute' THEN interval '1 minute' WHEN 'hour' THEN interval '1 hour'
                                    WHEN 'day' THEN interval '24 hours' ELSE interval '30 days' END)
        FROM (SELECT DISTINCT account_id, platform FROM due WHERE action = 'publish') d
        JOIN quota q ON q.per = 'account' AND q.platform = d.platform
        WHERE NOT EXISTS (SELECT FROM publisher.limits o
                          WHERE o.scope = 'account:' || d.account_id AND o."window" = q."window"
                            AND o.action IN ('publish', '*'))
    ) r
    ORDER BY scope, remaining
),
-- A scope that has nothing left takes its posts out first, so that they don't use up the places of others.
standing AS (
    SELECT d.id, d.priority, d.scheduled_at, d.account_id, d.owner, d.platform, d.action, d.class,
           CASE WHEN d.action = 'publish' THEN coalesce(d.standing,
                CASE WHEN ra.remaining <= 0 THEN ra.rule WHEN ro.remaining <= 0 THEN ro.rule
                     WHEN rp.remaining <= 0 THEN rp.rule END) END AS held,
           ra.remaining AS account_left, ra.rule AS account_rule,
           ro.remaining AS owner_left, ro.rule AS owner_rule,
           rp.remaining AS platform_left, rp.rule AS platform_rule
    FROM due d
    LEFT JOIN rule ra ON ra.scope = 'account:' || d.account_id
    LEFT JOIN rule ro ON ro.scope = 'owner:' || d.owner
    LEFT JOIN rule rp ON rp.scope = 'platform:' || d.platform
),
-- Then each scope admits as many as it has left: the account, the owner, and below the platform. The first two come
-- before the turns, so that what they hold back takes no turn of the owner's; the order within them is the queue's.
by_account AS (
    SELECT s.*, CASE WHEN held IS NULL AND action = 'publish' AND account_left <
        row_number() OVER (PARTITION BY account_id, held IS NULL AND action = 'publish'
                           ORDER BY priority DESC, class, scheduled_at, id)
        THEN account_rule ELSE held END AS held_1
    FROM standing s
),
by_owner AS (
    SELECT a.*, CASE WHEN held_1 IS NULL AND action = 'publish' AND owner_left <
        row_number() OVER (PARTITION BY owner, held_1 IS NULL AND action = 'publish'
                           ORDER BY priority DESC, class, scheduled_at, id)
        THEN owner_rule ELSE held_1 END AS held_2
    FROM by_account a
),
turns AS (
    SELECT o.*, row_number() OVER (PARTITION BY priority, class, owner, held_2 IS NULL ORDER BY scheduled_at, id) AS turn
    FROM by_owner o
),
places AS (
    SELECT t.*, row_number() OVER (ORDER BY priority DESC, class, turn, scheduled_at, id) AS place FROM turns t
),
queue AS MATERIALIZED (
    SELECT id, place, action, CASE WHEN held_2 IS NULL AND action = 'publish' AND platform_left <
        row_number() OVER (PARTITION BY platform, held_2 IS NULL AND action = 'publish' ORDER BY place)
        THEN platform_rule ELSE held_2 END AS held_by
    FROM places
)
