-- An account belongs to one living run: what waits for an account that a run is publishing for can't be claimed, and so it
-- asks for no further run.
DROP VIEW backlog;
CREATE VIEW backlog (due) AS
SELECT (SELECT count(*) FROM posts p CROSS JOIN accounts a
        WHERE p.status = 'pending' AND p.due_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AND a.id = p.account_id
          AND a.status = 'active'
          AND (a.blocked_until IS NULL OR a.blocked_until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
          -- Read once, into a table of its own.
          AND a.id NOT IN (SELECT h.account_id FROM posts h
                           WHERE h.status = 'publishing' AND h.lease_until >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))
     -- A dead run's posts can't wait for anything.
     + (SELECT count(*) FROM posts p
        WHERE p.status = 'publishing' AND p.lease_until < strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
     + (SELECT count(*) FROM posts p CROSS JOIN accounts a
        WHERE p.status = 'unconfirmed' AND p.due_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AND a.id = p.account_id
          AND a.status = 'active'
          AND (a.blocked_until IS NULL OR a.blocked_until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')));
