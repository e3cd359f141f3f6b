-- What the platforms allow by their own word, unless a row of `limits` says otherwise for the scope and the window.
quota AS MATERIALIZED (
    SELECT value->>'platform' AS platform, value->>'per' AS per, value->>'window' AS "window", value->>'max' AS max,
           strftime('%Y-%m-%dT%H:%M:%fZ', clock.now,
                    CASE value->>'window' WHEN 'minute' THEN '-1 minute' WHEN 'hour' THEN '-1 hour'
                                          WHEN 'day' THEN '-24 hours' ELSE '-30 days' END) AS since
    FROM json_each(?1, '$.quotas'), clock
),
-- How much each scope may still publish, by its strictest rule (the other columns are those of the least `remaining`).
rule AS MATERIALIZED (
    SELECT scope, min(remaining) AS remaining,
           coalesce(scope || ': ' || max || ' per ' || "window" || whose, 'another run is publishing for this account') AS rule
    FROM (
        SELECT l.scope, l."window", l.max, l.whose, l.max - (
            -- CROSS JOIN keeps that order, in which each part is a search in its own partial index.
            SELECT count(*)
            FROM accounts a CROSS JOIN posts p
            WHERE p.account_id = a.id AND p.status = 'published' AND p.published_at > l.since
              AND l.scope IN ('platform:' || a.platform, 'owner:' || a.owner, 'account:' || a.id)
        ) - (
            SELECT count(*)
            FROM posts p CROSS JOIN accounts a
            WHERE p.status = 'publishing' AND p.lease_until > '' AND a.id = p.account_id
              AND l.scope IN ('platform:' || a.platform, 'owner:' || a.owner, 'account:' || a.id)
        ) - (
            SELECT count(*)
            FROM posts p CROSS JOIN accounts a
            WHERE p.status = 'unconfirmed' AND p.updated_at > l.since AND a.id = p.account_id
              AND l.scope IN ('platform:' || a.platform, 'owner:' || a.owner, 'account:' || a.id)
        ) AS remaining
        FROM (SELECT scope, "window", max, '' AS whose,
                     strftime('%Y-%m-%dT%H:%M:%fZ', clock.now,
                              CASE "window" WHEN 'minute' THEN '-1 minute' WHEN 'hour' THEN '-1 hour'
                                            WHEN 'day' THEN '-24 hours' ELSE '-30 days' END) AS since
              FROM limits, clock
              WHERE action IN ('publish', '*') AND EXISTS (SELECT 1 FROM asked)
              UNION ALL
              SELECT 'platform:' || q.platform, q."window", q.max, ' by the platform', q.since FROM quota q
              WHERE q.per = 'platform' AND EXISTS (SELECT 1 FROM asked)
                AND NOT EXISTS (SELECT 1 FROM limits o
                                WHERE o.scope = 'platform:' || q.platform AND o."window" = q."window"
                                  AND o.action IN ('publish', '*'))) l
        UNION ALL
        -- Of each account that may have something due: what is under way counts when it is published.
        SELECT 'account:' || d.account_id, q."window", q.max, ' by the platform', q.max - (
            SELECT count(*) FROM posts p
            WHERE p.account_id = d.account_id AND p.status = 'published' AND p.published_at > q.since)
        FROM asked d
        JOIN quota q ON q.per = 'account' AND q.platform = d.platform
        WHERE NOT EXISTS (SELECT 1 FROM limits o
                          WHERE o.scope = 'account:' || d.account_id AND o."window" = q."window"
                            AND o.action IN ('publish', '*'))
        UNION ALL
        -- An account belongs to one living run: for the others it has nothing left, whatever the rules say. (The + makes
        -- it a probe by the account, not by the lease.)
        SELECT 'account:' || d.account_id, NULL, NULL, NULL, -1000000000000000000
        FROM asked d
        WHERE EXISTS (SELECT 1 FROM posts p
                      WHERE p.account_id = d.account_id AND p.status = 'publishing'
                        AND +p.lease_until >= (SELECT now FROM clock))
    )
    GROUP BY scope
),
due AS MATERIALIZED (
    SELECT p.id, p.priority, p.scheduled_at, p.account_id, a.owner, a.platform,
           CASE WHEN p.status <> 'pending' THEN 'recover'
                WHEN p.scheduled_at <= clock.severe OR coalesce(p.expires_at <= clock.now, p.scheduled_at <= clock.expired)
                THEN 'expire'
                ELSE 'publish' END AS action,
           (p.scheduled_at < clock.on_time) + (p.scheduled_at < clock.recent)
           + (p.scheduled_at < clock.moderate) + (p.scheduled_at < clock.severe) AS class,
           CASE WHEN a.status <> 'active' THEN 'account:' || a.id || ' is ' || a.status
                WHEN a.blocked_until > clock.now
                THEN 'account:' || a.id || ' is blocked until ' || strftime('%Y-%m-%dT%H:%M:%SZ', a.blocked_until)
                     || coalesce(' (' || a.blocked_reason || ')', '') END AS standing
    FROM (SELECT * FROM waiting
          UNION ALL
          SELECT * FROM (SELECT id, priority, scheduled_at, account_id, expires_at, status FROM posts
                         WHERE status = 'publishing' AND lease_until < (SELECT now FROM clock)
                         ORDER BY lease_until LIMIT max(20000, 2 * (?1->>'limit')))
          UNION ALL
          SELECT * FROM (SELECT id, priority, scheduled_at, account_id, expires_at, status FROM posts
                         WHERE status = 'unconfirmed' AND due_at <= (SELECT now FROM clock)
                         ORDER BY due_at LIMIT max(20000, 2 * (?1->>'limit')))) p
    -- Asking after a post can wait for its account, and a dead run's posts can't wait for anything.
    CROSS JOIN accounts a ON a.id = p.account_id
                   AND (p.status <> 'unconfirmed'
                        OR a.status = 'active'
                           AND (a.blocked_until IS NULL OR a.blocked_until <= (SELECT now FROM clock))), clock
    WHERE (SELECT user_version FROM pragma_user_version) = ?1->>'schema'
      AND (?1->>'platforms' IS NULL OR a.platform IN (SELECT value FROM json_each(?1, '$.platforms')))
      AND (?1->>'owners' IS NULL OR a.owner IN (SELECT value FROM json_each(?1, '$.owners')))
      AND (?1->>'spared' IS NULL
           OR 'platform:' || a.platform NOT IN (SELECT value FROM json_each(?1, '$.spared'))
              AND 'account:' || a.id NOT IN (SELECT value FROM json_each(?1, '$.spared')))
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
