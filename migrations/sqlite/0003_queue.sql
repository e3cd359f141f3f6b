-- What many machines and many years ask of the queue: how much of it waits, and which posts may be removed.
-- Each part stands alone; what is added goes to the end.

-- How many posts are due and in no run's hands: pending, left by a run that died, or to be looked up. It counts what a
-- claim would take for sending or looking up: what is over a limit is in it, and so is a post past its expiry if its
-- account is in order. One row, one column. (CROSS JOIN keeps the order: a search in a partial index, then the accounts.)
CREATE VIEW backlog (due) AS
SELECT (SELECT count(*) FROM posts p CROSS JOIN accounts a
        WHERE p.status = 'pending' AND p.due_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AND a.id = p.account_id
          AND a.status = 'active'
          AND (a.blocked_until IS NULL OR a.blocked_until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))
     -- A dead run's posts can't wait for anything.
     + (SELECT count(*) FROM posts p
        WHERE p.status = 'publishing' AND p.lease_until < strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
     + (SELECT count(*) FROM posts p CROSS JOIN accounts a
        WHERE p.status = 'unconfirmed' AND p.due_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AND a.id = p.account_id
          AND a.status = 'active'
          AND (a.blocked_until IS NULL OR a.blocked_until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')));

-- `publisher prune` goes through what ended, oldest first, and asks which groups are not through yet.
CREATE INDEX posts_settled ON posts (updated_at, id)
    WHERE status IN ('published', 'failed', 'expired', 'canceled');
CREATE INDEX posts_group ON posts (group_id)
    WHERE status IN ('pending', 'publishing', 'unconfirmed') AND group_id IS NOT NULL;

-- What a claim reads where more is due than it takes: each account's next posts, by priority and time; and whether a run
-- is publishing for an account.
CREATE INDEX posts_next ON posts (priority DESC, account_id, scheduled_at, id, due_at) WHERE status = 'pending';
CREATE INDEX posts_held ON posts (account_id) WHERE status = 'publishing';
