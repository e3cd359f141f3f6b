UPDATE accounts
SET token_held_by = ?1->>'run', token_held_until = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+2 minutes')
WHERE id = ?1->>'account' AND credentials IS NOT NULL
  AND (token_held_until IS NULL OR token_held_until < strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
RETURNING json_object('credentials', credentials, 'token_expires_at', token_expires_at)
