SELECT json_object(
    'id', a.id, 'owner', a.owner, 'platform', a.platform, 'external_id', a.external_id,
    'display_name', a.display_name, 'status', a.status, 'credentials', a.credentials,
    'token_expires_at', a.token_expires_at, 'settings', json(a.settings), 'updated_at', a.updated_at)
FROM accounts a
WHERE (?1->>'owner' IS NULL OR a.owner = ?1->>'owner')
  AND (?1->>'platform' IS NULL OR a.platform = ?1->>'platform')
  AND (?1->>'id' IS NULL OR a.id = ?1->>'id')
ORDER BY a.owner, a.platform, a.id
