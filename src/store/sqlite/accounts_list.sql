SELECT json_object(
    'id', a.id, 'owner', a.owner, 'platform', a.platform, 'external_id', a.external_id,
    'display_name', a.display_name, 'timezone', a.timezone, 'status', a.status,
    'blocked_until', a.blocked_until, 'blocked_reason', a.blocked_reason, 'token_expires_at', a.token_expires_at,
    'has_credentials', json(CASE WHEN a.credentials IS NOT NULL THEN 'true' ELSE 'false' END),
    'settings', json(a.settings), 'created_at', a.created_at,
    'pending', (SELECT count(*) FROM posts p WHERE p.account_id = a.id AND p.status = 'pending'))
FROM accounts a
WHERE (?1->>'owner' IS NULL OR a.owner = ?1->>'owner')
  AND (?1->>'platform' IS NULL OR a.platform = ?1->>'platform')
ORDER BY a.owner, a.platform, a.id
