-- What is due, in the order in which it goes out, and what holds it back. The claim and the dry run both start so.
-- The one parameter is a JSON object: now (null: the database's clock), schema, expiry_seconds, platforms, owners, ….
WITH RECURSIVE few AS MATERIALIZED (
    SELECT id, priority, scheduled_at, account_id, expires_at, status FROM publisher.posts
    WHERE status = 'pending' AND due_at <= coalesce(($1::jsonb->>'now')::timestamptz, now())
    ORDER BY due_at LIMIT greatest(20, ($1::jsonb->>'limit')::bigint) + 1
),
-- Where more is due than a claim takes, runs take accounts in turn, each with its next posts: so accounts are left for
-- the other runs, and no more of a backlog is read than a claim takes. (A handful is in order whatever it takes.)
many AS MATERIALIZED (
    SELECT count(*) > greatest(20, ($1::jsonb->>'limit')::bigint) AS are FROM few
),
-- The priorities that wait, highest first, each by one step through the index.
level (priority) AS (
    (SELECT p.priority FROM publisher.posts p
     WHERE p.status = 'pending' AND (SELECT are FROM many) ORDER BY p.priority DESC LIMIT 1)
    UNION ALL
    SELECT (SELECT p.priority FROM publisher.posts p
            WHERE p.status = 'pending' AND p.priority < l.priority ORDER BY p.priority DESC LIMIT 1)
    FROM level l WHERE l.priority IS NOT NULL
),
-- The accounts that may publish and have something due.
open AS MATERIALIZED (
    SELECT a.id, a.owner, a.platform
    FROM publisher.accounts a
    WHERE (SELECT are FROM many) AND a.status = 'active'
      AND (a.blocked_until IS NULL OR a.blocked_until <= coalesce(($1::jsonb->>'now')::timestamptz, now()))
      AND ($1::jsonb->'platforms' = 'null' OR $1::jsonb->'platforms' ? a.platform)
      AND ($1::jsonb->'owners' = 'null' OR $1::jsonb->'owners' ? a.owner)
      AND ($1::jsonb->>'spared' IS NULL
           OR NOT $1::jsonb->'spared' ?| ARRAY['platform:' || a.platform, 'account:' || a.id])
      AND EXISTS (SELECT FROM level l CROSS JOIN LATERAL (
                      SELECT FROM publisher.posts p
                      WHERE p.status = 'pending' AND p.priority = l.priority AND p.account_id = a.id
                        AND p.scheduled_at <= coalesce(($1::jsonb->>'now')::timestamptz, now()) AND p.due_at <= coalesce(($1::jsonb->>'now')::timestamptz, now())
                      LIMIT 1) p)
),
-- Those that limits, and runs that hold them, matter for now.
asked AS MATERIALIZED (
    SELECT a.id AS account_id, a.platform
    FROM (SELECT DISTINCT account_id FROM few) f JOIN publisher.accounts a ON a.id = f.account_id
    WHERE NOT (SELECT are FROM many)
    UNION ALL
    SELECT id, platform FROM open
),
-- What the platforms allow by their own word, unless a row of `limits` says otherwise for the scope and the window.
quota AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::jsonb->'quotas') AS q (platform text, per text, "window" text, max bigint)
),
-- How much each scope may still publish, by its strictest rule.
rule AS MATERIALIZED (
    SELECT DISTINCT ON (scope) scope, remaining,
           coalesce(scope || ': ' || max || ' per ' || "window" || whose, 'another run is publishing for this account') AS rule
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
        WHERE EXISTS (SELECT FROM asked)
        UNION ALL
        -- Of each account that may have something due: what is under way counts when it is published.
        SELECT 'account:' || d.account_id, q."window", q.max, ' by the platform', q.max - (
            SELECT count(*) FROM publisher.posts p
            WHERE p.account_id = d.account_id AND p.status = 'published'
              AND p.published_at > coalesce(($1::jsonb->>'now')::timestamptz, now())
                  - CASE q."window" WHEN 'minute' THEN interval '1 minute' WHEN 'hour' THEN interval '1 hour'
                                    WHEN 'day' THEN interval '24 hours' ELSE interval '30 days' END)
        FROM asked d
        JOIN quota q ON q.per = 'account' AND q.platform = d.platform
        WHERE NOT EXISTS (SELECT FROM publisher.limits o
                          WHERE o.scope = 'account:' || d.account_id AND o."window" = q."window"
                            AND o.action IN ('publish', '*'))
        UNION ALL
        -- An account belongs to one living run: for the others it has nothing left, whatever the rules say. (An aggregate,
        -- for each to be a search by the account: for an EXISTS all that is being published may be read, by its lease.)
        SELECT 'account:' || d.account_id, NULL, NULL, NULL, -1000000000000000000
        FROM asked d CROSS JOIN LATERAL (
            SELECT bool_or(p.lease_until >= coalesce(($1::jsonb->>'now')::timestamptz, now())) AS lives
            FROM publisher.posts p
            WHERE p.account_id = d.account_id AND p.status = 'publishing') held
        WHERE held.lives
    ) r
    ORDER BY scope, remaining
),
-- The classes of lateness as ranges of scheduled_at.
class (number, since, until) AS (
    SELECT number, coalesce(($1::jsonb->>'now')::timestamptz, now()) - make_interval(secs => since), coalesce(($1::jsonb->>'now')::timestamptz, now()) - make_interval(secs => until)
    FROM (VALUES (0, 300.001, -0.001), (1, 3600.001, 300.001), (2, 86400.001, 3600.001), (3, 604800.001, 86400.001))
         v (number, since, until)
    UNION ALL
    SELECT 4, '-infinity', coalesce(($1::jsonb->>'now')::timestamptz, now()) - make_interval(secs => 604800.001)
),
-- `share` is how many posts of one account a run takes: what it can send one after the other in a minute, and no more than
-- an eighth of what it takes at all, unless there are few accounts.
ready AS MATERIALIZED (
    SELECT o.id, o.owner, o.platform,
           ra.remaining AS account_left, ro.remaining AS owner_left, rp.remaining AS platform_left,
           least(l, greatest(1, least(l / 8, 128), 2 * l / count(*) OVER ())) AS share
    FROM open o
    CROSS JOIN (SELECT ($1::jsonb->>'limit')::bigint AS l) given
    LEFT JOIN rule ra ON ra.scope = 'account:' || o.id
    LEFT JOIN rule ro ON ro.scope = 'owner:' || o.owner
    LEFT JOIN rule rp ON rp.scope = 'platform:' || o.platform
    WHERE least(ra.remaining, ro.remaining, rp.remaining, 1) > 0
),
-- What of an account waits in one priority and class.
part AS MATERIALIZED (
    SELECT r.*, l.priority, c.number AS class, c.since, c.until, n.posts, n.first,
           row_number() OVER (PARTITION BY l.priority, c.number, r.owner ORDER BY n.first, r.id) AS turn
    FROM ready r CROSS JOIN level l CROSS JOIN class c CROSS JOIN LATERAL (
        SELECT count(*) AS posts, min(scheduled_at) AS first FROM (
            SELECT p.scheduled_at FROM publisher.posts p
            WHERE p.status = 'pending' AND p.priority = l.priority AND p.account_id = r.id
              AND p.scheduled_at >= c.since AND p.scheduled_at < c.until AND p.due_at <= coalesce(($1::jsonb->>'now')::timestamptz, now())
            ORDER BY p.scheduled_at, p.id LIMIT r.share) p) n
    WHERE l.priority IS NOT NULL AND n.posts > 0
),
-- As many as each scope has left, in the queue's order. If the shares do not fill the claim, it touches every account, and
-- no other run finds one: then an account gives whatever is wanted.
within AS (
    SELECT g.*, least(posts, owner_left - of_owner, platform_left - of_platform) AS admitted
    FROM (
        SELECT p.*,
               CASE WHEN sum(greatest(0, least(posts, share - of_account, account_left - of_account))) OVER ()
                         < ($1::jsonb->>'limit')::bigint
                    THEN ($1::jsonb->>'limit')::bigint ELSE share END AS gives
        FROM (
            SELECT part.*,
                   sum(posts) OVER (PARTITION BY id ORDER BY priority DESC, class, turn, first, id) - posts AS of_account,
                   sum(posts) OVER (PARTITION BY owner ORDER BY priority DESC, class, turn, first, id) - posts AS of_owner,
                   sum(posts) OVER (PARTITION BY platform ORDER BY priority DESC, class, turn, first, id) - posts AS of_platform
            FROM part) p) g
    WHERE of_account < least(account_left, gives)
      AND of_owner < coalesce(owner_left, of_owner + 1) AND of_platform < coalesce(platform_left, of_platform + 1)
),
taken AS MATERIALIZED (
    SELECT * FROM (
        SELECT within.*, sum(admitted) OVER (ORDER BY priority DESC, class, turn, first, id) - admitted AS before
        FROM within) w
    WHERE before < ($1::jsonb->>'limit')::bigint
),
next AS (
    SELECT p.*
    FROM taken t CROSS JOIN LATERAL (
        SELECT p.id, p.priority, p.scheduled_at, p.account_id, p.expires_at, p.status FROM publisher.posts p
        WHERE p.status = 'pending' AND p.priority = t.priority AND p.account_id = t.id
          AND p.scheduled_at >= t.since AND p.scheduled_at < t.until AND p.due_at <= coalesce(($1::jsonb->>'now')::timestamptz, now())
        ORDER BY p.scheduled_at, p.id LIMIT t.gives) p
),
-- What is past its expiry is dropped whatever its account's state: the oldest by their time to be looked at.
old AS (
    SELECT * FROM few
    WHERE (SELECT are FROM many)
      AND least(scheduled_at + interval '7 days',
                coalesce(expires_at, scheduled_at + make_interval(secs => ($1::jsonb->>'expiry_seconds')::float8)))
          <= coalesce(($1::jsonb->>'now')::timestamptz, now())
),
due AS MATERIALIZED (
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
    FROM (SELECT * FROM few WHERE NOT (SELECT are FROM many)
          UNION ALL
          (SELECT * FROM next UNION SELECT * FROM old)
          UNION ALL
          (SELECT id, priority, scheduled_at, account_id, expires_at, status FROM publisher.posts
           WHERE status = 'publishing' AND lease_until < coalesce(($1::jsonb->>'now')::timestamptz, now())
           ORDER BY lease_until LIMIT greatest(20000, 2 * ($1::jsonb->>'limit')::bigint))
          UNION ALL
          (SELECT id, priority, scheduled_at, account_id, expires_at, status FROM publisher.posts
           WHERE status = 'unconfirmed' AND due_at <= coalesce(($1::jsonb->>'now')::timestamptz, now())
           ORDER BY due_at LIMIT greatest(20000, 2 * ($1::jsonb->>'limit')::bigint))) p
    -- Asking after a post can wait for its account, and a dead run's posts can't wait for anything.
    JOIN publisher.accounts a ON a.id = p.account_id
                             AND (p.status <> 'unconfirmed'
                                  OR a.status = 'active'
                                     AND (a.blocked_until IS NULL OR a.blocked_until <= coalesce(($1::jsonb->>'now')::timestamptz, now())))
    WHERE (SELECT max(version) FROM publisher.migrations) = ($1::jsonb->>'schema')::bigint
      AND ($1::jsonb->'platforms' = 'null' OR $1::jsonb->'platforms' ? a.platform)
      AND ($1::jsonb->'owners' = 'null' OR $1::jsonb->'owners' ? a.owner)
      AND ($1::jsonb->>'spared' IS NULL
           OR NOT $1::jsonb->'spared' ?| ARRAY['platform:' || a.platform, 'account:' || a.id])
),
-- A scope that has nothing left takes its posts out first, so that they don't use up the places of others.
standing AS MATERIALIZED (
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
-- (Each is sorted only for those that have a rule.)
by_account AS MATERIALIZED (
    SELECT s.*, CASE WHEN held IS NULL AND action = 'publish' AND account_left <
        row_number() OVER (PARTITION BY account_id, held IS NULL AND action = 'publish'
                           ORDER BY priority DESC, class, scheduled_at, id)
        THEN account_rule ELSE held END AS held_1
    FROM standing s WHERE account_left IS NOT NULL
    UNION ALL
    SELECT s.*, held FROM standing s WHERE account_left IS NULL
),
by_owner AS MATERIALIZED (
    SELECT a.*, CASE WHEN held_1 IS NULL AND action = 'publish' AND owner_left <
        row_number() OVER (PARTITION BY owner, held_1 IS NULL AND action = 'publish'
                           ORDER BY priority DESC, class, scheduled_at, id)
        THEN owner_rule ELSE held_1 END AS held_2
    FROM by_account a WHERE owner_left IS NOT NULL
    UNION ALL
    SELECT a.*, held_1 FROM by_account a WHERE owner_left IS NULL
),
turns AS (
    SELECT o.*, row_number() OVER (PARTITION BY priority, class, owner, held_2 IS NULL ORDER BY scheduled_at, id) AS turn
    FROM by_owner o
),
places AS MATERIALIZED (
    SELECT t.*, row_number() OVER (ORDER BY priority DESC, class, turn, scheduled_at, id) AS place FROM turns t
),
queue AS MATERIALIZED (
    SELECT id, place, action, CASE WHEN held_2 IS NULL AND action = 'publish' AND platform_left <
        row_number() OVER (PARTITION BY platform, held_2 IS NULL AND action = 'publish' ORDER BY place)
        THEN platform_rule ELSE held_2 END AS held_by
    FROM places WHERE platform_left IS NOT NULL
    UNION ALL
    SELECT id, place, action, held_2 FROM places WHERE platform_left IS NULL
)
