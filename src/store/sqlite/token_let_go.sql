-- A secret is never overwritten with nothing.
UPDATE accounts
SET token_held_by = NULL, token_held_until = NULL,
    token_expires_at = CASE WHEN ?1->>'credentials' IS NULL THEN token_expires_at ELSE ?1->>'token_expires_at' END,
    credentials = coalesce(?1->>'credentials', credentials)
WHERE id = ?1->>'account' AND token_held_by = ?1->>'run'
RETURNING CAST(id AS TEXT)
