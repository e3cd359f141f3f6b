-- How things stand, and what happened since: one object. The one parameter is a JSON object: now (null: the clock),
-- since_seconds. Each part is a search in its own partial index.
WITH RECURSIVE clock AS MATERIALIZED (
    SELECT now, strftime('%Y-%m-%dT%H:%M:%fZ', now, '-' || (?1->>'since_seconds') || ' seconds') AS since
    FROM (SELECT coalesce(?1->>'now', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) AS now)
),
level (priority) AS (
    SELECT * FROM (SELECT p.priority FROM posts p WHERE p.status = 'pending' ORDER BY p.priority DESC LIMIT 1)
    UNION ALL
    SELECT (SELECT p.priority FROM posts p
            WHERE p.status = 'pending' AND p.priority < l.priority ORDER BY p.priority DESC LIMIT 1)
    FROM level l WHERE l.priority IS NOT NULL
),
-- What waits is counted by the account only where that holds it back: all of it is read in no index but the one by time.
standing AS MATERIALIZED (
    SELECT a.id, a.platform || ':' || a.external_id AS account, a.owner, a.status,
           CASE WHEN a.blocked_until > clock.now THEN a.blocked_until END AS blocked_until,
           CASE WHEN a.blocked_until > clock.now THEN a.blocked_reason END AS reason,
           CASE WHEN a.status <> 'active' THEN a.status WHEN a.blocked_until > clock.now THEN 'blocked' END AS held,
           CASE WHEN a.status <> 'active' OR a.blocked_until > clock.now
                THEN (SELECT count(*) FROM level l CROSS JOIN posts p
                      WHERE p.status = 'pending' AND p.priority = l.priority AND p.account_id = a.id
                        AND p.due_at <= clock.now)
                ELSE 0 END AS due
    FROM accounts a CROSS JOIN clock
),
-- The doubt began with the first of the look-ups that end the history: what came before was cleared up.
doubt AS MATERIALIZED (
    SELECT p.due_at, coalesce(
        (SELECT CASE WHEN e.type = 'object' THEN e.value->>'at' END FROM json_each(p.history) e
         WHERE e.key = 1 + (SELECT coalesce(max(o.key), -1) FROM json_each(p.history) o
                            WHERE CASE WHEN o.type = 'object' THEN o.value->>'outcome' END IS NOT 'unconfirmed')),
        p.updated_at) AS since
    FROM posts p
    WHERE p.status = 'unconfirmed'
),
-- CROSS JOIN keeps that order: a look for each account.
published AS MATERIALIZED (
    SELECT a.platform,
           CAST(round((julianday(p.published_at) - julianday(p.scheduled_at)) * 86400000) AS INTEGER) AS late
    FROM accounts a CROSS JOIN posts p
    WHERE p.account_id = a.id AND p.status = 'published' AND p.published_at > (SELECT since FROM clock)
      AND julianday(p.published_at) IS NOT NULL
),
-- The nearest-rank percentiles: of a platform, and of all.
ranked AS (
    SELECT platform, late, row_number() OVER (PARTITION BY platform ORDER BY late) AS place,
           count(*) OVER (PARTITION BY platform) AS posts
    FROM (SELECT platform, late FROM published UNION ALL SELECT NULL, late FROM published)
),
figures AS (
    SELECT platform, posts, max(late) AS max,
           max(CASE WHEN place = (posts * 50 + 99) / 100 THEN late END) AS p50,
           max(CASE WHEN place = (posts * 95 + 99) / 100 THEN late END) AS p95
    FROM ranked GROUP BY platform
),
ended AS (
    SELECT a.platform, e.status, count(*) AS posts
    FROM (SELECT account_id, status FROM posts
          WHERE status = 'failed' AND updated_at > (SELECT since FROM clock)
          UNION ALL
          SELECT account_id, status FROM posts
          WHERE status = 'expired' AND updated_at > (SELECT since FROM clock)) e
    CROSS JOIN accounts a
    WHERE a.id = e.account_id
    GROUP BY a.platform, e.status
),
run AS MATERIALIZED (
    SELECT exit_code, count(*) AS runs FROM runs
    WHERE started_at > (SELECT since FROM clock)
    GROUP BY exit_code
)
SELECT json_object(
    'at', clock.now, 'since', clock.since,
    'now', json_object(
        'due', (SELECT count(*) FROM posts WHERE status = 'pending' AND due_at <= (SELECT now FROM clock)),
        'held_back', (SELECT json_object(
                          'needs_login', coalesce(sum(due) FILTER (WHERE held = 'needs_login'), 0),
                          'blocked', coalesce(sum(due) FILTER (WHERE held = 'blocked'), 0),
                          'disabled', coalesce(sum(due) FILTER (WHERE held = 'disabled'), 0)) FROM standing),
        'later', (SELECT count(*) FROM posts WHERE status = 'pending' AND due_at > (SELECT now FROM clock)),
        'next_due_at', (SELECT due_at FROM posts
                        WHERE status = 'pending' AND due_at > (SELECT now FROM clock) ORDER BY due_at LIMIT 1),
        'publishing', (SELECT count(*) FROM posts WHERE status = 'publishing'),
        'lease_ended', (SELECT count(*) FROM posts
                        WHERE status = 'publishing' AND lease_until < (SELECT now FROM clock)),
        'unconfirmed', (SELECT count(*) FROM doubt),
        'unconfirmed_since', (SELECT min(since) FROM doubt),
        'next_look_at', (SELECT min(due_at) FROM doubt WHERE due_at < '9999-12-31'),
        'for_a_person', (SELECT count(*) FROM doubt WHERE due_at >= '9999-12-31'),
        'failed', (SELECT count(*) FROM posts WHERE status = 'failed')),
    'published', (SELECT json_group_array(json_object('platform', platform, 'posts', posts, 'p50', p50, 'p95', p95,
                                                      'max', max)) FROM figures),
    'ended', (SELECT json_group_array(json_object('platform', platform, 'status', status, 'posts', posts)) FROM ended),
    'runs', json_object(
        'count', (SELECT coalesce(sum(runs), 0) FROM run),
        'exit_codes', (SELECT json_group_object(exit_code, runs) FROM run),
        'last', (SELECT json_object(
                     'id', id, 'host', host, 'started_at', started_at, 'finished_at', finished_at, 'due', due,
                     'published', published, 'retry', retry, 'failed', failed, 'expired', expired,
                     'unconfirmed', unconfirmed, 'released', released, 'exit_code', exit_code)
                 FROM runs ORDER BY started_at DESC LIMIT 1)),
    'accounts', (SELECT json_group_array(json_object(
                            'id', id, 'account', account, 'owner', owner, 'status', status,
                            'blocked_until', blocked_until, 'reason', reason, 'due', due))
                 FROM (SELECT * FROM standing WHERE held IN ('needs_login', 'blocked')
                       ORDER BY status <> 'needs_login', id)))
FROM clock
