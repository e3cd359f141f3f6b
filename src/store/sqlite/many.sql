-- Where more is due than that, runs take accounts in turn, each with its next posts, and first those that no living run
-- publishes for: no more of a backlog is read than a claim takes, and runs at once share it.
open AS MATERIALIZED (
    SELECT a.id, a.owner, a.platform,
           EXISTS (SELECT 1 FROM posts h
                   WHERE h.account_id = a.id AND h.status = 'publishing'
                     AND h.lease_until >= (SELECT now FROM clock)) AS held
    FROM accounts a
    WHERE a.status = 'active'
      AND (a.blocked_until IS NULL OR a.blocked_until <= (SELECT now FROM clock))
      AND (?1->>'platforms' IS NULL OR a.platform IN (SELECT value FROM json_each(?1, '$.platforms')))
      AND (?1->>'owners' IS NULL OR a.owner IN (SELECT value FROM json_each(?1, '$.owners')))
),
-- For which accounts limits matter now.
asked AS MATERIALIZED (
    SELECT id AS account_id, platform FROM open
),
-- The priorities that wait, highest first, each by one step through the index.
level (priority) AS (
    SELECT * FROM (SELECT p.priority FROM posts p
                   WHERE p.status = 'pending' ORDER BY p.priority DESC LIMIT 1)
    UNION ALL
    SELECT (SELECT p.priority FROM posts p
            WHERE p.status = 'pending' AND p.priority < l.priority ORDER BY p.priority DESC LIMIT 1)
    FROM level l WHERE l.priority IS NOT NULL
),
-- The classes of lateness as ranges of scheduled_at.
class (number, since, until) AS MATERIALIZED (
    SELECT 0, on_time, strftime('%Y-%m-%dT%H:%M:%fZ', now, '+0.001 seconds') FROM clock
    UNION ALL SELECT 1, recent, on_time FROM clock
    UNION ALL SELECT 2, moderate, recent FROM clock
    UNION ALL SELECT 3, severe, moderate FROM clock
    UNION ALL SELECT 4, '', severe FROM clock
),
ready AS MATERIALIZED (
    SELECT o.id, o.owner, o.platform, o.held,
           ra.remaining AS account_left, ro.remaining AS owner_left, rp.remaining AS platform_left
    FROM open o
    LEFT JOIN rule ra ON ra.scope = 'account:' || o.id
    LEFT JOIN rule ro ON ro.scope = 'owner:' || o.owner
    LEFT JOIN rule rp ON rp.scope = 'platform:' || o.platform
    WHERE min(coalesce(ra.remaining, 1), coalesce(ro.remaining, 1), coalesce(rp.remaining, 1)) > 0
      AND EXISTS (SELECT 1 FROM level l CROSS JOIN posts p
                  WHERE p.status = 'pending' AND p.priority = l.priority AND p.account_id = o.id
                    AND p.scheduled_at <= (SELECT now FROM clock) AND p.due_at <= (SELECT now FROM clock))
),
-- How many posts of one account a run takes: what it can send one after the other in a minute, and no more than an
-- eighth of what it takes at all, unless there are few accounts.
share AS MATERIALIZED (
    SELECT min(?1->>'limit',
               max(1, min((?1->>'limit') / 8, 128), 2 * (?1->>'limit') / max((SELECT count(*) FROM ready), 1))) AS posts
),
-- What of an account waits in one priority and class.
part AS MATERIALIZED (
    SELECT n.*, row_number() OVER (PARTITION BY held, priority, class, owner ORDER BY first, id) AS turn
    FROM (SELECT r.*, l.priority, c.number AS class, c.since, c.until,
                 (SELECT count(*) FROM (SELECT 1 FROM posts q
                      WHERE q.status = 'pending' AND q.priority = l.priority AND q.account_id = r.id
                        AND q.scheduled_at >= c.since AND q.scheduled_at < c.until
                        AND q.due_at <= (SELECT now FROM clock)
                      LIMIT (SELECT posts FROM share))) AS posts,
                 (SELECT q.scheduled_at FROM posts q
                  WHERE q.status = 'pending' AND q.priority = l.priority AND q.account_id = r.id
                    AND q.scheduled_at >= c.since AND q.scheduled_at < c.until
                    AND q.due_at <= (SELECT now FROM clock)
                  ORDER BY q.scheduled_at LIMIT 1) AS first
          FROM ready r CROSS JOIN level l CROSS JOIN class c
          WHERE l.priority IS NOT NULL) n
    WHERE posts > 0
),
-- As many as each scope has left, in the queue's order.
within AS (
    SELECT * FROM (
        SELECT part.*,
               sum(posts) OVER (PARTITION BY id ORDER BY held, priority DESC, class, turn, first, id) - posts AS of_account,
               sum(posts) OVER (PARTITION BY owner ORDER BY held, priority DESC, class, turn, first, id) - posts AS of_owner,
               sum(posts) OVER (PARTITION BY platform ORDER BY held, priority DESC, class, turn, first, id) - posts AS of_platform
        FROM part)
    WHERE of_account < min(coalesce(account_left, (SELECT posts FROM share)), (SELECT posts FROM share))
      AND of_owner < coalesce(owner_left, of_owner + 1) AND of_platform < coalesce(platform_left, of_platform + 1)
),
taken AS MATERIALIZED (
    SELECT * FROM (
        SELECT within.*, sum(posts) OVER (ORDER BY held, priority DESC, class, turn, first, id) - posts AS before
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
                   ORDER BY q.scheduled_at, q.id LIMIT (SELECT posts FROM share))
),
-- What is past its expiry is dropped whatever its account's state: the oldest by their time to be looked at.
old AS (
    SELECT o.* FROM (
        SELECT id, priority, scheduled_at, account_id, expires_at, status FROM posts
        WHERE status = 'pending' AND due_at <= (SELECT expired FROM clock)
        ORDER BY due_at LIMIT ?1->>'limit') o, clock
    WHERE o.scheduled_at <= clock.severe OR coalesce(o.expires_at <= clock.now, o.scheduled_at <= clock.expired)
),
waiting AS MATERIALIZED (
    SELECT * FROM next UNION SELECT * FROM old
),
