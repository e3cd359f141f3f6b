-- `publisher posts list` shows the newest first, of everything or of an account, an owner, a platform, a status: each
-- account's newest of each status are found here, and so nothing else is read. What is pending is in posts_next already,
-- and what is publishing or unconfirmed is little: so a post is written here once in its life, when it has ended.
CREATE INDEX posts_ended ON posts (status, account_id, scheduled_at, id)
    WHERE status IN ('published', 'failed', 'expired', 'canceled');
