SELECT jsonb_build_object(
    'id', a.id, 'owner', a.owner, 'platform', a.platform, 'external_id', a.external_id,
    'display_name', a.display_name, 'timezone', a.timezone, 'status', a.status,
    'blocked_until', a.blocked_until, 'blocked_reason', a.blocked_reason, 'token_expires_at', a.token_expires_at,
    'has_credentials', a.credentials IS NOT NULL, 'settings', a.settings, 'created_at', a.created_at,
    'pending', (SELECT count(*) FROM publisher.posts p WHERE p.account_id = a.id AND p.status = 'pending'))::text
FROM publisher.accounts a
WHERE ($1::jsonb->>'owner' IS NULL OR a.owner = $1::jsonb->>'owner')
  AND ($1::jsonb->>'platform' IS NULL OR a.platform = $1::jsonb->>'platform')
ORDER BY a.owner, a.platform, a.id
