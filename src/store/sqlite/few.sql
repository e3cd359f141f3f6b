-- All that is due, where that is no more than a claim takes (`look` knows).
waiting AS MATERIALIZED (
    SELECT id, priority, scheduled_at, account_id, expires_at, status FROM posts
    WHERE status = 'pending' AND due_at <= (SELECT now FROM clock)
    ORDER BY due_at LIMIT max(20, ?1->>'limit')
),
-- Those that limits, and runs that hold them, matter for now.
asked AS MATERIALIZED (
    SELECT a.id AS account_id, a.platform
    FROM (SELECT DISTINCT account_id FROM waiting) w CROSS JOIN accounts a
    WHERE a.id = w.account_id
),
