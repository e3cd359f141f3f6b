-- Where more is due than a claim takes, runs take accounts in turn, each with its next posts: so accounts are left for
-- the other runs, and no more of a backlog is read than a claim takes. (A handful is in order whatever it takes.)
-- The priorities that wait, highest first, each by one step through the index.
level (priority) AS (
    SELECT * FROM (SELECT p.priority FROM posts p
                   WHERE p.status = 'pending' ORDER BY p.priority DESC LIMIT 1)
    UNION ALL
    SELECT (SELECT p.priority FROM posts p
            WHERE p.status = 'pending' AND p.priority < l.priority ORDER BY p.priority DESC LIMIT 1)
    FROM level l WHERE l.priority IS NOT NULL
),
-- The accounts that may publish and have something due.
open AS MATERIALIZED (
    SELECT a.id, a.owner, a.platform
    FROM accounts a
    WHERE a.status = 'active'
      AND (a.blocked_until IS NULL OR a.blocked_until <= (SELECT now FROM clock))
      AND (?1->>'platforms' IS NULL OR a.platform IN (SELECT value FROM json_each(?1, '$.platforms')))
      AND (?1->>'owners' IS NULL OR a.owner IN (SELECT value FROM json_each(?1, '$.owners')))
      AND (?1->>'spared' IS NULL
           OR 'platform:' || a.platform NOT IN (SELECT value FROM json_each(?1, '$.spared'))
              AND 'account:' || a.id NOT IN (SELECT value FROM json_each(?1, '$.spared')))
      AND EXISTS (SELECT 1 FROM level l CROSS JOIN posts p
                  WHERE p.status = 'pending' AND p.priority = l.priority AND p.account_id = a.id
                    AND p.scheduled_at <= (SELECT now FROM clock) AND p.due_at <= (SELECT now FROM clock))
),
-- Those that limits, and runs that hold them, matter for now.
asked AS MATERIALIZED (
    SELECT id AS account_id, platform FROM open
),
-- The classes of lateness as ranges of scheduled_at.
class (number, since, until) AS MATERIALIZED (
    SELECT 0, on_time, strftime('%Y-%m-%dT%H:%M:%fZ', now, '+0.001 seconds') FROM clock
    UNION ALL SELECT 1, recent, on_time FROM clock
    UNION ALL SELECT 2, moderate, recent FROM clock
    UNION ALL SELECT 3, severe, moderate FROM clock
    UNION ALL SELECT 4, '', severe FROM clock
),
-- `share` is how many posts of one account a run takes: what it can send one after the other in a minute, and no more than
-- an eighth of what it takes at all, unless there are few accounts.
ready AS MATERIALIZED (
    SELECT o.id, o.owner, o.platform,
           ra.remaining AS account_left, ro.remaining AS owner_left, rp.remaining AS platform_left,
           min(l, max(1, min(l / 8, 128), 2 * l / count(*) OVER ())) AS share
    FROM open o
    CROSS JOIN (SELECT ?1->>'limit' AS l)
    LEFT JOIN rule ra ON ra.scope = 'account:' || o.id
    LEFT JOIN rule ro ON ro.scope = 'owner:' || o.owner
    LEFT JOIN rule rp ON rp.scope = 'platform:' || o.platform
    WHERE min(coalesce(ra.remaining, 1), coalesce(ro.remaining, 1), coalesce(rp.remaining, 1)) > 0
),
-- What of an account waits in one priority and class.
part AS MATERIALIZED (
    SELECT n.*, row_number() OVER (PARTITION BY priority, class, owner ORDER BY first, id) AS turn
    FROM (SELECT r.*, l.priority, c.number AS class, c.since, c.until,
                 (SELECT count(*) FROM (SELECT 1 FROM posts q
                      WHERE q.status = 'pending' AND q.priority = l.priority AND q.account_id = r.id
                        AND q.scheduled_at >= c.since AND q.scheduled_at < c.until
                        AND q.due_at <= (SELECT now FROM clock)
                      LIMIT (SELECT max(share) FROM ready))) AS posts,
                 (SELECT q.scheduled_at FROM posts q
                  WHERE q.status = 'pending' AND q.priority = l.priority AND q.account_id = r.id
                    AND q.scheduled_at >= c.since AND q.scheduled_at < c.until
                    AND q.due_at <= (SELECT now FROM clock)
                  ORDER BY q.scheduled_at LIMIT 1) AS first
          FROM ready r CROSS JOIN level l CROSS JOIN class c
          WHERE l.priority IS NOT NULL) n
    WHERE posts > 0
),
-- As many as each scope has left, in the queue's order. If the shares do not fill the claim, it touches every account, and
-- no other run finds one: then an account gives whatever is wanted.
within AS (
    SELECT *, min(posts, coalesce(owner_left - of_owner, posts), coalesce(platform_left - of_platform, posts)) AS admitted
    FROM (
        SELECT *,
               CASE WHEN sum(max(0, min(posts, share - of_account, coalesce(account_left, share) - of_account))) OVER ()
                         < ?1->>'limit'
                    THEN ?1->>'limit' ELSE share END AS gives
        FROM (
            SELECT part.*,
                   sum(posts) OVER (PARTITION BY id ORDER BY priority DESC, class, turn, first, id) - posts AS of_account,
                   sum(posts) OVER (PARTITION BY owner ORDER BY priority DESC, class, turn, first, id) - posts AS of_owner,
                   sum(posts) OVER (PARTITION BY platform ORDER BY priority DESC, class, turn, first, id) - posts AS of_platform
            FROM part))
    WHERE of_account < min(gives, coalesce(account_left, gives))
      AND of_owner < coalesce(owner_left, of_owner + 1) AND of_platform < coalesce(platform_left, of_platform + 1)
),
taken AS MATERIALIZED (
    SELECT * FROM (
        SELECT within.*, sum(admitted) OVER (ORDER BY priority DESC, class, turn, first, id) - admitted AS before
        FROM within)
    WHERE before < ?1->>'limit'
),
next AS (
    SELECT p.id, p.priority, p.scheduled_at, p.account_id, p.expires_at, p.status
    FROM taken t CROSS JOIN posts p
    WHERE p.id IN (SELECT q.id FROM posts q
                   WHERE q.status = 'pending' AND q.priority = t.priority AND q.account_id = t.id
                     AND q.scheduled_at >= t.since AND q.scheduled_at < t.until
                     AND q.due_at <= (SELECT now FROM clock)
                   ORDER BY q.scheduled_at, q.id LIMIT (SELECT max(gives) FROM taken))
),
-- What is past its expiry is dropped whatever its account's state: the oldest by their time to be looked at.
old AS (
    SELECT o.* FROM (
        SELECT id, priority, scheduled_at, account_id, expires_at, status FROM posts
        WHERE status = 'pending' AND due_at <= (SELECT now FROM clock)
        ORDER BY due_at LIMIT max(20, ?1->>'limit')) o, clock
    WHERE o.scheduled_at <= clock.severe OR coalesce(o.expires_at <= clock.now, o.scheduled_at <= clock.expired)
),
waiting AS MATERIALIZED (
    SELECT * FROM next UNION SELECT * FROM old
),
