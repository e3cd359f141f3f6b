SELECT json_object(
    'id', p.id, 'account_id', p.account_id, 'group_id', p.group_id, 'kind', p.kind, 'body', p.body, 'link', p.link,
    'media', json(p.media), 'options', json(p.options), 'scheduled_at', p.scheduled_at, 'local_time', p.local_time,
    'timezone', p.timezone, 'due_at', p.due_at, 'expires_at', p.expires_at, 'priority', p.priority,
    'status', p.status, 'attempts', p.attempts, 'max_attempts', p.max_attempts, 'claim', p.claim,
    'lease_until', p.lease_until, 'checkpoint', json(p.checkpoint), 'platform_post_id', p.platform_post_id,
    'permalink', p.permalink, 'published_at', p.published_at, 'error_class', p.error_class,
    'error_code', p.error_code, 'error', p.error, 'history', json(p.history), 'external_ref', p.external_ref,
    'created_at', p.created_at, 'updated_at', p.updated_at,
    'owner', a.owner, 'platform', a.platform, 'account', a.platform || ':' || a.external_id)
FROM posts p
JOIN accounts a ON a.id = p.account_id
WHERE (?1->>'id' IS NULL OR p.id = ?1->>'id')
  AND (?1->>'ids' IS NULL OR p.id IN (SELECT value FROM json_each(?1->'ids')))
  AND (?1->>'status' IS NULL OR p.status = ?1->>'status')
  AND (?1->>'platform' IS NULL OR a.platform = ?1->>'platform')
  AND (?1->>'owner' IS NULL OR a.owner = ?1->>'owner')
  AND (?1->>'account_id' IS NULL OR a.id = ?1->>'account_id')
ORDER BY p.scheduled_at DESC, p.id DESC
LIMIT ?1->>'limit'
