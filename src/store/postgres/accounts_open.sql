SELECT jsonb_build_object(
    'id', a.id, 'owner', a.owner, 'platform', a.platform, 'external_id', a.external_id,
    'display_name', a.display_name, 'status', a.status, 'credentials', a.credentials,
    'token_expires_at', a.token_expires_at, 'settings', a.settings, 'updated_at', a.updated_at)::text
FROM publisher.accounts a
WHERE ($1::jsonb->>'owner' IS NULL OR a.owner = $1::jsonb->>'owner')
  AND ($1::jsonb->>'platform' IS NULL OR a.platform = $1::jsonb->>'platform')
  AND ($1::jsonb->>'id' IS NULL OR a.id = ($1::jsonb->>'id')::bigint)
ORDER BY a.owner, a.platform, a.id
