-- How things stand, and what happened since: one object. The one parameter is a JSON object: now (null: the database's
-- clock), since_seconds. Each part is a search in its own partial index.
WITH RECURSIVE clock AS MATERIALIZED (
    SELECT now, now - make_interval(secs => ($1::jsonb->>'since_seconds')::float8) AS since
    FROM (SELECT coalesce(($1::jsonb->>'now')::timestamptz, now()) AS now) c
),
level (priority) AS (
    (SELECT p.priority FROM publisher.posts p WHERE p.status = 'pending' ORDER BY p.priority DESC LIMIT 1)
    UNION ALL
    SELECT (SELECT p.priority FROM publisher.posts p
            WHERE p.status = 'pending' AND p.priority < l.priority ORDER BY p.priority DESC LIMIT 1)
    FROM level l WHERE l.priority IS NOT NULL
),
-- What waits is counted by the account only where that holds it back: all of it is read in no index but the one by time.
standing AS MATERIALIZED (
    SELECT a.id, a.platform || ':' || a.external_id AS account, a.owner, a.status,
           CASE WHEN a.blocked_until > clock.now THEN a.blocked_until END AS blocked_until,
           CASE WHEN a.blocked_until > clock.now THEN a.blocked_reason END AS reason,
           CASE WHEN a.status <> 'active' THEN a.status WHEN a.blocked_until > clock.now THEN 'blocked' END AS held,
           due.posts AS due
    FROM publisher.accounts a CROSS JOIN clock CROSS JOIN LATERAL (
        SELECT count(*) AS posts FROM level l CROSS JOIN LATERAL (
            SELECT FROM publisher.posts p
            WHERE p.status = 'pending' AND p.priority = l.priority AND p.account_id = a.id AND p.due_at <= clock.now
              AND (a.status <> 'active' OR a.blocked_until > clock.now)
            ORDER BY p.scheduled_at, p.id OFFSET 0) p) due
),
-- The doubt began with the first of the look-ups that end the history: what came before was cleared up.
doubt AS MATERIALIZED (
    SELECT p.due_at, coalesce(
        (SELECT e.value->>'at' FROM jsonb_array_elements(p.history) WITH ORDINALITY e (value, n)
         WHERE e.n = 1 + (SELECT coalesce(max(o.n), 0) FROM jsonb_array_elements(p.history) WITH ORDINALITY o (value, n)
                          WHERE o.value->>'outcome' IS DISTINCT FROM 'unconfirmed')),
        to_char(p.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AS since
    FROM publisher.posts p
    WHERE p.status = 'unconfirmed'
),
-- OFFSET keeps it a look for each account; else all that was ever published may be read.
published AS MATERIALIZED (
    SELECT a.platform, round(extract(epoch FROM p.published_at - p.scheduled_at) * 1000)::bigint AS late
    FROM publisher.accounts a,
         LATERAL (SELECT published_at, scheduled_at FROM publisher.posts
                  WHERE account_id = a.id AND status = 'published' AND published_at > (SELECT since FROM clock)
                    AND isfinite(published_at) OFFSET 0) p
),
ended AS (
    SELECT a.platform, e.status, count(*) AS posts
    FROM (SELECT account_id, status FROM publisher.posts
          WHERE status = 'failed' AND updated_at > (SELECT since FROM clock)
          UNION ALL
          SELECT account_id, status FROM publisher.posts
          WHERE status = 'expired' AND updated_at > (SELECT since FROM clock)) e
    JOIN publisher.accounts a ON a.id = e.account_id
    GROUP BY a.platform, e.status
),
run AS MATERIALIZED (
    SELECT exit_code, count(*) AS runs FROM publisher.runs
    WHERE started_at > (SELECT since FROM clock)
    GROUP BY exit_code
)
SELECT jsonb_build_object(
    'at', clock.now, 'since', clock.since,
    'now', jsonb_build_object(
        'due', (SELECT count(*) FROM publisher.posts
                WHERE status = 'pending' AND due_at <= (SELECT now FROM clock)),
        'held_back', (SELECT jsonb_build_object(
                          'needs_login', coalesce(sum(due) FILTER (WHERE held = 'needs_login'), 0),
                          'blocked', coalesce(sum(due) FILTER (WHERE held = 'blocked'), 0),
                          'disabled', coalesce(sum(due) FILTER (WHERE held = 'disabled'), 0)) FROM standing),
        'later', (SELECT count(*) FROM publisher.posts
                  WHERE status = 'pending' AND due_at > (SELECT now FROM clock)),
        'next_due_at', (SELECT due_at FROM publisher.posts
                        WHERE status = 'pending' AND due_at > (SELECT now FROM clock) ORDER BY due_at LIMIT 1),
        'publishing', (SELECT count(*) FROM publisher.posts WHERE status = 'publishing'),
        'lease_ended', (SELECT count(*) FROM publisher.posts
                        WHERE status = 'publishing' AND lease_until < (SELECT now FROM clock)),
        'unconfirmed', (SELECT count(*) FROM doubt),
        'unconfirmed_since', (SELECT min(since) FROM doubt),
        'next_look_at', (SELECT min(due_at) FROM doubt WHERE due_at < '9999-12-31Z'),
        'for_a_person', (SELECT count(*) FROM doubt WHERE due_at >= '9999-12-31Z'),
        'failed', (SELECT count(*) FROM publisher.posts WHERE status = 'failed')),
    'published', coalesce((SELECT jsonb_agg(p) FROM (
        SELECT platform, count(*) AS posts, percentile_disc(0.5) WITHIN GROUP (ORDER BY late) AS p50,
               percentile_disc(0.95) WITHIN GROUP (ORDER BY late) AS p95, max(late) AS max
        FROM published GROUP BY GROUPING SETS ((platform), ()) HAVING count(*) > 0) p), '[]'),
    'ended', coalesce((SELECT jsonb_agg(ended) FROM ended), '[]'),
    'runs', jsonb_build_object(
        'count', (SELECT coalesce(sum(runs), 0) FROM run),
        'exit_codes', coalesce((SELECT jsonb_object_agg(exit_code, runs) FROM run), '{}'),
        'last', (SELECT jsonb_build_object(
                     'id', id, 'host', host, 'started_at', started_at, 'finished_at', finished_at, 'due', due,
                     'published', published, 'retry', retry, 'failed', failed, 'expired', expired,
                     'unconfirmed', unconfirmed, 'released', released, 'exit_code', exit_code)
                 FROM publisher.runs ORDER BY started_at DESC LIMIT 1)),
    'accounts', coalesce((SELECT jsonb_agg(jsonb_build_object(
                              'id', id, 'account', account, 'owner', owner, 'status', status,
                              'blocked_until', blocked_until, 'reason', reason, 'due', due)
                              ORDER BY status <> 'needs_login', id)
                          FROM standing WHERE held IN ('needs_login', 'blocked')), '[]'))::text
FROM clock
