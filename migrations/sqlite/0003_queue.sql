-- What a claim reads where more is due than it takes: each account's next posts, by priority and time; and whether a run
-- is publishing for an account.
CREATE INDEX posts_next ON posts (priority DESC, account_id, scheduled_at, id, due_at) WHERE status = 'pending';
CREATE INDEX posts_held ON posts (account_id) WHERE status = 'publishing';
