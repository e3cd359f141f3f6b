-- All that is due, where that is no more than a claim looks at one by one (`look` knows).
waiting AS MATERIALIZED (
    SELECT id, priority, scheduled_at, account_id, expires_at, status FROM posts
    WHERE status = 'pending' AND due_at <= (SELECT now FROM clock)
    ORDER BY due_at LIMIT max(20000, 2 * (?1->>'limit'))
),
-- For which accounts limits matter now.
asked AS MATERIALIZED (
    SELECT a.id AS account_id, a.platform
    FROM (SELECT DISTINCT account_id FROM waiting) w CROSS JOIN accounts a
    WHERE a.id = w.account_id
),
