-- Removes the posts that were found to be old. What was changed since is no longer old.
DELETE FROM posts
WHERE id IN (SELECT value FROM json_each(?1, '$.ids'))
  AND status IN ('published', 'failed', 'expired', 'canceled')
  AND updated_at < ?1->>'before'
RETURNING json_quote(id)
